// BlobID.swift
//
// The name of a blob's content: a hash over encoding type, length and the Merkle root of the
// metadata. Whoever holds the metadata can recompute it.
//
// Invariant: a text form that parses is the only text form of that ID; otherwise two URLs would
// name one blob, and caches and rules keyed by text could be walked around.

/// The 32 bytes that name a blob by its content.
package struct BlobID: Hashable, Sendable {
  package static let byteCount = Digest.byteCount
  /// Characters of the text form, base64url without padding.
  package static let textLength = 43

  package let digest: Digest

  package init(_ digest: Digest) {
    self.digest = digest
  }

  package init?(bytes: Span<UInt8>) {
    guard let digest = Digest(bytes: bytes) else { return nil }
    self.digest = digest
  }

  package init?(bytes: [UInt8]) {
    self.init(bytes: bytes.span)
  }

  /// Exactly 43 characters of base64url whose unused bits are zero; nothing else parses.
  package init?(text: some StringProtocol) {
    guard text.utf8.count == Self.textLength, let bytes = Base64URL.decode(text) else {
      return nil
    }
    self.init(bytes: bytes)
  }

  package var bytes: [UInt8] { digest.bytes }

  package var text: String { Base64URL.encode(bytes) }

  /// How far the shards of this blob are rotated: the ID as a big-endian number, modulo n.
  package func shardRotation(shardCount: Int) -> Int {
    let n = UInt64(shardCount)
    var remainder = digest.word0 % n
    for word in [digest.word1, digest.word2, digest.word3] {
      remainder = n.dividingFullWidth((remainder, word)).remainder
    }
    return Int(remainder)
  }
}

extension BlobID: Comparable, CustomStringConvertible {
  package static func < (left: BlobID, right: BlobID) -> Bool { left.digest < right.digest }

  package var description: String { text }
}

extension BlobID: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    digest = try reader.readDigest()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(digest)
  }
}
