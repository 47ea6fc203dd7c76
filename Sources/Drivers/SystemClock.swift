// SystemClock.swift
//
// The machine's clocks.

package import World

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

package struct SystemClock: World.Clock {
  private let clock = ContinuousClock()
  /// Instants count from here, so that they stay small.
  private let start: ContinuousClock.Instant

  package init() { start = clock.now }

  package var now: World.Instant {
    World.Instant(nanoseconds: UInt64(clamping: (clock.now - start).wholeNanoseconds))
  }

  package var wallTime: WallTime {
    var time = timespec()
    // The call cannot fail for this clock.
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    let seconds = UInt64(clamping: time.tv_sec)
    return WallTime(milliseconds: seconds * 1000 + UInt64(clamping: time.tv_nsec / 1_000_000))
  }

  package func sleep(until deadline: World.Instant) async throws {
    try await Task.sleep(
      until: start + .nanoseconds(Int64(clamping: deadline.nanoseconds)), clock: clock)
  }
}
