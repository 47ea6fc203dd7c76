// QuiltTags.swift
//
// What a writer says about a patch: names with values, all text. Kept in the one order that their
// serialised form has (by the serialised name, so shorter names come first), which makes equal tags
// equal bytes.

/// Why names and values are not the tags of a patch.
package enum QuiltTagsError: Error, Equatable {
  case repeatedName(String)
  case tooLong(byteCount: Int)
}

/// One name with its value.
package struct QuiltTag: Hashable, Sendable {
  package let name: String
  package let value: String

  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  package static func == (left: QuiltTag, right: QuiltTag) -> Bool {
    left.name.hasSameUTF8(as: right.name) && left.value.hasSameUTF8(as: right.value)
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(value)
  }
}

/// The tags of one patch.
package struct QuiltTags: Hashable, Sendable {
  /// The serialised form of one patch's tags: its length is a 16-bit field.
  package static let bcsByteCountMax = 65_535

  package static let none = QuiltTags()

  /// In the order of their serialised names.
  package let tags: [QuiltTag]

  private init() { tags = [] }

  /// In any order; no name twice.
  package init(_ tags: [QuiltTag]) throws(QuiltTagsError) {
    let keyed = tags.map { (key: Self.key($0.name), tag: $0) }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    for (left, right) in zip(keyed, keyed.dropFirst()) where left.key == right.key {
      throw .repeatedName(left.tag.name)
    }
    self.tags = keyed.map(\.tag)
    guard bcsByteCount <= Self.bcsByteCountMax else { throw .tooLong(byteCount: bcsByteCount) }
  }

  package var isEmpty: Bool { tags.isEmpty }

  package subscript(name: String) -> String? {
    tags.first { $0.name.hasSameUTF8(as: name) }?.value
  }

  /// What the order goes by.
  private static func key(_ name: String) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: name.utf8.count + 5)
    writer.write(name)
    return writer.bytes
  }

  private var bcsByteCount: Int { bcsBytes.count }
}

extension QuiltTags: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    let start = reader.offset
    var previous: [UInt8] = []
    tags = try reader.readSequence { (reader) throws(BCSError) in
      let offset = reader.offset
      let name = try reader.readString(byteCountMax: Self.bcsByteCountMax)
      let key = Self.key(name)
      guard previous.lexicographicallyPrecedes(key) else { throw .mapKeysUnsorted(offset: offset) }
      previous = key
      return QuiltTag(
        name: name, value: try reader.readString(byteCountMax: Self.bcsByteCountMax))
    }
    guard reader.offset - start <= Self.bcsByteCountMax else {
      throw .invalidValue(
        type: "QuiltTags", reason: "\(reader.offset - start) bytes of tags on one patch")
    }
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeSequence(tags) { writer, tag in
      writer.write(tag.name)
      writer.write(tag.value)
    }
  }
}

extension QuiltTagsError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .repeatedName(let name): "the tag `\(name)` is given twice"
    case .tooLong(let byteCount):
      "the tags of one patch take at most \(QuiltTags.bcsByteCountMax) bytes, not \(byteCount)"
    }
  }
}
