// BlobDecoderTests.swift
//
// Slivers to blobs: what the consistency checks find and miss, against the reference
// implementation; losses of all kinds; and what is refused.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct BlobDecoderTests {
  private struct File: Decodable {
    struct Blob: Decodable {
      struct Case: Decodable {
        struct Result: Decodable {
          var ok: Bool
          var blob_blake2b256: String?
          var error: String?
        }
        var name: String
        var metadata_bcs: String
        var blob_id: String
        var primary_slivers_bcs: [String]
        var sliver_indices: [UInt16]
        var results: [String: Result]
      }
      var n_shards: Int
      var blob_size: Int
      var seed: UInt64
      var cases: [Case]
    }
    var consistency: [Blob]
  }

  @Test func `the three checks find what the reference finds`() throws {
    var caseCount = 0
    var resultCount = 0
    for blob in try vectors("consistency", as: File.self).consistency {
      let parameters = try EncodingParameters(shardCount: blob.n_shards)
      for item in blob.cases {
        caseCount += 1
        let metadata = try VerifiedBlobMetadata(
          BlobMetadata(bcs: bytes(hex: item.metadata_bcs)), of: blobID(item.blob_id),
          parameters: parameters)
        #expect(metadata.blobByteCount == UInt64(blob.blob_size))
        let slivers = try item.primary_slivers_bcs.map {
          try Sliver(axis: .primary, bcsData: bytes(hex: $0))
        }
        #expect(slivers.map(\.index.value) == item.sliver_indices)
        for check in ConsistencyCheck.allCases {
          let expected = try #require(item.results["\(check)"], "\(item.name)")
          resultCount += 1
          do {
            let decoded = try BlobDecoder.decodeSerially(
              slivers, axis: .primary, metadata: metadata, check: check)
            #expect(expected.ok, "\(item.name) \(check)")
            #expect(Digest(hashing: decoded.bytes).hex == expected.blob_blake2b256)
          } catch {
            #expect(expected.error == "VerificationError", "\(item.name) \(check) \(error)")
            switch error {
            case .inconsistentRow: #expect(check == .default)
            case .inconsistentBlobID: #expect(check == .strict)
            default: Issue.record("\(error)")
            }
          }
        }
      }
    }
    #expect(caseCount == 14)
    #expect(resultCount == 42)
  }

  private func encoded(_ n: Int, _ byteCount: Int, seed: UInt64 = 1) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(
      generatedBytes(seed: seed, count: byteCount), parameters: EncodingParameters(shardCount: n))
  }

  private func slivers(_ blob: EncodedBlob, _ axis: SliverAxis, _ indices: [Int]) -> [Sliver] {
    indices.map { blob.sliver(axis, SliverIndex(UInt16($0))) }
  }

  @Test func `every choice of k slivers of a small blob gives it back`() throws {
    let blob = generatedBytes(seed: 1, count: 133)
    let encoded = try encoded(7, 133)
    var choiceCount = 0
    for axis in SliverAxis.allCases {
      let k = encoded.parameters.sourceCount(axis)
      for mask in 0..<(1 << 7) where mask.nonzeroBitCount == k {
        choiceCount += 1
        let chosen = (0..<7).filter { mask >> $0 & 1 == 1 }
        let decoded = try BlobDecoder.decodeSerially(
          slivers(encoded, axis, chosen), axis: axis, metadata: encoded.metadata, check: .strict)
        #expect(decoded.bytes == blob)
      }
    }
    #expect(choiceCount == 35 + 21)
  }

  @Test(arguments: [
    (4, 0), (4, 1), (10, 100), (10, 5000), (31, 100_000), (100, 1), (100, 300_001),
    (300, 700_000), (1000, 1_000_000),
  ])
  func `any k slivers in any order give the blob back`(n: Int, byteCount: Int) throws {
    let seed = UInt64(n * 31 + byteCount)
    var dice = Dice(seed: seed)
    let blob = generatedBytes(seed: seed, count: byteCount)
    let encoded = try encoded(n, byteCount, seed: seed)
    for axis in SliverAxis.allCases {
      let chosen = Array(
        (0..<n).shuffled(using: &dice).prefix(encoded.parameters.sourceCount(axis)))
      for check in [ConsistencyCheck.skip, .default] {
        let decoded = try BlobDecoder.decodeSerially(
          slivers(encoded, axis, chosen), axis: axis, metadata: encoded.metadata, check: check)
        #expect(decoded.bytes == blob, "seed \(seed) \(axis) \(check)")
      }
    }
  }

  @Test func `the worst losses of both axes give the blob back`() throws {
    let blob = generatedBytes(seed: 3, count: 40_000)
    let encoded = try encoded(31, 40_000, seed: 3)
    for axis in SliverAxis.allCases {
      let last = Array((31 - encoded.parameters.sourceCount(axis))..<31)
      let decoded = try BlobDecoder.decodeSerially(
        slivers(encoded, axis, last), axis: axis, metadata: encoded.metadata)
      #expect(decoded.bytes == blob)
      #expect(decoded.bytes(in: 7..<39_999) == Array(blob[7..<39_999]))
    }
  }

  @Test(arguments: ConsistencyCheck.allCases)
  func `jobs of a phase may run at the same time`(check: ConsistencyCheck) async throws {
    let blob = generatedBytes(seed: 4, count: 300_000)
    let encoded = try encoded(31, 300_000, seed: 4)
    for axis in SliverAxis.allCases {
      let last = Array((31 - encoded.parameters.sourceCount(axis))..<31)
      let decoder = try BlobDecoder(
        slivers(encoded, axis, last), axis: axis, metadata: encoded.metadata, check: check)
      for phase in decoder.phases {
        await withTaskGroup(of: Void.self) { group in
          for job in 0..<phase.jobCount { group.addTask { phase.run(job) } }
        }
      }
      #expect(try decoder.finish().bytes == blob)
    }
  }

  @Test func `unusable slivers are passed over`() throws {
    let blob = generatedBytes(seed: 1, count: 300)
    let encoded = try encoded(10, 300)
    let good = slivers(encoded, .primary, [9, 3, 5, 7])
    let s = encoded.symbolByteCount
    func with(_ index: UInt16, s: Int, _ count: Int) -> Sliver {
      Sliver(
        axis: .primary, index: SliverIndex(index), symbolByteCount: s,
        bytes: [UInt8](repeating: 9, count: count))
    }
    let noise = [
      encoded.sliver(.secondary, SliverIndex(3)), good[0], with(3, s: s, 1),
      with(5, s: s + 2, good[0].bytes.count), with(7, s: s, 0),
    ]
    let decoded = try BlobDecoder.decodeSerially(
      [good[0]] + noise + good.dropFirst(), axis: .primary, metadata: encoded.metadata)
    #expect(decoded.bytes == blob)
    #expect(throws: BlobDecodingError.tooFewSlivers(axis: .primary, usable: 3, required: 4)) {
      try BlobDecoder.decodeSerially(
        noise + good.dropLast(), axis: .primary, metadata: encoded.metadata)
    }
  }

  @Test func `a sliver that no shard has makes decoding fail`() throws {
    let encoded = try encoded(7, 40)
    let good = slivers(encoded, .primary, [0, 1])
    let foreign = Sliver(
      axis: .primary, index: SliverIndex(7), symbolByteCount: encoded.symbolByteCount,
      bytes: good[0].bytes)
    #expect(
      throws: BlobDecodingError.sliverIndexOutOfRange(index: SliverIndex(7), shardCount: 7)
    ) {
      try BlobDecoder.decodeSerially(good + [foreign], axis: .primary, metadata: encoded.metadata)
    }
  }

  @Test func `a corrupt secondary sliver is found by both checks`() throws {
    let encoded = try encoded(10, 3000)
    var chosen = slivers(encoded, .secondary, [1, 2, 3, 4, 5, 6, 9])
    var bytes = chosen[6].bytes
    bytes[5] ^= 1
    chosen[6] = Sliver(
      axis: .secondary, index: chosen[6].index, symbolByteCount: chosen[6].symbolByteCount,
      bytes: bytes)
    #expect(throws: BlobDecodingError.inconsistentRow(row: SliverIndex(0))) {
      try BlobDecoder.decodeSerially(chosen, axis: .secondary, metadata: encoded.metadata)
    }
    #expect(throws: BlobDecodingError.self) {
      try BlobDecoder.decodeSerially(
        chosen, axis: .secondary, metadata: encoded.metadata, check: .strict)
    }
  }
}
