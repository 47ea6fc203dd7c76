// TimedLane.swift
//
// An executor that runs the jobs of its tasks one after the other, and lets virtual time pass to the
// next deadline when there is none. So a script on it takes no real time for waiting, and goes the
// same way every time, whatever else the process does.
//
// Invariant: what runs on it starts no work elsewhere. Time may run past that.

import Simulator
import Synchronization
import World

final class TimedLane: TaskExecutor {
  /// No script lasts longer. What still waits then waits for ever.
  private static let durationMax = Duration.seconds(30 * 3600)
  private static let quietTurnCount = 20

  private struct State {
    var jobs: [UnownedJob] = []
    /// Of `jobs`, the first one that has not run.
    var next = 0
    var isRunning = false
    /// Time stands still again.
    var isOver = false
  }

  private let clock: VirtualClock
  private let end: Instant
  private let state = Mutex(State())

  init(_ clock: VirtualClock) {
    self.clock = clock
    end = clock.now + Self.durationMax
  }

  /// Runs `body`, with all its child tasks and the actors it calls, on this lane.
  func run<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    defer { state.withLock { $0.isOver = true } }
    return try await withTaskExecutorPreference(self) { try await body() }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let starts = state.withLock { state in
      state.jobs.append(job)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard starts else { return }
    Task.detached { await self.drain() }
  }

  /// Runs jobs wherever this task does, and moves the clock when nothing else happens, until the
  /// script is over.
  private func drain() async {
    while true {
      while let job = takeJob() {
        unsafe job.runSynchronously(on: asUnownedTaskExecutor())
      }
      // Whoever is just about to put a job here gets the time for it.
      for _ in 0..<Self.quietTurnCount where isEmpty { await Task.yield() }
      guard isEmpty else { continue }
      if stops() { return }
      if let next = clock.nextDeadline, next <= end { clock.advance(to: next) }
    }
  }

  private var isEmpty: Bool { state.withLock { $0.jobs.isEmpty } }

  private func takeJob() -> UnownedJob? {
    state.withLock { state in
      guard state.next < state.jobs.count else {
        state.jobs = []
        state.next = 0
        return nil
      }
      state.next += 1
      return state.jobs[state.next - 1]
    }
  }

  private func stops() -> Bool {
    state.withLock { state in
      guard state.isOver, state.jobs.isEmpty else { return false }
      state.isRunning = false
      return true
    }
  }
}
