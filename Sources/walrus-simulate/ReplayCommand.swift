// ReplayCommand.swift
//
// `walrus-simulate replay SEED`: one seed again, with its trace.

import ArgumentParser
import Foundation
import Simulator

struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run one seed again and show what happened.")

  @Argument(help: "The seed.")
  var seed: UInt64

  @Option(help: "Stop when this event is reached.")
  var until: Int?

  @Option(help: "Show this many events before the end; 0: all.")
  var events = 40

  @Option(help: "Show only events of these sources, by name: disk, network, process, ...")
  var only: [String] = []

  @Flag(help: "Run it twice and show the first event that differs.")
  var compare = false

  @OptionGroup var options: RunOptions

  func run() throws {
    try plantBug(options.plantedBug)
    if !addressesAreFixed {
      print("The system does not let addresses be fixed; a run that depends on them may differ.")
    }
    if compare { return try compareRuns() }
    var runner = SeedRunner()
    runner.options.safetyDuration = options.safetyDuration
    runner.options.stopsAtEvent = until
    // The first finding is what one wants to see; what follows is only its consequence.
    var trace = Trace()
    if until == nil, let first = firstFinding(runner) { runner.options.stopsAtEvent = first + 1 }
    runner.options.detail = events == 0 || !only.isEmpty ? .all : .last(events)
    let result = runner.run(seed, trace: &trace)
    print("seed \(seed): \(result.swarm)")
    show(trace.events)
    for finding in result.findings { print(finding) }
    print(
      "\(result.eventCount) events, trace \(result.traceHash), "
        + "\(Int(result.simulatedSeconds)) simulated seconds")
    if !result.isWell { throw ExitCode(1) }
  }

  /// The number of the event at which it was found. In a process of its own, since a run that was
  /// cut short cannot be followed by another.
  private func firstFinding(_ runner: SeedRunner) -> Int? {
    let found = LockedResult()
    Supervisor(seeds: [seed], jobCount: 1, workerArguments: options.arguments) { result in
      found.result = result
      return false
    }.run()
    guard let text = found.result?.findings.first, let range = text.range(of: "at event ") else {
      return nil
    }
    return Int(text[range.upperBound...].prefix { $0.isNumber })
  }

  private func show(_ all: [Trace.Event]) {
    let wanted = all.filter { only.isEmpty || only.contains("\($0.source)") }
    for event in events == 0 ? wanted[...] : wanted.suffix(events) {
      print("\(event.number)  \(event.source)  \(event.text)")
    }
  }

  private func compareRuns() throws {
    var runner = SeedRunner()
    runner.options.safetyDuration = options.safetyDuration
    runner.options.keepsHashes = true
    var (first, second) = (Trace(), Trace())
    _ = runner.run(seed, trace: &first)
    _ = runner.run(seed, trace: &second)
    let (left, right) = (first.hashes, second.hashes)
    guard left != right else { return print("both runs are the same: \(left.count) events") }
    let position = zip(left, right).enumerated().first { $1.0 != $1.1 }?.offset
    let event = position ?? min(left.count, right.count)
    print("the runs differ from event \(event) on; the events before it, then each run's own:")
    runner.options.keepsHashes = false
    runner.options.detail = .all
    _ = runner.run(seed, trace: &first)
    _ = runner.run(seed, trace: &second)
    show(first.events.filter { $0.number <= event && $0.number > event - 20 })
    print("--")
    show(second.events.filter { $0.number <= event && $0.number > event - 5 })
    throw ExitCode(1)
  }
}

private final class LockedResult: @unchecked Sendable {
  private let lock = NSLock()
  private var value: SeedResult?

  var result: SeedResult? {
    get { lock.withLock { value } }
    set { lock.withLock { value = newValue } }
  }
}
