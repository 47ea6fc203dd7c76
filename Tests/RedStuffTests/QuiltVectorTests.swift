// QuiltVectorTests.swift
//
// Quilts of the reference implementation: blob, index, patches and IDs to the byte, its identifier
// rules, and its search for the symbol size.

import Testing

@testable import RedStuff

@Suite struct QuiltVectorTests {
  struct File: Decodable {
    struct Quilt: Decodable {
      struct Input: Decodable {
        var identifier: String
        var tags: [[String]]
        var size: Int
        var seed: UInt64?
        var data_hex: String?

        func patch() throws -> QuiltPatch {
          let data =
            try data_hex.map { try bytes(hex: $0) }
            ?? generatedBytes(seed: try #require(seed), count: size)
          #expect(data.count == size)
          return QuiltPatch(
            identifier: try QuiltIdentifier(identifier),
            tags: try QuiltTags(tags.map { QuiltTag(name: $0[0], value: $0[1]) }), data: data)
        }
      }
      struct Patch: Decodable {
        var identifier: String
        var start_index: Int
        var end_index: Int
        var patch_internal_id: String
        var quilt_patch_id: String
        var prefix_hex: ExpectedBytes
      }
      var name: String
      var n_shards: Int
      var inputs: [Input]
      var symbol_size: Int
      var quilt_size: Int
      var quilt_blob_blake2b256: String
      var quilt_id: String
      var index_size: Int
      var index_bcs: ExpectedBytes
      var secondary_sliver_0: ExpectedBytes
      var patches: [Patch]
      var quilt_metadata_bcs_blake2b256: String
      var quilt_blob_hex: String?

      func built() throws -> BuiltQuilt {
        try BuiltQuilt(
          inputs.map { try $0.patch() }, parameters: EncodingParameters(shardCount: n_shards))
      }
    }
    struct Identifier: Decodable {
      var identifier: String
      var valid: Bool
    }
    struct Construction: Decodable {
      enum CodingKeys: String, CodingKey {
        case n_shards, name, result
        case blobs = "blobs_zero_filled [id,len]"
      }
      struct Blob: Decodable {
        var identifier: String
        var size: Int
        init(from decoder: any Decoder) throws {
          var fields = try decoder.unkeyedContainer()
          identifier = try fields.decode(String.self)
          size = try fields.decode(Int.self)
        }
      }
      struct Result: Decodable {
        var error: String?
        var symbol_size: Int?
      }
      var n_shards: Int
      var name: String
      var blobs: [Blob]
      var result: Result
    }
    struct Search: Decodable {
      var sizes: [Int]
      var n_columns: Int
      var n_rows: Int
      var max_index_columns: Int
      var symbol_size: Int?
      var error: String?
    }
    var quilts: [Quilt]
    var identifier_validity: [Identifier]
    var construct_results: [Construction]
    var symbol_size_cases_from_repo_test_quilt_find_min_length: [Search]
  }

  private let file: File

  init() throws { file = try vectors("quilts", as: File.self) }

