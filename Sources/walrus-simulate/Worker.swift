// Worker.swift
//
// A process that runs one seed after the other: a line with a number comes in, a line of JSON goes
// out. If it dies, the supervisor knows on which seed.

import ArgumentParser
import CTripwires
import Foundation
import Simulator

struct Worker: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Runs seeds that come on standard input.", shouldDisplay: false
  )

  @OptionGroup var options: RunOptions

  func run() throws {
    try plantBug(options.plantedBug)
    var runner = SeedRunner()
    runner.options.safetyDuration = options.safetyDuration
    while let line = readLine(), let seed = UInt64(line) {
      tripwires_limit_seconds(options.secondsMax)
      var trace = Trace()
      var result = runner.run(seed, trace: &trace)
      if result.isWell, options.repeatEvery > 0, seed % UInt64(options.repeatEvery) == 0 {
        let again = runner.run(seed, trace: &trace)
        result.ranTwice = true
        if again.traceHash != result.traceHash {
          result.findings = [
            "two runs differ: \(result.traceHash) after \(result.eventCount) events, then "
              + "\(again.traceHash) after \(again.eventCount)"
          ]
          result.firstInvariant = "determinism"
        }
      }
      let bytes = try JSONEncoder().encode(result)
      FileHandle.standardOutput.write(bytes + Data("\n".utf8))
      if result.isLast { return }
    }
  }
}
