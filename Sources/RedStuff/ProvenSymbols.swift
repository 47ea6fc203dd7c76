// ProvenSymbols.swift
//
// A few symbols of one sliver with their Merkle paths: what a degraded read fetches when it does
// not need the whole sliver.

/// Symbols of one sliver, and the paths that prove them.
package struct ProvenSymbols: Hashable, Sendable {
  package let axis: SliverAxis
  package let index: SliverIndex
  /// Where each symbol stands in the sliver, which is the index of the sliver that crosses there.
  package let positions: [Int]
  /// The symbols, one after the other.
  package let bytes: [UInt8]
  /// One path per symbol.
  package let paths: [MerkleProof]

  package init(
    axis: SliverAxis, index: SliverIndex, positions: [Int], bytes: [UInt8], paths: [MerkleProof]
  ) {
    self.axis = axis
    self.index = index
    self.positions = positions
    self.bytes = bytes
    self.paths = paths
  }
}

/// Why symbols cannot be used.
package enum ProvenSymbolsError: Error, Equatable {
  case indexOutOfRange(index: SliverIndex, shardCount: Int)
  /// The counts of bytes, positions and paths do not fit together.
  case shapeMismatch(positionCount: Int, pathCount: Int, byteCount: Int, symbolByteCount: Int)
  /// These entries of `positions` are not what the metadata describes; the others are.
  case wrongSymbols(entries: [Int])
}

extension ProvenSymbols {
  /// Throws unless every symbol stands at its place in the sliver that the metadata describes.
  package func verify(against metadata: VerifiedBlobMetadata) throws(ProvenSymbolsError) {
    guard let root = metadata.metadata.hash(of: axis, at: index) else {
      throw .indexOutOfRange(index: index, shardCount: metadata.shardCount)
    }
    let s = metadata.symbolByteCount
    // Divided, not multiplied: counts from outside must not overflow.
    guard bytes.count.isMultiple(of: s), bytes.count / s == positions.count,
      paths.count == positions.count
    else {
      throw .shapeMismatch(
        positionCount: positions.count, pathCount: paths.count, byteCount: bytes.count,
        symbolByteCount: s)
    }
    let computed = MerklePaths.roots(
      symbols: bytes, symbolByteCount: s, positions: positions, paths: paths)
    let wrong = positions.indices.filter { entry in
      let position = positions[entry]
      guard (0..<metadata.shardCount).contains(position) else { return true }
      do {
        try paths[entry].checkShape(leafIndex: position, leafCount: metadata.shardCount)
      } catch {
        return true
      }
      return root != .digest(computed[entry])
    }
    guard wrong.isEmpty else { throw .wrongSymbols(entries: wrong) }
  }
}

extension ExpandedSliver {
  /// Symbols at the given places, which must exist, with their paths.
  package func provenSymbols(at positions: [Int]) -> ProvenSymbols {
    ProvenSymbols(
      axis: sliver.axis, index: sliver.index, positions: positions,
      bytes: positions.flatMap { symbol(at: $0) },
      paths: positions.map { tree.proof(ofLeaf: $0) })
  }
}
