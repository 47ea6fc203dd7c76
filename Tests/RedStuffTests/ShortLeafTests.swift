// ShortLeafTests.swift
//
// Leaf hashes that are looked up.

import Testing

@testable import RedStuff

@Suite struct ShortLeafTests {
  @Test(arguments: [2, 5])
  func `every symbol of two bytes has the leaf that hashing gives`(stride: Int) {
    let symbols = (0..<65536).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let apart = (0..<65536).flatMap {
      symbols[2 * $0..<2 * $0 + 2] + [UInt8](repeating: 0xEE, count: stride - 2)
    }
    let found = Scratch(byteCount: 65536 * Digest.byteCount)
    let expected = Scratch(byteCount: 65536 * Digest.byteCount)
    unsafe symbols.withUnsafeBufferPointer { symbols in
      guard let base = symbols.baseAddress else { return }
      unsafe HashLanes.hashLeaves(base, symbolByteCount: 2, count: 65536, into: expected.base)
    }
    unsafe apart.withUnsafeBufferPointer { apart in
      guard let base = apart.baseAddress else { return }
      unsafe ShortLeaves.copyLeaves(base, stride: stride, count: 65536, into: found.base)
    }
    let differing = (0..<65536).first {
      unsafe Digest(at: found.base + $0 * Digest.byteCount)
        != Digest(at: expected.base + $0 * Digest.byteCount)
    }
    #expect(differing == nil)
  }

  // Below and above the count of shards from which leaves are looked up.
  @Test(arguments: [250, 256, 300])
  func `looked-up leaves give the roots that slivers are checked by`(n: Int) throws {
    let parameters = try EncodingParameters(shardCount: n)
    let blob = generatedBytes(seed: UInt64(n), count: 1000)
    let encoded = try BlobEncoder.encodeSerially(blob, parameters: parameters)
    #expect(encoded.symbolByteCount == 2)
    let slivers = [0, 1, n / 2, n - 1].flatMap { index in
      SliverAxis.allCases.map { encoded.sliver($0, SliverIndex(UInt16(index))) }
    }
    #expect(Sliver.failures(slivers, against: encoded.metadata).allSatisfy { $0 == nil })
  }
}
