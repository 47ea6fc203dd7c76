// UploadTasks.swift
//
// The uploads of a client, which may outlive the call that started them: once a blob is certified
// its store returns, and the slivers of slow nodes follow in the tail. Unstructured tasks,
// therefore kept here, counted, and ended with the client.

import Synchronization

final class UploadTasks: Sendable {
  private struct State {
    var tasks: [Int: Task<Void, Never>] = [:]
    var tails: Set<Int> = []
    var nextID = 0
    var isClosed = false
  }

  private let tailCountMax: Int
  private let state = Mutex(State())

  init(tailCountMax: Int) { self.tailCountMax = tailCountMax }

  var isClosed: Bool { state.withLock { $0.isClosed } }
  var tailCount: Int { state.withLock { $0.tails.count } }

  /// Runs `work` as a task of the client; nil if the client takes no more.
  func start(_ work: @escaping @Sendable () async -> Void) -> (id: Int, task: Task<Void, Never>)? {
    state.withLock { state in
      guard !state.isClosed else { return nil }
      let id = state.nextID
      state.nextID += 1
      let task = Task {
        await work()
        self.ended(id)
      }
      state.tasks[id] = task
      return (id, task)
    }
  }

  /// Whether the upload may go on without its store; else the store waits for it.
  func becomeTail(_ id: Int) -> Bool {
    state.withLock { state in
      guard state.tasks[id] != nil else { return true }
      guard state.tails.count < tailCountMax else { return false }
      state.tails.insert(id)
      return true
    }
  }

  func close(cancellingTails: Bool) {
    let tails = state.withLock { state in
      state.isClosed = true
      return cancellingTails ? state.tails.sorted().compactMap { state.tasks[$0] } : []
    }
    for tail in tails { tail.cancel() }
  }

  /// Returns when all tasks that run now have ended.
  func wait() async {
    let tasks = state.withLock { Array($0.tasks.values) }
    for task in tasks { await task.value }
  }

  private func ended(_ id: Int) {
    state.withLock { state in
      state.tasks[id] = nil
      state.tails.remove(id)
    }
  }
}
