// SliverSources.swift
//
// Which slivers of one blob may be asked, and which of them rather. Per sliver and not per shard:
// a rotten primary says nothing about the secondary beside it.

package import RedStuff

package struct SliverSources: Sendable {
  private let shardCount: Int
  private let sourceCounts: [Int]
  /// By axis, then by sliver index.
  private var usable: [[Bool]]
  /// By pair.
  private var ranks: [PeerRank]

  /// Every sliver usable, all alike.
  package init(parameters: EncodingParameters) {
    shardCount = parameters.shardCount
    sourceCounts = SliverAxis.allCases.map { parameters.sourceCount($0) }
    usable = SliverAxis.allCases.map { _ in
      Array(repeating: true, count: parameters.shardCount)
    }
    ranks = Array(repeating: PeerRank(), count: parameters.shardCount)
  }

  package func isUsable(_ line: MatrixLine) -> Bool {
    usable[Int(line.axis.rawValue)][line.index]
  }

  package mutating func exclude(_ line: MatrixLine) {
    usable[Int(line.axis.rawValue)][line.index] = false
  }

  /// Excludes both slivers of a pair.
  package mutating func exclude(_ pair: SliverPairIndex) {
    for axis in SliverAxis.allCases {
      exclude(MatrixLine(axis, Int(pair.sliver(axis, shardCount: shardCount).value)))
    }
  }

  package mutating func setRank(_ rank: PeerRank, of pair: SliverPairIndex) {
    ranks[Int(pair.value)] = rank
  }

  /// What both would ask.
  package func intersection(_ other: SliverSources) -> SliverSources {
    var both = self
    for axis in usable.indices {
      for index in usable[axis].indices where !other.usable[axis][index] {
        both.usable[axis][index] = false
      }
    }
    return both
  }

  package func rank(of line: MatrixLine) -> PeerRank {
    ranks[Int(line.pair(shardCount: shardCount).value)]
  }

  /// The usable slivers of `axis`, best first: healthy nodes, then near ones (bytes over a border
  /// cost more than decoding), then systematic slivers (their symbols need none), then those whose
  /// turn it is.
  package func ordered(_ axis: SliverAxis) -> [Int] {
    let sourceCount = sourceCounts[Int(axis.rawValue)]
    let candidates = (0..<shardCount).filter { usable[Int(axis.rawValue)][$0] }
    let keyed = candidates.map { index in
      let rank = rank(of: MatrixLine(axis, index))
      return (index, rank.demerit, rank.distance, index < sourceCount ? 0 : 1, rank.turn)
    }
    return keyed.sorted { ($0.1, $0.2, $0.3, $0.4, $0.0) < ($1.1, $1.2, $1.3, $1.4, $1.0) }
      .map(\.0)
  }
}
