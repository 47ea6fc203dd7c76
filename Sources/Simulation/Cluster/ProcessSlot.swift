// ProcessSlot.swift
//
// The place of a machine's process: taken or empty, and changed by one caller at a time. Faults come
// from several tasks at once, and two of them may want to start or kill the same process.

import Synchronization

final class ProcessSlot<Process: Sendable>: Sendable {
  private struct State {
    var process: Process?
    /// Between two states.
    var isChanging = false
    var runCount = 0
  }

  private let state = Mutex(State())

  var process: Process? { state.withLock { $0.process } }

  /// - Returns: the number of the run that begins now; nil: there is a process, or will be.
  func beginStart() -> Int? {
    state.withLock { state in
      guard !state.isChanging, state.process == nil else { return nil }
      state.isChanging = true
      state.runCount += 1
      return state.runCount
    }
  }

  /// - Returns: the process that ends now; nil: there is none, or somebody else is ending it.
  func beginEnd() -> Process? {
    state.withLock { state in
      guard !state.isChanging, let process = state.process else { return nil }
      state.isChanging = true
      return process
    }
  }

  /// What came of it.
  func settle(_ process: Process?) {
    state.withLock { state in
      state.process = process
      state.isChanging = false
    }
  }
}
