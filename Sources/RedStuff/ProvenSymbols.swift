// ProvenSymbols.swift
//
// A few symbols of one sliver with their Merkle paths: what a degraded read fetches when it does
// not need the whole sliver. Checked in hash lanes, level by level, since there may be hundreds.

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
    let computed = foldPaths(symbolByteCount: s)
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

  /// The root that each symbol and its path lead to.
  private func foldPaths(symbolByteCount: Int) -> [Digest] {
    let count = positions.count
    let pairByteCount = 2 * Digest.byteCount
    let leaves = Scratch(byteCount: count * Digest.byteCount)
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe HashLanes.hashLeaves(
        base, symbolByteCount: symbolByteCount, count: count, into: leaves.base)
    }
    var current = (0..<count).map { unsafe Digest(at: leaves.base + $0 * Digest.byteCount) }
    let pairs = Scratch(byteCount: count * pairByteCount)
    for level in 0..<(paths.map(\.path.count).max() ?? 0) {
      let climbing = paths.indices.filter { paths[$0].path.count > level }
      for (slot, entry) in climbing.enumerated() {
        let sibling = paths[entry].path[level].hashedDigest
        let isLeft = (positions[entry] >> level).isMultiple(of: 2)
        let pair = unsafe pairs.base + slot * pairByteCount
        unsafe (isLeft ? current[entry] : sibling).store(at: pair)
        unsafe (isLeft ? sibling : current[entry]).store(at: pair + Digest.byteCount)
      }
      unsafe HashLanes.hashInner(pairs.base, count: climbing.count, into: pairs.base)
      for (slot, entry) in climbing.enumerated() {
        current[entry] = unsafe Digest(at: pairs.base + slot * Digest.byteCount)
      }
    }
    return current
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
