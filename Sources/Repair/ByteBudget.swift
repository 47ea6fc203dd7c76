// ByteBudget.swift
//
// How many bytes may move, as a token bucket. Pure: whoever spends asks how long to wait.

package import World

package struct ByteBudget: Sendable {
  /// Bytes a second; nil for as many as there are.
  package var byteRate: Int? {
    didSet { tokens = min(tokens, capacity) }
  }
  /// Of `RepairPace.shareMax`: what may be used of the rate now.
  package var share = RepairPace.shareMax
  private var tokens: Double = 0
  private var filledAt: Instant?

  package init(byteRate: Int?) { self.byteRate = byteRate }

  /// One second's worth: bursts stay that short.
  private var capacity: Double { Double(byteRate ?? 0) }

  private func currentRate(_ byteRate: Int) -> Double {
    Double(byteRate) * Double(share) / Double(RepairPace.shareMax)
  }

  /// Spends bytes, into debt if it must: one batch may be larger than a second's worth. The wait
  /// comes before the next.
  package mutating func spend(_ byteCount: Int, at now: Instant) {
    fill(at: now)
    if byteRate != nil { tokens -= Double(byteCount) }
  }

  /// How long nothing may be spent from `now` on.
  package mutating func wait(at now: Instant) -> Duration {
    fill(at: now)
    guard let byteRate, tokens < 0 else { return .zero }
    guard byteRate > 0 else { return .seconds(60) }
    let seconds = min(-tokens / currentRate(byteRate), 60)
    return .nanoseconds(Int64(seconds * 1e9) + 1)
  }

  private mutating func fill(at now: Instant) {
    defer { filledAt = now }
    guard let byteRate, let filledAt, now > filledAt else { return }
    let seconds = Double((now - filledAt).wholeNanoseconds) / 1e9
    tokens = min(tokens + seconds * currentRate(byteRate), capacity)
  }
}
