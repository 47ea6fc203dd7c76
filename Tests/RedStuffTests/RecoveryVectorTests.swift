// RecoveryVectorTests.swift
//
// Recovery symbols, recovered slivers and inconsistency proofs of the reference implementation.

import Testing

@testable import RedStuff

@Suite struct RecoveryVectorTests {
  struct File: Decodable {
    struct Blob: Decodable {
      struct Recovery: Decodable {
        struct Symbol: Decodable {
          var from_pair: UInt16
          var recovery_symbol_bcs: String
          var general_recovery_symbol_bcs: String
        }
        var target_axis: String
        var target_pair: UInt16
        var target_sliver_index: UInt16
        var n_symbols_required: Int
        var helper_pairs: [UInt16]
        var symbols: [Symbol]
        var recovered_sliver: ExpectedBytes
      }
      struct Decode: Decodable {
        var axis: String
        var sliver_indices: [UInt16]
        var slivers_bcs: [String]
      }
      struct Inconsistency: Decodable {
        var what: String
        var bad_metadata_bcs: ExpectedBytes?
        var bad_blob_id: String
        var target_axis: String
        var target_sliver_index: UInt16
        var helper_pairs: [UInt16]
        var decoded_sliver: ExpectedBytes?
        var inconsistency_proof_enum_bcs: ExpectedBytes
        var verify: String?
        var verify_against_bad_metadata: String?
        var verify_against_good_metadata: String?
      }
      var n_shards: Int
      var blob_size: Int
      var seed: UInt64
      var blob_id: String
      var symbol_size: Int
      var recovery: [Recovery]
      var decode: [Decode]
      var inconsistency: [Inconsistency]

      func blob() -> [UInt8] { generatedBytes(seed: seed, count: blob_size) }

      func encoded() throws -> EncodedBlob {
        let encoded = try BlobEncoder.encodeSerially(
          blob(), parameters: EncodingParameters(shardCount: n_shards))
        #expect(encoded.blobID.text == blob_id)
        #expect(encoded.symbolByteCount == symbol_size)
        return encoded
      }
    }
    var blobs: [Blob]
  }

