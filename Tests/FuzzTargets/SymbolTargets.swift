// SymbolTargets.swift
//
// Single symbols with their Merkle paths, and the evidence that a blob was encoded badly.

import RedStuff

extension FuzzTarget {
  static let symbols = FuzzTarget("symbols") {
    let fixture = try Fixture.shared.get()
    let row = try fixture.expanded(.primary, 4)
    let column = try fixture.expanded(.secondary, 6)
    let target = SliverIndex(5)
    var list = BCSWriter()
    list.write(
      try [6, 0, 3].map { try fixture.expanded(.primary, $0).decodingSymbol(for: target) })
    let proven = row.provenSymbols(at: [1, 6])
    var run = BCSWriter()
    run.write(proven.index)
    run.writeSequence(proven.positions) { $0.write(UInt16($1)) }
    run.writeBytes(proven.bytes)
    run.write(proven.paths)
    return [
      seed(0, row.tree.proof(ofLeaf: 6)), [1] + list.bytes,
      seed(2, AxisTagged(row.recoverySymbol(for: target), targetAxis: .secondary)),
      seed(2, AxisTagged(column.recoverySymbol(for: target), targetAxis: .primary)),
      seed(3, row.generalRecoverySymbol(for: target)),
      seed(3, column.generalRecoverySymbol(for: SliverIndex(6))),
      seed(
        4,
        RecoverySymbolPair(
          primary: column.recoverySymbol(for: target), secondary: row.recoverySymbol(for: target))),
      [5] + run.bytes,
    ]
  } check: { bytes in
    let fixture = try Fixture.shared.get()
    var input = FuzzInput(bytes)
    let kind = input.below(6)
    let body = input.remainder()
    switch kind {
    case 0: return try canonical(MerkleProof.self, body) { try check($0, in: fixture) }
    case 1: return try checkDecoding(body, in: fixture)
    case 2:
      return try canonical(AxisTagged<RecoverySymbol>.self, body) { tagged in
        try check(tagged.value, for: tagged.targetAxis, in: fixture)
      }
    case 3: return try canonical(GeneralRecoverySymbol.self, body) { try check($0, in: fixture) }
    case 4:
      return try canonical(RecoverySymbolPair.self, body) { pair in
        let primary = try check(pair.primary, for: .primary, in: fixture)
        return try check(pair.secondary, for: .secondary, in: fixture) && primary
      }
    default: return try checkProven(body, in: fixture)
    }
  }

  /// As the path of leaf 6 of row 4, whose first sibling is the empty node.
  private static func check(_ proof: MerkleProof, in fixture: Fixture) throws -> Bool {
    guard let root = fixture.metadata.metadata.hash(of: .primary, at: SliverIndex(4)) else {
      throw Violation(description: "row 4 has no hash")
    }
    func passes(_ data: [UInt8], leaf: Int) -> Bool {
      (try? proof.verify(data, leafIndex: leaf, leafCount: fixture.n, root: root)) != nil
    }
    let symbol = fixture.symbols[4][6]
    let isAccepted = passes(symbol, leaf: 6)
    var lie = symbol
    lie[3] ^= 4
    try require(!passes(lie, leaf: 6) && !passes([], leaf: 6), "a false symbol passed")
    for leaf in [-1, 7, 8, Int.max, Int.min] {
      try require(!passes(symbol, leaf: leaf), "leaf \(leaf) passed")
    }
    for leaf in 0..<6 {
      try require(!passes(symbol, leaf: leaf), "the symbol of leaf 6 passed for \(leaf)")
    }
    return isAccepted
  }

  /// Symbols for column 5, and for row 5.
  private static func checkDecoding(_ body: [UInt8], in fixture: Fixture) throws -> Verdict {
    var reader = BCSReader(body)
    guard let symbols = try? reader.readArray(of: DecodingSymbol.self), reader.remainingCount == 0
    else { return .refused }
    var isAccepted = false
    for axis in SliverAxis.allCases {
      let target = SliverIndex(5)
      guard
        let sliver = try? Sliver.recovered(axis, target, from: symbols, metadata: fixture.metadata)
      else { continue }
      try require(sliver == fixture.blob.sliver(axis, target), "another sliver was recovered")
      isAccepted = true
    }
    return Verdict(isAccepted: isAccepted)
  }

