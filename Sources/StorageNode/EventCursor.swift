// EventCursor.swift
//
// How far a node has followed the registry. Requests that speak of a newer registration wait here
// until the event loop has caught up.
//
// Invariant: only grows.

import Cluster
import Synchronization
import World

final class EventCursor: Sendable {
  private struct Waiter {
    let revision: Revision
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var revision: Revision
    var ticketCount: UInt64 = 0
    var waiters: [UInt64: Waiter] = [:]
  }

  private let state: Mutex<State>

  init(_ revision: Revision) { state = Mutex(State(revision: revision)) }

  var revision: Revision { state.withLock { $0.revision } }

  /// Tasks that wait for a revision.
  var waitingCount: Int { state.withLock { $0.waiters.count } }

  func advance(to revision: Revision) {
    let reached = state.withLock { state in
      guard revision > state.revision else { return [Waiter]() }
      state.revision = revision
      // In the order they came, so that a simulated run repeats itself.
      let tickets = state.waiters.filter { $0.value.revision <= revision }.keys.sorted()
      return tickets.compactMap { state.waiters.removeValue(forKey: $0) }
    }
    for waiter in reached { waiter.continuation.resume() }
  }

  /// Returns once everything up to `wanted` has been followed.
  ///
  /// - Throws: `DeadlineExceeded`, `CancellationError`.
  func wait(for wanted: Revision, until deadline: Instant, clock: any Clock) async throws {
    if revision >= wanted { return }
    sometimes(.cursorWaited)
    try await withDeadline(deadline, clock: clock) { [self] in try await wait(for: wanted) }
  }

  private func wait(for wanted: Revision) async throws {
    let ticket = state.withLock { state in
      state.ticketCount += 1
      return state.ticketCount
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isReached: Bool? = state.withLock { state in
          // Seen here or, if it comes later, by the handler, which then finds the waiter.
          if Task.isCancelled { return nil }
          if state.revision >= wanted { return true }
          state.waiters[ticket] = Waiter(revision: wanted, continuation: continuation)
          return false
        }
        switch isReached {
        case true?: continuation.resume()
        case false?: break
        case nil: continuation.resume(throwing: CancellationError())
        }
      }
    } onCancel: {
      let waiter = state.withLock { $0.waiters.removeValue(forKey: ticket) }
      waiter?.continuation.resume(throwing: CancellationError())
    }
  }
}
