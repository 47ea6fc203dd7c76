// UpkeepTargets.swift
//
// What repair and scrub remember beside the drives, and the evidence against a liar.

import Cluster
import RedStuff
import World

@testable import Repair
@testable import SliverStore

extension FuzzTarget {
  /// The first byte says which of them the others are.
  static let upkeep = FuzzTarget("upkeep", inputByteCountMax: 1024) {
    let fixture = try Fixture.shared.get()
    var missing = MissingBlob(fixture.blob.blobID, since: WallTime(milliseconds: 5))
    missing.slivers = [MissingSliver(pair: SliverPairIndex(3), axis: .secondary): .rotten]
    missing.blobByteCount = 200
    missing.problem = "too few"
    var settings = UpkeepSettings()
    settings.repairRate = .limited(bytesPerSecond: 1 << 20)
    var withShards = settings
    withShards.pausedShards = [ShardIndex(0), ShardIndex(300)]
    let position = [UInt8](repeating: 0, count: 40)
    return [
      [0] + missing.encoded, [1] + settings.bcsBytes, [1] + UpkeepSettings().bcsBytes,
      [1] + withShards.bcsBytes,
      [2] + (try statement(fixture)).bcsBytes, [3] + position,
    ]
  } check: { bytes in
    let fixture = try Fixture.shared.get()
    let blob = fixture.blob.blobID
    var input = FuzzInput(bytes)
    let kind = input.below(4)
    let body = input.remainder()
    switch kind {
    case 0:
      guard let missing = MissingBlob(blob, encoded: body) else { return .refused }
      try require(
        MissingBlob(blob, encoded: missing.encoded) == missing, "another record comes back")
      try require(missing.lostShardCount <= missing.slivers.count, "shards without slivers")
      return .accepted
    case 1: return try canonical(UpkeepSettings.self, body)
    case 2:
      return try canonical(SymbolStatement.self, body) { statement in
        let isRefuted = statement.isRefuted(by: fixture.metadata)
        let truth = try Self.statement(fixture)
        if statement.bytes == truth.bytes, statement.paths == truth.paths,
          statement.symbols == truth.symbols, statement.pair == truth.pair,
          statement.axis == truth.axis, statement.blob == truth.blob
        {
          try require(!isRefuted, "the truth is refuted")
        }
        return true
      }
    default:
      let numbers = stride(from: 0, to: body.count - 7, by: 8).map { start in
        body[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      }
      guard let position = ScrubPosition(fields: numbers) else { return .refused }
      try require(position.fields == numbers, "another position comes back")
      return .accepted
    }
  }

  private static func statement(_ fixture: Fixture) throws -> SymbolStatement {
    let item = ReadItem(
      blob: fixture.blob.blobID, pair: SliverPairIndex(2), axis: .primary, symbols: 5..<7,
      wantsPaths: true, wantsSignature: true)
    let proven = try fixture.expanded(.primary, 2).provenSymbols(at: [5, 6])
    return SymbolStatement(
      node: NodeID(3), item: item, bytes: proven.bytes, paths: proven.paths,
      signature: [UInt8](repeating: 7, count: 64))
  }
}
