// SimulatedRun.swift
//
// One run: a seed becomes a cluster, which works while things go wrong (safety phase), is then healed
// except for what is lost for good (liveness phase), comes to rest and is checked, and ends.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
package import Simulator
import StorageNode
import Synchronization
import World

package struct RunReport: Sendable {
  package var seed: UInt64
  package var findings: [Finding]
  package var counts: WorkCounts
  /// Virtual time that passed.
  package var duration: Duration
  package var eventCount: Int
  package var traceHash: UInt64
}

package final class SimulatedRun: Sendable {
  /// Longer than a registration may wait for its certificate, so that abandoned ones are over.
  private static let abandonmentTime = Duration.seconds(65 * 60)
  /// Longer than ended registrations are remembered.
  private static let graceTime = Duration.seconds(25 * 60 * 60)
  /// After it an operator looks at what is still in trouble.
  private static let settlingTime = Duration.seconds(5 * 60)
  /// Longer than a pass of the scrub takes, and repair waits before it begins.
  private static let fullTime = Duration.seconds(20 * 60)

  package let swarm: Swarm
  package let clock: VirtualClock
  package let trace: Trace
  package let findings: Findings
  private let executor: @Sendable (String) -> (any TaskExecutor)?

  /// - Parameter executor: where the tasks of a process run, by its name.
  package init(
    _ swarm: Swarm, trace: Trace,
    executor: @escaping @Sendable (String) -> (any TaskExecutor)? = { _ in nil }
  ) {
    self.swarm = swarm
    self.trace = trace
    self.executor = executor
    clock = VirtualClock()
    findings = Findings(trace: trace)
  }

  package func run() async -> RunReport {
    let start = clock.now
    var counts = WorkCounts()
    do {
      counts = try await live()
    } catch {
      findings.add(.nodesStart, "the cluster cannot be set up: \(error)")
    }
    return RunReport(
      seed: swarm.seed, findings: findings.all, counts: counts, duration: clock.now - start,
      eventCount: trace.count, traceHash: trace.hash)
  }

  private func live() async throws -> WorkCounts {
    let world = try await SharedWorld.make(
      swarm, clock: clock, trace: trace, findings: findings, executor: executor)
    let confirmations = ConfirmationLog()
    world.network.observe { request, response, _, node in
      confirmations.note(request, response, from: node)
    }
    let machines = makeMachines(in: world)
    for machine in machines { try await machine.initialise() }
    let clients = (0..<swarm.clientCount).map { ClientMachine(position: $0, in: world) }
    let promise = PromiseWatch(swarm: swarm, clock: clock)
    let workload = Workload(
      world: world, clients: clients, model: ReferenceModel(), promise: promise)
    let nemesis = Nemesis(world: world, machines: machines, clients: clients, promise: promise)

    await startAll(machines, clients)
    await safetyPhase(workload, nemesis)
    await startAll(machines, clients)
    await livenessPhase(machines, clients, world)
    if let reader = await makeReader(in: world) {
      let checks = RestChecks(
        world: world, machines: machines, workload: workload, confirmations: confirmations)
      await checks.run(reader: reader.process)
      await reader.machine.stop(.waitingForTails)
    }
    for client in clients { await client.stop(.cancellingTails) }
    for machine in machines { await machine.stop() }
    await world.network.shutDown()
    // Operations of drives under way still end.
    await rest(.seconds(60))
    if clock.sleeperCount > 0 {
      findings.add(.workEnds, "\(clock.sleeperCount) tasks sleep on after everything was stopped")
    }
    return workload.counts.withLock { $0 }
  }

  private func safetyPhase(_ workload: Workload, _ nemesis: Nemesis) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await workload.run() }
      group.addTask { await nemesis.run() }
      do { try await clock.sleep(for: swarm.safetyDuration) } catch {}
      group.cancelAll()
      await group.waitForAll()
    }
    trace.record(.fault, 0, "the safety phase is over")
  }

  private func livenessPhase(
    _ machines: [Machine], _ clients: [ClientMachine], _ world: SharedWorld
  ) async {
    // Some of those that may be lost are, for good.
    let dice = world.dice("liveness")
    for machine in machines where machine.isFrail && dice.chance(0.5) {
      await machine.crash(.powerLost)
    }
    // Others get empty drives, and have to be refilled beside the dead and the liars.
    let refills = world.dice("refills")
    for machine in machines
    where world.swarm.heals && machine.isFrail && machine.isRunning {
      // Nodes that seldom take an inventory mostly keep what rotted: the scrub has to find it.
      let isRefilled = refills.chance(machine.findsByInventory ? 0.8 : 0.2)
      if isRefilled { await machine.replaceDrives() }
    }
    await rest(Self.settlingTime)
    // An operator starts a node again whose drives gave trouble.
    for machine in machines {
      guard let process = machine.process, await !process.drivesAreWell else { continue }
      await machine.stop()
      await machine.start()
    }
    // And lets repair have what it needs.
    for machine in machines { try? await machine.process?.node.setRepairRate(nil) }
    await age(machines, world)
    await rest(Self.abandonmentTime / 2)
    let attempts = await AttemptCheck(machines, swarm)
    await rest(Self.abandonmentTime / 2)
    await attempts.end(findings)
    if dice.chance(0.1) { await rest(Self.graceTime) }
    for client in clients { await client.process?.client.waitForTails() }
    await checkFollowing(machines)
  }

  /// Bits rot while nobody reads them, and drives are full when what was lost comes back.
  private func age(_ machines: [Machine], _ world: SharedWorld) async {
    let dice = world.dice("age")
    var full: [Machine] = []
    for machine in machines where swarm.heals && machine.isFrail && machine.isRunning {
      if swarm.faults.contains(.rot), dice.chance(0.8) {
        for drive in machine.drives { drive.disk.rot(bitCount: dice.number(in: 5...50)) }
      }
      if swarm.faults.contains(.drivesFull), dice.chance(0.6) { full.append(machine) }
    }
    guard !full.isEmpty else { return }
    for drive in full.flatMap(\.drives) { drive.disk.setFull(true) }
    await rest(Self.fullTime)
    for drive in full.flatMap(\.drives) { drive.disk.setFull(false) }
  }

  /// Every node that runs must have come to follow the registry again. Whether it also did what the
  /// events ask for, the leftovers show.
  private func checkFollowing(_ machines: [Machine]) async {
    for machine in machines {
      guard let node = machine.process?.node,
        case .health(let health) = await node.answer(
          .health(detailed: false), deadline: Instant(nanoseconds: .max)),
        health.nodeStatus != "Active"
      else { continue }
      findings.add(.workEnds, "\(machine.name) does not follow: it is \(health.nodeStatus)")
    }
  }

  private func rest(_ duration: Duration) async {
    do { try await clock.sleep(for: duration) } catch {}
  }

  private func startAll(_ machines: [Machine], _ clients: [ClientMachine]) async {
    for machine in machines { await machine.start() }
    for client in clients { await client.start() }
  }

  // The parts.

  private func makeMachines(in world: SharedWorld) -> [Machine] {
    let dice = world.dice("liars")
    let liesAreOn = swarm.faults.contains(.lyingNode)
    return world.signers.enumerated().map { position, signer in
      let lies = liesAreOn && swarm.frailNodes.contains(position) && dice.chance(0.7)
      var habits: LyingNode.Habits? = lies ? .random(dice) : nil
      let repairDice = world.dice("lies to repair \(position)")
      if swarm.heals, repairDice.chance(0.8) { habits = habits?.spoilingRepair(repairDice) }
      return Machine(position: position, signer: signer, lies: habits, in: world)
    }
  }

  /// A client that nothing has happened to yet.
  private func makeReader(in world: SharedWorld) async
    -> (machine: ClientMachine, process: ClientMachine.Process)?
  {
    let machine = ClientMachine(position: swarm.clientCount, in: world)
    await machine.start()
    guard let process = machine.process else { return nil }
    return (machine, process)
  }
}
