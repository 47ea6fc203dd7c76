// MerkleProof.swift
//
// The siblings on the way from a leaf to the root, which prove that a symbol stands at its place in
// a sliver without the other symbols.
//
// leaf = H(00 || data), inner = H(01 || left || right), an empty node counting as 32 zero bytes.

/// Why a symbol does not belong to a root.
package enum MerkleProofError: Error, Equatable {
  /// The path has more nodes than a tree of that many leaves is high.
  case pathTooLong(nodeCount: Int, nodeCountMax: Int)
  /// No leaf of a tree as high as the path has that index.
  case leafOutOfReach(leafIndex: Int, nodeCount: Int)
  /// The symbol, its place or the path is not what the root was made from.
  case rootMismatch(leafIndex: Int)
}

/// The sibling at each level from the leaves up, without the root.
package struct MerkleProof: Hashable, Sendable {
  package let path: [MerkleNode]

  package init(path: [MerkleNode]) {
    self.path = path
  }

  /// The nodes in a path of a tree with `leafCount` leaves.
  package static func pathLength(leafCount: Int) -> Int {
    leafCount <= 1 ? 0 : Int.bitWidth - (leafCount - 1).leadingZeroBitCount
  }

  /// Throws unless `data` is leaf `leafIndex` of the tree with `leafCount` leaves and this root.
  ///
  /// A shorter path is not refused by itself: it can only match the root of a smaller tree. An
  /// empty root matches nothing.
  package func verify(
    _ data: Span<UInt8>, leafIndex: Int, leafCount: Int, root: MerkleNode
  ) throws(MerkleProofError) {
    try checkShape(leafIndex: leafIndex, leafCount: leafCount)
    var current = Digest(hashing: data, prefix: MerkleTree.leafPrefix)
    var position = leafIndex
    for sibling in path {
      current =
        position.isMultiple(of: 2)
        ? MerkleTree.inner(current, sibling.hashedDigest)
        : MerkleTree.inner(sibling.hashedDigest, current)
      position /= 2
    }
    guard root == .digest(current) else { throw .rootMismatch(leafIndex: leafIndex) }
  }

  package func verify(
    _ data: [UInt8], leafIndex: Int, leafCount: Int, root: MerkleNode
  ) throws(MerkleProofError) {
    try verify(data.span, leafIndex: leafIndex, leafCount: leafCount, root: root)
  }

  func checkShape(leafIndex: Int, leafCount: Int) throws(MerkleProofError) {
    let nodeCountMax = Self.pathLength(leafCount: leafCount)
    guard path.count <= nodeCountMax else {
      throw .pathTooLong(nodeCount: path.count, nodeCountMax: nodeCountMax)
    }
    guard leafIndex >= 0, leafIndex >> path.count == 0 else {
      throw .leafOutOfReach(leafIndex: leafIndex, nodeCount: path.count)
    }
  }
}

extension MerkleProof: BCSCodable {
  /// Enough for any tree over 16-bit indices.
  static let nodeCountMax = 16

  package init(from reader: inout BCSReader) throws(BCSError) {
    path = try reader.readArray(countMax: Self.nodeCountMax)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(path)
  }
}
