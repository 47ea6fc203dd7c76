// RepositoryConstantsTests.swift
//
// Constants that stand in the reference repository's own tests and documentation.

import Testing

@testable import RedStuff

@Suite struct RepositoryConstantsTests {
  private struct File: Decodable {
    struct NamedBlob: Decodable {
      var n_shards: Int
      var blob_text: String
      var blob_id: String
    }
    struct SourceSymbols: Decodable { var n_k1_k2: [[Int]] }
    struct Faults: Decodable { var n_f_minCorrect: [[Int]] }
    struct Cases: Decodable { var cases: [[Int]] }
    struct PathLengths: Decodable { var leaves_len: [[Int]] }
    struct NodeCounts: Decodable { var leaves_nodes: [[Int]] }
    struct Rotation: Decodable {
      struct Bytes: Decodable {
        var input: [UInt8]
        var id: UInt64
        var output: [UInt8]
      }
      var pairToShard: [[UInt64]]
      var shardToPair: [[UInt64]]
      var rotateByBytes: Bytes
      enum CodingKeys: String, CodingKey {
        case pairToShard = "pair_to_shard [n, id as u64, pair, shard]"
        case shardToPair = "shard_to_pair [n, id, shard, pair]"
        case rotateByBytes = "rotate_by_bytes"
      }
    }
    struct Matrices: Decodable {
      struct Case: Decodable {
        var k_primary: Int
        var k_secondary: Int
        var n_shards: Int
        var blob_hex: String
        var blob_id: String
        var rows: [String]
        var columns: [String]
        var primary_slivers: [String]
      }
      var cases: [Case]
    }
    struct Fixtures: Decodable {
      var blob_metadata_bcs: String
      var blob_metadata_root: String
      var blob_metadata_blob_id: String
      var primary_sliver_bcs: String
      var primary_sliver_expanded: String
      var primary_sliver_root: String
      var secondary_sliver_bcs: String
      var secondary_sliver_expanded: String
      var secondary_sliver_root: String
      var recoverySymbol: String
      var primaryRecoverySymbol: String
      enum CodingKeys: String, CodingKey {
        case blob_metadata_bcs, blob_metadata_root, blob_metadata_blob_id
        case primary_sliver_bcs, primary_sliver_expanded, primary_sliver_root
        case secondary_sliver_bcs, secondary_sliver_expanded, secondary_sliver_root
        case recoverySymbol = "recovery_symbol_bcs (Secondary, target pair 1)"
        case primaryRecoverySymbol = "primary_recovery_symbol_bcs (Primary, target pair 2)"
      }
    }
    struct EncodingType: Decodable { var RS2: String }
    var blob_ids: [NamedBlob]
    var source_symbols: SourceSymbols
    var bft: Faults
    var symbol_size: Cases
    var encoded_size: Cases
    var merkle_path_length: PathLengths
    var merkle_n_nodes: NodeCounts
    var rotation: Rotation
    var matrix_construction: Matrices
    var fixtures_computed: Fixtures
    var encoding_type_bcs: EncodingType
  }

  private func file() throws -> File { try vectors("repo_constants", as: File.self) }

  @Test func `named blobs have their ids`() throws {
    let blobs = try file().blob_ids
    #expect(blobs.count == 2)
    for blob in blobs {
      let encoded = try BlobEncoder.encodeSerially(
        Array(blob.blob_text.utf8), parameters: EncodingParameters(shardCount: blob.n_shards))
      #expect(encoded.blobID.text == blob.blob_id)
    }
  }