  private static func check(
    _ symbol: RecoverySymbol, for axis: SliverAxis, in fixture: Fixture
  ) throws -> Bool {
    var isAccepted = false
    for target in fixture.indices + [SliverIndex(7), SliverIndex(.max)] {
      let passes =
        (try? symbol.verify(targetAxis: axis, targetIndex: target, metadata: fixture.metadata))
        != nil
      guard passes else { continue }
      let (source, bytes) = (symbol.symbol.sourceIndex, symbol.symbol.bytes)
      try require(
        Int(target.value) < fixture.n && Int(source.value) < fixture.n
          && fixture.symbol(axis, target, crossing: source) == bytes,
        "a false symbol of \(axis) \(target) passed")
      isAccepted = true
    }
    return isAccepted
  }

  private static func check(_ symbol: GeneralRecoverySymbol, in fixture: Fixture) throws -> Bool {
    var uses = 0
    for axis in SliverAxis.allCases {
      for wanted in fixture.indices + [SliverIndex(7)] {
        guard
          let usable = try? symbol.verified(
            forSliver: wanted, of: axis, metadata: fixture.metadata)
        else { continue }
        try require(
          Int(wanted.value) < fixture.n && Int(usable.sourceIndex.value) < fixture.n
            && fixture.symbol(axis, wanted, crossing: usable.sourceIndex) == usable.bytes,
          "a false symbol of \(axis) \(wanted) passed")
        uses += 1
      }
    }
    try require([0, 2].contains(uses), "usable for \(uses) slivers")
    return uses > 0
  }

  private static func checkProven(_ body: [UInt8], in fixture: Fixture) throws -> Verdict {
    var isAccepted = false
    for axis in SliverAxis.allCases {
      var reader = BCSReader(body)
      guard let index = try? reader.read(SliverIndex.self),
        let positions = try? reader.readSequence({ (reader) throws(BCSError) in
          Int(Int16(bitPattern: try reader.readUInt16()))
        }),
        let bytes = try? reader.readBytes(), let paths = try? reader.readArray(of: MerkleProof.self)
      else { return .refused }
      let proven = ProvenSymbols(
        axis: axis, index: index, positions: positions, bytes: bytes, paths: paths)
      guard (try? proven.verify(against: fixture.metadata)) != nil else { continue }
      let s = fixture.metadata.symbolByteCount
      for (entry, position) in positions.enumerated() {
        let truth = fixture.symbol(axis, index, crossing: SliverIndex(UInt16(position)))
        try require(truth[...] == bytes[entry * s..<(entry + 1) * s], "a false symbol passed")
      }
      isAccepted = true
    }
    return Verdict(isAccepted: isAccepted)
  }

  static let inconsistencyProofs = FuzzTarget("inconsistency-proofs") {
    let fixture = try Fixture.shared.get()
    func proof(_ axis: SliverAxis, _ target: UInt16, from sources: [UInt16]) throws -> [UInt8] {
      let index = SliverIndex(target)
      let symbols = try sources.map {
        try fixture.expanded(axis.other, $0).recoverySymbol(for: index)
      }
      return InconsistencyProof(targetAxis: axis, targetIndex: index, symbols: symbols).bcsBytes
    }
    return try [
      proof(.secondary, 5, from: [6, 0, 4]), proof(.primary, 3, from: [4, 0, 1, 2, 6]),
    ]
  } check: { bytes in
    let fixture = try Fixture.shared.get()
    let bad = try badMetadata(of: fixture)
    return try canonical(InconsistencyProof.self, bytes) { proof in
      try require(
        (try? proof.verify(against: fixture.metadata)) == nil, "good metadata was proven bad")
      guard (try? proof.verify(against: bad)) != nil else { return false }
      let (axis, target) = (proof.targetAxis, proof.targetIndex)
      try require(
        (axis, target) == (.secondary, SliverIndex(5))
          || (axis, target) == (.primary, SliverIndex(3)),
        "\(axis) \(target) was proven bad, which is not")
      let sliver = try Sliver.rebuilt(
        axis, target, from: proof.symbols.map(\.symbol), metadata: bad)
      try require(sliver == fixture.blob.sliver(axis, target), "evidence of another sliver")
      let again = try InconsistencyProof(
        targetAxis: axis, targetIndex: target, provenBy: proof.symbols, metadata: bad)
      try require(again == proof, "another proof from the same symbols")
      return true
    }
  }

  /// With false hashes of column 5 and row 3.
  private static func badMetadata(of fixture: Fixture) throws -> VerifiedBlobMetadata {
    var hashes = fixture.metadata.metadata.hashes
    hashes[3] = SliverPairHashes(primary: .digest(.zero), secondary: hashes[3].secondary)
    hashes[1] = SliverPairHashes(primary: hashes[1].primary, secondary: .empty)
    let bad = BlobMetadata(blobByteCount: fixture.metadata.blobByteCount, hashes: hashes)
    return try VerifiedBlobMetadata(bad, of: bad.computedBlobID, parameters: fixture.parameters)
  }
}
