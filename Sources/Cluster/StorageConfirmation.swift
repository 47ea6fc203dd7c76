// StorageConfirmation.swift
//
// A node's signed word that all its slivers of a blob are durable. Signed only after sync.
//
// The signed bytes: the domain line `walrus-swift storage confirmation v1\n`, then BCS of cluster
// ID (32), node (u16), epoch (u32), blob ID (32), object ID (32). The object ID makes a confirmation
// good for one registration only: an old one cannot vouch for a later upload.

internal import Crypto
package import RedStuff

package struct StorageConfirmation: Hashable, Sendable {
  /// Of an Ed25519 signature.
  package static let signatureByteCount = 64
  private static let domain = "walrus-swift storage confirmation v1\n"

  package var node: NodeID
  package var epoch: Epoch
  package var blob: BlobID
  package var object: ObjectID
  /// Ed25519, 64 bytes.
  package var signature: [UInt8]

  package init(node: NodeID, epoch: Epoch, blob: BlobID, object: ObjectID, signature: [UInt8]) {
    self.node = node
    self.epoch = epoch
    self.blob = blob
    self.object = object
    self.signature = signature
  }

  package static func signedBytes(
    cluster: ClusterID, node: NodeID, epoch: Epoch, blob: BlobID, object: ObjectID
  ) -> [UInt8] {
    var writer = BCSWriter()
    writer.writeFixed(domain.utf8)
    writer.write(cluster)
    writer.write(node)
    writer.write(epoch)
    writer.write(blob)
    writer.write(object)
    return writer.bytes
  }

  /// Whether the holder of `publicKey` signed this in `cluster`.
  package func verify(cluster: ClusterID, publicKey: [UInt8]) -> Bool {
    let message = Self.signedBytes(
      cluster: cluster, node: node, epoch: epoch, blob: blob, object: object)
    return NodeSigner.isValid(signature, of: message, publicKey: publicKey)
  }
}

extension StorageConfirmation: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    node = try reader.read()
    epoch = try reader.readUInt32()
    blob = try reader.read()
    object = try reader.read()
    signature = try reader.readFixed(Self.signatureByteCount)
  }

  /// The signature must be 64 bytes long.
  package func encode(to writer: inout BCSWriter) {
    precondition(signature.count == Self.signatureByteCount, "no Ed25519 signature")
    writer.write(node)
    writer.write(epoch)
    writer.write(blob)
    writer.write(object)
    writer.writeFixed(signature)
  }
}
