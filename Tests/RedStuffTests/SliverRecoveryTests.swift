// SliverRecoveryTests.swift
//
// Rebuilding slivers from symbols: any k do, and every way to cheat is refused.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct SliverRecoveryTests {
  private let blob: EncodedBlob
  private var metadata: VerifiedBlobMetadata { blob.metadata }

  init() throws {
    blob = try BlobEncoder.encodeSerially(
      generatedBytes(seed: 21, count: 500), parameters: EncodingParameters(shardCount: 10))
  }

  private func expanded(_ axis: SliverAxis, _ index: UInt16) throws -> ExpandedSliver {
    try blob.sliver(axis, SliverIndex(index)).expanded(parameters: blob.parameters)
  }

  /// Symbols for a target from the sources with these indices.
  private func symbols(
    for target: UInt16, _ axis: SliverAxis, from sources: [UInt16]
  ) throws -> [RecoverySymbol] {
    try sources.map { try expanded(axis.other, $0).recoverySymbol(for: SliverIndex(target)) }
  }

  @Test func `any k symbols give any sliver back`() throws {
    let seed: UInt64 = 77
    var dice = Dice(seed: seed)
    for axis in SliverAxis.allCases {
      let k = blob.parameters.symbolCount(inSliverOf: axis)
      for target in UInt16(0)..<10 {
        let sources = Array((UInt16(0)..<10).shuffled(using: &dice).prefix(k))
        let sliver = try Sliver.recovered(
          axis, SliverIndex(target), from: symbols(for: target, axis, from: sources).map(\.symbol),
          metadata: metadata)
        #expect(sliver == blob.sliver(axis, SliverIndex(target)), "seed \(seed) \(sources)")
      }
    }
  }

  @Test func `symbols beyond the first k are not looked at`() throws {
    var symbols = try symbols(for: 9, .secondary, from: [0, 2, 4, 6]).map(\.symbol)
    symbols.append(DecodingSymbol(sourceIndex: SliverIndex(0), bytes: []))
    let sliver = try Sliver.recovered(
      .secondary, SliverIndex(9), from: symbols, metadata: metadata)
    #expect(sliver == blob.sliver(.secondary, SliverIndex(9)))
  }

  @Test func `too few, repeated, foreign and misshapen symbols are refused`() throws {
    let good = try symbols(for: 9, .secondary, from: [0, 2, 4, 6]).map(\.symbol)
    func refusal(_ symbols: [DecodingSymbol], target: UInt16 = 9) -> SliverRecoveryError? {
      do {
        _ = try Sliver.rebuilt(
          .secondary, SliverIndex(target), from: symbols, metadata: metadata)
        return nil
      } catch {
        return error
      }
    }
    let three = Array(good.dropLast())
    let s = metadata.symbolByteCount
    #expect(refusal(good) == nil)
    #expect(refusal(three) == .tooFewSymbols(received: 3, required: 4))
    #expect(refusal(three + [good[0]]) == .symbolRepeated(source: SliverIndex(0)))
    let foreign = DecodingSymbol(sourceIndex: SliverIndex(10), bytes: good[3].bytes)
    #expect(
      refusal(three + [foreign])
        == .sourceOutOfRange(index: SliverIndex(10), shardCount: 10))
    let short = DecodingSymbol(sourceIndex: SliverIndex(6), bytes: [1])
    #expect(
      refusal(three + [short])
        == .symbolByteCountMismatch(source: SliverIndex(6), byteCount: 1, expected: s))
    #expect(
      refusal(good, target: 10) == .targetOutOfRange(index: SliverIndex(10), shardCount: 10))
  }

  @Test func `a false symbol is noticed after decoding`() throws {
    var symbols = try symbols(for: 1, .primary, from: [0, 1, 2, 3, 4, 5, 9]).map(\.symbol)
    var bytes = symbols[6].bytes
    bytes[0] ^= 1
    symbols[6] = DecodingSymbol(sourceIndex: symbols[6].sourceIndex, bytes: bytes)
    #expect(
      throws: SliverRecoveryError.notTheSliver(
        .rootMismatch(axis: .primary, index: SliverIndex(1)))
    ) {
      try Sliver.recovered(.primary, SliverIndex(1), from: symbols, metadata: metadata)
    }
  }

  @Test func `each step of the symbol check has its own refusal`() throws {
    let good = try symbols(for: 3, .primary, from: [8])[0]
    func check(_ symbol: RecoverySymbol, target: UInt16 = 3) throws {
      try symbol.verify(
        targetAxis: .primary, targetIndex: SliverIndex(target), metadata: metadata)
    }
    func with(source: UInt16 = 8, bytes: [UInt8]? = nil) -> RecoverySymbol {
      RecoverySymbol(
        symbol: DecodingSymbol(
          sourceIndex: SliverIndex(source), bytes: bytes ?? good.symbol.bytes),
        proof: good.proof)
    }
    try check(good)
    #expect(
      throws: RecoverySymbolError.sourceOutOfRange(index: SliverIndex(10), shardCount: 10)
    ) { try check(with(source: 10)) }
    #expect(
      throws: RecoverySymbolError.symbolByteCountMismatch(
        byteCount: 3, expected: metadata.symbolByteCount)
    ) { try check(with(bytes: [1, 2, 3])) }
    #expect(
      throws: RecoverySymbolError.targetOutOfRange(index: SliverIndex(10), shardCount: 10)
    ) { try check(good, target: 10) }
    let mismatch = RecoverySymbolError.proofInvalid(.rootMismatch(leafIndex: 3))
    #expect(throws: mismatch) { try check(with(source: 7)) }
    #expect(throws: RecoverySymbolError.proofInvalid(.rootMismatch(leafIndex: 2))) {
      try check(good, target: 2)
    }
    // The same cell, but with the path of the row instead of the column.
    let foreign = RecoverySymbol(
      symbol: good.symbol, proof: try expanded(.primary, 3).tree.proof(ofLeaf: 8))
    #expect(throws: mismatch) { try check(foreign) }
  }

  @Test func `a general symbol helps its target, and the sliver it comes from`() throws {
    // Cell (3, 8) with the path of column 8: target row 3, source column 8.
    let symbol = try expanded(.secondary, 8).generalRecoverySymbol(for: SliverIndex(3))
    #expect(symbol.targetAxis == .primary)
    let direct = try symbol.verified(
      forSliver: SliverIndex(3), of: .primary, metadata: metadata)
    #expect(direct == symbol.symbol)
    let converted = try symbol.verified(
      forSliver: SliverIndex(8), of: .secondary, metadata: metadata)
    #expect(converted.sourceIndex == SliverIndex(3))
    #expect(converted.bytes == symbol.symbol.bytes)
  }

  @Test(arguments: [(SliverAxis.primary, UInt16(8)), (.secondary, 3), (.primary, 4)])
  func `a general symbol helps no other sliver`(axis: SliverAxis, index: UInt16) throws {
    let symbol = try expanded(.secondary, 8).generalRecoverySymbol(for: SliverIndex(3))
    let wanted = SliverIndex(index)
    #expect(throws: RecoverySymbolError.notUsable(wantedAxis: axis, wantedIndex: wanted)) {
      try symbol.verified(forSliver: wanted, of: axis, metadata: metadata)
    }
  }

  @Test func `a general symbol with a target that no shard has is refused`() throws {
    let good = try expanded(.secondary, 8).generalRecoverySymbol(for: SliverIndex(3))
    let symbol = GeneralRecoverySymbol(
      targetAxis: .primary, symbol: good.symbol, targetIndex: SliverIndex(10), proof: good.proof)
    #expect(
      throws: RecoverySymbolError.targetOutOfRange(index: SliverIndex(10), shardCount: 10)
    ) { try symbol.verified(forSliver: SliverIndex(8), of: .secondary, metadata: metadata) }
  }

  @Test func `converted symbols decode`() throws {
    // Column 8 from the cells of column 8 that were made for rows.
    let symbols = try [1, 9, 4, 6].map { row in
      try expanded(.secondary, 8).generalRecoverySymbol(for: SliverIndex(row))
        .verified(forSliver: SliverIndex(8), of: .secondary, metadata: metadata)
    }
    let sliver = try Sliver.recovered(
      .secondary, SliverIndex(8), from: symbols, metadata: metadata)
    #expect(sliver == blob.sliver(.secondary, SliverIndex(8)))
  }

  /// Metadata that claims another hash for secondary sliver 9.
  private func badMetadata() throws -> VerifiedBlobMetadata {
    var hashes = metadata.metadata.hashes
    hashes[0] = SliverPairHashes(primary: hashes[0].primary, secondary: .digest(.zero))
    let bad = BlobMetadata(blobByteCount: metadata.blobByteCount, hashes: hashes)
    return try VerifiedBlobMetadata(bad, of: bad.computedBlobID, parameters: blob.parameters)
  }

  private func proof(_ symbols: [RecoverySymbol], target: UInt16 = 9) -> InconsistencyProof {
    InconsistencyProof(
      targetAxis: .secondary, targetIndex: SliverIndex(target), symbols: symbols)
  }

  @Test func `an inconsistency proof holds against bad metadata only`() throws {
    let bad = try badMetadata()
    let symbols = try symbols(for: 9, .secondary, from: [7, 1, 2, 3, 5])
    let made = try InconsistencyProof(
      targetAxis: .secondary, targetIndex: SliverIndex(9), provenBy: symbols, metadata: bad)
    #expect(made == proof(Array(symbols.prefix(4))))
    try made.verify(against: bad)
    #expect(throws: InconsistencyProofError.sliverNotInconsistent) {
      try made.verify(against: metadata)
    }
    #expect(throws: InconsistencyProofError.sliverNotInconsistent) {
      try InconsistencyProof(
        targetAxis: .secondary, targetIndex: SliverIndex(9), provenBy: symbols,
        metadata: metadata)
    }
  }

  @Test func `proofs with a wrong count, a repeat or a foreign path are refused`() throws {
    let bad = try badMetadata()
    let good = try symbols(for: 9, .secondary, from: [7, 1, 2, 3])
    let three = Array(good.dropLast())
    for (symbols, count) in [(three, 3), (good + [good[0]], 5), ([], 0)] {
      #expect(
        throws: InconsistencyProofError.symbolCountMismatch(received: count, required: 4)
      ) { try proof(symbols).verify(against: bad) }
    }
    #expect(
      throws: InconsistencyProofError.decodingFailed(.symbolRepeated(source: SliverIndex(1)))
    ) { try proof(three + [good[1]]).verify(against: bad) }
    let foreign = RecoverySymbol(
      symbol: good[3].symbol, proof: try expanded(.secondary, 9).tree.proof(ofLeaf: 3))
    #expect(
      throws: InconsistencyProofError.symbolInvalid(
        entry: 3, .proofInvalid(.rootMismatch(leafIndex: 9)))
    ) { try proof(three + [foreign]).verify(against: bad) }
    #expect(
      throws: InconsistencyProofError.targetOutOfRange(index: SliverIndex(10), shardCount: 10)
    ) { try proof(good, target: 10).verify(against: bad) }
  }

  @Test func `a sliver of the wrong shape is not taken apart`() throws {
    let parameters = blob.parameters
    let good = blob.sliver(.primary, SliverIndex(2))
    func with(index: UInt16 = 2, s: Int? = nil, bytes: [UInt8]) -> Sliver {
      Sliver(
        axis: .primary, index: SliverIndex(index), symbolByteCount: s ?? good.symbolByteCount,
        bytes: bytes)
    }
    let count = good.bytes.count
    #expect(
      throws: SliverShapeError.byteCountMismatch(
        axis: .primary, byteCount: count - 1, expected: count)
    ) { try with(bytes: Array(good.bytes.dropLast())).expanded(parameters: parameters) }
    #expect(throws: SliverShapeError.symbolByteCountInvalid(3)) {
      try with(s: 3, bytes: good.bytes).expanded(parameters: parameters)
    }
    let out = SliverShapeError.indexOutOfRange(index: SliverIndex(10), shardCount: 10)
    #expect(throws: out) { try with(index: 10, bytes: good.bytes).expanded(parameters: parameters) }
    #expect(throws: out) { try good.symbol(crossing: SliverIndex(10), parameters: parameters) }
  }
}
