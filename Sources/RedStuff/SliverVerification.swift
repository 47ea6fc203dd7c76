// SliverVerification.swift
//
// Is this sliver what the metadata says? Whole slivers need no proofs: they are expanded to all n
// symbols and their Merkle root is compared.

/// Why a sliver is not the one that the metadata describes, in the order of the checks.
package enum SliverVerificationError: Error, Hashable {
  case indexOutOfRange(index: SliverIndex, shardCount: Int)
  case byteCountMismatch(byteCount: Int, expected: Int)
  case symbolByteCountMismatch(symbolByteCount: Int, expected: Int)
  /// The bytes are wrong, or, if they were decoded from verified symbols, the blob is bad.
  case rootMismatch(axis: SliverAxis, index: SliverIndex)
}

extension SliverVerificationError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .indexOutOfRange(let index, let shardCount):
      "\(index) does not exist among \(shardCount)"
    case .byteCountMismatch(let byteCount, let expected):
      "it has \(byteCount) bytes where the metadata says \(expected)"
    case .symbolByteCountMismatch(let symbolByteCount, let expected):
      "its symbols have \(symbolByteCount) bytes where the metadata says \(expected)"
    case .rootMismatch(let axis, let index):
      "the bytes of \(axis) \(index) do not have the hash in the metadata"
    }
  }
}

extension Sliver {
  /// Throws unless this is the sliver that the metadata describes. Cost: one line of the code, and
  /// 2n hashes.
  package func verify(
    against metadata: VerifiedBlobMetadata
  ) throws(SliverVerificationError) {
    if let failure = Sliver.failures([self], against: metadata)[0] { throw failure }
  }

  /// All checks but the root, which costs most.
  package func verifyShape(
    against metadata: VerifiedBlobMetadata
  ) throws(SliverVerificationError) {
    guard Int(index.value) < metadata.shardCount else {
      throw .indexOutOfRange(index: index, shardCount: metadata.shardCount)
    }
    let expected = metadata.sliverByteCount(axis)
    guard bytes.count == expected else {
      throw .byteCountMismatch(byteCount: bytes.count, expected: expected)
    }
    guard symbolByteCount == metadata.symbolByteCount else {
      throw .symbolByteCountMismatch(
        symbolByteCount: symbolByteCount, expected: metadata.symbolByteCount)
    }
  }

  /// Checks many slivers of one blob; entry i says what is wrong with sliver i, nil for nothing.
  /// Slivers of one axis share transforms and hash lanes, so this is cheaper than one by one.
  package static func failures(
    _ slivers: [Sliver], against metadata: VerifiedBlobMetadata
  ) -> [SliverVerificationError?] {
    var failures = [SliverVerificationError?](repeating: nil, count: slivers.count)
    for axis in SliverAxis.allCases {
      var positions: [Int] = []
      for (position, sliver) in slivers.enumerated() where sliver.axis == axis {
        do {
          try sliver.verifyShape(against: metadata)
          positions.append(position)
        } catch {
          failures[position] = error
        }
      }
      guard !positions.isEmpty else { continue }
      let roots = roots(positions.map { slivers[$0] }, axis: axis, metadata: metadata)
      for (position, root) in zip(positions, roots) {
        let index = slivers[position].index
        if metadata.metadata.hash(of: axis, at: index) != .digest(root) {
          failures[position] = .rootMismatch(axis: axis, index: index)
        }
      }
    }
    return failures
  }

  /// Roots of slivers of one axis whose shapes have been checked.
  private static func roots(
    _ slivers: [Sliver], axis: SliverAxis, metadata: VerifiedBlobMetadata
  ) -> [Digest] {
    ScratchPool.withScratch { roots(slivers, axis: axis, metadata: metadata, scratch: $0) }
  }

  private static func roots(
    _ slivers: [Sliver], axis: SliverAxis, metadata: VerifiedBlobMetadata, scratch: JobScratch
  ) -> [Digest] {
    let s = metadata.symbolByteCount
    let expander = SliverExpander(
      axis: axis, parameters: metadata.parameters, symbolByteCount: s)
    let perBatch = expander.linesPerBatch
    let lines = unsafe scratch.lines.reserve(
      min(perBatch, slivers.count) * expander.lineByteCount)
    var roots: [Digest] = []
    roots.reserveCapacity(slivers.count)
    for first in stride(from: 0, to: slivers.count, by: perBatch) {
      let batch = slivers[first..<min(first + perBatch, slivers.count)]
      for (line, sliver) in batch.enumerated() {
        unsafe (lines + line * expander.lineByteCount).copy(
          from: sliver.bytes, 0..<sliver.bytes.count)
      }
      roots += unsafe expander.roots(lines, lineCount: batch.count, scratch: scratch)
    }
    return roots
  }
}
