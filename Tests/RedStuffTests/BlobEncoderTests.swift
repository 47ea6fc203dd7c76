// BlobEncoderTests.swift
//
// Blobs to slivers, hashes and blob IDs, against the reference implementation.

import RunSeed
import Synchronization
import Testing

@testable import RedStuff

@Suite struct BlobEncoderTests {
  private struct File: Decodable {
    struct Case: Decodable {
      struct PairHashes: Decodable {
        var pair: UInt16
        var primary_hash: String
        var secondary_hash: String
      }
      struct Symbol: Decodable {
        var hex: String?
        var blake2b256: String?
        var row: Int
        var col: Int
      }
      var name: String?
      var n_shards: Int
      var blob_size: Int
      var seed: UInt64?
      var blob_hex: String?
      var symbol_size: Int
      var encoded_length: UInt64
      var blob_id: String
      var blob_id_hex: String
      var root_hash: String
      var metadata_bcs: String?
      var metadata_bcs_blake2b256: String
      var primary_slivers_concat_blake2b256: String
      var secondary_slivers_concat_blake2b256: String
      var pair0_on_shard: UInt16
      var shard0_holds_pair: UInt16
      var pair_hashes: [PairHashes]
      var symbols: [Symbol]
      var primary_slivers: [String]?
      var secondary_slivers: [String]?
      var expanded_matrix_rows: [String]?

      func blob() throws -> [UInt8] {
        if let seed { return generatedBytes(seed: seed, count: blob_size) }
        return try bytes(hex: #require(blob_hex))
      }
    }
    var blobs: [Case]
  }

  private func slivers(_ blob: EncodedBlob, _ axis: SliverAxis) -> [Sliver] {
    (0..<blob.parameters.shardCount).map { blob.sliver(axis, SliverIndex(UInt16($0))) }
  }

  private func concatenatedHash(_ slivers: [Sliver]) -> String {
    var hash = Blake2b()
    for sliver in slivers { hash.update(sliver.bytes.span) }
    return hash.finish().hex
  }

  @Test func `every sliver, hash and blob id agrees with the reference`() throws {
    var caseCount = 0
    var wholeCount = 0
    for vector in try vectors("blobs", as: File.self).blobs {
      caseCount += 1
      let name: Comment = "n=\(vector.n_shards) size=\(vector.blob_size)"
      let parameters = try EncodingParameters(shardCount: vector.n_shards)
      let blob = try vector.blob()
      if let hex = vector.blob_hex { #expect(blob.hex == hex) }
      #expect(blob.count == vector.blob_size)
      let encoded = try BlobEncoder.encodeSerially(blob, parameters: parameters)
      #expect(encoded.symbolByteCount == vector.symbol_size, name)
      #expect(
        try parameters.encodedByteCount(forBlobOf: UInt64(blob.count)) == vector.encoded_length)
      #expect(encoded.blobID.text == vector.blob_id, name)
      #expect(encoded.blobID.digest.hex == vector.blob_id_hex, name)
      let metadata = encoded.metadata.metadata
      #expect(metadata.root == .digest(try #require(Digest(hex: vector.root_hash))), name)
      #expect(
        ExpectedBytes(hex: vector.metadata_bcs, blake2b256: vector.metadata_bcs_blake2b256)
          .matches(metadata.bcsBytes), name)
      for pair in vector.pair_hashes {
        let hashes = metadata.hashes[Int(pair.pair)]
        #expect(hashes.primary == .digest(try #require(Digest(hex: pair.primary_hash))), name)
        #expect(hashes.secondary == .digest(try #require(Digest(hex: pair.secondary_hash))), name)
      }
      let pair0 = SliverPairIndex(0)
      #expect(
        pair0.shard(of: encoded.blobID, shardCount: vector.n_shards)
          == ShardIndex(vector.pair0_on_shard))
      #expect(
        ShardIndex(0).pair(of: encoded.blobID, shardCount: vector.n_shards)
          == SliverPairIndex(vector.shard0_holds_pair))

