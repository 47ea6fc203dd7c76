// BCSWriter.swift
//
// Binary canonical serialisation, the writing half. Integers are little-endian at fixed width;
// lengths and enum variants are minimal unsigned LEB128; structs and fixed arrays have no header;
// maps are sequences sorted by the serialised key. One value has exactly one form, so bytes can be
// signed and hashed.

/// A value with a canonical byte form.
package protocol BCSCodable {
  init(from reader: inout BCSReader) throws(BCSError)
  func encode(to writer: inout BCSWriter)
}

extension BCSCodable {
  package var bcsBytes: [UInt8] {
    var writer = BCSWriter()
    encode(to: &writer)
    return writer.bytes
  }

  /// The whole of `bytes` is one value; leftover bytes are an error.
  package init(bcs bytes: [UInt8]) throws(BCSError) {
    var reader = BCSReader(bytes)
    try self.init(from: &reader)
    try reader.finish()
  }
}

/// Appends values to a byte array; or, for whoever needs only the length of a message, counts what
/// would be copied.
package struct BCSWriter: Sendable {
  /// The longest sequence, string or map that may be written or read.
  package static let lengthMax = Int(Int32.max)

  /// All that was written, unless this writer only counts.
  package private(set) var bytes: [UInt8] = []
  private var isCounting = false
  private var uncopiedByteCount = 0

  package init() {}

  /// A writer that copies no byte arrays.
  package static var counting: BCSWriter {
    var writer = BCSWriter()
    writer.isCounting = true
    return writer
  }

  package var byteCount: Int { bytes.count + uncopiedByteCount }

  package init(reservingCapacity byteCount: Int) {
    bytes.reserveCapacity(byteCount)
  }

  package mutating func write(_ value: some FixedWidthInteger & UnsignedInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  package mutating func write(_ value: Bool) {
    bytes.append(value ? 1 : 0)
  }

  package mutating func write(_ value: some BCSCodable) {
    value.encode(to: &self)
  }

  package mutating func write(_ digest: Digest) {
    if isCounting {
      uncopiedByteCount += Digest.byteCount
      return
    }
    for word in [digest.word0, digest.word1, digest.word2, digest.word3] {
      write(word.byteSwapped)
    }
  }

  /// Bytes whose number both sides know: no length in front.
  package mutating func writeFixed(_ value: some Collection<UInt8>) {
    if isCounting {
      uncopiedByteCount += value.count
    } else {
      bytes.append(contentsOf: value)
    }
  }

  package mutating func writeLength(_ length: Int) {
    precondition(length <= Self.lengthMax, "a length of \(length) is not encodable")
    writeLEB128(UInt32(length))
  }

  package mutating func writeVariant(_ variant: some FixedWidthInteger & UnsignedInteger) {
    writeLEB128(UInt32(variant))
  }

  /// Bytes with their length in front.
  package mutating func writeBytes(_ value: some Collection<UInt8>) {
    writeLength(value.count)
    writeFixed(value)
  }

  package mutating func write(_ value: some StringProtocol) {
    writeBytes(value.utf8)
  }

  package mutating func write(_ values: [some BCSCodable]) {
    writeSequence(values) { (writer, value) in value.encode(to: &writer) }
  }

  package mutating func writeSequence<Values: Collection>(
    _ values: Values, _ writeElement: (inout BCSWriter, Values.Element) -> Void
  ) {
    writeLength(values.count)
    for value in values { writeElement(&self, value) }
  }

  /// 00 for nothing, 01 and the value otherwise.
  package mutating func write(_ value: (some BCSCodable)?) {
    writeOptional(value) { (writer, value) in value.encode(to: &writer) }
  }

  package mutating func writeOptional<Value>(
    _ value: Value?, _ writeValue: (inout BCSWriter, Value) -> Void
  ) {
    write(value != nil)
    if let value { writeValue(&self, value) }
  }

  /// Entries are sorted by the bytes of their keys, whatever order they come in.
  package mutating func writeMap<Key: Hashable, Value>(
    _ map: [Key: Value],
    key writeKey: (inout BCSWriter, Key) -> Void,
    value writeValue: (inout BCSWriter, Value) -> Void
  ) {
    var entries: [(key: [UInt8], value: Value)] = []
    entries.reserveCapacity(map.count)
    for (key, value) in map {
      var writer = BCSWriter()
      writeKey(&writer, key)
      entries.append((writer.bytes, value))
    }
    entries.sort { $0.key.lexicographicallyPrecedes($1.key) }
    writeLength(entries.count)
    for entry in entries {
      bytes.append(contentsOf: entry.key)
      writeValue(&self, entry.value)
    }
  }

  package mutating func write(_ map: [String: String]) {
    writeMap(map, key: { $0.write($1) }, value: { $0.write($1) })
  }

  private mutating func writeLEB128(_ value: UInt32) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }
}
