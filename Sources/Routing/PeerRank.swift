// PeerRank.swift
//
// Whom to ask first. Healthy nodes before slow and suspected ones, near before far; among those that
// are equal in this, the one that will be done sooner is likely to come first, and not sure to: if all
// readers went to the best, it would not be that for long.

import World

package struct PeerRank: Hashable, Comparable, Sendable {
  package var isSuspected: Bool
  package var isSlow: Bool
  /// It lacks much of what it should have.
  package var isLacking: Bool
  /// Borders of failure domains on the way: 0 for the nearest, as in the same zone, then 1 for
  /// another zone, 2 for another region. Only the order counts.
  package var distance: Int
  /// Place among nodes of the same health and distance.
  package var turn: Int

  package init(
    isSuspected: Bool = false, isSlow: Bool = false, isLacking: Bool = false, distance: Int = 0,
    turn: Int = 0
  ) {
    self.isSuspected = isSuspected
    self.isSlow = isSlow
    self.isLacking = isLacking
    self.distance = distance
    self.turn = turn
  }

  /// Worth avoiding even where that costs decoding.
  var demerit: Int { isSuspected ? 2 : isSlow || isLacking ? 1 : 0 }

  package static func < (left: PeerRank, right: PeerRank) -> Bool {
    (left.demerit, left.distance, left.turn) < (right.demerit, right.distance, right.turn)
  }

  /// Whether it is healthier or nearer; whose turn it is does not count.
  package func isBetterPlaced(than other: PeerRank) -> Bool {
    (demerit, distance) < (other.demerit, other.distance)
  }
}

extension PeerRank {
  /// Gives turns within each class of equal health and distance: again and again two of those left
  /// are drawn, and the one that costs less comes next.
  static func drawTurns(
    of ranks: inout [PeerRank], costs: [Int64], randomness: any Randomness
  ) {
    let order = ranks.indices.sorted {
      (ranks[$0].demerit, ranks[$0].distance, $0) < (ranks[$1].demerit, ranks[$1].distance, $1)
    }
    var rest = order[...]
    while let first = rest.first {
      var pool = rest.prefix { !ranks[first].isBetterPlaced(than: ranks[$0]) }.map(\.self)
      rest = rest.dropFirst(pool.count)
      for turn in pool.indices {
        let left = turn..<pool.count
        let one = left.lowerBound + randomness.number(below: left.count)
        let other = left.lowerBound + randomness.number(below: left.count)
        pool.swapAt(turn, costs[pool[other]] < costs[pool[one]] ? other : one)
        ranks[pool[turn]].turn = turn
      }
    }
  }
}
