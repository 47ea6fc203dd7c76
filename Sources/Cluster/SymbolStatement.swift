// SymbolStatement.swift
//
// A node's signed word on symbols of its sliver, with their paths. Repair asks for it when somebody
// must have lied: symbols that their own paths refute, signed by the node that gave them, convict
// it before anybody who has the blob's metadata.
//
// The signed bytes: the domain line `walrus-swift symbols v1\n`, then BCS of cluster ID (32), node
// (u16), blob ID (32), pair (u16), axis (1), first symbol (u16), number of symbols (u16), the symbols
// (bytes), their paths (sequence).

package import RedStuff

package struct SymbolStatement: Hashable, Sendable {
  private static let domain = "walrus-swift symbols v1\n"

  package var node: NodeID
  package var blob: BlobID
  package var pair: SliverPairIndex
  package var axis: SliverAxis
  /// Places in the expanded sliver.
  package var symbols: Range<Int>
  /// The symbols one after the other.
  package var bytes: [UInt8]
  /// One per symbol.
  package var paths: [MerkleProof]
  /// Ed25519, 64 bytes.
  package var signature: [UInt8]

  /// What `node` answered to `item`. Symbol places are below 65536.
  package init(
    node: NodeID, item: ReadItem, bytes: [UInt8], paths: [MerkleProof], signature: [UInt8] = []
  ) {
    self.node = node
    blob = item.blob
    pair = item.pair
    axis = item.axis
    symbols = item.symbols
    self.bytes = bytes
    self.paths = paths
    self.signature = signature
  }

  package func signedBytes(cluster: ClusterID) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 256 + bytes.count)
    writer.writeFixed(Self.domain.utf8)
    writer.write(cluster)
    encodeUnsigned(to: &writer)
    return writer.bytes
  }

  /// Whether the holder of `publicKey` said this in `cluster`.
  package func verify(cluster: ClusterID, publicKey: [UInt8]) -> Bool {
    NodeSigner.isValid(signature, of: signedBytes(cluster: cluster), publicKey: publicKey)
  }

  /// Whether it is false: what it says is not what the metadata of the same blob describes.
  package func isRefuted(by metadata: VerifiedBlobMetadata) -> Bool {
    guard metadata.blobID == blob, Int(pair.value) < metadata.shardCount else { return false }
    do throws(ProvenSymbolsError) {
      try ProvenSymbols(
        axis: axis, index: pair.sliver(axis, shardCount: metadata.shardCount),
        positions: Array(symbols), bytes: bytes, paths: paths
      ).verify(against: metadata)
      return false
    } catch {
      return true
    }
  }

  private func encodeUnsigned(to writer: inout BCSWriter) {
    writer.write(node)
    writer.write(blob)
    writer.write(pair)
    writer.write(axis)
    writer.write(UInt16(symbols.lowerBound))
    writer.write(UInt16(symbols.count))
    writer.writeBytes(bytes)
    writer.write(paths)
  }
}

extension SymbolStatement: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    node = try reader.read()
    blob = try reader.read()
    pair = try reader.read()
    axis = try reader.read()
    let first = Int(try reader.readUInt16())
    let count = Int(try reader.readUInt16())
    symbols = first..<first + count
    bytes = try reader.readBytes()
    paths = try reader.readArray(countMax: count)
    signature = try reader.readFixed(StorageConfirmation.signatureByteCount)
  }

  /// The signature must be 64 bytes long.
  package func encode(to writer: inout BCSWriter) {
    precondition(
      signature.count == StorageConfirmation.signatureByteCount, "no Ed25519 signature")
    encodeUnsigned(to: &writer)
    writer.writeFixed(signature)
  }
}

extension NodeSigner {
  /// The node's word on its answer to `item`.
  package func statement(
    on item: ReadItem, bytes: [UInt8], paths: [MerkleProof], cluster: ClusterID
  ) -> SymbolStatement {
    var statement = SymbolStatement(node: node, item: item, bytes: bytes, paths: paths)
    statement.signature = sign(statement.signedBytes(cluster: cluster))
    return statement
  }
}
