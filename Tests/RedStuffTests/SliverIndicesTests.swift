// SliverIndicesTests.swift
//
// Pairs to shards and back, against the reference implementation; pairs to slivers.

import Testing

@testable import RedStuff

@Suite struct SliverIndicesTests {
  private struct File: Decodable {
    struct Case: Decodable {
      var blob_id: String
      var blob_id_hex: String
      var n_shards: Int
      var offset: Int
      var pair_to_shard: [[UInt16]]
      var shard_to_pair: [[UInt16]]
    }
    var mappings: [Case]
  }

  @Test func `pairs and shards map to each other as in the reference`() throws {
    var caseCount = 0
    var pairCount = 0
    for vector in try vectors("mapping", as: File.self).mappings {
      caseCount += 1
      let blob = try blobID(vector.blob_id)
      #expect(blob.digest.hex == vector.blob_id_hex)
      #expect(blob.shardRotation(shardCount: vector.n_shards) == vector.offset)
      for entry in vector.pair_to_shard {
        pairCount += 1
        let pair = SliverPairIndex(entry[0])
        #expect(pair.shard(of: blob, shardCount: vector.n_shards) == ShardIndex(entry[1]))
      }
      for entry in vector.shard_to_pair {
        pairCount += 1
        let shard = ShardIndex(entry[0])
        #expect(shard.pair(of: blob, shardCount: vector.n_shards) == SliverPairIndex(entry[1]))
      }
    }
    #expect(caseCount == 35)
    #expect(pairCount == 318)
  }

  @Test func `a pair holds primary sliver p and secondary sliver n-1-p`() {
    for value in UInt16(0)..<7 {
      let pair = SliverPairIndex(value)
      #expect(pair.sliver(.primary, shardCount: 7) == SliverIndex(value))
      #expect(pair.sliver(.secondary, shardCount: 7) == SliverIndex(6 - value))
      for axis in SliverAxis.allCases {
        #expect(pair.sliver(axis, shardCount: 7).pair(axis, shardCount: 7) == pair)
      }
    }
  }

  @Test(arguments: ["17-21", "0-65535"]) func `a symbol id has one text form`(text: String) {
    #expect(SymbolID(text: text)?.text == text)
  }

  @Test(arguments: ["", "-", "1-", "-1", "1-2-3", "01-2", "+1-2", "1-65536", "a-b", "1 -2", "1_2"])
  func `other texts are no symbol id`(text: String) {
    #expect(SymbolID(text: text) == nil)
  }
}
