// PlainEncoding.swift
//
// The encoder as the specification tells it: one line, one symbol, one hash after the other. The
// twin that the fast encoder must agree with.

import ReedSolomon

@testable import RedStuff

struct PlainEncoding {
  let parameters: EncodingParameters
  /// n rows of n symbols.
  let symbols: [[[UInt8]]]
  let metadata: BlobMetadata

  init(_ blob: [UInt8], parameters: EncodingParameters) throws {
    let n = parameters.shardCount
    let (k1, k2) = (parameters.primarySourceCount, parameters.secondarySourceCount)
    let s = try parameters.symbolByteCount(forBlobOf: UInt64(blob.count))
    let padded = blob + [UInt8](repeating: 0, count: k1 * k2 * s - blob.count)

    var symbols = try (0..<k1).map { row in
      try Self.expanded(Array(padded[row * k2 * s..<(row + 1) * k2 * s]), to: n, s)
    }
    let columns = try (0..<n).map { column in
      try Self.expanded((0..<k1).flatMap { symbols[$0][column] }, to: n, s)
    }
    symbols += (k1..<n).map { row in columns.map { $0[row] } }

    let rowRoots = symbols.map { Self.root($0) }
    let columnRoots = columns.map { Self.root($0) }
    metadata = BlobMetadata(
      blobByteCount: UInt64(blob.count),
      hashes: (0..<n).map {
        SliverPairHashes(primary: rowRoots[$0], secondary: columnRoots[n - 1 - $0])
      })
    self.parameters = parameters
    self.symbols = symbols
  }

  func slivers(_ axis: SliverAxis) -> [[UInt8]] {
    let n = parameters.shardCount
    switch axis {
    case .primary:
      return symbols.map { $0.prefix(parameters.secondarySourceCount).flatMap(\.self) }
    case .secondary:
      let rows = symbols.prefix(parameters.primarySourceCount)
      return (0..<n).map { column in rows.flatMap { $0[column] } }
    }
  }

  /// All symbols of a line from its source symbols.
  private static func expanded(_ source: [UInt8], to n: Int, _ s: Int) throws -> [[UInt8]] {
    let k = source.count / s
    let code = try ReedSolomonCode(sourceCount: k, repairCount: n - k)
    let all = source + (try code.encode(source.span, symbolByteCount: s))
    return (0..<n).map { Array(all[$0 * s..<($0 + 1) * s]) }
  }

  /// The Merkle root of section 4.1, without any tree.
  static func root(_ leaves: [[UInt8]]) -> MerkleNode {
    var level: [MerkleNode] = leaves.map { .digest(Digest(hashing: [0] + $0)) }
    while level.count > 1 {
      if !level.count.isMultiple(of: 2) { level.append(.empty) }
      level = stride(from: 0, to: level.count, by: 2).map {
        .digest(Digest(hashing: [1] + bytes(of: level[$0]) + bytes(of: level[$0 + 1])))
      }
    }
    return level.first ?? .empty
  }

  private static func bytes(of node: MerkleNode) -> [UInt8] {
    switch node {
    case .empty: [UInt8](repeating: 0, count: Digest.byteCount)
    case .digest(let digest): digest.bytes
    }
  }
}
