// Admission.swift
//
// How much a node takes on: a bounded number of requests and of bytes, nothing waiting. What does
// not fit is refused at once, so that the sender can go elsewhere while there is time.

import Cluster
import Synchronization
import World

final class Admission: Sendable {
  private struct State {
    var requestCount = 0
    var byteCount = 0
    var isClosed = false
    var drained: [CheckedContinuation<Void, Never>] = []
  }

  private let requestCountMax: Int
  private let byteCountMax: Int
  private let state = Mutex(State())

  init(requestCountMax: Int, byteCountMax: Int) {
    self.requestCountMax = requestCountMax
    self.byteCountMax = byteCountMax
  }

  /// What one running request holds; `end()` gives it back.
  final class Reservation: Sendable {
    private let admission: Admission
    private let held: Mutex<(byteCount: Int, answerByteCount: Int)>

    fileprivate init(_ admission: Admission, byteCount: Int) {
      self.admission = admission
      held = Mutex((byteCount, 0))
    }

    /// For bytes that turn out to be needed later.
    func grow(by count: Int) throws(NodeFailure) {
      try admission.take(requests: 0, bytes: count)
      held.withLock { $0.byteCount += count }
    }

    /// For bytes of the answer, which has a limit of its own.
    func addAnswer(byteCount: Int) throws(NodeFailure) {
      let max = NodeMessageLimits.bodyByteCountMax
      let fits = held.withLock { held in
        let fits = byteCount <= max - held.answerByteCount
        if fits { held.answerByteCount += byteCount }
        return fits
      }
      guard fits else {
        throw NodeFailure(
          .requestTooLarge, "the answer would have more than \(max) bytes; ask for less at once")
      }
      try grow(by: byteCount)
    }

    func end() {
      admission.giveBack(bytes: held.withLock { $0.byteCount })
    }
  }

  func enter(byteCount: Int) throws(NodeFailure) -> Reservation {
    try take(requests: 1, bytes: byteCount)
    return Reservation(self, byteCount: byteCount)
  }

  /// Refuses everything from now on; returns when the last running request has ended.
  func close() async {
    await withCheckedContinuation { continuation in
      let isEmpty = state.withLock { state in
        state.isClosed = true
        if state.requestCount > 0 { state.drained.append(continuation) }
        return state.requestCount == 0
      }
      if isEmpty { continuation.resume() }
    }
  }

  /// Requests that run beside the one that asks.
  var otherRequestCount: UInt16 {
    UInt16(clamping: state.withLock { $0.requestCount } - 1)
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  private func take(requests: Int, bytes: Int) throws(NodeFailure) {
    let failure: NodeFailure? = state.withLock { state in
      // A request under way may finish its answer while the node shuts down.
      if state.isClosed && requests > 0 {
        return NodeFailure(.unavailable, "the node is shutting down; ask another")
      }
      if state.requestCount + requests > requestCountMax {
        return NodeFailure(
          .unavailable, "\(requestCountMax) requests are running; try later or elsewhere")
      }
      // One request may be larger than the limit when it is alone, else it could never run.
      if bytes > byteCountMax - state.byteCount && state.requestCount + requests > 1 {
        return NodeFailure(
          .unavailable,
          "running requests hold \(state.byteCount) of \(byteCountMax) bytes, and this needs "
            + "\(bytes) more; try later or elsewhere")
      }
      state.requestCount += requests
      state.byteCount += bytes
      return nil
    }
    guard let failure else { return }
    sometimes(.admissionRefused)
    throw failure
  }

  private func giveBack(bytes: Int) {
    let waiting = state.withLock { state in
      state.requestCount -= 1
      state.byteCount -= bytes
      guard state.requestCount == 0 else { return [CheckedContinuation<Void, Never>]() }
      defer { state.drained = [] }
      return state.drained
    }
    for continuation in waiting { continuation.resume() }
  }
}
