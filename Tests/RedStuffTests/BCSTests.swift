// BCSTests.swift
//
// The canonical serialisation: one form per value, and every other form refused.

import Testing

@testable import RedStuff

@Suite struct BCSTests {
  private func reader(_ hex: String) throws -> BCSReader { BCSReader(try bytes(hex: hex)) }

  @Test func `integers are little-endian at fixed width`() {
    var writer = BCSWriter()
    writer.write(UInt8(1))
    writer.write(UInt16(0x0203))
    writer.write(UInt32(0x0405_0607))
    writer.write(UInt64(0x0809_0A0B_0C0D_0E0F))
    #expect(writer.bytes.hex == "010302070605040f0e0d0c0b0a0908")
  }

  @Test(arguments: [
    (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"),
    (2_147_483_647, "ffffffff07"),
  ])
  func `lengths are minimal LEB128`(length: Int, hex: String) throws {
    var writer = BCSWriter()
    writer.writeLength(length)
    #expect(writer.bytes.hex == hex)
    var reader = try reader(hex)
    #expect(try reader.readLength() == length)
    try reader.finish()
  }

  @Test(arguments: ["8000", "ff00", "808000", "8080808000"])
  func `a length with needless bytes is refused`(hex: String) throws {
    var reader = try reader(hex)
    #expect(throws: BCSError.lengthNotMinimal(offset: 0)) { try reader.readLength() }
  }

  // 2^31, 2^32-1, 2^32, and more than 32 bits of groups.
  @Test(arguments: ["8080808008", "ffffffff0f", "8080808010", "ffffffffff01", "808080808000"])
  func `a length above 2^31-1 is refused`(hex: String) throws {
    var reader = try reader(hex)
    #expect(throws: BCSError.lengthTooLarge(offset: 0)) { try reader.readLength() }
  }

  @Test func `a variant may use all 32 bits and no more`() throws {
    var reader = try reader("ffffffff0f")
    #expect(try reader.readVariant() == UInt32.max)
    reader = try self.reader("ffffffff1f")
    #expect(throws: BCSError.lengthTooLarge(offset: 0)) { try reader.readVariant() }
  }

  @Test func `leftover bytes are refused`() throws {
    #expect(throws: BCSError.leftoverBytes(count: 2)) { try SliverIndex(bcs: [1, 0, 0, 0]) }
  }

  @Test func `a missing byte is refused with its place`() throws {
    #expect(throws: BCSError.truncated(offset: 2, needed: 2, available: 1)) {
      try SymbolID(bcs: [1, 0, 0])
    }
    var reader = try reader("05aabb")
    #expect(throws: BCSError.truncated(offset: 1, needed: 5, available: 2)) {
      try reader.readBytes()
    }
  }

  @Test func `a count without bytes behind it allocates nothing and is refused`() throws {
    var reader = try reader("ffffffff07")
    #expect(throws: BCSError.truncated(offset: 5, needed: Int(Int32.max), available: 0)) {
      try reader.readArray(of: SliverIndex.self)
    }
  }

  @Test func `a count above the caller's bound is refused`() throws {
    var reader = try reader("03000100020003")
    #expect(throws: BCSError.lengthTooLarge(offset: 0)) {
      try reader.readArray(of: SliverIndex.self, countMax: 2)
    }
    reader = try self.reader("03aabbcc")
    #expect(throws: BCSError.lengthTooLarge(offset: 0)) { try reader.readBytes(countMax: 2) }
  }

  @Test func `an unknown variant is refused with its number`() {
    #expect(throws: BCSError.unknownVariant(type: "SliverAxis", variant: 2)) {
      try SliverAxis(bcs: [2])
    }
    #expect(throws: BCSError.unknownVariant(type: "SliverAxis", variant: 256)) {
      try SliverAxis(bcs: [0x80, 2])
    }
    #expect(throws: BCSError.unknownVariant(type: "MerkleNode", variant: 2)) {
      try MerkleNode(bcs: [2])
    }
  }

  @Test func `only 0 and 1 are booleans`() throws {
    var reader = BCSReader([0, 1, 2])
    #expect(try reader.readBool() == false)
    #expect(try reader.readBool() == true)
    #expect(throws: BCSError.notABool(offset: 2, byte: 2)) { try reader.readBool() }
  }

  @Test(arguments: ["01ff", "02c080", "03eda080", "04f4908080"])
  func `invalid UTF-8 is refused`(hex: String) throws {
    var reader = try reader(hex)
    #expect(throws: BCSError.invalidUTF8(offset: 0)) { try reader.readString() }
  }

  @Test func `map entries are sorted by the bytes of their keys, shorter strings first`() throws {
    var writer = BCSWriter()
    writer.write(["b": "1", "aa": "2", "a": "", "é": "3"])
    #expect(writer.bytes.hex == "04" + "016100" + "01620131" + "0261610132" + "02c3a90133")
    var reader = BCSReader(writer.bytes)
    #expect(try reader.readStringMap() == ["b": "1", "aa": "2", "a": "", "é": "3"])
    try reader.finish()
  }

  @Test(arguments: ["02016200016100", "02016100016100", "0202616100016200"])
  func `unsorted and repeated map keys are refused`(hex: String) throws {
    var reader = try reader(hex)
    #expect(throws: BCSError.self) { try reader.readStringMap() }
    reader = try self.reader(hex)
    do {
      _ = try reader.readStringMap()
    } catch {
      guard case .mapKeysUnsorted = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  // Swift counts both spellings of é as one key; silently dropping an entry would lose data.
  @Test func `keys that Swift counts as equal are refused, not merged`() throws {
    var reader = try reader("02" + "02c3a900" + "0365cc8100")
    #expect(throws: BCSError.invalidValue(type: "map", reason: "two keys count as equal")) {
      try reader.readStringMap()
    }
  }

  @Test func `optionals and sequences round-trip`() throws {
    var writer = BCSWriter()
    writer.write(SliverIndex(7) as SliverIndex?)
    writer.write(nil as SliverIndex?)
    writer.write([SliverIndex(1), SliverIndex(2)])
    #expect(writer.bytes.hex == "010700" + "00" + "0201000200")
    var reader = BCSReader(writer.bytes)
    #expect(try reader.readOptional(SliverIndex.self) == SliverIndex(7))
    #expect(try reader.readOptional(SliverIndex.self) == nil)
    #expect(try reader.readArray(of: SliverIndex.self) == [SliverIndex(1), SliverIndex(2)])
    try reader.finish()
  }
}