  @Test func `source counts and faults follow from the shard count`() throws {
    let file = try file()
    let counts = file.source_symbols.n_k1_k2
    #expect(counts.count == 12)
    // Committees of one and three are refused: they have no repair symbols.
    #expect(counts.filter { $0[0] < EncodingParameters.shardCountMin }.count == 2)
    for count in counts where count[0] >= EncodingParameters.shardCountMin {
      let parameters = try EncodingParameters(shardCount: count[0])
      #expect(
        [parameters.primarySourceCount, parameters.secondarySourceCount] == Array(count[1...]))
    }
    let faults = file.bft.n_f_minCorrect
    #expect(faults.count == 7)
    for fault in faults where fault[0] >= EncodingParameters.shardCountMin {
      let parameters = try EncodingParameters(shardCount: fault[0])
      #expect(parameters.faultyShardCountMax == fault[1])
      #expect(parameters.shardCount - parameters.faultyShardCountMax == fault[2])
    }
  }

  @Test func `symbol sizes and encoded sizes agree`() throws {
    let file = try file()
    #expect(file.symbol_size.cases.count == 12)
    for item in file.symbol_size.cases {
      let shape = EncodingParameters(
        shardCount: item[1] + 1, faultyShardCountMax: 0, primarySourceCount: 1,
        secondarySourceCount: item[1])
      #expect(shape.symbolByteCount(forBlobOf: UInt64(item[0]), alignment: item[2]) == item[3])
    }
    #expect(file.encoded_size.cases.count == 5)
    for item in file.encoded_size.cases {
      let parameters = try EncodingParameters(shardCount: item[1])
      #expect(try parameters.encodedByteCount(forBlobOf: UInt64(item[0])) == UInt64(item[2]))
    }
  }

  @Test func `tree shapes agree`() throws {
    let file = try file()
    #expect(file.merkle_path_length.leaves_len.count == 10)
    for item in file.merkle_path_length.leaves_len {
      #expect(MerkleProof.pathLength(leafCount: item[0]) == item[1])
    }
    #expect(file.merkle_n_nodes.leaves_nodes.count == 10)
    for item in file.merkle_n_nodes.leaves_nodes {
      #expect(MerkleTree.nodeCount(leafCount: item[0]) == item[1])
    }
  }

  /// An id whose big-endian number is `value`.
  private func blob(_ value: UInt64) -> BlobID { BlobID(Digest(words: 0, 0, 0, value)) }

  @Test func `rotations agree`() throws {
    let rotation = try file().rotation
    #expect(rotation.pairToShard.count == 3)
    for item in rotation.pairToShard {
      let shard = SliverPairIndex(UInt16(item[2])).shard(
        of: blob(item[1]), shardCount: Int(item[0]))
      #expect(shard == ShardIndex(UInt16(item[3])))
    }
    #expect(rotation.shardToPair.count == 3)
    for item in rotation.shardToPair {
      let pair = ShardIndex(UInt16(item[2])).pair(of: blob(item[1]), shardCount: Int(item[0]))
      #expect(pair == SliverPairIndex(UInt16(item[3])))
    }
    let example = rotation.rotateByBytes
    var rotated = example.input
    for (pair, byte) in example.input.enumerated() {
      let shard = SliverPairIndex(UInt16(pair)).shard(
        of: blob(example.id), shardCount: rotated.count)
      rotated[Int(shard.value)] = byte
    }
    #expect(rotated == example.output)
  }

  @Test func `matrices of unusual shapes agree`() throws {
    let cases = try file().matrix_construction.cases
    #expect(cases.count == 4)
    for item in cases {
      let parameters = EncodingParameters(
        shardCount: item.n_shards, faultyShardCountMax: 0, primarySourceCount: item.k_primary,
        secondarySourceCount: item.k_secondary)
      let encoded = try BlobEncoder.encodeSerially(
        bytes(hex: item.blob_hex), parameters: parameters)
      #expect(encoded.blobID.text == item.blob_id)
      let indices = (0..<item.n_shards).map { SliverIndex(UInt16($0)) }
      let primary = indices.map { encoded.sliver(.primary, $0).bytes.hex }
      #expect(primary == item.primary_slivers)
      #expect(Array(primary.prefix(item.k_primary)) == item.rows)
      let secondary = indices.map { encoded.sliver(.secondary, $0).bytes.hex }
      #expect(Array(secondary.prefix(item.k_secondary)) == item.columns)
    }
  }

  @Test func `the fixtures of the reference's tests agree`() throws {
    let fixtures = try file().fixtures_computed
    let parameters = try EncodingParameters(shardCount: 10)
    let metadata = try BlobMetadata(bcs: bytes(hex: fixtures.blob_metadata_bcs))
    #expect(metadata.bcsBytes.hex == fixtures.blob_metadata_bcs)
    #expect(metadata.root == .digest(try #require(Digest(hex: fixtures.blob_metadata_root))))
    let id = try blobID(fixtures.blob_metadata_blob_id)
    #expect(metadata.computedBlobID == id)
    #expect(throws: Never.self) {
      try VerifiedBlobMetadata(metadata, of: id, parameters: parameters)
    }

    let primary = try Sliver(axis: .primary, bcsData: bytes(hex: fixtures.primary_sliver_bcs))
    let row = try primary.expanded(parameters: parameters)
    #expect(row.symbols.hex == fixtures.primary_sliver_expanded)
    #expect(row.root == .digest(try #require(Digest(hex: fixtures.primary_sliver_root))))
    let target = SliverPairIndex(1).sliver(.secondary, shardCount: 10)
    #expect(row.recoverySymbol(for: target).bcsBytes.hex == fixtures.recoverySymbol)

    let secondary = try Sliver(
      axis: .secondary, bcsData: bytes(hex: fixtures.secondary_sliver_bcs))
    let column = try secondary.expanded(parameters: parameters)
    #expect(column.symbols.hex == fixtures.secondary_sliver_expanded)
    #expect(column.root == .digest(try #require(Digest(hex: fixtures.secondary_sliver_root))))
    #expect(
      column.recoverySymbol(for: SliverIndex(2)).bcsBytes.hex == fixtures.primaryRecoverySymbol)
  }

  @Test func `the encoding type is one byte`() throws {
    let type = try file().encoding_type_bcs
    #expect([EncodingParameters.encodingType].hex == type.RS2)
  }
}
