// Base64.swift
//
// Base64 with padding (RFC 4648 section 4), as signatures and keys stand in JSON. The form for URLs
// is RedStuff's `Base64URL`. The decoder is strict: one text per value.

internal import RedStuff

package enum Base64 {
  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for character in Base64URL.encode(bytes).utf8 {
      switch character {
      case UInt8(ascii: "-"): text.append(UInt8(ascii: "+"))
      case UInt8(ascii: "_"): text.append(UInt8(ascii: "/"))
      default: text.append(character)
      }
    }
    while !text.count.isMultiple(of: 4) { text.append(UInt8(ascii: "=")) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil for characters outside the alphabet, wrong padding, and unused bits that are not zero.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    guard text.utf8.count.isMultiple(of: 4) else { return nil }
    var characters = Array(text.utf8)
    for _ in 0..<2 where characters.last == UInt8(ascii: "=") { characters.removeLast() }
    for position in characters.indices {
      switch characters[position] {
      case UInt8(ascii: "+"): characters[position] = UInt8(ascii: "-")
      case UInt8(ascii: "/"): characters[position] = UInt8(ascii: "_")
      case UInt8(ascii: "-"), UInt8(ascii: "_"): return nil
      default: break
      }
    }
    return Base64URL.decode(String(decoding: characters, as: UTF8.self))
  }
}
