// EncodedBlob.swift
//
// The result of encoding: all slivers in two blocks of memory, and the names of everything. Slivers
// are copied out when they are asked for, so memory goes back as a whole when the last use ends.

/// An encoded blob.
package final class EncodedBlob: Sendable {
  package let metadata: VerifiedBlobMetadata
  private let primary: SharedBytes
  private let secondary: SharedBytes

  init(metadata: VerifiedBlobMetadata, primary: SharedBytes, secondary: SharedBytes) {
    self.metadata = metadata
    self.primary = primary
    self.secondary = secondary
  }

  package var blobID: BlobID { metadata.blobID }
  package var parameters: EncodingParameters { metadata.parameters }
  package var symbolByteCount: Int { metadata.symbolByteCount }

  /// A copy of one sliver, which must exist.
  package func sliver(_ axis: SliverAxis, _ index: SliverIndex) -> Sliver {
    Sliver(
      axis: axis, index: index, symbolByteCount: symbolByteCount,
      bytes: storage(axis).bytes(range(axis, index)))
  }

  /// Copies of both slivers of a pair, which must exist.
  package func pair(_ index: SliverPairIndex) -> SliverPair {
    let n = parameters.shardCount
    return SliverPair(
      primary: sliver(.primary, index.sliver(.primary, shardCount: n)),
      secondary: sliver(.secondary, index.sliver(.secondary, shardCount: n)))
  }

  /// Lends the bytes of one sliver without copying.
  package func withSliverBytes<Value>(
    _ axis: SliverAxis, _ index: SliverIndex, _ body: (Span<UInt8>) -> Value
  ) -> Value {
    storage(axis).withSpan(range(axis, index), body)
  }

  private func storage(_ axis: SliverAxis) -> SharedBytes {
    axis == .primary ? primary : secondary
  }

  private func range(_ axis: SliverAxis, _ index: SliverIndex) -> Range<Int> {
    precondition(
      Int(index.value) < parameters.shardCount,
      "\(index) does not exist among \(parameters.shardCount)")
    let byteCount = parameters.sliverByteCount(axis, symbolByteCount: symbolByteCount)
    return Int(index.value) * byteCount..<(Int(index.value) + 1) * byteCount
  }
}
