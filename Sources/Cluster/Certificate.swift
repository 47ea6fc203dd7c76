// Certificate.swift
//
// What makes a blob exist: the confirmations of nodes that together hold at least n - f shards, for
// one registration in one epoch. f of them may be lost or lying, and the rest still decodes.
//
// Invariant: a node stands in it once, in ascending order, so that a set of confirmations has one
// form and no node counts twice.
//
// | offset | size | field                                                      |
// |--------|------|------------------------------------------------------------|
// | 0      | 1    | version, 01                                                |
// | 1      | 4    | epoch                                                      |
// | 5      | 32   | blob ID                                                    |
// | 37     | 32   | object ID of the registration                              |
// | 69     | 1-3  | number of nodes, LEB128                                    |
// |        | 66   | per node, ascending: node u16, Ed25519 signature [64]      |

package import RedStuff

/// Why a certificate does not vouch for a blob.
package enum CertificateError: Error, Equatable, Sendable {
  case noConfirmations
  case repeatedNode(NodeID)
  /// A confirmation of another epoch, blob or registration was mixed in.
  case mixedConfirmations(NodeID)
  /// The bytes are no certificate of a version known here.
  case malformed(BCSError)
  case otherRegistration(blob: BlobID, object: ObjectID)
  case otherEpoch(Epoch, committeeEpoch: Epoch)
  case unknownNode(NodeID)
  /// Collect more confirmations.
  case tooFewShards(held: Int, needed: Int)
  /// Not signed by that node for this cluster, epoch, blob and registration.
  case invalidSignature(NodeID)
}

package struct Certificate: Hashable, Sendable {
  package struct Signer: Hashable, Sendable {
    package let node: NodeID
    /// Ed25519, 64 bytes.
    package let signature: [UInt8]
  }

  package static let version: UInt8 = 1
  /// With every node that a 16-bit number can name.
  package static let byteCountMax =
    72 + signerCountMax * (2 + StorageConfirmation.signatureByteCount)
  private static let signerCountMax = Int(UInt16.max) + 1

  package let epoch: Epoch
  package let blob: BlobID
  package let object: ObjectID
  /// Ascending by node.
  package let signers: [Signer]

  /// Confirmations of one registration, in any order.
  package init(confirmations: [StorageConfirmation]) throws(CertificateError) {
    guard let first = confirmations.first else { throw .noConfirmations }
    let ordered = confirmations.sorted { $0.node < $1.node }
    for (position, confirmation) in ordered.enumerated() {
      guard confirmation.epoch == first.epoch, confirmation.blob == first.blob,
        confirmation.object == first.object
      else { throw .mixedConfirmations(confirmation.node) }
      guard position == 0 || ordered[position - 1].node < confirmation.node else {
        throw .repeatedNode(confirmation.node)
      }
      guard confirmation.signature.count == StorageConfirmation.signatureByteCount else {
        throw .invalidSignature(confirmation.node)
      }
    }
    epoch = first.epoch
    blob = first.blob
    object = first.object
    signers = ordered.map { Signer(node: $0.node, signature: $0.signature) }
  }

  package init(decoding bytes: [UInt8]) throws(CertificateError) {
    do {
      try self.init(bcs: bytes)
    } catch {
      throw .malformed(error)
    }
  }

  package func encoded() -> [UInt8] { bcsBytes }

  /// What each signer signed.
  package var confirmations: [StorageConfirmation] {
    signers.map {
      StorageConfirmation(
        node: $0.node, epoch: epoch, blob: blob, object: object, signature: $0.signature)
    }
  }

  /// Throws unless nodes with at least n - f shards of `committee` signed this in `cluster`. One
  /// wrong signature spoils the whole: whoever collects checks each confirmation on arrival.
  ///
  /// Takes one signature check per signer; shards are counted first, since that costs nothing.
  package func verify(committee: Committee, cluster: ClusterID) throws(CertificateError) {
    guard epoch == committee.epoch else {
      throw .otherEpoch(epoch, committeeEpoch: committee.epoch)
    }
    var heldShardCount = 0
    var publicKeys: [[UInt8]] = []
    for signer in signers {
      guard let member = committee.member(signer.node) else { throw .unknownNode(signer.node) }
      heldShardCount += member.shards.count
      publicKeys.append(member.publicKey)
    }
    let needed = committee.parameters.shardCount - committee.parameters.faultyShardCountMax
    guard heldShardCount >= needed else {
      throw .tooFewShards(held: heldShardCount, needed: needed)
    }
    for (confirmation, publicKey) in zip(confirmations, publicKeys) {
      guard confirmation.verify(cluster: cluster, publicKey: publicKey) else {
        throw .invalidSignature(confirmation.node)
      }
    }
  }

  /// As above, and for this registration of this blob.
  package func verify(
    blob: BlobID, object: ObjectID, committee: Committee, cluster: ClusterID
  ) throws(CertificateError) {
    guard self.blob == blob, self.object == object else {
      throw .otherRegistration(blob: self.blob, object: self.object)
    }
    try verify(committee: committee, cluster: cluster)
  }
}

extension Certificate: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "Certificate")
    epoch = try reader.readUInt32()
    blob = try reader.read()
    object = try reader.read()
    signers = try reader.readArray(countMax: Self.signerCountMax)
    guard !signers.isEmpty else {
      throw .invalidValue(type: "Certificate", reason: "nobody signed it")
    }
    for (signer, next) in zip(signers, signers.dropFirst()) where signer.node >= next.node {
      throw .invalidValue(
        type: "Certificate", reason: "\(next.node) stands after \(signer.node)")
    }
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(epoch)
    writer.write(blob)
    writer.write(object)
    writer.write(signers)
  }
}

extension Certificate.Signer: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    node = try reader.read()
    signature = try reader.readFixed(StorageConfirmation.signatureByteCount)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(node)
    writer.writeFixed(signature)
  }
}

extension BCSReader {
  /// The version byte that our own formats start with.
  mutating func readVersion(_ known: UInt8, of type: String) throws(BCSError) {
    let version = try readUInt8()
    guard version == known else {
      throw .invalidValue(type: type, reason: "version \(version), known is \(known)")
    }
  }
}
