// NodeSigner.swift
//
// A node's Ed25519 key (RFC 8032) and what it is used for. The private key never leaves this type.
//
// Every signed message starts with a domain line of its own, so that no statement can pass for
// another.

internal import Crypto
package import RedStuff

package enum NodeSignerError: Error, Equatable, Sendable {
  /// An Ed25519 private key is 32 bytes: restore the node's key file.
  case invalidPrivateKey(NodeID, byteCount: Int)
}

package struct NodeSigner: Sendable {
  package static let keyByteCount = 32

  package let node: NodeID
  /// 32 bytes, as the committee lists it.
  package let publicKey: [UInt8]
  private let privateKey: Curve25519.Signing.PrivateKey

  /// `privateKey` is the 32-byte seed of RFC 8032.
  package init(node: NodeID, privateKey: [UInt8]) throws(NodeSignerError) {
    do {
      let key = try Curve25519.Signing.PrivateKey(rawRepresentation: privateKey)
      self.node = node
      self.privateKey = key
      self.publicKey = Array(key.publicKey.rawRepresentation)
    } catch {
      throw .invalidPrivateKey(node, byteCount: privateKey.count)
    }
  }

  /// 64 bytes. `message` carries its own domain line.
  package func sign(_ message: [UInt8]) -> [UInt8] {
    do {
      return Array(try privateKey.signature(for: message))
    } catch {
      // Only running out of memory makes signing fail; zeros verify nowhere.
      return [UInt8](repeating: 0, count: StorageConfirmation.signatureByteCount)
    }
  }

  package func confirm(
    cluster: ClusterID, epoch: Epoch, blob: BlobID, object: ObjectID
  ) -> StorageConfirmation {
    let message = StorageConfirmation.signedBytes(
      cluster: cluster, node: node, epoch: epoch, blob: blob, object: object)
    return StorageConfirmation(
      node: node, epoch: epoch, blob: blob, object: object, signature: sign(message))
  }

  /// Whether the holder of `publicKey` signed `message`; false for keys and signatures that are none.
  package static func isValid(
    _ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]
  ) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else {
      return false
    }
    return key.isValidSignature(signature, for: message)
  }
}
