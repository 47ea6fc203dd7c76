// Digest.swift
//
// Thirty-two bytes as four words: cheap to copy, compare and hash, no allocation. Hashes and blob
// IDs have this shape.
//
// Invariant: the words are big-endian, so comparing words is comparing bytes from the left.

/// A BLAKE2b-256 digest.
package struct Digest: Hashable, Sendable {
  package static let byteCount = 32

  let word0: UInt64
  let word1: UInt64
  let word2: UInt64
  let word3: UInt64

  package init?(bytes: Span<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(bytes, at: 0)
  }

  package init?(bytes: [UInt8]) {
    self.init(bytes: bytes.span)
  }

  /// 64 hexadecimal digits of either case.
  package init?(hex: String) {
    guard let bytes = [UInt8](hex: hex) else { return nil }
    self.init(bytes: bytes)
  }

  /// The 32 bytes from `offset` on; the caller has checked that they exist.
  init(_ bytes: Span<UInt8>, at offset: Int) {
    func word(_ index: Int) -> UInt64 {
      var word: UInt64 = 0
      for position in 0..<8 {
        word = word << 8 | UInt64(bytes[offset + 8 * index + position])
      }
      return word
    }
    word0 = word(0)
    word1 = word(1)
    word2 = word(2)
    word3 = word(3)
  }

  init(words word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
    self.word0 = word0
    self.word1 = word1
    self.word2 = word2
    self.word3 = word3
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    for word in [word0, word1, word2, word3] {
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    return bytes
  }

  package var hex: String { bytes.hex }
}

extension Digest: Comparable, CustomStringConvertible {
  package static func < (left: Digest, right: Digest) -> Bool {
    if left.word0 != right.word0 { return left.word0 < right.word0 }
    if left.word1 != right.word1 { return left.word1 < right.word1 }
    if left.word2 != right.word2 { return left.word2 < right.word2 }
    return left.word3 < right.word3
  }

  package var description: String { hex }
}

extension Digest: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    self = try reader.readDigest()
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(self)
  }
}
