// SleepQueue.swift
//
// Everybody in this process who waits for a time, and one thread that wakes them. Most waits are for
// deadlines that never come: whoever gives one up leaves at once, and no timer of the system stays
// behind until then, as one does of a cancelled `Task.sleep`.
//
// Invariant: the alarm is set to the earliest deadline or before it.

internal import HeapModule
internal import NIOPosix
internal import Synchronization
internal import World

final class SleepQueue: Sendable {
  static let shared = SleepQueue()

  private struct Wait: Comparable {
    let deadline: Instant
    let number: UInt64

    static func < (left: Wait, right: Wait) -> Bool {
      (left.deadline, left.number) < (right.deadline, right.number)
    }
  }

  private struct State {
    /// Also of sleepers that have left.
    var waits = Heap<Wait>()
    var sleepers: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var lastNumber: UInt64 = 0
    /// The thread looks again then.
    var looksAt = Instant(nanoseconds: .max)
  }

  /// Those who left make up this many waits more than half before they are cleared away.
  private static let leftCountMax = 1024

  private let state = Mutex(State())
  private let alarm = Alarm()
  private let thread = NIOThreadPool(numberOfThreads: 1)
  private let start = ContinuousClock().now

  private init() {
    thread.start()
    thread.submit { [self] _ in
      while true { alarm.wait(for: wakeDue()) }
    }
  }

  var now: Instant {
    Instant(nanoseconds: UInt64(clamping: (ContinuousClock().now - start).wholeNanoseconds))
  }

  /// Tasks that sleep now.
  var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  func sleep(until deadline: Instant) async throws {
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = add(continuation, number, until: deadline)
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { $0.sleepers.removeValue(forKey: number) }
      sleeper?.resume(throwing: CancellationError())
    }
  }

  /// - Returns: nil if there is something to wait for.
  private func add(
    _ sleeper: CheckedContinuation<Void, any Error>, _ number: UInt64, until deadline: Instant
  ) -> Result<Void, any Error>? {
    let now = now
    let (outcome, isNext) = state.withLock { state -> (Result<Void, any Error>?, Bool) in
      // A task is cancelled before its handler runs: one of the two sees the other.
      if Task.isCancelled { return (.failure(CancellationError()), false) }
      guard deadline > now else { return (.success(()), false) }
      state.sleepers[number] = sleeper
      if state.waits.count > 2 * state.sleepers.count + Self.leftCountMax {
        state.waits = Heap(state.waits.unordered.filter { state.sleepers[$0.number] != nil })
      }
      state.waits.insert(Wait(deadline: deadline, number: number))
      guard deadline < state.looksAt else { return (nil, false) }
      state.looksAt = deadline
      return (nil, true)
    }
    if isNext { alarm.ring() }
    return outcome
  }

  /// - Returns: how long nobody is due; nil: nobody waits.
  private func wakeDue() -> Duration? {
    let now = now
    let (due, next) = state.withLock { state in
      var due: [CheckedContinuation<Void, any Error>] = []
      while let first = state.waits.min {
        let hasLeft = state.sleepers[first.number] == nil
        guard hasLeft || first.deadline <= now else { break }
        state.waits.removeMin()
        if let sleeper = state.sleepers.removeValue(forKey: first.number) { due.append(sleeper) }
      }
      state.looksAt = state.waits.min?.deadline ?? Instant(nanoseconds: .max)
      return (due, state.waits.min.map { $0.deadline - now })
    }
    for sleeper in due { sleeper.resume() }
    return next
  }
}
