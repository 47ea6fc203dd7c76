// RunCommand.swift
//
// `walrus-simulate run`: many seeds, a line for each, and at the end what came of them.

import ArgumentParser
import Foundation
import Synchronization
import World

struct Simulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "walrus-simulate",
    abstract: "Runs the storage system in a simulated world in which everything goes wrong.",
    discussion: "Each run follows from its seed; a failure is repeated with `replay SEED`.",
    subcommands: [Run.self, Replay.self, CrashPointsCommand.self, Worker.self],
    defaultSubcommand: Run.self)
}

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run many seeds.")

  @Option(help: "How many seeds.")
  var seeds = 100

  @Option(help: "The first seed.")
  var from: UInt64 = 1

  @Option(help: "Run these seeds instead: a file with a number at the start of each line.")
  var corpus: String?

  @Option(help: "Seeds that run at once; default: one per core.")
  var jobs: Int?

  @Flag(help: "End at the first failure.")
  var stopAtFirst = false

  @Flag(help: "One JSON object per seed, and one for all, instead of lines for people.")
  var json = false

  @Flag(help: "A line only for seeds that failed.")
  var quiet = false

  @OptionGroup var options: RunOptions

  func run() throws {
    try plantBug(options.plantedBug)
    let printer = Mutex(RunPrinter(command: self))
    let box = PrinterBox(printer)
    let supervisor = Supervisor(
      seeds: try seedList(), jobCount: jobs ?? ProcessInfo.processInfo.activeProcessorCount,
      workerArguments: options.arguments
    ) { result in
      box.printer.withLock { $0.show(result) }
      return result.isWell || !stopAtFirst
    }
    supervisor.run()
    if try !box.printer.withLock({ try $0.finish() }) { throw ExitCode(1) }
  }

  private func seedList() throws -> [UInt64] {
    guard let corpus else { return (0..<UInt64(max(seeds, 0))).map { from &+ $0 } }
    return try String(contentsOfFile: corpus, encoding: .utf8).split(separator: "\n")
      .filter { !$0.hasPrefix("#") }
      .map { line in
        guard let number = line.split(separator: " ").first, let seed = UInt64(number) else {
          throw ValidationError("\(corpus): no seed at the start of the line: \(line)")
        }
        return seed
      }
  }
}

private final class PrinterBox: Sendable {
  let printer: Mutex<RunPrinter>

  init(_ printer: consuming Mutex<RunPrinter>) { self.printer = printer }
}

/// Shows results as they come, and sums them up.
struct RunPrinter: Sendable {
  let command: Run
  private var total = SeedResult(seed: 0)
  private var seedCount = 0
  private var failed: [SeedResult] = []
  private var repeatedCount = 0
  private let start = ContinuousClock.now

  init(command: Run) { self.command = command }

  mutating func show(_ result: SeedResult) {
    seedCount += 1
    total.simulatedSeconds += result.simulatedSeconds
    total.cpuSeconds += result.cpuSeconds
    total.eventCount += result.eventCount
    total.storeCount += result.storeCount
    total.failedStoreCount += result.failedStoreCount
    total.readCount += result.readCount
    total.failedReadCount += result.failedReadCount
    total.deleteCount += result.deleteCount
    total.marks.merge(result.marks) { $0 + $1 }
    if result.ranTwice { repeatedCount += 1 }
    if !result.isWell { failed.append(result) }
    if command.json {
      Self.printJSON(result)
    } else if !command.quiet || !result.isWell {
      print(line(result))
      for finding in result.findings.prefix(3) { print("    \(finding)") }
      if !result.isWell {
        print(
          "    again: walrus-simulate replay \(result.seed) --minutes \(command.options.minutes)")
      }
    }
  }

  private func line(_ result: SeedResult) -> String {
    String(
      format:
        "%@ seed %llu  %5.1f s  %7d events  %3d stores (%d failed)  %3d reads (%d failed)  %@",
      result.isWell ? "  ok  " : "FAILED", result.seed, result.cpuSeconds, result.eventCount,
      result.storeCount, result.failedStoreCount, result.readCount, result.failedReadCount,
      result.traceHash)
  }

  /// - Returns: whether all seeds were well.
  func finish() throws -> Bool {
    if command.json {
      var summary = total
      summary.findings = failed.map { "seed \($0.seed): \($0.findings.first ?? "")" }
      Self.printJSON(summary)
      return failed.isEmpty
    }
    let hours = total.simulatedSeconds / 3600
    print(
      String(
        format: "%d seeds, %.1f simulated hours, %d stores, %d reads, %d failed; %.0f simulated "
          + "seconds per second of CPU; %d seeds ran twice", seedCount, hours, total.storeCount,
        total.readCount, failed.count, total.simulatedSeconds / max(total.cpuSeconds, 0.001),
        repeatedCount))
    let unreached = Mark.allCases.map(\.rawValue).filter { total.marks[$0, default: 0] == 0 }
    print(
      "\(Mark.allCases.count - unreached.count) of \(Mark.allCases.count) rare branches reached"
        + (unreached.isEmpty ? "" : "; not: \(unreached.joined(separator: " "))"))
    for result in failed {
      print("FAILED seed \(result.seed): \(result.findings.first ?? "")")
    }
    return failed.isEmpty
  }

  static func printJSON(_ result: SeedResult) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } catch {
      print("seed \(result.seed) cannot be told: \(error)")
    }
  }
}
