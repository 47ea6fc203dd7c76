// Supervisor.swift
//
// Gives seeds to worker processes, one per core, and takes their results. A worker that dies or takes
// too long costs one seed, which is told as what it is: a failure that can be repeated.

import Foundation
import Synchronization

final class Supervisor: Sendable {
  private struct State {
    var seeds: [UInt64]
    var next = 0
    var isStopped = false
  }

  private let workerArguments: [String]
  private let jobCount: Int
  private let state: Mutex<State>
  private let report: @Sendable (SeedResult) -> Bool

  /// - Parameter report: called with each result as it comes, by one thread at a time; false: no
  ///   more seeds are started.
  init(
    seeds: [UInt64], jobCount: Int, workerArguments: [String],
    report: @escaping @Sendable (SeedResult) -> Bool
  ) {
    self.workerArguments = workerArguments
    self.jobCount = jobCount
    self.report = report
    state = Mutex(State(seeds: seeds))
  }

  /// Returns when all seeds have been run.
  func run() {
    let group = DispatchGroup()
    for _ in 0..<jobCount {
      group.enter()
      Thread.detachNewThread {
        self.feedWorkers()
        group.leave()
      }
    }
    group.wait()
  }

  private func feedWorkers() {
    while let seed = nextSeed() {
      // One worker, until it ends.
      var current: UInt64? = seed
      do {
        let worker = try WorkerProcess(arguments: workerArguments)
        defer { worker.end() }
        while let seed = current {
          guard let result = worker.run(seed) else {
            tell(worker.death(on: seed))
            break
          }
          tell(result)
          if result.isLast { break }
          current = nextSeed()
        }
      } catch {
        var result = SeedResult(seed: seed)
        result.findings = ["no worker can be started: \(error)"]
        result.firstInvariant = "run"
        tell(result)
        return
      }
    }
  }

  private func nextSeed() -> UInt64? {
    state.withLock { state in
      guard !state.isStopped, state.next < state.seeds.count else { return nil }
      state.next += 1
      return state.seeds[state.next - 1]
    }
  }

  private func tell(_ result: SeedResult) {
    state.withLock { state in
      if !report(result) { state.isStopped = true }
    }
  }
}

private final class WorkerProcess {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var buffer = Data()

  init(arguments: [String]) throws {
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["worker"] + arguments
    process.standardInput = input
    process.standardOutput = output
    try process.run()
  }

  /// Nil: it died.
  func run(_ seed: UInt64) -> SeedResult? {
    do {
      try input.fileHandleForWriting.write(contentsOf: Data("\(seed)\n".utf8))
      guard let line = readLine() else { return nil }
      return try JSONDecoder().decode(SeedResult.self, from: line)
    } catch {
      return nil
    }
  }

  func death(on seed: UInt64) -> SeedResult {
    process.waitUntilExit()
    var result = SeedResult(seed: seed)
    let code = process.terminationStatus
    let how =
      switch (process.terminationReason, code) {
      case (.uncaughtSignal, SIGALRM): "it took too long"
      case (.uncaughtSignal, _): "it crashed with signal \(code)"
      default: "it ended with status \(code)"
      }
    result.findings = ["the run did not end: \(how)"]
    result.firstInvariant = "run"
    return result
  }

  func end() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  private func readLine() -> Data? {
    while true {
      if let end = buffer.firstIndex(of: 10) {
        let line = buffer[..<end]
        buffer = Data(buffer[(end + 1)...])
        return Data(line)
      }
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { return nil }
      buffer.append(more)
    }
  }
}
