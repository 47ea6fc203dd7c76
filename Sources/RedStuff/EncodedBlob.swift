// EncodedBlob.swift
//
// The result of encoding: all slivers in two blocks of memory, and the names of everything. Slivers
// are copied out when they are asked for, so memory goes back as a whole when the last use ends.

/// An encoded blob.
package final class EncodedBlob: Sendable {
  package let metadata: VerifiedBlobMetadata
  private let rows: SharedBytes
  private let columns: SliverColumns

  init(metadata: VerifiedBlobMetadata, rows: SharedBytes, repairColumns: SharedBytes) {
    self.metadata = metadata
    self.rows = rows
    columns = SliverColumns(
      parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount, rows: rows,
      repairColumns: repairColumns)
  }

  package var blobID: BlobID { metadata.blobID }
  package var parameters: EncodingParameters { metadata.parameters }
  package var symbolByteCount: Int { metadata.symbolByteCount }

  /// A copy of one sliver, which must exist.
  package func sliver(_ axis: SliverAxis, _ index: SliverIndex) -> Sliver {
    precondition(
      Int(index.value) < parameters.shardCount,
      "\(index) does not exist among \(parameters.shardCount)")
    let byteCount = parameters.sliverByteCount(axis, symbolByteCount: symbolByteCount)
    let bytes =
      switch axis {
      case .primary: rows.bytes(Int(index.value) * byteCount..<(Int(index.value) + 1) * byteCount)
      case .secondary: columns.bytes(Int(index.value))
      }
    return Sliver(axis: axis, index: index, symbolByteCount: symbolByteCount, bytes: bytes)
  }

  /// Copies of both slivers of a pair, which must exist.
  package func pair(_ index: SliverPairIndex) -> SliverPair {
    let n = parameters.shardCount
    return SliverPair(
      primary: sliver(.primary, index.sliver(.primary, shardCount: n)),
      secondary: sliver(.secondary, index.sliver(.secondary, shardCount: n)))
  }
}

/// The secondary slivers: the first k2 are columns of the rows, the others are stored as they are.
struct SliverColumns: Sendable {
  let parameters: EncodingParameters
  let symbolByteCount: Int
  let rows: SharedBytes
  let repairColumns: SharedBytes

  var columnByteCount: Int {
    parameters.sliverByteCount(.secondary, symbolByteCount: symbolByteCount)
  }

  /// Copies a column that exists to where there is room for it.
  func copy(_ column: Int, to target: UnsafeMutablePointer<UInt8>) {
    let sourceCount = parameters.secondarySourceCount
    guard column < sourceCount else {
      let start = (column - sourceCount) * columnByteCount
      unsafe target.update(from: repairColumns.base + start, count: columnByteCount)
      return
    }
    for row in 0..<parameters.primarySourceCount {
      let start = (row * sourceCount + column) * symbolByteCount
      unsafe (target + row * symbolByteCount).update(
        from: rows.base + start, count: symbolByteCount)
    }
  }

  func bytes(_ column: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: columnByteCount) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      unsafe copy(column, to: base)
      count = columnByteCount
    }
  }
}
