// SeedRunner.swift
//
// Runs one seed on this thread, from the first task to the last, and notices what only the outside
// can see: that nothing can go on, that time stands still, that the real world was touched.

import CTripwires
import Glibc
import Simulation
import Simulator
import Synchronization
import World

struct SeedOptions: Sendable {
  var safetyDuration = Duration.seconds(300)
  var stopsAtEvent: Int?
  var detail = Trace.Detail.none
  var keepsHashes = false
}

struct SeedRunner {
  var options = SeedOptions()

  /// The trace of the last run is left in `trace`.
  func run(_ seed: UInt64, trace: inout Trace) -> SeedResult {
    var result = SeedResult(seed: seed)
    let swarm = Swarm(seed: seed, safetyDuration: options.safetyDuration)
    result.swarm = "\(swarm)"
    let queue = RunQueue.shared
    queue.prepare(swarm.policy, seed: seed)
    let events = Trace(detail: options.detail, keepsHashes: options.keepsHashes)
    trace = events
    let run = SimulatedRun(swarm, trace: events) { queue.executor(of: $0) }
    let report = Mutex<RunReport?>(nil)
    let box = ReportBox(report)
    Mark.reset()
    let cpuStart = clock()
    tripwires_arm()
    Task {
      let done = await run.run()
      box.report.withLock { $0 = done }
    }
    let outcome = queue.drain(
      clock: run.clock, trace: events, stepCostMax: swarm.stepCostMax, until: options.stopsAtEvent,
      isDone: { box.report.withLock { $0 != nil } })
    let touched = tripwires_disarm()
    result.cpuSeconds = Double(clock() - cpuStart) / Double(CLOCKS_PER_SEC)
    result.eventCount = events.count
    result.traceHash = hexadecimal(events.hash)
    result.simulatedSeconds =
      Double((run.clock.now - VirtualClock().now).wholeNanoseconds) / 1_000_000_000
    var findings = run.findings.all
    if let report = box.report.withLock({ $0 }) {
      findings = report.findings
      result.storeCount = report.counts.storeCount
      result.failedStoreCount = report.counts.failedStoreCount
      result.readCount = report.counts.readCount
      result.failedReadCount = report.counts.failedReadCount
      result.deleteCount = report.counts.deleteCount
    }
    result.findings = findings.map(\.description)
    result.firstInvariant = findings.first?.invariant.rawValue
    result.isLast = outcome != .finished
    for (mark, count) in Mark.counts { result.marks[mark.rawValue] = count }
    switch outcome {
    case .finished, .reachedEvent: break
    case .deadlocked: add("nothing can go on: every task waits for another", to: &result)
    case .endless: add("the run does not end: some work waits for ever", to: &result)
    case .livelocked: add("time stands still while tasks go round in circles", to: &result)
    }
    if touched.threads + touched.clock_reads + touched.random_draws > 0 {
      add(
        "the real world was touched: \(touched.threads) threads, \(touched.clock_reads) looks at "
          + "the clock, \(touched.random_draws) random numbers", to: &result)
    }
    return result
  }

  private func add(_ finding: String, to result: inout SeedResult) {
    result.findings.append("at event \(result.eventCount): \(finding)")
    result.firstInvariant = result.firstInvariant ?? "run"
  }
}

private final class ReportBox: Sendable {
  let report: Mutex<RunReport?>

  init(_ report: consuming Mutex<RunReport?>) { self.report = report }
}

func hexadecimal(_ number: UInt64) -> String {
  let digits = String(number, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
