// RunOptions.swift
//
// What both the supervisor and its workers have to know.

import ArgumentParser

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

  func plantBug() throws {
    guard let plantedBug else { return }
    throw ValidationError("this build has no bug \(plantedBug)")
  }
}
