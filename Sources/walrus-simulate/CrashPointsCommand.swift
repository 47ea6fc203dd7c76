// CrashPointsCommand.swift
//
// `walrus-simulate crash-points`: the sliver store's script, with a crash, an error or a full drive at
// every operation, or at one that failed before.

import ArgumentParser
import Foundation
import Simulation
import Simulator
import Synchronization

struct CrashPointsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crash-points",
    abstract: "Cut the power at every operation of a script on one drive.")

  @Option(help: "Subsets of unsynced sectors that survive, for each operation.")
  var subsets = 20

  @Option(help: "Only every so many operations.")
  var stride = 1

  @Option(help: "What the dice follow from.")
  var seed: UInt64 = 1

  @Option(help: "Run just this point, as a failure names it.")
  var point: String?

  @Option(help: "Plant a bug; only in a build that has them.")
  var plantedBug: String?

  @Flag(help: "One JSON object.")
  var json = false

  func run() throws {
    try plantBug(plantedBug)
    let start = clock()
    let report: CrashPointReport
    if let point {
      guard let parsed = CrashPoints.Point(point) else {
        throw ValidationError("\(point) is no crash point; copy one from a failure")
      }
      report = blocking {
        var report = CrashPointReport()
        report.pointCount = 1
        if let problem = await CrashPoints.run(parsed) {
          report.failures = [
            CrashPointFailure(point: parsed, operationName: "", problem: problem)
          ]
        }
        return report
      }
    } else {
      let points = CrashPoints(subsetCount: subsets, stride: stride, seed: seed)
      report = blocking { await points.run() }
    }
    show(report, cpuSeconds: Double(clock() - start) / Double(CLOCKS_PER_SEC))
    if !report.failures.isEmpty { throw ExitCode(1) }
  }

  private func show(_ report: CrashPointReport, cpuSeconds: Double) {
    if json {
      var result = SeedResult(seed: seed)
      result.findings = report.failures.prefix(20).map(\.description)
      result.firstInvariant = report.failures.isEmpty ? nil : "S3"
      result.eventCount = report.pointCount
      result.cpuSeconds = cpuSeconds
      RunPrinter.printJSON(result)
      return
    }
    for failure in report.failures.prefix(20) {
      print("FAILED \(failure)")
      print("    again: walrus-simulate crash-points --point \(failure.point)")
    }
    print(
      String(
        format: "%d crash points in %d operations, %d subsets each: %d failed; %.1f s of CPU",
        report.pointCount, report.operationCount, subsets, report.failures.count, cpuSeconds))
  }
}

/// Runs asynchronous work on this thread until it is done.
private func blocking<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value {
  let box = ResultBox<Value>()
  RunQueue.shared.prepare(.fifo, seed: 0)
  Task {
    let value = await work()
    box.value.withLock { $0 = value }
  }
  _ = RunQueue.shared.drain(
    clock: VirtualClock(), trace: Trace(), stepCostMax: .zero, until: nil,
    isDone: { box.value.withLock { $0 != nil } })
  guard let value = box.value.withLock({ $0 }) else {
    preconditionFailure("the crash points came to a standstill")
  }
  return value
}

private final class ResultBox<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}
