// BlobLanes.swift
//
// One lane per blob, so that deleting a blob and storing it again never mix: stores and
// confirmations of a blob share its lane, a delete has it alone.
//
// Invariant: between a store's last look at the registry and its sync there is no delete of that
// blob, and a delete looks at the registry while it holds the lane. If this breaks, a delete that
// was decided for an old registration removes the slivers of a new one.
//
// Lanes are granted in the order asked, so neither side starves. Whoever needs several takes them
// in the order of the blob IDs: then no two wait for each other.

import RedStuff
import Synchronization
import World

final class BlobLanes: Sendable {
  enum Mode {
    case shared
    case exclusive
  }

  private struct Waiter {
    let ticket: UInt64
    let mode: Mode
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct Lane {
    var sharedCount = 0
    var isExclusive = false
    var waiters: [Waiter] = []

    var isIdle: Bool { sharedCount == 0 && !isExclusive && waiters.isEmpty }

    mutating func take(_ mode: Mode) -> Bool {
      switch mode {
      case .shared where !isExclusive: sharedCount += 1
      case .exclusive where !isExclusive && sharedCount == 0: isExclusive = true
      default: return false
      }
      return true
    }

    /// Takes the lane for those at the head of the queue that can have it now.
    mutating func grantWaiting() -> [Waiter] {
      var granted: [Waiter] = []
      while let first = waiters.first, take(first.mode) { granted.append(waiters.removeFirst()) }
      return granted
    }
  }

  private struct State {
    var lanes: [BlobID: Lane] = [:]
    var ticketCount: UInt64 = 0
    var deleteCount: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Deletes so far, of any blob. Unchanged since a look at the registry: what was seen there
  /// still holds for storing.
  var deleteCount: UInt64 { state.withLock { $0.deleteCount } }

  /// To be called by the holder of an exclusive lane for its delete.
  func countDelete() { state.withLock { $0.deleteCount += 1 } }

  /// Lanes that are held or waited for.
  var laneCount: Int { state.withLock { $0.lanes.count } }

  /// Tasks that wait for this blob's lane.
  func waitingCount(of blob: BlobID) -> Int {
    state.withLock { $0.lanes[blob]?.waiters.count ?? 0 }
  }

  func withLane<Value>(
    _ mode: Mode, of blob: BlobID, _ body: () async throws -> Value
  ) async throws -> Value {
    try await acquire(mode, of: blob)
    defer { release(mode, of: blob) }
    return try await body()
  }

  func withSharedLanes<Value>(
    of blobs: Set<BlobID>, _ body: () async throws -> Value
  ) async throws -> Value {
    var held: [BlobID] = []
    defer { for blob in held { release(.shared, of: blob) } }
    for blob in blobs.sorted() {
      try await acquire(.shared, of: blob)
      held.append(blob)
    }
    return try await body()
  }

  private func acquire(_ mode: Mode, of blob: BlobID) async throws {
    let ticket = state.withLock { state in
      state.ticketCount += 1
      return state.ticketCount
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let granted: Bool? = state.withLock { state in
          // Seen here or, if it comes later, by the handler, which then finds the waiter.
          if Task.isCancelled { return nil }
          var lane = state.lanes[blob] ?? Lane()
          let isFree = lane.waiters.isEmpty && lane.take(mode)
          if !isFree {
            lane.waiters.append(Waiter(ticket: ticket, mode: mode, continuation: continuation))
          }
          state.lanes[blob] = lane
          return isFree
        }
        switch granted {
        case true?: continuation.resume()
        case false?: sometimes(.laneWaited)
        case nil: continuation.resume(throwing: CancellationError())
        }
      }
    } onCancel: {
      cancel(ticket, of: blob)
    }
  }

  private func release(_ mode: Mode, of blob: BlobID) {
    change(blob) { lane in
      switch mode {
      case .shared: lane.sharedCount -= 1
      case .exclusive: lane.isExclusive = false
      }
    }
  }

  private func cancel(_ ticket: UInt64, of blob: BlobID) {
    var cancelled: Waiter?
    change(blob) { lane in
      guard let position = lane.waiters.firstIndex(where: { $0.ticket == ticket }) else { return }
      cancelled = lane.waiters.remove(at: position)
    }
    cancelled?.continuation.resume(throwing: CancellationError())
  }

  /// Changes a lane, then wakes whoever can go on.
  private func change(_ blob: BlobID, _ body: (inout Lane) -> Void) {
    let granted: [Waiter] = state.withLock { state in
      guard var lane = state.lanes[blob] else { return [] }
      body(&lane)
      let granted = lane.grantWaiting()
      state.lanes[blob] = lane.isIdle ? nil : lane
      return granted
    }
    if PlantedBug.laneWaiterNotWoken.isPlanted { return }
    for waiter in granted { waiter.continuation.resume() }
  }
}
