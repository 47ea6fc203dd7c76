// Clock.swift
//
// Time as the core sees it: a monotonic instant for deadlines and a wall time for the registry.
//
// Nothing in the core asks the machine for the time; a simulated run decides both. Mixing the two
// up would let a clock jump end a deadline, hence two types that do not convert.

/// A point of monotonic time, counted from an arbitrary start.
package struct Instant: Hashable, Comparable, Sendable {
  package var nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// The instant `duration` later (or earlier), clamped to what can be represented.
  package static func + (instant: Instant, duration: Duration) -> Instant {
    let delta = duration.wholeNanoseconds
    if delta >= 0 {
      let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(UInt64(delta))
      return Instant(nanoseconds: overflow ? .max : sum)
    }
    let magnitude = delta.magnitude
    return Instant(
      nanoseconds: magnitude > instant.nanoseconds ? 0 : instant.nanoseconds - magnitude)
  }

  package static func - (later: Instant, earlier: Instant) -> Duration {
    later >= earlier
      ? .nanoseconds(Int64(clamping: later.nanoseconds - earlier.nanoseconds))
      : .nanoseconds(-Int64(clamping: earlier.nanoseconds - later.nanoseconds))
  }
}

extension Duration {
  /// The duration in nanoseconds, clamped to 292 years either way.
  package var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow || carry ? (seconds < 0 ? .min : .max) : sum
  }
}

/// Milliseconds since 1970-01-01 UTC, as far as the machine knows; it may jump.
package struct WallTime: Hashable, Comparable, Sendable {
  package var milliseconds: UInt64

  package init(milliseconds: UInt64) { self.milliseconds = milliseconds }

  package static func < (left: WallTime, right: WallTime) -> Bool {
    left.milliseconds < right.milliseconds
  }

  package static func + (time: WallTime, duration: Duration) -> WallTime {
    let milliseconds = duration.wholeNanoseconds / 1_000_000
    let (sum, overflow) = time.milliseconds.addingReportingOverflow(
      UInt64(clamping: max(milliseconds, 0)))
    return WallTime(milliseconds: overflow ? .max : sum)
  }
}

/// The two clocks of a machine, and the only way to wait.
package protocol Clock: Sendable {
  var now: Instant { get }
  var wallTime: WallTime { get }

  /// Returns at `deadline` or later.
  ///
  /// - Throws: `CancellationError` as soon as the task is cancelled.
  func sleep(until deadline: Instant) async throws
}

extension Clock {
  package func sleep(for duration: Duration) async throws {
    try await sleep(until: now + duration)
  }
}

/// A wait ended because its deadline passed.
package struct DeadlineExceeded: Error, Equatable {
  package init() {}
}

/// Runs `operation`, and cancels it when `deadline` passes.
///
/// - Throws: `DeadlineExceeded` when the deadline came first, else what `operation` throws. An
///   operation that ignores cancellation delays the answer: everything below the seams obeys it.
package func withDeadline<Value: Sendable>(
  _ deadline: Instant, clock: any Clock,
  _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await operation() }
    group.addTask {
      try await clock.sleep(until: deadline)
      return nil
    }
    defer { group.cancelAll() }
    guard let first = try await group.next(), let value = first else { throw DeadlineExceeded() }
    return value
  }
}
