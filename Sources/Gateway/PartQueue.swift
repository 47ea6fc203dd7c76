// PartQueue.swift
//
// The way of a blob's bytes from the task that reads them to the task that writes them to the
// client: in order, merged into parts of a useful size, with a bound on what lies between. Small
// parts double the CPU of sending.
//
// One task sends, one receives. Cancelling either ends its wait with `CancellationError`.

import NIOCore
import Synchronization

final class PartQueue: Sendable {
  /// Parts are at least so large, except the last.
  static let partByteCountMin = 256 << 10
  /// Whole parts that wait to be written: one while the client takes another.
  static let partCountMax = 2

  private enum Side {
    case sender, receiver
  }

  private struct State {
    var open = ByteBuffer()
    var ready: [ByteBuffer] = []
    var end: Result<Void, any Error>?
    var sleepers: [Side: CheckedContinuation<Void, Never>] = [:]

    var isFull: Bool { ready.count >= PartQueue.partCountMax }
    var isEmpty: Bool { ready.isEmpty && end == nil }
  }

  private enum Step {
    case part(ByteBuffer)
    case end(Result<Void, any Error>)
    case wait
  }

  private let state = Mutex(State())

  /// Returns when there is room for more.
  func send(_ bytes: [UInt8]) async throws {
    let receiver = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.open.writeBytes(bytes)
      guard state.open.readableBytes >= Self.partByteCountMin else { return nil }
      state.ready.append(state.open)
      state.open = ByteBuffer()
      return state.sleepers.removeValue(forKey: .receiver)
    }
    receiver?.resume()
    while state.withLock({ $0.isFull }) {
      try await sleep(.sender) { $0.isFull }
    }
    try Task.checkCancellation()
  }

  /// No more parts follow; the receiver still gets those sent so far.
  func finish(_ end: Result<Void, any Error>) {
    let receiver = state.withLock { state in
      if state.open.readableBytes > 0 { state.ready.append(state.open) }
      state.open = ByteBuffer()
      state.end = end
      return state.sleepers.removeValue(forKey: .receiver)
    }
    receiver?.resume()
  }

  /// The next part; nil at the end.
  func next() async throws -> ByteBuffer? {
    while true {
      let (step, sender) = state.withLock { state -> (Step, CheckedContinuation<Void, Never>?) in
        if !state.ready.isEmpty {
          return (.part(state.ready.removeFirst()), state.sleepers.removeValue(forKey: .sender))
        }
        return (state.end.map { .end($0) } ?? .wait, nil)
      }
      sender?.resume()
      switch step {
      case .part(let part): return part
      case .end(let end):
        try end.get()
        return nil
      case .wait: try await sleep(.receiver) { $0.isEmpty }
      }
    }
  }

  /// Sleeps until the other side wakes it, if `isNeeded` still holds once the bed is taken.
  private func sleep(_ side: Side, while isNeeded: (borrowing State) -> Bool) async throws {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mustSleep = state.withLock { state in
          guard isNeeded(state), !Task.isCancelled else { return false }
          state.sleepers[side] = continuation
          return true
        }
        if !mustSleep { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: side) }?.resume()
    }
    try Task.checkCancellation()
  }
}