  @Test func `recovery symbols and recovered slivers agree with the reference`() throws {
    var targetCount = 0
    var symbolCount = 0
    for blob in try vectors("recovery", as: File.self).blobs {
      let encoded = try blob.encoded()
      let metadata = encoded.metadata
      for item in blob.recovery {
        targetCount += 1
        let axis = try axis(named: item.target_axis)
        let target = SliverIndex(item.target_sliver_index)
        let n = blob.n_shards
        #expect(SliverPairIndex(item.target_pair).sliver(axis, shardCount: n) == target)
        #expect(metadata.parameters.symbolCount(inSliverOf: axis) == item.n_symbols_required)

        var symbols: [DecodingSymbol] = []
        for helper in item.helper_pairs {
          let index = SliverPairIndex(helper).sliver(axis.other, shardCount: n)
          let sliver = encoded.sliver(axis.other, index)
          let expanded = try sliver.expanded(parameters: metadata.parameters)
          let general = expanded.generalRecoverySymbol(for: target)
          symbols.append(
            try general.verified(forSliver: target, of: axis, metadata: metadata))
          #expect(
            try sliver.symbol(crossing: target, parameters: metadata.parameters)
              == general.symbol.bytes)
          guard let expected = item.symbols.first(where: { $0.from_pair == helper }) else {
            continue
          }
          symbolCount += 1
          #expect(general.bcsBytes.hex == expected.general_recovery_symbol_bcs)
          #expect(
            try GeneralRecoverySymbol(bcs: bytes(hex: expected.general_recovery_symbol_bcs))
              == general)
          let symbol = expanded.recoverySymbol(for: target)
          #expect(symbol.bcsBytes.hex == expected.recovery_symbol_bcs)
          #expect(try RecoverySymbol(bcs: bytes(hex: expected.recovery_symbol_bcs)) == symbol)
        }
        let sliver = try Sliver.recovered(axis, target, from: symbols, metadata: metadata)
        #expect(item.recovered_sliver.matches(sliver.bytes))
        #expect(sliver == encoded.sliver(axis, target))
      }
    }
    #expect(targetCount == 18)
    #expect(symbolCount == 3 * (5 + 3) + 3 * (7 + 4) + 6 * 2)
  }

  @Test func `explicit slivers decode to the blob`() throws {
    var caseCount = 0
    for blob in try vectors("recovery", as: File.self).blobs {
      let metadata = try blob.encoded().metadata
      for item in blob.decode {
        caseCount += 1
        let axis = try axis(named: item.axis)
        let slivers = try item.slivers_bcs.map {
          try Sliver(axis: axis, bcsData: bytes(hex: $0))
        }
        #expect(slivers.map(\.index.value) == item.sliver_indices)
        #expect(Sliver.failures(slivers, against: metadata).allSatisfy { $0 == nil })
        for check in ConsistencyCheck.allCases {
          let decoded = try BlobDecoder.decodeSerially(
            slivers, axis: axis, metadata: metadata, check: check)
          #expect(decoded.bytes == blob.blob())
        }
      }
    }
    #expect(caseCount == 4)
  }

  /// Metadata with one hash of one pair replaced, under the ID that then belongs to it.
  private func replacing(
    _ axis: SliverAxis, ofPair pair: Int, with hash: MerkleNode, in metadata: VerifiedBlobMetadata
  ) throws -> VerifiedBlobMetadata {
    var hashes = metadata.metadata.hashes
    hashes[pair] = SliverPairHashes(
      primary: axis == .primary ? hash : hashes[pair].primary,
      secondary: axis == .secondary ? hash : hashes[pair].secondary)
    let bad = BlobMetadata(blobByteCount: metadata.blobByteCount, hashes: hashes)
    return try VerifiedBlobMetadata(
      bad, of: bad.computedBlobID, parameters: metadata.parameters)
  }

  private func symbols(
    from slivers: [Sliver], target: SliverIndex, parameters: EncodingParameters
  ) throws -> [RecoverySymbol] {
    try slivers.map { try $0.expanded(parameters: parameters).recoverySymbol(for: target) }
  }

  private func checkFirst(_ item: File.Blob.Inconsistency, _ encoded: EncodedBlob) throws {
    let metadata = encoded.metadata
    let bad = try replacing(.primary, ofPair: 1, with: .digest(.zero), in: metadata)
    #expect(bad.blobID.text == item.bad_blob_id)
    #expect(try #require(item.bad_metadata_bcs).matches(bad.metadata.bcsBytes))
    let axis = try axis(named: item.target_axis)
    let target = SliverIndex(item.target_sliver_index)
    let helpers = item.helper_pairs.map {
      encoded.sliver(
        axis.other, SliverPairIndex($0).sliver(axis.other, shardCount: metadata.shardCount))
    }
    let symbols = try symbols(from: helpers, target: target, parameters: metadata.parameters)
    let proof = try InconsistencyProof(
      targetAxis: axis, targetIndex: target, provenBy: symbols, metadata: bad)
    #expect(item.inconsistency_proof_enum_bcs.matches(proof.bcsBytes))
    #expect(try InconsistencyProof(bcs: proof.bcsBytes) == proof)
    #expect(item.verify_against_bad_metadata == "ok")
    #expect(item.verify_against_good_metadata == "SliverNotInconsistent")
    #expect(throws: InconsistencyProofError.sliverNotInconsistent) {
      try proof.verify(against: metadata)
    }
  }

  private func checkSecond(_ item: File.Blob.Inconsistency, _ encoded: EncodedBlob) throws {
    let metadata = encoded.metadata
    let n = metadata.shardCount
    let last = SliverIndex(UInt16(n - 1))
    var bytes = encoded.sliver(.secondary, last).bytes
    bytes[0] ^= 0xFF
    let corrupt = Sliver(
      axis: .secondary, index: last, symbolByteCount: metadata.symbolByteCount, bytes: bytes)
    let root = try corrupt.expanded(parameters: metadata.parameters).root
    let bad = try replacing(.secondary, ofPair: 0, with: root, in: metadata)
    #expect(bad.blobID.text == item.bad_blob_id)
    let axis = try axis(named: item.target_axis)
    let target = SliverIndex(item.target_sliver_index)
    let helpers = item.helper_pairs.map { pair in
      pair == 0
        ? corrupt
        : encoded.sliver(axis.other, SliverPairIndex(pair).sliver(axis.other, shardCount: n))
    }
    let symbols = try symbols(from: helpers, target: target, parameters: metadata.parameters)
    let proof = try InconsistencyProof(
      targetAxis: axis, targetIndex: target, provenBy: symbols, metadata: bad)
    #expect(item.inconsistency_proof_enum_bcs.matches(proof.bcsBytes))
    let decoded = try Sliver.rebuilt(
      axis, target, from: symbols.map(\.symbol), metadata: bad)
    #expect(try #require(item.decoded_sliver).matches(decoded.bytes))
    #expect(item.verify == "ok")
    #expect(
      throws: SliverRecoveryError.notTheSliver(.rootMismatch(axis: axis, index: target))
    ) {
      try Sliver.recovered(axis, target, from: symbols.map(\.symbol), metadata: bad)
    }
  }

  @Test func `inconsistency proofs agree with the reference`() throws {
    var caseCount = 0
    for blob in try vectors("recovery", as: File.self).blobs {
      let encoded = try blob.encoded()
      #expect(blob.inconsistency.count == 2)
      try checkFirst(blob.inconsistency[0], encoded)
      try checkSecond(blob.inconsistency[1], encoded)
      caseCount += blob.inconsistency.count
    }
    #expect(caseCount == 6)
  }
}
