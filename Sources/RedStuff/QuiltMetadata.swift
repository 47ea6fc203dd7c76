// QuiltMetadata.swift
//
// All that is known of a quilt besides the bytes of its patches: its ID, the metadata of its blob, and
// its index. Nothing here sends it; it is one of Walrus' formats, for tools that keep it.
//
// | bytes         | field                                  |
// |---------------|----------------------------------------|
// | 1             | version, 00 (V1)                       |
// | 32            | quilt ID                               |
// | see there     | BlobMetadata                           |
// | see there     | QuiltIndex, without version and length |

/// What is known of a quilt.
package struct QuiltMetadata: Hashable, Sendable {
  package let quilt: BlobID
  package let metadata: BlobMetadata
  package let index: QuiltIndex

  package init(quilt: BlobID, metadata: BlobMetadata, index: QuiltIndex) {
    self.quilt = quilt
    self.metadata = metadata
    self.index = index
  }
}

extension QuiltMetadata: BCSCodable {
  /// Start columns follow from the shape of the blob, so its metadata has to be that of a quilt.
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVariant(expecting: 0, of: "QuiltMetadata")
    quilt = try reader.read()
    metadata = try reader.read()
    let shape: QuiltShape
    do {
      shape = try QuiltShape(
        parameters: EncodingParameters(shardCount: metadata.shardCount),
        blobByteCount: metadata.blobByteCount)
    } catch {
      throw .invalidValue(type: "QuiltMetadata", reason: "\(error)")
    }
    index = try QuiltIndex(from: &reader, shape: shape)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeVariant(0 as UInt8)
    writer.write(quilt)
    writer.write(metadata)
    index.encode(to: &writer)
  }
}
