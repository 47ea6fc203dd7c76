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
  package init() {}

  /// Counts from the first use of a clock in this process.
  package var now: World.Instant { SleepQueue.shared.now }

  package var wallTime: WallTime {
    var time = timespec()
    // The call cannot fail for this clock.
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    let seconds = UInt64(clamping: time.tv_sec)
    return WallTime(milliseconds: seconds * 1000 + UInt64(clamping: time.tv_nsec / 1_000_000))
  }

  package func sleep(until deadline: World.Instant) async throws {
    try await SleepQueue.shared.sleep(until: deadline)
  }
}
