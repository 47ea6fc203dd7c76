// RunOptions.swift
//
// What both the supervisor and its workers have to know.

import ArgumentParser
import World

struct RunOptions: ParsableArguments {
  @Option(help: "Simulated minutes during which things go wrong.")
  var minutes = 5

  @Option(help: "Run every so many seeds twice and compare the traces; 0: none.")
  var repeatEvery = 10

  @Option(help: "Seconds of real time after which a seed counts as hanging.")
  var secondsMax: UInt32 = 600

  @Option(help: "Plant a bug; only in a build that has them.")
  var plantedBug: String?

  var safetyDuration: Duration { .seconds(60 * minutes) }

  /// As arguments of a worker.
  var arguments: [String] {
    var arguments = [
      "--minutes", "\(minutes)", "--repeat-every", "\(repeatEvery)", "--seconds-max",
      "\(secondsMax)",
    ]
    if let plantedBug { arguments += ["--planted-bug", plantedBug] }
    return arguments
  }
}

/// From now on the process has this bug.
func plantBug(_ name: String?) throws {
  guard let name else { return }
  guard let bug = PlantedBug(rawValue: name) else {
    throw ValidationError("there is no bug \(name); Sources/World/PlantedBug.swift lists them")
  }
  guard PlantedBug.choose(bug) else {
    throw ValidationError("this build has no planted bugs; `make mutants` makes one that has")
  }
}
