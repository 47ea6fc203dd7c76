// MerklePaths.swift
//
// Many paths followed at once, level by level in hash lanes. Neighbours in one tree have most of their
// path in common, so what was just hashed is not hashed again: a run of symbols costs little more
// than one hash each.

enum MerklePaths {
  /// The root that each symbol leads to by its path; `symbols` holds them one after the other,
  /// `positions` their places in their trees. Whether a path may be that long is the caller's check.
  static func roots(
    symbols: [UInt8], symbolByteCount: Int, positions: [Int], paths: [MerkleProof]
  ) -> [Digest] {
    let count = positions.count
    precondition(symbols.count == count * symbolByteCount && paths.count == count)
    let leaves = Scratch(byteCount: count * Digest.byteCount)
    unsafe symbols.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe HashLanes.hashLeaves(
        base, symbolByteCount: symbolByteCount, count: count, into: leaves.base)
    }
    var current = (0..<count).map { unsafe Digest(at: leaves.base + $0 * Digest.byteCount) }
    let pairs = Scratch(byteCount: count * 2 * Digest.byteCount)
    for level in 0..<(paths.map(\.path.count).max() ?? 0) {
      climb(&current, to: level, positions: positions, paths: paths, pairs: pairs)
    }
    return current
  }

  /// Takes every node whose path goes on from `level` to its parent.
  private static func climb(
    _ current: inout [Digest], to level: Int, positions: [Int], paths: [MerkleProof],
    pairs: borrowing Scratch
  ) {
    var pairCount = 0
    var last: (left: Digest, right: Digest)?
    var climbing: [(entry: Int, pair: Int)] = []
    for (entry, proof) in paths.enumerated() where proof.path.count > level {
      let sibling = proof.path[level].hashedDigest
      let isLeft = (positions[entry] >> level).isMultiple(of: 2)
      let (left, right) = isLeft ? (current[entry], sibling) : (sibling, current[entry])
      if last?.left != left || last?.right != right {
        let pair = unsafe pairs.base + pairCount * 2 * Digest.byteCount
        unsafe left.store(at: pair)
        unsafe right.store(at: pair + Digest.byteCount)
        last = (left, right)
        pairCount += 1
      }
      climbing.append((entry, pairCount - 1))
    }
    unsafe HashLanes.hashInner(pairs.base, count: pairCount, into: pairs.base)
    for (entry, pair) in climbing {
      current[entry] = unsafe Digest(at: pairs.base + pair * Digest.byteCount)
    }
  }
}
