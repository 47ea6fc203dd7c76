// SliverVerificationTests.swift
//
// Metadata and slivers are accepted only as the encoder made them, and each step of the checks has
// its own refusal.

import Testing

@testable import RedStuff

@Suite struct SliverVerificationTests {
  private func encoded(_ n: Int = 10, _ byteCount: Int = 3000) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(
      generatedBytes(seed: 11, count: byteCount), parameters: EncodingParameters(shardCount: n))
  }

  private func changed(
    _ sliver: Sliver, index: UInt16? = nil, symbolByteCount: Int? = nil, bytes: [UInt8]? = nil
  ) -> Sliver {
    Sliver(
      axis: sliver.axis, index: index.map(SliverIndex.init) ?? sliver.index,
      symbolByteCount: symbolByteCount ?? sliver.symbolByteCount, bytes: bytes ?? sliver.bytes)
  }

  @Test(arguments: SliverAxis.allCases)
  func `each step of the sliver check has its own refusal`(axis: SliverAxis) throws {
    let blob = try encoded()
    let metadata = blob.metadata
    let sliver = blob.sliver(axis, SliverIndex(3))
    try sliver.verify(against: metadata)
    // Wrong in every respect: the index is checked first, then the length, then the symbol size.
    let worst = changed(sliver, index: 10, symbolByteCount: 3, bytes: [1])
    #expect(
      throws: SliverVerificationError.indexOutOfRange(index: SliverIndex(10), shardCount: 10)
    ) { try worst.verify(against: metadata) }
    let expected = sliver.bytes.count
    #expect(
      throws: SliverVerificationError.byteCountMismatch(byteCount: 1, expected: expected)
    ) { try changed(worst, index: 3).verify(against: metadata) }
    #expect(
      throws: SliverVerificationError.symbolByteCountMismatch(
        symbolByteCount: 3, expected: blob.symbolByteCount)
    ) { try changed(sliver, symbolByteCount: 3).verify(against: metadata) }
    let mismatch = SliverVerificationError.rootMismatch(axis: axis, index: SliverIndex(3))
    for position in [0, expected / 2, expected - 1] {
      var bytes = sliver.bytes
      bytes[position] ^= 0x80
      #expect(throws: mismatch) { try changed(sliver, bytes: bytes).verify(against: metadata) }
    }
    #expect(
      throws: SliverVerificationError.rootMismatch(axis: axis, index: SliverIndex(4))
    ) { try changed(sliver, index: 4).verify(against: metadata) }
  }

  @Test func `many slivers are judged one by one`() throws {
    let blob = try encoded(31, 20_000)
    var slivers: [Sliver] = []
    for index in UInt16(0)..<31 {
      slivers.append(blob.sliver(.primary, SliverIndex(index)))
      slivers.append(blob.sliver(.secondary, SliverIndex(index)))
    }
    #expect(Sliver.failures(slivers, against: blob.metadata).allSatisfy { $0 == nil })
    var bytes = slivers[7].bytes
    bytes[1] ^= 1
    slivers[7] = changed(slivers[7], bytes: bytes)
    slivers[20] = changed(slivers[20], bytes: [])
    slivers[61] = changed(slivers[61], index: 31)
    let failures = Sliver.failures(slivers, against: blob.metadata)
    #expect(failures.indices.filter { failures[$0] != nil } == [7, 20, 61])
    #expect(failures[7] == .rootMismatch(axis: .secondary, index: SliverIndex(3)))
    #expect(Sliver.failures([], against: blob.metadata).isEmpty)
  }

  @Test func `each step of the metadata check has its own refusal`() throws {
    let blob = try encoded()
    let parameters = blob.parameters
    let good = blob.metadata.withID
    #expect(try good.verified(parameters: parameters) == blob.metadata)
    let short = BlobMetadata(blobByteCount: .max, hashes: good.metadata.hashes.dropLast())
    #expect(throws: BlobMetadataError.hashCountMismatch(hashCount: 9, shardCount: 10)) {
      try VerifiedBlobMetadata(short, of: good.blobID, parameters: parameters)
    }
    let long = BlobMetadata(blobByteCount: .max, hashes: good.metadata.hashes)
    #expect(
      throws: BlobMetadataError.blobTooLarge(
        byteCount: .max, byteCountMax: parameters.blobByteCountMax)
    ) { try VerifiedBlobMetadata(long, of: good.blobID, parameters: parameters) }
    let other = BlobMetadata(blobByteCount: 2999, hashes: good.metadata.hashes)
    #expect(
      throws: BlobMetadataError.blobIDMismatch(
        claimed: good.blobID, computed: other.computedBlobID)
    ) { try VerifiedBlobMetadata(other, of: good.blobID, parameters: parameters) }
  }

  @Test func `an empty hash in the metadata matches no sliver`() throws {
    let blob = try encoded()
    var hashes = blob.metadata.metadata.hashes
    hashes[2] = SliverPairHashes(primary: .empty, secondary: hashes[2].secondary)
    let bad = BlobMetadata(blobByteCount: 3000, hashes: hashes)
    let metadata = try VerifiedBlobMetadata(
      bad, of: bad.computedBlobID, parameters: blob.parameters)
    let index = SliverIndex(2)
    #expect(throws: SliverVerificationError.rootMismatch(axis: .primary, index: index)) {
      try blob.sliver(.primary, index).verify(against: metadata)
    }
  }

  @Test(arguments: SliverAxis.allCases)
  func `a run of symbols verifies by its paths`(axis: SliverAxis) throws {
    let blob = try encoded(31, 20_000)
    let sliver = try blob.sliver(axis, SliverIndex(30)).expanded(parameters: blob.parameters)
    #expect(
      .some(sliver.root) == blob.metadata.metadata.hash(of: axis, at: SliverIndex(30)))
    for positions in [[], [0], [30], Array(3..<20), [29, 1, 30, 1]] {
      try sliver.provenSymbols(at: positions).verify(against: blob.metadata)
    }
  }

  @Test func `the wrong symbols of a run are named`() throws {
    let blob = try encoded(31, 20_000)
    let s = blob.symbolByteCount
    let run = try blob.sliver(.primary, SliverIndex(5)).expanded(parameters: blob.parameters)
      .provenSymbols(at: Array(10..<20))
    func with(
      index: UInt16 = 5, positions: [Int]? = nil, bytes: [UInt8]? = nil,
      paths: [MerkleProof]? = nil
    ) -> ProvenSymbols {
      ProvenSymbols(
        axis: .primary, index: SliverIndex(index), positions: positions ?? run.positions,
        bytes: bytes ?? run.bytes, paths: paths ?? run.paths)
    }
    var bytes = run.bytes
    bytes[2 * s] ^= 1
    bytes[9 * s + s - 1] ^= 1
    var paths = run.paths
    paths[4] = MerkleProof(path: Array(paths[4].path.dropLast()))
    paths[5] = MerkleProof(path: paths[5].path + [.empty])
    #expect(throws: ProvenSymbolsError.wrongSymbols(entries: [2, 4, 5, 9])) {
      try with(bytes: bytes, paths: paths).verify(against: blob.metadata)
    }
    var positions = run.positions
    positions[0] = -1
    positions[1] = 31
    positions[3] = .max
    positions[6] = 17
    #expect(throws: ProvenSymbolsError.wrongSymbols(entries: [0, 1, 3, 6])) {
      try with(positions: positions).verify(against: blob.metadata)
    }
    #expect(throws: ProvenSymbolsError.wrongSymbols(entries: Array(0..<10))) {
      try with(index: 6).verify(against: blob.metadata)
    }
    #expect(throws: ProvenSymbolsError.indexOutOfRange(index: SliverIndex(31), shardCount: 31)) {
      try with(index: 31).verify(against: blob.metadata)
    }
    for wrong in [
      with(bytes: Array(run.bytes.dropLast())), with(paths: Array(run.paths.dropLast())),
      with(positions: Array(run.positions.dropLast())),
    ] {
      #expect(
        throws: ProvenSymbolsError.shapeMismatch(
          positionCount: wrong.positions.count, pathCount: wrong.paths.count,
          byteCount: wrong.bytes.count, symbolByteCount: s)
      ) { try wrong.verify(against: blob.metadata) }
    }
  }
}
