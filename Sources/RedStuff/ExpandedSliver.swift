// ExpandedSliver.swift
//
// A sliver with all n symbols of its row or column and their Merkle tree: what a helper needs to
// give single symbols away, with or without proof.

internal import ReedSolomon

/// Why a sliver cannot be taken apart into symbols.
package enum SliverShapeError: Error, Equatable {
  /// Not the bytes of a sliver of this axis and symbol size; verify slivers before slicing them.
  case byteCountMismatch(axis: SliverAxis, byteCount: Int, expected: Int)
  case symbolByteCountInvalid(Int)
  case indexOutOfRange(index: SliverIndex, shardCount: Int)
}

extension Sliver {
  /// All n symbols. The sliver is not checked against any metadata.
  package func expanded(
    parameters: EncodingParameters
  ) throws(SliverShapeError) -> ExpandedSliver {
    try checkShape(parameters: parameters)
    let expander = SliverExpander(
      axis: axis, parameters: parameters, symbolByteCount: symbolByteCount)
    var symbols = bytes
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let line = buffer.baseAddress else { return }
      ScratchPool.withScratch { scratch in
        let repair = unsafe expander.roomForRepair(lineCount: 1, in: scratch.repair)
        unsafe expander.expand(
          expander.sources(line, lineCount: 1), lineCount: 1, into: repair, codec: &scratch.codec)
        unsafe symbols.append(contentsOf: repair.bytes)
      }
    }
    return ExpandedSliver(sliver: self, shardCount: parameters.shardCount, symbols: symbols)
  }

  /// The symbol where this sliver crosses sliver `target` of the other axis: a plain slice if
  /// `target` is systematic, one symbol of the code otherwise.
  package func symbol(
    crossing target: SliverIndex, parameters: EncodingParameters
  ) throws(SliverShapeError) -> [UInt8] {
    try symbols(crossing: [target], parameters: parameters)
  }

  /// The symbols where this sliver crosses the given ones of the other axis, one after the other, in
  /// one pass over it: systematic ones are plain slices, the others take a multiplication per symbol
  /// of this sliver each, or less if they are many.
  package func symbols(
    crossing targets: [SliverIndex], parameters: EncodingParameters
  ) throws(SliverShapeError) -> [UInt8] {
    try checkShape(parameters: parameters)
    for target in targets where Int(target.value) >= parameters.shardCount {
      throw .indexOutOfRange(index: target, shardCount: parameters.shardCount)
    }
    let positions = targets.map { Int($0.value) }
    let sourceCount = parameters.symbolCount(inSliverOf: axis)
    if positions.allSatisfy({ $0 < sourceCount }) {
      return positions.flatMap { bytes[$0 * symbolByteCount..<($0 + 1) * symbolByteCount] }
    }
    return try Self.symbols(of: [self], crossing: targets, parameters: parameters)[0]
  }

  /// Symbols of more bytes fill the lanes of the kernels alone, and are not worth a copy.
  private static let sideBySideSymbolByteCountMax = 1024

  /// The same for slivers of one axis; result i is of `slivers[i]`. Small symbols are computed side by
  /// side, in a fraction of the time.
  package static func symbols(
    of slivers: [Sliver], crossing targets: [SliverIndex], parameters: EncodingParameters
  ) throws(SliverShapeError) -> [[UInt8]] {
    guard let first = slivers.first else { return [] }
    for sliver in slivers { try sliver.checkShape(parameters: parameters) }
    for target in targets where Int(target.value) >= parameters.shardCount {
      throw .indexOutOfRange(index: target, shardCount: parameters.shardCount)
    }
    let plan = PlanCache.symbols(
      targets.map { Int($0.value) }, ofSources: parameters.code(expanding: first.axis))
    let s = first.symbolByteCount
    do {
      guard slivers.count > 1, s <= sideBySideSymbolByteCountMax,
        slivers.allSatisfy({ $0.symbolByteCount == s })
      else {
        return try slivers.map { (sliver) throws(ReedSolomonError) in
          try plan.decode(sliver.bytes.span, symbolByteCount: sliver.symbolByteCount)
        }
      }
      let byteCount = targets.count * s
      let sources = slivers.flatMap(\.bytes)
      var symbols = [UInt8](repeating: 0, count: slivers.count * byteCount)
      try unsafe sources.withUnsafeBytes { sources in
        unsafe symbols.withUnsafeMutableBytes { symbols in
          var scratch = CodecScratch()
          return Result { () throws(ReedSolomonError) in
            try unsafe plan.decode(
              .grid(
                SymbolGrid(sources, symbolStride: s, codewordStride: first.bytes.count)),
              into: MutableSymbolGrid(symbols, symbolStride: s, codewordStride: byteCount),
              symbolByteCount: s, codewordCount: slivers.count, scratch: &scratch)
          }
        }
      }.get()
      return slivers.indices.map { Array(symbols[$0 * byteCount..<($0 + 1) * byteCount]) }
    } catch {
      preconditionFailure("symbols \(targets) of checked slivers: \(error)")
    }
  }

  private func checkShape(parameters: EncodingParameters) throws(SliverShapeError) {
    guard Int(index.value) < parameters.shardCount else {
      throw .indexOutOfRange(index: index, shardCount: parameters.shardCount)
    }
    guard symbolByteCount.isMultiple(of: EncodingParameters.symbolByteAlignment) else {
      throw .symbolByteCountInvalid(symbolByteCount)
    }
    let expected = parameters.sliverByteCount(axis, symbolByteCount: symbolByteCount)
    guard bytes.count == expected else {
      throw .byteCountMismatch(axis: axis, byteCount: bytes.count, expected: expected)
    }
  }
}

/// A sliver, its symbols and their tree.
package struct ExpandedSliver: Sendable {
  package let sliver: Sliver
  package let shardCount: Int
  /// n symbols, one after the other.
  package let symbols: [UInt8]
  package let tree: MerkleTree

  init(sliver: Sliver, shardCount: Int, symbols: [UInt8]) {
    self.sliver = sliver
    self.shardCount = shardCount
    self.symbols = symbols
    tree = MerkleTree(symbols: symbols.span, symbolByteCount: sliver.symbolByteCount)
  }

  package var root: MerkleNode { tree.root }

  /// One of the n symbols, by its place in the sliver.
  package func symbol(at position: Int) -> ArraySlice<UInt8> {
    precondition((0..<shardCount).contains(position), "symbol \(position) of \(shardCount)")
    let s = sliver.symbolByteCount
    return symbols[position * s..<(position + 1) * s]
  }

  /// What sliver `target` of the other axis needs from this one, without proof. It must exist.
  package func decodingSymbol(for target: SliverIndex) -> DecodingSymbol {
    DecodingSymbol(sourceIndex: sliver.index, bytes: Array(symbol(at: Int(target.value))))
  }

  package func recoverySymbol(for target: SliverIndex) -> RecoverySymbol {
    RecoverySymbol(
      symbol: decodingSymbol(for: target), proof: tree.proof(ofLeaf: Int(target.value)))
  }

  package func generalRecoverySymbol(for target: SliverIndex) -> GeneralRecoverySymbol {
    GeneralRecoverySymbol(
      targetAxis: sliver.axis.other, symbol: decodingSymbol(for: target), targetIndex: target,
      proof: tree.proof(ofLeaf: Int(target.value)))
  }
}
