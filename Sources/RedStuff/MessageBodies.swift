// MessageBodies.swift
//
// The messages that storage nodes of the reference network sign, to the byte. Signatures and keys
// are opaque here: nothing in this module verifies them.
//
// Every message is a header and a body without a length:
//
// | offset | size | field                     |
// |--------|------|---------------------------|
// | 0      | 1    | intent type               |
// | 1      | 1    | intent version, 00        |
// | 2      | 1    | application, 03           |
// | 3      | 4    | epoch                     |
// | 7      |      | body, by intent type      |

/// What a signer states; it keeps one statement from passing for another.
package enum MessageIntent: UInt8, Sendable {
  case proofOfPossession = 0
  case storageConfirmation = 1
  case invalidBlobID = 2
  case syncShard = 3
  case denyListUpdate = 4
  case denyListedBlobDeleted = 5
  case protocolVersion = 6

  static let version: UInt8 = 0
  static let application: UInt8 = 3
}

/// A body that belongs to one intent.
package protocol SignableMessageBody: BCSCodable, Hashable, Sendable {
  static var intent: MessageIntent { get }
}

/// Header and body: the bytes that get signed.
package struct SignableMessage<Body: SignableMessageBody>: Hashable, Sendable {
  package let epoch: UInt32
  package let body: Body

  package init(epoch: UInt32, body: Body) {
    self.epoch = epoch
    self.body = body
  }
}

extension SignableMessage: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    let header = (try reader.readUInt8(), try reader.readUInt8(), try reader.readUInt8())
    let expected = (Body.intent.rawValue, MessageIntent.version, MessageIntent.application)
    guard header == expected else {
      throw .invalidValue(
        type: "message header",
        reason: "intent, version, application are \(header), expected \(expected)")
    }
    epoch = try reader.readUInt32()
    body = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(Body.intent.rawValue)
    writer.write(MessageIntent.version)
    writer.write(MessageIntent.application)
    writer.write(epoch)
    writer.write(body)
  }
}

/// "This address holds the private key of this public key."
package struct ProofOfPossession: SignableMessageBody {
  package static let intent = MessageIntent.proofOfPossession
  package static let publicKeyByteCount = 48

  package let address: Digest
  package let publicKey: [UInt8]

  /// Nil unless the key is 48 bytes long.
  package init?(address: Digest, publicKey: [UInt8]) {
    guard publicKey.count == Self.publicKeyByteCount else { return nil }
    self.address = address
    self.publicKey = publicKey
  }

  package init(from reader: inout BCSReader) throws(BCSError) {
    address = try reader.read()
    publicKey = try reader.readFixed(Self.publicKeyByteCount)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(address)
    writer.writeFixed(publicKey)
  }
}

/// Whether an owner may delete the blob before it expires.
package enum BlobPersistence: Hashable, Sendable {
  case permanent
  case deletable(objectID: Digest)
}

extension BlobPersistence: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    switch try reader.readVariant() {
    case 0: self = .permanent
    case 1: self = .deletable(objectID: try reader.read())
    case let variant: throw .unknownVariant(type: "BlobPersistence", variant: variant)
    }
  }

  package func encode(to writer: inout BCSWriter) {
    switch self {
    case .permanent: writer.writeVariant(0 as UInt8)
    case .deletable(let object):
      writer.writeVariant(1 as UInt8)
      writer.write(object)
    }
  }
}

/// "I store my slivers of this blob."
package struct StorageConfirmationBody: SignableMessageBody {
  package static let intent = MessageIntent.storageConfirmation

  package let blobID: BlobID
  package let persistence: BlobPersistence

  package init(blobID: BlobID, persistence: BlobPersistence) {
    self.blobID = blobID
    self.persistence = persistence
  }

  package init(from reader: inout BCSReader) throws(BCSError) {
    blobID = try reader.read()
    persistence = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(blobID)
    writer.write(persistence)
  }
}

/// "This blob was encoded badly."
package struct InvalidBlobIDBody: SignableMessageBody {
  package static let intent = MessageIntent.invalidBlobID

  package let blobID: BlobID

  package init(blobID: BlobID) {
    self.blobID = blobID
  }

  package init(from reader: inout BCSReader) throws(BCSError) { blobID = try reader.read() }
  package func encode(to writer: inout BCSWriter) { writer.write(blobID) }
}

/// "My deny list is now this."
package struct DenyListUpdateBody: SignableMessageBody {
  package static let intent = MessageIntent.denyListUpdate

  package let nodeID: Digest
  package let sequenceNumber: UInt64
  package let size: UInt64
  package let root: Digest

  package init(nodeID: Digest, sequenceNumber: UInt64, size: UInt64, root: Digest) {
    self.nodeID = nodeID
    self.sequenceNumber = sequenceNumber
    self.size = size
    self.root = root
  }

  package init(from reader: inout BCSReader) throws(BCSError) {
    nodeID = try reader.read()
    sequenceNumber = try reader.readUInt64()
    size = try reader.readUInt64()
    root = try reader.read()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(nodeID)
    writer.write(sequenceNumber)
    writer.write(size)
    writer.write(root)
  }
}

/// "I deleted this blob because it is on my deny list."
package struct DenyListedBlobDeletedBody: SignableMessageBody {
  package static let intent = MessageIntent.denyListedBlobDeleted

  package let blobID: BlobID

  package init(blobID: BlobID) {
    self.blobID = blobID
  }

  package init(from reader: inout BCSReader) throws(BCSError) { blobID = try reader.read() }
  package func encode(to writer: inout BCSWriter) { writer.write(blobID) }
}

/// "From this epoch on I speak this version."
package struct ProtocolVersionBody: SignableMessageBody {
  package static let intent = MessageIntent.protocolVersion

  package let startEpoch: UInt32
  package let version: UInt64

  package init(startEpoch: UInt32, version: UInt64) {
    self.startEpoch = startEpoch
    self.version = version
  }

  package init(from reader: inout BCSReader) throws(BCSError) {
    startEpoch = try reader.readUInt32()
    version = try reader.readUInt64()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(startEpoch)
    writer.write(version)
  }
}
