// HedgeBudget.swift
//
// How many requests may be sent only because another one takes long: a small part of all. Without a
// bound, hedges make a slow cluster slower.

package struct HedgeBudget: Sendable {
  /// Earned by each thousand requests that are none.
  package let hedgesPerThousand: Int
  package let burstMax: Int

  /// In thousandths of a hedge.
  private var credit: Int

  /// Begins with a full burst: who reads once and ends has earned nothing yet.
  package init(hedgesPerThousand: Int, burstMax: Int) {
    self.hedgesPerThousand = max(hedgesPerThousand, 0)
    self.burstMax = max(burstMax, 0)
    credit = self.burstMax * 1000
  }

  /// A request was sent that is no hedge.
  package mutating func earn() {
    credit = min(credit + hedgesPerThousand, burstMax * 1000)
  }

  package var available: Int { credit / 1000 }

  /// Thousandths of the answers that are to be called late: fewer when credit falls below a full burst,
  /// fewest at half of it. So after a time in which many were late the budget recovers, and what really
  /// hangs is not left waiting for what is hardly late.
  package var lateRequestsPerThousand: Int {
    let most = PeerStatistics.lateRequestsPerThousand
    guard burstMax > 0 else { return most }
    let half = burstMax * 500
    let fewest = most * 2 / 5
    return fewest + (most - fewest) * max(credit - half, 0) / half
  }

  /// - Returns: false, and nothing is taken, if there are fewer.
  package mutating func take(_ count: Int) -> Bool {
    guard count <= available else { return false }
    credit -= count * 1000
    return true
  }
}
