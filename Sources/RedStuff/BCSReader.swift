// BCSReader.swift
//
// Binary canonical serialisation, the reading half, for bytes from peers and disks: every read is
// checked against what is left, and whatever is not the one canonical form is refused.
//
// Invariant: memory taken while reading is bounded by the bytes at hand; a length field alone
// never allocates anything.

/// Why bytes are not the canonical form of a value. Offsets count from the start of the message.
package enum BCSError: Error, Equatable {
  case truncated(offset: Int, needed: Int, available: Int)
  case lengthNotMinimal(offset: Int)
  /// The number does not fit 32 bits, or is above `BCSWriter.lengthMax`.
  case lengthTooLarge(offset: Int)
  case unknownVariant(type: String, variant: UInt32)
  case notABool(offset: Int, byte: UInt8)
  case mapKeysUnsorted(offset: Int)
  case invalidUTF8(offset: Int)
  case leftoverBytes(count: Int)
  /// A field has a value that its type does not allow.
  case invalidValue(type: String, reason: String)
}

/// Takes values from the front of a byte array.
package struct BCSReader: Sendable {
  private let bytes: [UInt8]
  /// Where the next value starts.
  package private(set) var offset = 0

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  package var remainingCount: Int { bytes.count - offset }

  /// To be called after the last value.
  package func finish() throws(BCSError) {
    guard remainingCount == 0 else { throw .leftoverBytes(count: remainingCount) }
  }

  package mutating func readUInt8() throws(BCSError) -> UInt8 {
    let start = try advance(by: 1)
    return bytes[start]
  }

  package mutating func readUInt16() throws(BCSError) -> UInt16 { try readInteger() }

  package mutating func readUInt32() throws(BCSError) -> UInt32 { try readInteger() }

  package mutating func readUInt64() throws(BCSError) -> UInt64 { try readInteger() }

  package mutating func readBool() throws(BCSError) -> Bool {
    let start = offset
    let byte = try readUInt8()
    guard byte <= 1 else { throw .notABool(offset: start, byte: byte) }
    return byte == 1
  }

  /// Usable where the type is known from the context: `let id: BlobID = try reader.read()`.
  package mutating func read<Value: BCSCodable>(
    _: Value.Type = Value.self
  ) throws(BCSError) -> Value {
    try Value(from: &self)
  }

  package mutating func readDigest() throws(BCSError) -> Digest {
    let start = try advance(by: Digest.byteCount)
    return Digest(bytes.span, at: start)
  }

  /// Bytes whose number both sides know.
  package mutating func readFixed(_ count: Int) throws(BCSError) -> [UInt8] {
    let start = try advance(by: count)
    return Array(bytes[start..<start + count])
  }

  /// Bytes with their length in front; `countMax` bounds what the caller is ready to hold.
  package mutating func readBytes(
    countMax: Int = BCSWriter.lengthMax
  ) throws(BCSError) -> [UInt8] {
    let start = offset
    let count = try readLength()
    guard count <= countMax else { throw .lengthTooLarge(offset: start) }
    return try readFixed(count)
  }

  package mutating func readString(
    byteCountMax: Int = BCSWriter.lengthMax
  ) throws(BCSError) -> String {
    let start = offset
    let utf8 = try readBytes(countMax: byteCountMax)
    guard let text = String(validating: utf8, as: UTF8.self) else {
      throw .invalidUTF8(offset: start)
    }
    return text
  }

  package mutating func readLength() throws(BCSError) -> Int {
    let start = offset
    let length = try readLEB128()
    guard length <= BCSWriter.lengthMax else { throw .lengthTooLarge(offset: start) }
    return Int(length)
  }

  package mutating func readVariant() throws(BCSError) -> UInt32 { try readLEB128() }

  /// For enums whose raw value is the variant number.
  package mutating func readVariant<Value: RawRepresentable<UInt8>>(
    of type: Value.Type
  ) throws(BCSError) -> Value {
    let variant = try readLEB128()
    guard let raw = UInt8(exactly: variant), let value = Value(rawValue: raw) else {
      throw .unknownVariant(type: "\(type)", variant: variant)
    }
    return value
  }

  /// For enums and versioned structs of which only one variant exists.
  package mutating func readVariant(
    expecting expected: UInt32, of type: String
  ) throws(BCSError) {
    let variant = try readLEB128()
    guard variant == expected else { throw .unknownVariant(type: type, variant: variant) }
  }

  package mutating func readArray<Value: BCSCodable>(
    of type: Value.Type = Value.self, countMax: Int = BCSWriter.lengthMax
  ) throws(BCSError) -> [Value] {
    try readSequence(countMax: countMax) { (reader) throws(BCSError) in try reader.read(type) }
  }

  package mutating func readSequence<Element>(
    countMax: Int = BCSWriter.lengthMax,
    _ readElement: (inout BCSReader) throws(BCSError) -> Element
  ) throws(BCSError) -> [Element] {
    let start = offset
    let count = try readLength()
    guard count <= countMax else { throw .lengthTooLarge(offset: start) }
    // Every element of our messages takes a byte or more, so a count above what is left is a lie,
    // and would otherwise cost time and memory without any bytes behind it.
    guard count <= remainingCount else {
      throw .truncated(offset: offset, needed: count, available: remainingCount)
    }
    var elements: [Element] = []
    for _ in 0..<count { elements.append(try readElement(&self)) }
    return elements
  }

  package mutating func readOptional<Value: BCSCodable>(
    _ type: Value.Type = Value.self
  ) throws(BCSError) -> Value? {
    try readOptional { (reader) throws(BCSError) in try reader.read(type) }
  }

  package mutating func readOptional<Value>(
    _ readValue: (inout BCSReader) throws(BCSError) -> Value
  ) throws(BCSError) -> Value? {
    try readBool() ? try readValue(&self) : nil
  }

  /// Keys must ascend strictly by their bytes.
  package mutating func readMap<Key: Hashable, Value>(
    countMax: Int = BCSWriter.lengthMax,
    key readKey: (inout BCSReader) throws(BCSError) -> Key,
    value readValue: (inout BCSReader) throws(BCSError) -> Value
  ) throws(BCSError) -> [Key: Value] {
    var previousKey: Range<Int>?
    var map: [Key: Value] = [:]
    _ = try readSequence(countMax: countMax) { (reader) throws(BCSError) in
      let start = reader.offset
      let key = try readKey(&reader)
      let range = start..<reader.offset
      if let previous = previousKey,
        !reader.bytes[previous].lexicographicallyPrecedes(reader.bytes[range])
      {
        throw BCSError.mapKeysUnsorted(offset: start)
      }
      previousKey = range
      // Swift compares strings by canonical equivalence, which is wider than equality of bytes.
      guard map.updateValue(try readValue(&reader), forKey: key) == nil else {
        throw BCSError.invalidValue(type: "map", reason: "two keys count as equal")
      }
    }
    return map
  }

  package mutating func readStringMap(
    countMax: Int = BCSWriter.lengthMax
  ) throws(BCSError) -> [String: String] {
    try readMap(
      countMax: countMax,
      key: { (reader) throws(BCSError) in try reader.readString() },
      value: { (reader) throws(BCSError) in try reader.readString() })
  }

  private mutating func readInteger<Value: FixedWidthInteger & UnsignedInteger>()
    throws(BCSError) -> Value
  {
    let width = Value.bitWidth / 8
    let start = try advance(by: width)
    var value: Value = 0
    for position in 0..<width {
      value |= Value(truncatingIfNeeded: bytes[start + position]) << Value(8 * position)
    }
    return value
  }

  private mutating func readLEB128() throws(BCSError) -> UInt32 {
    let start = offset
    var value: UInt64 = 0
    // Five groups of seven bits hold any 32-bit number.
    for group in 0..<5 {
      let byte = try readUInt8()
      value |= UInt64(byte & 0x7F) << UInt64(7 * group)
      if byte & 0x80 == 0 {
        guard byte != 0 || group == 0 else { throw .lengthNotMinimal(offset: start) }
        guard value <= UInt32.max else { throw .lengthTooLarge(offset: start) }
        return UInt32(value)
      }
    }
    throw .lengthTooLarge(offset: start)
  }

  /// Takes `count` bytes and says where they start.
  private mutating func advance(by count: Int) throws(BCSError) -> Int {
    guard count >= 0, count <= remainingCount else {
      throw .truncated(offset: offset, needed: count, available: remainingCount)
    }
    defer { offset += count }
    return offset
  }
}
