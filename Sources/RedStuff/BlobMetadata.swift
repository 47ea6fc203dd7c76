// BlobMetadata.swift
//
// What is known of a blob besides its bytes: its length and the root hash of each of its slivers.
// Whoever holds metadata that matches the blob ID can check every sliver and symbol of the blob.
//
// Invariant of `VerifiedBlobMetadata`: it was recomputed to its blob ID, or made by our encoder.
// Checking slivers against metadata that was not verified proves nothing.
//
// | bytes         | field                                                        |
// |---------------|--------------------------------------------------------------|
// | 1             | version, 00                                                  |
// | 1             | encoding type, 01                                            |
// | 8             | length of the blob                                           |
// | 1-3           | number of pairs, n                                           |
// | 33-66 per pair| primary node, secondary node (00, or 01 and 32 bytes, each)  |

/// The roots of both slivers of a pair.
package struct SliverPairHashes: Hashable, Sendable {
  package let primary: MerkleNode
  package let secondary: MerkleNode

  package init(primary: MerkleNode, secondary: MerkleNode) {
    self.primary = primary
    self.secondary = secondary
  }

  package subscript(axis: SliverAxis) -> MerkleNode {
    axis == .primary ? primary : secondary
  }
}

/// Length and hashes of a blob, as claimed by whoever sent them.
package struct BlobMetadata: Hashable, Sendable {
  package let blobByteCount: UInt64
  /// One per pair, in the order of the pairs.
  package let hashes: [SliverPairHashes]

  package init(blobByteCount: UInt64, hashes: [SliverPairHashes]) {
    self.blobByteCount = blobByteCount
    self.hashes = hashes
  }

  package var shardCount: Int { hashes.count }

  /// The root of sliver `index` of `axis`; nil where there is no such sliver.
  package func hash(of axis: SliverAxis, at index: SliverIndex) -> MerkleNode? {
    guard Int(index.value) < hashes.count else { return nil }
    return hashes[Int(index.pair(axis, shardCount: hashes.count).value)][axis]
  }
}

extension BlobMetadata: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVariant(expecting: 0, of: "BlobMetadata")
    try reader.readVariant(
      expecting: UInt32(EncodingParameters.encodingType), of: "EncodingType")
    blobByteCount = try reader.readUInt64()
    hashes = try reader.readArray(countMax: Int(UInt16.max))
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeVariant(0 as UInt8)
    writer.writeVariant(EncodingParameters.encodingType)
    writer.write(blobByteCount)
    writer.write(hashes)
  }
}

extension SliverPairHashes: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    primary = try reader.read()
    secondary = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(primary)
    writer.write(secondary)
  }
}

/// Metadata with the blob ID that it claims to belong to.
package struct BlobMetadataWithID: Hashable, Sendable {
  package let blobID: BlobID
  package let metadata: BlobMetadata

  package init(blobID: BlobID, metadata: BlobMetadata) {
    self.blobID = blobID
    self.metadata = metadata
  }
}

extension BlobMetadataWithID: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    blobID = try reader.read()
    metadata = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(blobID)
    writer.write(metadata)
  }
}
