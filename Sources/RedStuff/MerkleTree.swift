// MerkleTree.swift
//
// A binary hash tree over the symbols of a sliver, or over the pair hashes of a blob. Every level
// with an odd number of nodes, above one, gets an empty node appended; this is not the same as
// padding the leaves to a power of two.

/// All nodes of a tree, for proofs of its leaves.
package struct MerkleTree: Sendable {
  static let leafPrefix: UInt8 = 0
  static let innerPrefix: UInt8 = 1

  package let leafCount: Int
  /// Digests level by level, leaves first, each level padded to an even count except the root's.
  private let nodes: [Digest]
  /// Where each level starts in `nodes`, and how many nodes it has without the appended one.
  private let levels: [(start: Int, count: Int)]

  /// Leaves of equal length, one after the other.
  package init(symbols: Span<UInt8>, symbolByteCount: Int) {
    precondition(symbolByteCount > 0 && symbols.count.isMultiple(of: symbolByteCount))
    let leafCount = symbols.count / symbolByteCount
    let (nodeCount, levels) = Self.layout(leafCount: leafCount)
    let scratch = Scratch(byteCount: nodeCount * Digest.byteCount)
    unsafe symbols.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe HashLanes.hashLeaves(
        base, symbolByteCount: symbolByteCount, count: leafCount, into: scratch.base)
    }
    self.init(leafCount: leafCount, nodeCount: nodeCount, levels: levels, leavesIn: scratch)
  }

  /// Leaves of any lengths.
  package init(leaves: [[UInt8]]) {
    let (nodeCount, levels) = Self.layout(leafCount: leaves.count)
    let scratch = Scratch(byteCount: nodeCount * Digest.byteCount)
    for (position, leaf) in leaves.enumerated() {
      let digest = Digest(hashing: leaf.span, prefix: Self.leafPrefix)
      unsafe digest.store(at: scratch.base + position * Digest.byteCount)
    }
    self.init(leafCount: leaves.count, nodeCount: nodeCount, levels: levels, leavesIn: scratch)
  }

  private init(
    leafCount: Int, nodeCount: Int, levels: [(start: Int, count: Int)],
    leavesIn scratch: borrowing Scratch
  ) {
    for (level, above) in zip(levels, levels.dropFirst()) {
      let start = unsafe scratch.base + level.start * Digest.byteCount
      if !level.count.isMultiple(of: 2) {
        unsafe Digest.zero.store(at: start + level.count * Digest.byteCount)
      }
      unsafe HashLanes.hashInner(
        start, count: above.count, into: scratch.base + above.start * Digest.byteCount)
    }
    self.leafCount = leafCount
    self.levels = levels
    var nodes: [Digest] = []
    nodes.reserveCapacity(nodeCount)
    for node in 0..<nodeCount {
      nodes.append(unsafe Digest(at: scratch.base + node * Digest.byteCount))
    }
    self.nodes = nodes
  }

  package var root: MerkleNode { nodes.last.map(MerkleNode.digest) ?? .empty }

  /// Nodes over all levels, appended ones included.
  package static func nodeCount(leafCount: Int) -> Int { layout(leafCount: leafCount).nodeCount }

  /// The path of a leaf that exists.
  package func proof(ofLeaf leafIndex: Int) -> MerkleProof {
    precondition((0..<leafCount).contains(leafIndex), "leaf \(leafIndex) of \(leafCount)")
    var path: [MerkleNode] = []
    var position = leafIndex
    for level in levels.dropLast() {
      let sibling = position ^ 1
      path.append(sibling < level.count ? .digest(nodes[level.start + sibling]) : .empty)
      position /= 2
    }
    return MerkleProof(path: path)
  }

  static func inner(_ left: Digest, _ right: Digest) -> Digest {
    var hash = Blake2b()
    hash.update(innerPrefix)
    hash.update(left)
    hash.update(right)
    return hash.finish()
  }

  private static func layout(
    leafCount: Int
  ) -> (nodeCount: Int, levels: [(start: Int, count: Int)]) {
    var levels: [(start: Int, count: Int)] = []
    var start = 0
    var count = leafCount
    while count > 0 {
      levels.append((start, count))
      guard count > 1 else { break }
      start += (count + 1) / 2 * 2
      count = (count + 1) / 2
    }
    return (nodeCount: leafCount == 0 ? 0 : start + 1, levels)
  }
}
