// QuiltPatch.swift
//
// One blob in a quilt, with its name and tags in front: a stream from the first of its columns on. It
// says all of itself, so that it can be read without the index.
//
// | bytes | field                                                  |
// |-------|--------------------------------------------------------|
// | 1     | version, 01                                            |
// | 4     | number of bytes after the mask                         |
// | 1     | mask: bit 0 says that there are tags, the others are 0 |
// | 2     | number of bytes of the identifier                      |
// | string| identifier                                             |
// | 2     | number of bytes of the tags (only with bit 0)          |
// | map   | tags (only with bit 0)                                 |
// | rest  | the blob                                               |

/// What stands in front of the data of a patch.
package struct QuiltPatchHeader: Hashable, Sendable {
  package static let version: UInt8 = 1
  /// Version, length and mask.
  package static let fixedByteCount = 6
  static let tagsMask: UInt8 = 1

  package let identifier: QuiltIdentifier
  package let tags: QuiltTags
  /// Bytes of the blob behind the header.
  package let dataByteCount: Int
  /// Of the header alone. As it was read: one that announces tags and has none is longer than ours.
  package let byteCount: Int

  package init(identifier: QuiltIdentifier, tags: QuiltTags, dataByteCount: Int) {
    self.identifier = identifier
    self.tags = tags
    self.dataByteCount = dataByteCount
    byteCount = Self.fixedByteCount + Self.fields(identifier, tags).count
  }

  /// Of the whole stream.
  package var streamByteCount: Int { byteCount + dataByteCount }

  /// Whether the length field can say it.
  var fitsLengthField: Bool {
    streamByteCount - Self.fixedByteCount <= Int(UInt32.max)
  }

  package var bytes: [UInt8] {
    let fields = Self.fields(identifier, tags)
    var writer = BCSWriter(reservingCapacity: Self.fixedByteCount + fields.count)
    writer.write(Self.version)
    writer.write(UInt32(fields.count + dataByteCount))
    writer.write(tags.isEmpty ? 0 : Self.tagsMask)
    writer.writeFixed(fields)
    return writer.bytes
  }

  /// Identifier and tags, each behind its size; the rules of both keep the sizes below 65536.
  private static func fields(_ identifier: QuiltIdentifier, _ tags: QuiltTags) -> [UInt8] {
    let identifier = identifier.bcsBytes
    var writer = BCSWriter(reservingCapacity: identifier.count + 2)
    writer.write(UInt16(identifier.count))
    writer.writeFixed(identifier)
    guard !tags.isEmpty else { return writer.bytes }
    let tags = tags.bcsBytes
    writer.write(UInt16(tags.count))
    writer.writeFixed(tags)
    return writer.bytes
  }
}

// MARK: - Reading

extension QuiltPatchHeader {
  /// Reads the header of a patch.
  ///
  /// - Parameters:
  ///   - bytes: the first bytes of the patch's columns, the whole header at least.
  ///   - columnsByteCount: the bytes of all its columns; the patch has to end within.
  package init(_ bytes: [UInt8], columnsByteCount: Int) throws(QuiltFormatError) {
    guard bytes.count >= Self.fixedByteCount else {
      throw .truncated(needed: Self.fixedByteCount, available: bytes.count)
    }
    guard bytes[0] == Self.version else { throw .unknownVersion(bytes[0]) }
    let length = bytes[1..<5].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= columnsByteCount - Self.fixedByteCount else {
      throw .truncated(needed: Self.fixedByteCount + length, available: columnsByteCount)
    }
    let mask = bytes[5]
    guard mask & ~Self.tagsMask == 0 else { throw .unknownMask(mask) }
    let end = Self.fixedByteCount + length
    var offset = Self.fixedByteCount
    identifier = try Self.field(bytes, at: &offset, end: end)
    tags = mask & Self.tagsMask == 0 ? .none : try Self.field(bytes, at: &offset, end: end)
    dataByteCount = end - offset
    byteCount = offset
  }

  /// A value behind its 16-bit size, which it has to use up.
  private static func field<Value: BCSCodable>(
    _ bytes: [UInt8], at offset: inout Int, end: Int
  ) throws(QuiltFormatError) -> Value {
    let available = min(end, bytes.count)
    guard available - offset >= 2 else {
      throw .truncated(needed: offset + 2, available: available)
    }
    let byteCount = Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
    let start = offset + 2
    guard byteCount <= available - start else {
      throw .truncated(needed: start + byteCount, available: available)
    }
    offset = start + byteCount
    var reader = BCSReader(Array(bytes[start..<offset]))
    let value: Value
    do { value = try reader.read() } catch { throw .malformedPatch(error) }
    guard reader.remainingCount == 0 else {
      throw .sizeMismatch(announced: byteCount, used: reader.offset)
    }
    return value
  }

  /// A header that has to say the same as the index.
  package func checked(against entry: QuiltIndexEntry) throws(QuiltFormatError) -> QuiltPatchHeader
  {
    guard identifier == entry.identifier, tags == entry.tags else {
      throw .differsFromIndex(entry.identifier)
    }
    return self
  }
}

/// One blob of a quilt.
package struct QuiltPatch: Hashable, Sendable {
  package let identifier: QuiltIdentifier
  package let tags: QuiltTags
  package let data: [UInt8]

  package init(identifier: QuiltIdentifier, tags: QuiltTags = .none, data: [UInt8]) {
    self.identifier = identifier
    self.tags = tags
    self.data = data
  }

  package var header: QuiltPatchHeader {
    QuiltPatchHeader(identifier: identifier, tags: tags, dataByteCount: data.count)
  }

  /// Reads a patch from the bytes of its columns alone; what follows the patch is ignored.
  package init(columns bytes: [UInt8]) throws(QuiltFormatError) {
    let header = try QuiltPatchHeader(bytes, columnsByteCount: bytes.count)
    self.init(
      identifier: header.identifier, tags: header.tags,
      data: Array(bytes[header.byteCount..<header.streamByteCount]))
  }
}
