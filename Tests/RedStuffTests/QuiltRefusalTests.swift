// QuiltRefusalTests.swift
//
// What no reader or writer of quilts accepts, each refusal provoked once; and what readers accept
// although no writer makes it. Shape of most tests: n = 7, so 3 rows and 5 columns.

import Testing

@testable import RedStuff

@Suite struct QuiltRefusalTests {
  private let shape = QuiltShape(rowCount: 3, columnCount: 5, symbolByteCount: 20)

  private func identifier(_ text: String) throws -> QuiltIdentifier { try QuiltIdentifier(text) }

  private func entry(_ text: String, _ columns: Range<Int>) throws -> QuiltIndexEntry {
    QuiltIndexEntry(identifier: try identifier(text), tags: .none, columns: columns)
  }

  /// An index stream around bytes that need not be an index.
  private func stream(_ index: [UInt8], version: UInt8 = 1) -> [UInt8] {
    var writer = BCSWriter()
    writer.write(version)
    writer.write(UInt32(index.count))
    writer.writeFixed(index)
    return writer.bytes
  }

  private func index(_ bytes: [UInt8]) throws -> QuiltIndex {
    try QuiltIndex(stream: stream(bytes), shape: shape)
  }

  // MARK: Identifiers and tags

  @Test func `identifiers end at 65531 bytes`() throws {
    #expect(throws: Never.self) { try QuiltIdentifier(String(repeating: "a", count: 65_531)) }
    #expect(throws: QuiltIdentifierError.tooLong(byteCount: 65_532)) {
      try QuiltIdentifier(String(repeating: "a", count: 65_532))
    }
  }

  @Test func `canonically equivalent identifiers are different ones`() throws {
    let composed = try identifier("caf\u{E9}")
    let decomposed = try identifier("cafe\u{301}")
    #expect(composed != decomposed)
    let built = try BuiltQuilt(
      [
        QuiltPatch(identifier: composed, data: [1]), QuiltPatch(identifier: decomposed, data: [2]),
      ], parameters: EncodingParameters(shardCount: 7))
    let reader = try QuiltReader(built.blob, parameters: EncodingParameters(shardCount: 7))
    #expect(try reader.patch(identifiedBy: composed)?.data == [1])
    #expect(try reader.patch(identifiedBy: decomposed)?.data == [2])
  }

  @Test func `tags are ordered by their serialised names`() throws {
    // A length of 300 is written AC 02, one of 200 is C8 01: the longer name comes first.
    let long = String(repeating: "b", count: 300)
    let short = String(repeating: "a", count: 200)
    let tags = try QuiltTags([QuiltTag(name: short, value: ""), QuiltTag(name: long, value: "")])
    #expect(tags.tags.map(\.name) == [long, short])
    #expect(try QuiltTags(bcs: tags.bcsBytes) == tags)
  }

  @Test func `a tag name is given once, and tags end at 65535 bytes`() throws {
    #expect(throws: QuiltTagsError.repeatedName("a")) {
      try QuiltTags([QuiltTag(name: "a", value: "1"), QuiltTag(name: "a", value: "2")])
    }
    // Count, name with length, three bytes of length and the value.
    let value = String(repeating: "v", count: 65_529)
    #expect(throws: Never.self) { try QuiltTags([QuiltTag(name: "a", value: value)]) }
    #expect(throws: QuiltTagsError.tooLong(byteCount: 65_536)) {
      try QuiltTags([QuiltTag(name: "a", value: value + "v")])
    }
    #expect(throws: BCSError.mapKeysUnsorted(offset: 5)) {
      try QuiltTags(bcs: [2, 1, 0x62, 1, 0x78, 1, 0x61, 1, 0x78])
    }
  }

  // MARK: Index

  @Test func `an index of another version is refused`() {
    #expect(throws: QuiltFormatError.unknownVersion(2)) {
      try QuiltIndex(stream: stream([0], version: 2), shape: shape)
    }
  }

  @Test func `an index is not longer than ten columns, and not than the quilt`() {
    func announced(_ byteCount: UInt32, columnCount: Int) throws -> Int {
      var writer = BCSWriter()
      writer.write(1 as UInt8)
      writer.write(byteCount)
      return try QuiltIndex.streamByteCount(
        announcedBy: writer.bytes,
        shape: QuiltShape(rowCount: 3, columnCount: columnCount, symbolByteCount: 20))
    }
    #expect(throws: Never.self) { try announced(595, columnCount: 11) }
    #expect(throws: QuiltFormatError.indexTooLong(byteCount: 596, byteCountMax: 595)) {
      try announced(596, columnCount: 11)
    }
    #expect(throws: QuiltFormatError.indexTooLong(byteCount: 296, byteCountMax: 295)) {
      try announced(296, columnCount: 5)
    }
    #expect(throws: QuiltFormatError.indexTooLong(byteCount: 4_294_967_295, byteCountMax: 295)) {
      try announced(.max, columnCount: 5)
    }
  }

  @Test func `an index uses up exactly its bytes`() throws {
    let good = QuiltIndex(entries: [try entry("a", 1..<3)]).bcsBytes
    #expect(try index(good).entries.count == 1)
    #expect(throws: QuiltFormatError.malformedIndex(.leftoverBytes(count: 1))) {
      try index(good + [0])
    }
    #expect(throws: QuiltFormatError.self) { try index(Array(good.dropLast())) }
    #expect(throws: QuiltFormatError.truncated(needed: 11, available: 10)) {
      try QuiltIndex(stream: stream(good).dropLast(), shape: shape)
    }
    #expect(throws: QuiltFormatError.truncated(needed: 5, available: 4)) {
      try QuiltIndex(stream: [1, 0, 0, 0], shape: shape)
    }
  }

  @Test(arguments: [1..<1, 0..<6, 0..<1])
  func `columns lie behind the index and within the quilt`(columns: Range<Int>) throws {
    // The index takes column 0, so a patch cannot end at column 1 or before.
    let bytes = QuiltIndex(entries: [try entry("a", columns)]).bcsBytes
    #expect(throws: QuiltFormatError.self) { try index(bytes) }
  }

  @Test func `columns do not overlap`() throws {
    let bytes = QuiltIndex(entries: [try entry("a", 1..<3), try entry("b", 2..<3)]).bcsBytes
    #expect(throws: QuiltFormatError.self) { try index(bytes) }
  }

  @Test func `more patches than columns are refused before they are read`() {
    let bytes: [UInt8] = [6] + [UInt8](repeating: 0, count: 50)
    #expect(throws: QuiltFormatError.malformedIndex(.lengthTooLarge(offset: 0))) {
      try index(bytes)
    }
  }

  @Test func `readers apply the rules for identifiers`() {
    // End column 2, identifier "a ", no tags.
    #expect(throws: QuiltFormatError.self) { try index([1, 2, 0, 2, 0x61, 0x20, 0]) }
    #expect(throws: QuiltFormatError.self) { try index([1, 2, 0, 0, 0]) }
    #expect(throws: QuiltFormatError.malformedIndex(.invalidUTF8(offset: 3))) {
      try index([1, 2, 0, 1, 0xFF, 0])
    }
  }

  @Test func `repeated and unsorted identifiers are read, and the first match counts`() throws {
    let entries = [try entry("b", 1..<2), try entry("a", 2..<3), try entry("b", 3..<4)]
    let read = try index(QuiltIndex(entries: entries).bcsBytes)
    #expect(read.entries == entries)
    #expect(read.entry(identifiedBy: try identifier("b")) == entries[0])
    #expect(read.entry(at: 3..<4) == entries[2])
    #expect(read.entry(at: 3..<5) == nil)
    #expect(read.entry(at: 0..<1) == nil)
  }

  @Test func `tags are looked up by their exact value`() throws {
    func tagged(_ text: String, _ columns: Range<Int>, _ value: String) throws -> QuiltIndexEntry {
      QuiltIndexEntry(
        identifier: try identifier(text), tags: try QuiltTags([QuiltTag(name: "t", value: value)]),
        columns: columns)
    }
    let entries = [
      try tagged("a", 1..<2, "x"), try tagged("b", 2..<3, "xx"), try tagged("c", 3..<4, "x"),
    ]
    let index = QuiltIndex(entries: entries)
    #expect(index.entries(taggedBy: "t", value: "x") == [entries[0], entries[2]])
    #expect(index.entries(taggedBy: "T", value: "x").isEmpty)
  }

  // MARK: Patches

  /// Identifier "a", no tags, data 7 8 9.
  private let patch: [UInt8] = [1, 7, 0, 0, 0, 0, 2, 0, 1, 0x61, 7, 8, 9]

  private func changed(_ position: Int, _ byte: UInt8) -> [UInt8] {
    var bytes = patch
    bytes[position] = byte
    return bytes
  }

  @Test func `a patch is read, and what follows it ignored`() throws {
    let read = try QuiltPatch(columns: patch + [1, 2, 3])
    #expect(read == QuiltPatch(identifier: try identifier("a"), data: [7, 8, 9]))
  }

  @Test func `a patch of another version or with unknown flags is refused`() {
    #expect(throws: QuiltFormatError.unknownVersion(0)) { try QuiltPatch(columns: changed(0, 0)) }
    for mask in [2, 3, 0x80] as [UInt8] {
      #expect(throws: QuiltFormatError.unknownMask(mask)) {
        try QuiltPatch(columns: changed(5, mask))
      }
    }
  }

  @Test func `a patch does not reach past its columns`() {
    #expect(throws: QuiltFormatError.truncated(needed: 14, available: 13)) {
      try QuiltPatch(columns: changed(1, 8))
    }
    #expect(throws: QuiltFormatError.truncated(needed: 6, available: 5)) {
      try QuiltPatch(columns: Array(patch.prefix(5)))
    }
  }

  @Test func `fields lie within the patch and use up their sizes`() {
    // Only the size of the identifier is left.
    #expect(throws: QuiltFormatError.truncated(needed: 10, available: 8)) {
      try QuiltPatch(columns: changed(1, 2))
    }
    #expect(throws: QuiltFormatError.truncated(needed: 8, available: 7)) {
      try QuiltPatch(columns: changed(1, 1))
    }
    #expect(throws: QuiltFormatError.sizeMismatch(announced: 3, used: 2)) {
      try QuiltPatch(columns: changed(6, 3))
    }
    #expect(throws: QuiltFormatError.self) { try QuiltPatch(columns: changed(6, 1)) }
  }

  @Test func `a header that says something else than the index is refused`() throws {
    let header = try QuiltPatchHeader(patch, columnsByteCount: patch.count)
    #expect(try header.checked(against: try entry("a", 1..<2)) == header)
    let other = try entry("b", 1..<2)
    #expect(throws: QuiltFormatError.differsFromIndex(other.identifier)) {
      try header.checked(against: other)
    }
    let tagged = QuiltIndexEntry(
      identifier: header.identifier, tags: try QuiltTags([QuiltTag(name: "t", value: "")]),
      columns: 1..<2)
    #expect(throws: QuiltFormatError.differsFromIndex(header.identifier)) {
      try header.checked(against: tagged)
    }
  }

  // MARK: Whole quilts and patch IDs

  @Test(arguments: [0, 14, 16, 15 * 65_535])
  func `a blob that does not fill its matrix is no quilt`(byteCount: Int) throws {
    let parameters = try EncodingParameters(shardCount: 7)
    #expect(
      throws: QuiltFormatError.matrixNotFilled(byteCount: UInt64(byteCount), cellCount: 15)
    ) { try QuiltReader([UInt8](repeating: 0, count: byteCount), parameters: parameters) }
  }

  @Test func `what does not fit is refused when building`() throws {
    let parameters = try EncodingParameters(shardCount: 4)
    let large = QuiltPatchHeader(
      identifier: try identifier("a"), tags: .none, dataByteCount: 5_000_000_000)
    #expect(
      throws: QuiltBuildError.patchTooLarge(large.identifier, byteCount: large.dataByteCount)
    ) { try QuiltPlan([large], parameters: parameters) }
    let tooLarge = QuiltPatchHeader(
      identifier: try identifier("a"), tags: .none, dataByteCount: 262_140)
    #expect(throws: QuiltBuildError.quiltTooLarge(symbolByteCount: 65_538)) {
      try QuiltPlan([tooLarge], parameters: parameters)
    }
  }

  @Test func `a last patch without data may fill its columns exactly`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    // Header of 9 bytes and two of identifier: columns of 12 bytes hold it and the index alike.
    let patch = QuiltPatch(identifier: try identifier("abc"), data: [])
    let built = try BuiltQuilt([patch], parameters: parameters)
    #expect(built.shape.columnByteCount == 6)
    #expect(patch.header.streamByteCount == 12)
    #expect(built.index.entries[0].columns == 3..<5)
    let reader = try QuiltReader(built.blob, parameters: parameters)
    #expect(try reader.patch(reader.index.entries[0]) == patch)
  }

  @Test func `patch IDs have one form`() throws {
    let id = QuiltPatchID(quilt: BlobID(Digest(hashing: [1])), columns: 2..<300)
    #expect(id.bytes.count == 37 && id.text.count == 50)
    #expect(try QuiltPatchID(bytes: id.bytes) == id)
    #expect(throws: QuiltPatchIDError.notBase64URL) { try QuiltPatchID(text: id.text + "=") }
    #expect(throws: QuiltPatchIDError.wrongByteCount(32)) {
      try QuiltPatchID(bytes: id.quilt.bytes)
    }
    #expect(throws: QuiltPatchIDError.wrongByteCount(33)) {
      try QuiltPatchID(bytes: id.quilt.bytes + [1])
    }
    #expect(throws: QuiltPatchIDError.wrongByteCount(38)) {
      try QuiltPatchID(bytes: id.bytes + [0])
    }
    #expect(throws: QuiltPatchIDError.unknownVersion(7)) {
      try QuiltPatchID(bytes: id.quilt.bytes + [7])
    }
    #expect(throws: QuiltPatchIDError.emptyColumns(start: 5, end: 5)) {
      try QuiltPatchID(bytes: id.quilt.bytes + [1, 5, 0, 5, 0])
    }
  }
}
