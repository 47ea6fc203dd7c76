// SyncAndCertificates.swift
//
// Copying a shard between nodes of the reference network, signed messages, and certificates. The
// signatures are opaque bytes of fixed length; verifying them is not this module's business.

/// "Send me slivers of this shard, from this blob on."
package struct SyncShardRequest: SignableMessageBody {
  package static let intent = MessageIntent.syncShard

  package let shard: ShardIndex
  package let axis: SliverAxis
  package let startingBlobID: BlobID
  package let sliverCount: UInt64
  package let epoch: UInt32

  package init(
    shard: ShardIndex, axis: SliverAxis, startingBlobID: BlobID, sliverCount: UInt64, epoch: UInt32
  ) {
    self.shard = shard
    self.axis = axis
    self.startingBlobID = startingBlobID
    self.sliverCount = sliverCount
    self.epoch = epoch
  }

  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVariant(expecting: 0, of: "SyncShardRequest")
    shard = try reader.read()
    axis = try reader.read()
    startingBlobID = try reader.read()
    sliverCount = try reader.readUInt64()
    epoch = try reader.readUInt32()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeVariant(0 as UInt8)
    writer.write(shard)
    writer.write(axis)
    writer.write(startingBlobID)
    writer.write(sliverCount)
    writer.write(epoch)
  }
}

/// Slivers of a shard in the order of their blob IDs.
package struct SyncShardResponse: Hashable, Sendable {
  package struct Entry: Hashable, Sendable {
    package let blobID: BlobID
    package let sliver: Sliver

    package init(blobID: BlobID, sliver: Sliver) {
      self.blobID = blobID
      self.sliver = sliver
    }
  }

  package let entries: [Entry]

  package init(entries: [Entry]) {
    self.entries = entries
  }
}

extension SyncShardResponse: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVariant(expecting: 0, of: "SyncShardResponse")
    entries = try reader.readArray()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeVariant(0 as UInt8)
    writer.write(entries)
  }
}

extension SyncShardResponse.Entry: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    blobID = try reader.read()
    sliver = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(blobID)
    writer.write(sliver)
  }
}

/// The bytes of a message and one node's signature over them.
package struct SignedMessage: Hashable, Sendable {
  package static let signatureByteCount = 96

  package let message: [UInt8]
  package let signature: [UInt8]

  /// Nil unless the signature is 96 bytes long.
  package init?(message: [UInt8], signature: [UInt8]) {
    guard signature.count == Self.signatureByteCount else { return nil }
    self.message = message
    self.signature = signature
  }
}

extension SignedMessage: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    message = try reader.readBytes()
    signature = try reader.readFixed(Self.signatureByteCount)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeBytes(message)
    writer.writeFixed(signature)
  }
}

/// A node's answer that it stores a blob.
package enum SignedConfirmation: Hashable, Sendable {
  case signed(SignedMessage)
}

extension SignedConfirmation: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVariant(expecting: 0, of: "StorageConfirmation")
    self = .signed(try reader.read())
  }

  package func encode(to writer: inout BCSWriter) {
    switch self {
    case .signed(let message):
      writer.writeVariant(0 as UInt8)
      writer.write(message)
    }
  }
}

/// One message and the aggregated signature of several committee members over it.
package struct MessageCertificate: Hashable, Sendable {
  package let signers: [UInt16]
  package let signed: SignedMessage

  package init(signers: [UInt16], signed: SignedMessage) {
    self.signers = signers
    self.signed = signed
  }
}

extension MessageCertificate: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    signers = try reader.readSequence(countMax: Int(UInt16.max) + 1) {
      (reader) throws(BCSError) in try reader.readUInt16()
    }
    signed = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeSequence(signers) { (writer, signer) in writer.write(signer) }
    writer.write(signed)
  }
}
