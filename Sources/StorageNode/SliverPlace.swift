// SliverPlace.swift
//
// Whether a node keeps a sliver, and where: the checks on numbers from outside that come before
// anything is looked up. Pure.

import Cluster
import RedStuff
import Routing
import SliverStore

/// A sliver that belongs on this node.
struct SliverPlace: Hashable, Sendable {
  let key: SliverKey
  let shard: ShardIndex

  /// - Throws: `indexOutOfRange`, `shardNotAssigned`.
  init(
    blob: BlobID, pair: SliverPairIndex, axis: SliverAxis, shardCount: Int, shards: Range<Int>
  ) throws(NodeFailure) {
    guard Int(pair.value) < shardCount else {
      throw NodeFailure(.indexOutOfRange, "\(pair) does not exist among \(shardCount)")
    }
    let shard = pair.shard(of: blob, shardCount: shardCount)
    guard shards.contains(Int(shard.value)) else {
      throw NodeFailure(
        .shardNotAssigned, "\(pair) of blob \(blob) is in \(shard); this node keeps \(shards)")
    }
    key = SliverKey(blob: blob, pair: pair, axis: axis)
    self.shard = shard
  }

  /// The sliver's number on its axis.
  func index(shardCount: Int) -> SliverIndex { key.pair.sliver(key.axis, shardCount: shardCount) }

  func line(shardCount: Int) -> MatrixLine {
    MatrixLine(key.axis, Int(index(shardCount: shardCount).value))
  }
}

extension StorageNode {
  func place(
    _ blob: BlobID, _ pair: SliverPairIndex, _ axis: SliverAxis
  ) throws(NodeFailure) -> SliverPlace {
    try SliverPlace(
      blob: blob, pair: pair, axis: axis, shardCount: parameters.shardCount, shards: shards)
  }

  func place(of sliver: Sliver, _ blob: BlobID) throws(NodeFailure) -> SliverPlace {
    let n = parameters.shardCount
    guard Int(sliver.index.value) < n else {
      throw NodeFailure(.indexOutOfRange, "\(sliver.index) does not exist among \(n)")
    }
    return try place(blob, sliver.index.pair(sliver.axis, shardCount: n), sliver.axis)
  }

  /// All slivers that this node keeps of a blob: what a confirmation speaks for.
  func places(of blob: BlobID) -> [SliverPlace] {
    committee.pairs(of: blob, keptBy: id).flatMap { pair in
      SliverAxis.allCases.compactMap { axis in try? place(blob, pair, axis) }
    }
  }
}
