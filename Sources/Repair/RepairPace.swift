// RepairPace.swift
//
// How much of its rate repair takes while others are served. When what they ask for takes longer than
// it does otherwise, the rate is halved; when not, it grows by a part each second, up to all of it.
//
// Invariant: the rate never falls below a floor, so repair ends however busy the node is.

package import World

package struct RepairPace: Sendable {
  /// All of the rate.
  package static let shareMax = 1024
  /// A 64th: what a day of repair takes then lasts two months, and a node that is overloaded all that
  /// time has other troubles.
  package static let shareMin = 16
  /// Each second; from the floor to all of it in a quarter of a minute.
  package static let shareStep = 64
  /// The share changes at most this often: long enough to see what the last change did.
  package static let interval = Duration.seconds(1)
  /// Of one round, so that the share can be raised again.
  package static let pauseMax = Duration.seconds(10)

  /// Of `shareMax`.
  package private(set) var share = shareMax
  private var load = ForegroundLoad()
  private var changedAt: Instant?
  private var roundsRunning = 0
  private var lastRoundEndedAt: Instant?

  package init() {}

  // MARK: What is served

  package mutating func served(
    _ work: ForegroundLoad.Work, from start: Instant, to end: Instant
  ) {
    let isUndisturbed = roundsRunning == 0 && lastRoundEndedAt.map { $0 <= start } ?? true
    load.served(work, after: end - start, isUndisturbed: isUndisturbed, at: end)
  }

  // MARK: Repair

  /// Symbols are fetched, decoded or written from now on.
  package mutating func roundBegan() { roundsRunning += 1 }

  /// Ends what `roundBegan` started.
  ///
  /// - Returns: how long to rest before the next round.
  package mutating func roundEnded(from start: Instant, at now: Instant) -> Duration {
    roundsRunning = max(roundsRunning - 1, 0)
    lastRoundEndedAt = now
    adjust(at: now)
    guard share < Self.shareMax else { return .zero }
    return min((now - start) * (Self.shareMax - share) / share, Self.pauseMax)
  }

  private mutating func adjust(at now: Instant) {
    guard let changedAt else {
      changedAt = now
      if load.isSlow(at: now) { share = max(share / 2, Self.shareMin) }
      return
    }
    let elapsed = now - changedAt
    guard elapsed >= Self.interval else { return }
    self.changedAt = now
    if load.isSlow(at: now) {
      share = max(share / 2, Self.shareMin)
    } else {
      let steps = Int(min(elapsed.wholeNanoseconds / Self.interval.wholeNanoseconds, 16))
      share = min(share + Self.shareStep * steps, Self.shareMax)
    }
  }
}
