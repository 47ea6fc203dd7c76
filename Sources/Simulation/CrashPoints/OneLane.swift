// OneLane.swift
//
// An executor that runs the jobs of its tasks one after the other, in the order in which they become
// ready. What runs on it happens in the same order every time, wherever it is run: in tests, whose
// threads are many, or below a seeded schedule.

internal import Synchronization

final class OneLane: TaskExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    /// Of `jobs`, the first one that has not run.
    var next = 0
    var isRunning = false
  }

  private let state = Mutex(State())

  /// Runs `body`, with all its child tasks and the actors it calls, on a lane of its own.
  static func run<Value: Sendable>(_ body: @Sendable () async -> Value) async -> Value {
    await withTaskExecutorPreference(OneLane(), operation: body)
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let starts = state.withLock { state in
      state.jobs.append(job)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard starts else { return }
    // The jobs run wherever this task does; it ends as soon as there are none.
    Task.detached {
      while let job = self.takeJob() {
        unsafe job.runSynchronously(on: self.asUnownedTaskExecutor())
      }
    }
  }

  private func takeJob() -> UnownedJob? {
    state.withLock { state in
      guard state.next < state.jobs.count else {
        state = State()
        return nil
      }
      state.next += 1
      return state.jobs[state.next - 1]
    }
  }
}
