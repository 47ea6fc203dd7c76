// TextForms.swift
//
// Bytes as text: base64url without padding (RFC 4648 section 5) for IDs in URLs, hexadecimal for
// hashes in messages to people. Both decoders are strict: one text per value.

/// Base64 with `-` and `_`, without padding.
package enum Base64URL {
  private static let alphabet: [UInt8] = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 4 + 2) / 3)
    var pending: UInt32 = 0
    var pendingBitCount: UInt32 = 0
    for byte in bytes {
      pending = pending << 8 | UInt32(byte)
      pendingBitCount += 8
      while pendingBitCount >= 6 {
        pendingBitCount -= 6
        text.append(alphabet[Int(pending >> pendingBitCount & 63)])
      }
    }
    if pendingBitCount > 0 {
      text.append(alphabet[Int(pending << (6 - pendingBitCount) & 63)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for characters outside the alphabet (padding included), for a length that no bytes have,
  /// and for unused bits that are not zero.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count * 3 / 4)
    var pending: UInt32 = 0
    var pendingBitCount: UInt32 = 0
    for character in text.utf8 {
      guard let value = value(of: character) else { return nil }
      pending = (pending << 6 | value) & 0xFFFF
      pendingBitCount += 6
      if pendingBitCount >= 8 {
        pendingBitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: pending >> pendingBitCount))
      }
    }
    guard pendingBitCount < 6, pending & (1 << pendingBitCount - 1) == 0 else { return nil }
    return bytes
  }

  private static func value(of character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "-"): 62
    case UInt8(ascii: "_"): 63
    default: nil
    }
  }
}

extension [UInt8] {
  /// Lower-case hexadecimal, two digits per byte.
  package var hex: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * count)
    for byte in self {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Digits of either case, an even number of them; nil otherwise.
  package init?(hex: some StringProtocol) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(hex.utf8.count / 2)
    var high: UInt8?
    for character in hex.utf8 {
      let value: UInt8
      switch character {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = character - UInt8(ascii: "A") + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil else { return nil }
    self = bytes
  }
}