  @Test func `quilts are built to the byte`() throws {
    #expect(file.quilts.count == 9)
    #expect(file.quilts.reduce(0) { $0 + $1.patches.count } == 105)
    for quilt in file.quilts {
      let built = try quilt.built()
      #expect(built.shape.symbolByteCount == quilt.symbol_size, "\(quilt.name)")
      #expect(built.blob.count == quilt.quilt_size, "\(quilt.name)")
      #expect(Digest(hashing: built.blob).hex == quilt.quilt_blob_blake2b256, "\(quilt.name)")
      if let hex = quilt.quilt_blob_hex { #expect(built.blob.hex == hex, "\(quilt.name)") }
      #expect(built.index.bcsBytes.count == quilt.index_size, "\(quilt.name)")
      #expect(quilt.index_bcs.matches(built.index.bcsBytes), "\(quilt.name)")
    }
  }

  @Test func `patches are placed and named as the reference does`() throws {
    for quilt in file.quilts {
      let built = try quilt.built()
      let id = try blobID(quilt.quilt_id)
      #expect(built.index.entries.count == quilt.patches.count)
      for (entry, patch) in zip(built.index.entries, quilt.patches) {
        #expect(entry.identifier.text == patch.identifier)
        #expect(entry.columns == patch.start_index..<patch.end_index)
        let patchID = QuiltPatchID(quilt: id, columns: entry.columns)
        #expect(patchID.internalBytes.hex == patch.patch_internal_id)
        #expect(patchID.text == patch.quilt_patch_id)
        #expect(try QuiltPatchID(text: patch.quilt_patch_id) == patchID)
        let input = try #require(quilt.inputs.first { $0.identifier == patch.identifier })
        #expect(patch.prefix_hex.matches(try input.patch().header.bytes))
      }
    }
  }

  @Test func `the quilt ID is that of the blob, and column 0 its first secondary sliver`() throws {
    for quilt in file.quilts {
      let built = try quilt.built()
      let encoded = try BlobEncoder.encodeSerially(
        built.blob, parameters: EncodingParameters(shardCount: quilt.n_shards))
      #expect(encoded.blobID.text == quilt.quilt_id, "\(quilt.name)")
      #expect(encoded.symbolByteCount == quilt.symbol_size, "\(quilt.name)")
      let column = encoded.sliver(.secondary, SliverIndex(0)).bytes
      #expect(quilt.secondary_sliver_0.matches(column), "\(quilt.name)")
      let metadata = QuiltMetadata(
        quilt: encoded.blobID, metadata: encoded.metadata.metadata, index: built.index)
      #expect(Digest(hashing: metadata.bcsBytes).hex == quilt.quilt_metadata_bcs_blake2b256)
      #expect(try QuiltMetadata(bcs: metadata.bcsBytes) == metadata)
    }
  }

  @Test func `patches come back from the blob and from their columns alone`() throws {
    for quilt in file.quilts {
      let parameters = try EncodingParameters(shardCount: quilt.n_shards)
      let built = try quilt.built()
      let reader = try QuiltReader(built.blob, parameters: parameters)
      #expect(reader.index == built.index)
      for input in quilt.inputs {
        let patch = try input.patch()
        #expect(try reader.patch(identifiedBy: patch.identifier) == patch)
        let entry = try #require(reader.index.entry(identifiedBy: patch.identifier))
        #expect(reader.index.entry(at: entry.columns) == entry)
        let columns = entry.columns.flatMap { column in
          built.shape.read(0..<built.shape.columnByteCount, ofStreamFrom: column, in: built.blob)
        }
        #expect(try QuiltPatch(columns: columns) == patch)
      }
    }
  }

  @Test func `identifiers are judged as the reference judges them`() {
    #expect(file.identifier_validity.count == 25)
    #expect(file.identifier_validity.count { $0.valid } == 11)
    for item in file.identifier_validity {
      let isValid = (try? QuiltIdentifier(item.identifier)) != nil
      #expect(isValid == item.valid, "\(item.identifier.debugDescription)")
    }
  }

  @Test func `constructions end as in the reference`() throws {
    #expect(file.construct_results.count == 5)
    for item in file.construct_results {
      let parameters = try EncodingParameters(shardCount: item.n_shards)
      let patches = try item.blobs.map {
        QuiltPatch(
          identifier: try QuiltIdentifier($0.identifier),
          data: [UInt8](repeating: 0, count: $0.size))
      }
      switch item.result.error {
      case nil:
        let built = try BuiltQuilt(patches, parameters: parameters)
        #expect(built.shape.symbolByteCount == item.result.symbol_size, "\(item.name)")
      case "TooManyBlobs(5, 4)":
        #expect(throws: QuiltBuildError.tooManyPatches(count: 5, countMax: 4)) {
          try BuiltQuilt(patches, parameters: parameters)
        }
      case "DuplicateIdentifier(\"a\")":
        let repeated = QuiltBuildError.repeatedIdentifier(try QuiltIdentifier("a"))
        #expect(throws: repeated) { try BuiltQuilt(patches, parameters: parameters) }
      case let other?: Issue.record("no such error here: \(other)")
      }
    }
  }

  @Test func `the search ends at the symbol sizes of the reference`() throws {
    let cases = file.symbol_size_cases_from_repo_test_quilt_find_min_length
    #expect(cases.count == 10)
    #expect(cases.count { $0.error != nil } == 2)
    for item in cases {
      func search() throws -> Int {
        try QuiltSymbolSize.search(
          sizes: item.sizes, columnCount: item.n_columns, rowCount: item.n_rows,
          indexColumnCountMax: item.max_index_columns)
      }
      guard item.error != nil else {
        #expect(try search() == item.symbol_size, "\(item.sizes)")
        continue
      }
      let refusal = QuiltBuildError.tooManyPatches(
        count: item.sizes.count - 1, countMax: item.n_columns - 1)
      #expect(throws: refusal) { try search() }
    }
  }
}