      let primary = slivers(encoded, .primary)
      let secondary = slivers(encoded, .secondary)
      #expect(concatenatedHash(primary) == vector.primary_slivers_concat_blake2b256, name)
      #expect(concatenatedHash(secondary) == vector.secondary_slivers_concat_blake2b256, name)
      if let expected = vector.primary_slivers {
        wholeCount += 1
        #expect(primary.map(\.bytes.hex) == expected, name)
        #expect(secondary.map(\.bytes.hex) == (try #require(vector.secondary_slivers)), name)
      }
      for symbol in vector.symbols {
        let row = try primary[symbol.row].expanded(parameters: parameters)
        let column = try secondary[symbol.col].expanded(parameters: parameters)
        let bytes = Array(row.symbol(at: symbol.col))
        let expected = ExpectedBytes(hex: symbol.hex, blake2b256: symbol.blake2b256)
        #expect(expected.matches(bytes), "\(symbol)")
        #expect(Array(column.symbol(at: symbol.row)) == bytes, "\(symbol)")
      }
      if let rows = vector.expanded_matrix_rows {
        for (row, expected) in zip(primary, rows) {
          #expect(try row.expanded(parameters: parameters).symbols.hex == expected)
        }
      }
    }
    #expect(caseCount == 94)
    #expect(wholeCount == 23)
  }

  @Test func `a blob in pieces, and without slivers, gets the same name`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let blob = generatedBytes(seed: 5, count: 5000)
    let whole = try BlobEncoder.encodeSerially(blob, parameters: parameters)
    let encoder = try BlobEncoder(
      pieces: [Array(blob[..<1]), [], Array(blob[1..<4000]), Array(blob[4000...])],
      parameters: parameters, output: .identityOnly)
    for phase in encoder.phases { phase.runSerially() }
    #expect(encoder.finishIdentity() == whole.metadata)
  }

  @Test func `jobs of a phase may run in any order`() throws {
    let parameters = try EncodingParameters(shardCount: 31)
    let blob = generatedBytes(seed: 6, count: 300_000)
    let encoder = try BlobEncoder(blob, parameters: parameters)
    for phase in encoder.phases {
      #expect(phase.jobCount > 1)
      for job in (0..<phase.jobCount).reversed() { phase.run(job) }
    }
    let encoded = encoder.finish()
    let serial = try BlobEncoder.encodeSerially(blob, parameters: parameters)
    #expect(encoded.metadata == serial.metadata)
    #expect(slivers(encoded, .primary) == slivers(serial, .primary))
    #expect(slivers(encoded, .secondary) == slivers(serial, .secondary))
  }

  @Test func `jobs of a phase may run at the same time`() async throws {
    let parameters = try EncodingParameters(shardCount: 31)
    let blob = generatedBytes(seed: 6, count: 300_000)
    let encoder = try BlobEncoder(blob, parameters: parameters)
    for phase in encoder.phases {
      await withTaskGroup(of: Void.self) { group in
        for job in 0..<phase.jobCount { group.addTask { phase.run(job) } }
      }
    }
    #expect(
      encoder.finish().metadata
        == (try BlobEncoder.encodeSerially(blob, parameters: parameters)).metadata)
  }

  @Test func `little work is one job, much is shared`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    #expect(try BlobEncoder([1, 2, 3], parameters: parameters).phases.map(\.jobCount) == [1])
    let large = generatedBytes(seed: 7, count: 300_000)
    #expect(try BlobEncoder(large, parameters: parameters).phases.count == 3)
  }

  @Test func `with a sink every sliver leaves once`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let blob = generatedBytes(seed: 8, count: 5000)
    let left = Mutex<[Sliver]>([])
    let encoder = try BlobEncoder(pieces: [blob], parameters: parameters) { axis, index, bytes in
      let sliver = Sliver(
        axis: axis, index: index, symbolByteCount: 180,
        bytes: bytes.indices.map { bytes[$0] })
      left.withLock { $0.append(sliver) }
    }
    for phase in encoder.phases { phase.runSerially() }
    let encoded = encoder.finish()
    #expect(encoded.symbolByteCount == 180)
    #expect(
      left.withLock { $0 } == slivers(encoded, .primary) + slivers(encoded, .secondary))
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `any range of a blob in pieces is copied, with zeros behind its end`(seed: UInt64) {
    var dice = Dice(seed: seed)
    let pieces = (0..<dice.below(6)).map { _ in dice.bytes(dice.below(40)) }
    let whole = pieces.flatMap { $0 }
    let blob = BlobPieces(pieces)
    #expect(blob.byteCount == whole.count)
    let target = Scratch(byteCount: 300)
    for _ in 0..<200 {
      let (offset, count) = (dice.below(250), dice.below(300))
      unsafe blob.copy(from: offset, byteCount: count, to: target.base)
      let found = unsafe Array(UnsafeBufferPointer(start: target.base, count: count))
      let present = whole.dropFirst(offset).prefix(count)
      #expect(found == present + [UInt8](repeating: 0, count: count - present.count))
    }
  }

  @Test func `a pair holds row p and column n-1-p`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let encoded = try BlobEncoder.encodeSerially([1, 2, 3], parameters: parameters)
    let pair = encoded.pair(SliverPairIndex(2))
    #expect(pair.primary == encoded.sliver(.primary, SliverIndex(2)))
    #expect(pair.secondary == encoded.sliver(.secondary, SliverIndex(4)))
  }

  @Test func `a blob that no symbol size fits is refused`() throws {
    let parameters = try EncodingParameters(shardCount: 4)
    let limit = Int(parameters.blobByteCountMax)
    #expect(
      throws: EncodingParametersError.blobTooLarge(
        byteCount: UInt64(limit) + 1, byteCountMax: UInt64(limit))
    ) { try BlobEncoder([UInt8](repeating: 1, count: limit + 1), parameters: parameters) }
    let encoded = try BlobEncoder.encodeSerially(
      [UInt8](repeating: 1, count: limit), parameters: parameters)
    #expect(encoded.symbolByteCount == EncodingParameters.symbolByteCountMax)
  }
}
