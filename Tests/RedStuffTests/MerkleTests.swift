// MerkleTests.swift
//
// Trees and paths against the reference implementation, and the paths that must not pass.

import Testing

@testable import RedStuff

@Suite struct MerkleTests {
  private struct File: Decodable {
    struct Tree: Decodable {
      struct Proof: Decodable {
        var index: Int
        var proof_bcs: String
      }
      var name: String
      var n_leaves: Int
      var leaves: [String]?
      var root: String
      var proofs: [Proof]
    }
    var trees: [Tree]
  }

  private func leaves(_ count: Int, seed: UInt64 = 3000) -> [[UInt8]] {
    (0..<count).map { generatedBytes(seed: seed + UInt64($0), count: 4) }
  }

  @Test func `roots and paths agree with the reference`() throws {
    var treeCount = 0
    var proofCount = 0
    for vector in try vectors("merkle", as: File.self).trees {
      treeCount += 1
      let leaves = try vector.leaves?.map { try bytes(hex: $0) } ?? leaves(vector.n_leaves)
      #expect(leaves.count == vector.n_leaves)
      let tree = MerkleTree(leaves: leaves)
      if leaves.isEmpty {
        #expect(tree.root == .empty)
        #expect(vector.root == Digest.zero.hex)
      } else {
        #expect(tree.root == .digest(try #require(Digest(hex: vector.root))), "\(vector.name)")
      }
      for expected in vector.proofs {
        proofCount += 1
        let proof = tree.proof(ofLeaf: expected.index)
        #expect(proof.bcsBytes.hex == expected.proof_bcs, "\(vector.name) \(expected.index)")
        #expect(try MerkleProof(bcs: bytes(hex: expected.proof_bcs)) == proof)
        try proof.verify(
          leaves[expected.index], leafIndex: expected.index, leafCount: leaves.count,
          root: tree.root)
      }
    }
    #expect(treeCount == 17)
    #expect(proofCount == 76)
  }

  @Test func `every leaf of every small tree has a path that verifies`() throws {
    for count in 1...70 {
      let leaves = leaves(count)
      let tree = MerkleTree(leaves: leaves)
      let symbols = leaves.flatMap(\.self)
      let symbolTree = MerkleTree(symbols: symbols.span, symbolByteCount: 4)
      #expect(symbolTree.root == tree.root)
      #expect(tree.root == PlainEncoding.root(leaves), "\(count) leaves")
      for index in 0..<count {
        let proof = tree.proof(ofLeaf: index)
        #expect(proof.path.count == MerkleProof.pathLength(leafCount: count))
        try proof.verify(
          leaves[index], leafIndex: index, leafCount: count, root: tree.root)
      }
    }
  }

  @Test func `trees reduced together have the roots of trees built alone`() throws {
    for count in 1...70 {
      for treeCount in [1, 2, 3, 8, 9] {
        let trees = (0..<treeCount).map { leaves(count, seed: UInt64(1000 * $0)) }
        let width = count == 1 ? 2 : (count + 1) / 2 * 2
        let scratch = Scratch(byteCount: treeCount * width * Digest.byteCount)
        for (row, leaves) in trees.enumerated() {
          for column in 0..<width {
            let digest = column < count ? MerkleTree(leaves: [leaves[column]]).root : .empty
            unsafe digest.hashedDigest.store(
              at: scratch.base + (row * width + column) * Digest.byteCount)
          }
        }
        unsafe HashLanes.reduceTrees(scratch.base, treeCount: treeCount, leafCount: count)
        for (row, leaves) in trees.enumerated() {
          let root = unsafe Digest(at: scratch.base + row * Digest.byteCount)
          #expect(.digest(root) == MerkleTree(leaves: leaves).root, "\(count) \(treeCount) \(row)")
        }
      }
    }
  }

  @Test func `a path that is too long is refused`() throws {
    let leaves = leaves(5)
    let tree = MerkleTree(leaves: leaves)
    let proof = MerkleProof(path: tree.proof(ofLeaf: 0).path + [.empty])
    #expect(throws: MerkleProofError.pathTooLong(nodeCount: 4, nodeCountMax: 3)) {
      try proof.verify(leaves[0], leafIndex: 0, leafCount: 5, root: tree.root)
    }
  }

  @Test func `a shortened path does not reach the root`() throws {
    let leaves = leaves(5)
    let tree = MerkleTree(leaves: leaves)
    let proof = MerkleProof(path: tree.proof(ofLeaf: 0).path.dropLast())
    #expect(throws: MerkleProofError.rootMismatch(leafIndex: 0)) {
      try proof.verify(leaves[0], leafIndex: 0, leafCount: 5, root: tree.root)
    }
  }

  // The rule names the count of leaves only as a bound; a smaller tree's root still matches.
  @Test func `a shorter path passes where it is the path of the given root`() throws {
    let leaves = leaves(4)
    let tree = MerkleTree(leaves: leaves)
    try tree.proof(ofLeaf: 3).verify(leaves[3], leafIndex: 3, leafCount: 9, root: tree.root)
  }

  @Test(arguments: [(4, 2), (8, 3), (-1, 3), (Int.max, 3), (Int.min, 0)])
  func `a leaf index that the path cannot reach is refused`(index: Int, nodeCount: Int) throws {
    let proof = MerkleProof(path: [MerkleNode](repeating: .empty, count: nodeCount))
    #expect(throws: MerkleProofError.leafOutOfReach(leafIndex: index, nodeCount: nodeCount)) {
      try proof.verify([1], leafIndex: index, leafCount: 7, root: .empty)
    }
  }

  @Test func `another leaf, place or sibling is refused`() throws {
    let leaves = leaves(7)
    let tree = MerkleTree(leaves: leaves)
    let proof = tree.proof(ofLeaf: 6)
    #expect(proof.path[0] == .empty)
    try proof.verify(leaves[6], leafIndex: 6, leafCount: 7, root: tree.root)
    #expect(throws: MerkleProofError.rootMismatch(leafIndex: 6)) {
      try proof.verify(leaves[5], leafIndex: 6, leafCount: 7, root: tree.root)
    }
    #expect(throws: MerkleProofError.rootMismatch(leafIndex: 5)) {
      try proof.verify(leaves[6], leafIndex: 5, leafCount: 7, root: tree.root)
    }
    for level in proof.path.indices {
      var path = proof.path
      path[level] = .digest(try #require(Digest(bytes: generatedBytes(seed: 1, count: 32))))
      #expect(throws: MerkleProofError.rootMismatch(leafIndex: 6)) {
        try MerkleProof(path: path).verify(
          leaves[6], leafIndex: 6, leafCount: 7, root: tree.root)
      }
    }
  }

  @Test func `an empty root matches no leaf`() throws {
    #expect(throws: MerkleProofError.rootMismatch(leafIndex: 0)) {
      try MerkleProof(path: []).verify([1, 2], leafIndex: 0, leafCount: 1, root: .empty)
    }
  }
}
