// EncodingParametersTests.swift
//
// The numbers that follow from the shard count, against the reference implementation.

import Testing

@testable import RedStuff

@Suite struct EncodingParametersTests {
  private struct File: Decodable {
    struct Case: Decodable {
      struct Size: Decodable {
        var blob_size: UInt64
        var symbol_size: Int?
        var primary_sliver_size: Int?
        var secondary_sliver_size: Int?
        var encoded_length: UInt64?
      }
      var n_shards: Int
      var f: Int
      var k_primary: Int
      var k_secondary: Int
      var source_symbols: Int
      var max_symbol_size: Int
      var max_blob_size: UInt64
      var max_sliver_size: Int
      var metadata_length: Int
      var sizes: [Size]
    }
    var params: [Case]
  }

  @Test func `all numbers agree with the reference`() throws {
    var shapeCount = 0
    var refusedShapeCount = 0
    var sizeCount = 0
    for vector in try vectors("params", as: File.self).params {
      shapeCount += 1
      guard vector.n_shards >= EncodingParameters.shardCountMin else {
        refusedShapeCount += 1
        let refusal = EncodingParametersError.shardCountUnsupported(shardCount: vector.n_shards)
        #expect(throws: refusal) { try EncodingParameters(shardCount: vector.n_shards) }
        continue
      }
      let parameters = try EncodingParameters(shardCount: vector.n_shards)
      #expect(parameters.faultyShardCountMax == vector.f)
      #expect(parameters.primarySourceCount == vector.k_primary)
      #expect(parameters.secondarySourceCount == vector.k_secondary)
      #expect(parameters.sourceSymbolCount == vector.source_symbols)
      #expect(EncodingParameters.symbolByteCountMax == vector.max_symbol_size)
      #expect(parameters.blobByteCountMax == vector.max_blob_size)
      #expect(parameters.sliverByteCountMax == vector.max_sliver_size)
      #expect(parameters.pricedMetadataByteCount == vector.metadata_length)
      for size in vector.sizes {
        sizeCount += 1
        guard let symbolByteCount = size.symbol_size else {
          let refusal = EncodingParametersError.blobTooLarge(
            byteCount: size.blob_size, byteCountMax: vector.max_blob_size)
          #expect(throws: refusal) { try parameters.symbolByteCount(forBlobOf: size.blob_size) }
          #expect(throws: refusal) { try parameters.encodedByteCount(forBlobOf: size.blob_size) }
          continue
        }
        #expect(try parameters.symbolByteCount(forBlobOf: size.blob_size) == symbolByteCount)
        for (axis, expected) in [
          (SliverAxis.primary, size.primary_sliver_size), (.secondary, size.secondary_sliver_size),
        ] {
          let count = parameters.sliverByteCount(axis, symbolByteCount: symbolByteCount)
          #expect(count == expected)
        }
        #expect(
          try parameters.encodedByteCount(forBlobOf: size.blob_size) == size.encoded_length)
      }
    }
    #expect(shapeCount == 18)
    #expect(refusedShapeCount == 3)
    #expect(sizeCount == 15 * 13)
  }

  @Test(arguments: [Int.min, -1, 0, 3, 49_156, 65_535, Int.max])
  func `a shard count that the code does not support is refused`(shardCount: Int) {
    #expect(throws: EncodingParametersError.shardCountUnsupported(shardCount: shardCount)) {
      try EncodingParameters(shardCount: shardCount)
    }
  }

  @Test(arguments: [4, 49_155]) func `the limits themselves are supported`(shardCount: Int) throws {
    #expect(try EncodingParameters(shardCount: shardCount).shardCount == shardCount)
  }

  @Test func `the longest length there is does not overflow`() throws {
    let parameters = try EncodingParameters(shardCount: 49_155)
    #expect(throws: EncodingParametersError.self) {
      try parameters.symbolByteCount(forBlobOf: .max)
    }
    #expect(
      try parameters.symbolByteCount(forBlobOf: parameters.blobByteCountMax)
        == EncodingParameters.symbolByteCountMax)
  }
}
