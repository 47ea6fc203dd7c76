// VirtualClock.swift
//
// Time that stands still until somebody moves it. Sleepers wake in the order of their deadlines, and
// those of one deadline in the order in which they fell asleep, so a run can be repeated.
//
// The wall clock goes along with it, and can be made to jump: wall time is not to be trusted.

import Synchronization
package import World

package final class VirtualClock: Clock {
  fileprivate struct Sleeper {
    var id: UInt64
    var deadline: Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  fileprivate struct State {
    var now: Instant
    var wallTime: WallTime
    /// What `advance` has moved beyond whole milliseconds of the wall time.
    var wallRestNanoseconds: UInt64 = 0
    /// The first to wake stands last: waking takes it off the end, and a short sleep is put in near
    /// it. In a simulated run most sleeps are short ones among thousands of long deadlines.
    var sleepers: [Sleeper] = []
    var nextID: UInt64 = 0
    /// Grows with every sleep: shows that somebody is still doing something.
    var sleepCount: UInt64 = 0
  }

  private let state: Mutex<State>

  package init(
    now: Instant = Instant(nanoseconds: 1_000_000_000),
    wallTime: WallTime = WallTime(milliseconds: 1_750_000_000_000)
  ) {
    state = Mutex(State(now: now, wallTime: wallTime))
  }

  package var now: Instant { state.withLock { $0.now } }

  package var wallTime: WallTime { state.withLock { $0.wallTime } }

  /// Tasks that sleep now.
  package var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// The deadline of the next sleeper to wake.
  package var nextDeadline: Instant? { state.withLock { $0.sleepers.last?.deadline } }

  /// Moves the wall clock without letting any time pass.
  package func setWallTime(_ wallTime: WallTime) { state.withLock { $0.wallTime = wallTime } }

  /// Lets time pass, waking everybody whose deadline comes.
  package func advance(by duration: Duration) {
    advance(to: now + duration)
  }

  /// Lets time pass up to `target`; does nothing if that is in the past.
  package func advance(to target: Instant) {
    while true {
      let sleeper = state.withLock { state -> Sleeper? in
        guard let first = state.sleepers.last, first.deadline <= target else {
          state.move(to: target)
          return nil
        }
        state.move(to: first.deadline)
        return state.sleepers.removeLast()
      }
      guard let sleeper else { return }
      sleeper.continuation.resume()
    }
  }

  package func sleep(until deadline: Instant) async throws {
    let id = state.withLock { state in
      state.nextID += 1
      state.sleepCount += 1
      return state.nextID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<Void, any Error>? in
          if Task.isCancelled { return .failure(CancellationError()) }
          guard deadline > state.now else { return .success(()) }
          state.sleepers.insert(
            Sleeper(id: id, deadline: deadline, continuation: continuation),
            at: state.position(of: id, deadline))
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { state -> Sleeper? in
        let position = state.position(of: id, deadline)
        guard position < state.sleepers.count, state.sleepers[position].id == id else { return nil }
        return state.sleepers.remove(at: position)
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Runs `body`, and lets time pass to the next deadline whenever nothing seems to happen.
  ///
  /// "Nothing" is a guess: that many turns of the cooperative pool without a new sleeper. Good for
  /// tests of code that only computes and sleeps; work on other threads may see time run too fast.
  package func autoAdvancing<Value: Sendable>(
    quietTurnCount: Int = 200, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask { try await body() }
      group.addTask {
        while !Task.isCancelled {
          let before = self.state.withLock { $0.sleepCount }
          for _ in 0..<quietTurnCount { await Task.yield() }
          if self.state.withLock({ $0.sleepCount }) == before, let next = self.nextDeadline {
            self.advance(to: next)
          }
        }
        return nil
      }
      defer { group.cancelAll() }
      guard let first = try await group.next(), let value = first else { throw CancellationError() }
      return value
    }
  }
}

extension VirtualClock.State {
  /// Where a sleeper stands or would stand.
  fileprivate func position(of id: UInt64, _ deadline: Instant) -> Int {
    var lower = 0
    var upper = sleepers.count
    while lower < upper {
      let middle = (lower + upper) / 2
      let other = sleepers[middle]
      if (other.deadline, other.id) > (deadline, id) { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }

  fileprivate mutating func move(to target: Instant) {
    guard target > now else { return }
    let nanoseconds = (target.nanoseconds - now.nanoseconds) &+ wallRestNanoseconds
    now = target
    wallTime = wallTime + .milliseconds(Int64(nanoseconds / 1_000_000))
    wallRestNanoseconds = nanoseconds % 1_000_000
  }
}
