// QuiltIndex.swift
//
// The table of contents of a quilt: which patches it has and which columns each of them takes. It is
// a stream from column 0 on.
//
// | bytes | field                                     |
// |-------|-------------------------------------------|
// | 1     | version, 01                               |
// | 4     | number of bytes that follow               |
// | LEB128| number of patches; then for each of them: |
// | 2     |   end column, exclusive                   |
// | string|   identifier                              |
// | map   |   tags, 00 if there are none              |
//
// Start columns are not written: the first patch starts after the columns of the index, every other
// one where the one before ends.
//
// Invariant: the columns of the patches follow each other, none is empty, and all lie in the matrix.

/// One patch in the index.
package struct QuiltIndexEntry: Hashable, Sendable {
  package let identifier: QuiltIdentifier
  package let tags: QuiltTags
  /// Not empty.
  package let columns: Range<Int>

  init(identifier: QuiltIdentifier, tags: QuiltTags, columns: Range<Int>) {
    self.identifier = identifier
    self.tags = tags
    self.columns = columns
  }
}

/// The patches of a quilt.
package struct QuiltIndex: Hashable, Sendable {
  package static let version: UInt8 = 1
  /// Version and length.
  package static let prefixByteCount = 5
  /// So that a reader never has to fetch much before it knows what there is.
  package static let columnCountMax = 10

  /// In the order of their columns; writers sort by identifier, and readers accept any order.
  package let entries: [QuiltIndexEntry]

  init(entries: [QuiltIndexEntry]) { self.entries = entries }

  /// Of patches that have this identifier, the first.
  package func entry(identifiedBy identifier: QuiltIdentifier) -> QuiltIndexEntry? {
    entries.first { $0.identifier == identifier }
  }

  /// All patches whose tag of this name has exactly this value.
  package func entries(taggedBy name: String, value: String) -> [QuiltIndexEntry] {
    entries.filter { $0.tags[name]?.hasSameUTF8(as: value) ?? false }
  }

  /// The patch that takes exactly these columns.
  package func entry(at columns: Range<Int>) -> QuiltIndexEntry? {
    // Entries lie in the order of their columns, so the one that could match is found by halves.
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].columns.lowerBound < columns.lowerBound {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low < entries.count && entries[low].columns == columns ? entries[low] : nil
  }

  /// What is written from column 0 on.
  package var streamBytes: [UInt8] {
    let index = bcsBytes
    var writer = BCSWriter(reservingCapacity: Self.prefixByteCount + index.count)
    writer.write(Self.version)
    writer.write(UInt32(index.count))
    writer.writeFixed(index)
    return writer.bytes
  }

  /// Without version and length.
  package var bcsBytes: [UInt8] {
    var writer = BCSWriter()
    encode(to: &writer)
    return writer.bytes
  }
}

// MARK: - Reading

extension QuiltIndex {
  /// Bytes of the index stream, as its first bytes announce them.
  ///
  /// - Parameter start: the first bytes of column 0, at least `prefixByteCount` of them unless the
  ///   column ends before.
  package static func streamByteCount(
    announcedBy start: [UInt8], shape: QuiltShape
  ) throws(QuiltFormatError) -> Int {
    guard start.count >= prefixByteCount else {
      throw .truncated(needed: prefixByteCount, available: start.count)
    }
    guard start[0] == version else { throw .unknownVersion(start[0]) }
    let indexByteCount = start[1..<prefixByteCount].reversed().reduce(0) { $0 << 8 | Int($1) }
    let columnCountMax = min(Self.columnCountMax, shape.columnCount)
    let byteCountMax = columnCountMax * shape.columnByteCount - prefixByteCount
    guard indexByteCount <= byteCountMax else {
      throw .indexTooLong(byteCount: indexByteCount, byteCountMax: byteCountMax)
    }
    return prefixByteCount + indexByteCount
  }

  /// Reads the stream; bytes after it are ignored.
  ///
  /// - Parameter stream: the bytes of the first columns, as many as the stream takes.
  package init(stream: [UInt8], shape: QuiltShape) throws(QuiltFormatError) {
    let byteCount = try Self.streamByteCount(announcedBy: stream, shape: shape)
    guard byteCount <= stream.count else {
      throw .truncated(needed: byteCount, available: stream.count)
    }
    var reader = BCSReader(Array(stream[Self.prefixByteCount..<byteCount]))
    do {
      try self.init(from: &reader, shape: shape)
      try reader.finish()
    } catch {
      throw .malformedIndex(error)
    }
  }

  /// Reads the form without version and length.
  init(from reader: inout BCSReader, shape: QuiltShape) throws(BCSError) {
    typealias Row = (end: Int, identifier: QuiltIdentifier, tags: QuiltTags)
    let start = reader.offset
    let rows = try reader.readSequence(countMax: shape.columnCount) {
      (reader) throws(BCSError) -> Row in
      (Int(try reader.readUInt16()), try reader.read(), try reader.read())
    }
    var column = shape.columnCount(forStreamOf: Self.prefixByteCount + reader.offset - start)
    var entries: [QuiltIndexEntry] = []
    entries.reserveCapacity(rows.count)
    for row in rows {
      guard row.end > column, row.end <= shape.columnCount else {
        throw .invalidValue(
          type: "QuiltIndex",
          reason: "columns \(column) to \(row.end) of \(shape.columnCount) for one patch")
      }
      entries.append(
        QuiltIndexEntry(identifier: row.identifier, tags: row.tags, columns: column..<row.end))
      column = row.end
    }
    self.entries = entries
  }

  func encode(to writer: inout BCSWriter) {
    writer.writeSequence(entries) { writer, entry in
      writer.write(UInt16(entry.columns.upperBound))
      writer.write(entry.identifier)
      writer.write(entry.tags)
    }
  }
}
