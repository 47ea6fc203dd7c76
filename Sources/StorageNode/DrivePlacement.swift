// DrivePlacement.swift
//
// Which of a node's drives takes a shard's new slivers. Every shard ranks the drives by a hash of
// both names (rendezvous), and no drive takes more than its even share.
//
// Nothing is recorded: a sliver is looked for on its first drive, then on the others, so a placement
// that changes because a drive came or went costs look-ups and never data. When a drive is lost, the
// other drives keep nearly all of their shards, and those of the lost one spread over them.

import RedStuff

struct DrivePlacement: Sendable, Hashable {
  /// Positions of all drives by shard, the best first.
  private let rankings: [ShardIndex: [Int]]

  /// `isWritable` says of each drive whether it takes new slivers; the others rank last.
  init(shards: Range<Int>, driveNames: [String], isWritable: [Bool]) {
    let writable = driveNames.indices.filter { isWritable[$0] }
    let shareMax = writable.isEmpty ? 0 : (shards.count + writable.count - 1) / writable.count
    var load = [Int](repeating: 0, count: driveNames.count)
    var rankings: [ShardIndex: [Int]] = [:]
    for number in shards {
      let shard = ShardIndex(UInt16(truncatingIfNeeded: number))
      let scores = driveNames.map { Self.score(shard, driveName: $0) }
      let ranked = driveNames.indices.sorted { scores[$0] < scores[$1] }
      let usable = ranked.filter { isWritable[$0] }
      let first = usable.first { load[$0] < shareMax }
      if let first { load[first] += 1 }
      rankings[shard] =
        [first].compactMap(\.self) + usable.filter { $0 != first }
        + ranked.filter { !isWritable[$0] }
    }
    self.rankings = rankings
  }

  /// Positions of all drives, the one for new slivers of `shard` first.
  func ranking(of shard: ShardIndex) -> [Int] { rankings[shard] ?? [] }

  private static func score(_ shard: ShardIndex, driveName: String) -> Digest {
    Digest(hashing: [UInt8(shard.value >> 8), UInt8(shard.value & 0xFF)] + Array(driveName.utf8))
  }
}
