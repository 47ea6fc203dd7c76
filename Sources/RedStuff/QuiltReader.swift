// QuiltReader.swift
//
// Patches out of a whole quilt in memory. Who has slivers or a cluster reads just the columns that it
// needs; what is here serves those who hold the blob anyway.

/// A quilt whose bytes are at hand.
package struct QuiltReader: Sendable {
  package let shape: QuiltShape
  package let index: QuiltIndex
  private let blob: [UInt8]

  /// Reads the index. The shard count decides what the columns of the blob are.
  package init(_ blob: [UInt8], parameters: EncodingParameters) throws(QuiltFormatError) {
    let shape = try QuiltShape(parameters: parameters, blobByteCount: UInt64(blob.count))
    let start = shape.read(
      0..<min(QuiltIndex.prefixByteCount, shape.byteCount), ofStreamFrom: 0, in: blob)
    let byteCount = try QuiltIndex.streamByteCount(announcedBy: start, shape: shape)
    index = try QuiltIndex(
      stream: shape.read(0..<byteCount, ofStreamFrom: 0, in: blob), shape: shape)
    self.shape = shape
    self.blob = blob
  }

  /// A patch that the index names.
  package func patch(_ entry: QuiltIndexEntry) throws(QuiltFormatError) -> QuiltPatch {
    let patch = try QuiltPatch(columns: bytes(of: entry.columns))
    _ = try patch.header.checked(against: entry)
    return patch
  }

  /// The first patch of this identifier; nil if there is none.
  package func patch(
    identifiedBy identifier: QuiltIdentifier
  ) throws(QuiltFormatError) -> QuiltPatch? {
    guard let entry = index.entry(identifiedBy: identifier) else { return nil }
    return try patch(entry)
  }

  private func bytes(of columns: Range<Int>) -> [UInt8] {
    shape.read(
      0..<columns.count * shape.columnByteCount, ofStreamFrom: columns.lowerBound, in: blob)
  }
}
