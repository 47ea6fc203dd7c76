// ComputeThreadsTests.swift
//
// Jobs on real threads: each once, phase after phase, and everybody gets on.

import Synchronization
import Testing
import World

@testable import Drivers

struct ComputeThreadsTests {
  @Test func `compute threads run every job once and hand back errors`() async throws {
    let compute = ComputeThreads(width: 3)
    let jobs = Jobs()
    await compute.runAll(count: 1000) { jobs.add($0) }
    #expect(jobs.sorted == Array(0..<1000))
    #expect(await compute.run { 6 * 7 } == 42)
    await #expect(throws: DeadlineExceeded.self) {
      try await compute.run { throw DeadlineExceeded() }
    }
    await compute.runAll(count: 0) { _ in Issue.record("there is no job") }
    await compute.runAll(phases: [0, 0]) { _, _ in Issue.record("there is no job") }
    await compute.runAll(phases: []) { _, _ in Issue.record("there is no job") }
  }

  /// Long jobs outlast the moment in which a thread looks out for the next phase.
  @Test(arguments: [[1], [0, 40, 0, 1, 40, 0], [2, 2, 2, 2], [1, 30, 1, 30]], [0, 200])
  func `no phase starts before the one before has ended`(
    _ counts: [Int], jobMicroseconds: Int
  ) async {
    let compute = ComputeThreads(width: 4)
    for _ in 0..<20 {
      let ended = counts.map { _ in Jobs() }
      await compute.runAll(phases: counts) { phase, index in
        for before in 0..<phase where ended[before].sorted.count != counts[before] {
          Issue.record("phase \(phase) runs, \(before) has not ended")
        }
        let end = ContinuousClock.now + .microseconds(index.isMultiple(of: 7) ? jobMicroseconds : 0)
        while ContinuousClock.now < end {}
        ended[phase].add(index)
      }
      for (jobs, count) in zip(ended, counts) { #expect(jobs.sorted == Array(0..<count)) }
    }
  }

  /// More runs than threads, whose jobs outlast a turn: whoever waits for a phase holds no thread.
  @Test func `runs that share their threads all end`() async {
    let compute = ComputeThreads(width: 2)
    let jobs = Jobs()
    await withTaskGroup(of: Void.self) { group in
      for run in 0..<8 {
        group.addTask {
          await compute.runAll(phases: [1, 5, 3]) { phase, index in
            let end = ContinuousClock.now + .milliseconds(phase == 0 ? 6 : 1)
            while ContinuousClock.now < end {}
            jobs.add(run * 100 + phase * 10 + index)
          }
        }
      }
    }
    let ofEach = [0, 10, 11, 12, 13, 14, 20, 21, 22]
    let expected: [Int] = (0..<8).flatMap { run in ofEach.map { run * 100 + $0 } }
    #expect(jobs.sorted == expected)
  }

  @Test func `computing lets calls into drives go first`() async {
    let (computing, calling) = (
      await ComputeThreads(width: 1).run { currentNiceness() },
      await BlockingThreads(count: 1).run { currentNiceness() }
    )
    #expect(computing > calling || calling == 19, "as nice as \(calling)")
  }
}

/// Which jobs have run.
private final class Jobs: Sendable {
  private let all = Mutex<[Int]>([])

  func add(_ job: Int) { all.withLock { $0.append(job) } }
  var sorted: [Int] { all.withLock { $0.sorted() } }
}
