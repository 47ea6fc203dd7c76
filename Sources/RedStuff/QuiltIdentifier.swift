// QuiltIdentifier.swift
//
// The name of a patch inside its quilt. The rules keep names printable and free of what people
// cannot see at their end; they hold for writers and, since a quilt may come from anyone, again for
// readers.
//
// Invariant: two identifiers are the same only if their UTF-8 is. Swift's own comparison of strings
// also takes canonically equivalent ones for equal, and a quilt may hold both.

/// Why text is no identifier.
package enum QuiltIdentifierError: Error, Equatable {
  case empty
  case tooLong(byteCount: Int)
  case controlCharacter(scalar: UInt32)
  case trailingWhiteSpace
}

/// The name of a patch.
package struct QuiltIdentifier: Hashable, Sendable {
  /// Its serialised form, three bytes of length included, has to stay below 65535 bytes.
  package static let byteCountMax = 65_531

  package let text: String

  package init(_ text: String) throws(QuiltIdentifierError) {
    guard let last = text.unicodeScalars.last else { throw .empty }
    guard text.utf8.count <= Self.byteCountMax else { throw .tooLong(byteCount: text.utf8.count) }
    if let control = text.unicodeScalars.first(where: { $0.properties.generalCategory == .control })
    {
      throw .controlCharacter(scalar: control.value)
    }
    guard !last.properties.isWhitespace else { throw .trailingWhiteSpace }
    self.text = text
  }

  package static func == (left: QuiltIdentifier, right: QuiltIdentifier) -> Bool {
    left.text.hasSameUTF8(as: right.text)
  }

  /// Equal UTF-8 is also canonically equivalent, so the hash of the string will do.
  package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

extension QuiltIdentifier: Comparable, CustomStringConvertible {
  /// The order of patches in a quilt: bytewise.
  package static func < (left: QuiltIdentifier, right: QuiltIdentifier) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  package var description: String { text }
}

extension QuiltIdentifier: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    let text = try reader.readString(byteCountMax: Self.byteCountMax)
    do {
      try self.init(text)
    } catch {
      throw .invalidValue(type: "QuiltIdentifier", reason: "\(error)")
    }
  }

  package func encode(to writer: inout BCSWriter) { writer.write(text) }
}

extension QuiltIdentifierError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .empty: "an identifier is not empty"
    case .tooLong(let byteCount):
      "an identifier has at most \(QuiltIdentifier.byteCountMax) bytes, not \(byteCount)"
    case .controlCharacter(let scalar):
      "an identifier has no control characters, and this one has U+\(String(scalar, radix: 16))"
    case .trailingWhiteSpace: "an identifier does not end in white space"
    }
  }
}

extension String {
  func hasSameUTF8(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
