// ProcessTasks.swift
//
// The tasks of one simulated process, which all end with it: cancelled when it stops or crashes, and
// awaited, so that code which does not obey cancellation is noticed.

import Synchronization

final class ProcessTasks: Sendable {
  private struct State {
    var tasks: [Int: Task<Void, Never>] = [:]
    var nextID = 0
    var isClosed = false
  }

  private let executor: (any TaskExecutor)?
  private let state = Mutex(State())

  /// - Parameter executor: where the tasks run; nil: wherever the process runs.
  init(executor: (any TaskExecutor)?) { self.executor = executor }

  /// False: the process has ended, and nothing was started.
  @discardableResult
  func start(_ work: @escaping @Sendable () async -> Void) -> Bool {
    state.withLock { state in
      guard !state.isClosed else { return false }
      let id = state.nextID
      state.nextID += 1
      state.tasks[id] = Task(executorPreference: executor) {
        await work()
        self.state.withLock { _ = $0.tasks.removeValue(forKey: id) }
      }
      return true
    }
  }

  var count: Int { state.withLock { $0.tasks.count } }

  /// Takes no more tasks, cancels those there are, and returns when they have ended.
  func end() async {
    for task in close() { await task.value }
  }

  /// Takes no more tasks and cancels those there are.
  @discardableResult
  func close() -> [Task<Void, Never>] {
    let tasks = state.withLock { state in
      state.isClosed = true
      return state.tasks.sorted { $0.key < $1.key }.map(\.value)
    }
    for task in tasks { task.cancel() }
    return tasks
  }
}
