// main.swift
//
// Simulated runs of the whole system. Starts itself again so that nothing differs from run to run,
// and takes over Swift's concurrency before the first task; only then reads the command line.

import ArgumentParser
import CTripwires

let addressesAreFixed = unsafe tripwires_restart_fixed(CommandLine.unsafeArgv) == 0
installSimulationExecutors()
Simulate.main()
