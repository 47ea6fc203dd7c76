// IdleWatch.swift
//
// Notices a client that stopped: one task says when something happened, another waits until nothing
// has for too long.

import Synchronization
import World

final class IdleWatch: Sendable {
  private let clock: any Clock
  /// Since when the client is waited for; nil: nobody waits for it.
  private let waitingSince: Mutex<Instant?>

  init(clock: any Clock) {
    self.clock = clock
    waitingSince = Mutex(nil)
  }

  /// From now on the client is waited for.
  func clientIsDue() { waitingSince.withLock { $0 = clock.now } }
  /// The client did its part; it is waited for no more.
  func clientIsDone() { waitingSince.withLock { $0 = nil } }

  /// Returns when the client has been waited for at a stretch for `idleMax`, or at `end`.
  func waitUntilIdle(for idleMax: Duration, end: Instant? = nil) async throws {
    while true {
      let now = clock.now
      var deadline = (waitingSince.withLock { $0 } ?? now) + idleMax
      if let end { deadline = min(deadline, end) }
      if now >= deadline { return }
      try await clock.sleep(until: deadline)
    }
  }
}
