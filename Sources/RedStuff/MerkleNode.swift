// MerkleNode.swift
//
// A node of a Merkle tree as it stands in metadata and proofs. The empty node fills up odd levels;
// inside a hash it counts as 32 zero bytes, but it is not equal to the digest of 32 zero bytes,
// neither on the wire nor as a root.

/// Nothing, or a hash.
package enum MerkleNode: Hashable, Sendable {
  case empty
  case digest(Digest)

  /// What goes into the hash of the parent.
  var hashedDigest: Digest {
    switch self {
    case .empty: Digest.zero
    case .digest(let digest): digest
    }
  }
}

extension Digest {
  package static let zero = Digest(words: 0, 0, 0, 0)
}

extension MerkleNode: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    switch try reader.readVariant() {
    case 0: self = .empty
    case 1: self = .digest(try reader.readDigest())
    case let variant: throw .unknownVariant(type: "MerkleNode", variant: variant)
    }
  }

  package func encode(to writer: inout BCSWriter) {
    switch self {
    case .empty: writer.writeVariant(0 as UInt8)
    case .digest(let digest):
      writer.writeVariant(1 as UInt8)
      writer.write(digest)
    }
  }
}
