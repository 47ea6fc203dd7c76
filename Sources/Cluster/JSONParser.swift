// JSONParser.swift
//
// Reads JSON from anyone: strict grammar (RFC 8259), strict UTF-8, no lone surrogates, no name twice
// in an object (readers disagree on which one counts), bounded length and depth. Never traps.

/// Why text is not JSON as we read it. Offsets count bytes from the start.
package enum JSONError: Error, Hashable, Sendable {
  case tooLong(byteCount: Int, byteCountMax: Int)
  case tooDeep(offset: Int, depthMax: Int)
  case unexpectedEnd
  case unexpectedByte(offset: Int)
  case invalidUTF8(offset: Int)
  case invalidEscape(offset: Int)
  /// No finite double is near it.
  case numberOutOfRange(offset: Int)
  case repeatedName(offset: Int)
  case leftoverBytes(offset: Int)
}

extension JSONValue {
  /// No answer of a node or a client is longer: the longest is a list of a thousand blobs.
  package static let byteCountMax = 4 << 20
  /// Ours are at most five deep. The parser calls itself once a level, so that this also bounds the
  /// stack.
  package static let depthMax = 32

  /// `bytes` hold one value and white space around it.
  package init(
    parsing bytes: [UInt8], byteCountMax: Int = Self.byteCountMax, depthMax: Int = Self.depthMax
  ) throws(JSONError) {
    guard bytes.count <= byteCountMax else {
      throw .tooLong(byteCount: bytes.count, byteCountMax: byteCountMax)
    }
    var parser = JSONParser(bytes: bytes, depthMax: depthMax)
    self = try parser.parse()
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let depthMax: Int
  var offset = 0

  init(bytes: [UInt8], depthMax: Int) {
    self.bytes = bytes
    self.depthMax = depthMax
  }

  mutating func parse() throws(JSONError) -> JSONValue {
    let value = try readValue(depth: 0)
    skipWhiteSpace()
    guard offset == bytes.count else { throw .leftoverBytes(offset: offset) }
    return value
  }

  private mutating func readValue(depth: Int) throws(JSONError) -> JSONValue {
    skipWhiteSpace()
    switch try peek() {
    case UInt8(ascii: "{"): return try readObject(depth: depth)
    case UInt8(ascii: "["): return try readArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "t"): return try readWord("true", .bool(true))
    case UInt8(ascii: "f"): return try readWord("false", .bool(false))
    case UInt8(ascii: "n"): return try readWord("null", .null)
    default: return try readNumber()
    }
  }

  private mutating func readObject(depth: Int) throws(JSONError) -> JSONValue {
    try enter(depth)
    var members: [JSONMember] = []
    var names: Set<String> = []
    guard !skip(UInt8(ascii: "}")) else { return .object([]) }
    repeat {
      skipWhiteSpace()
      let start = offset
      let name = try readString()
      guard names.insert(name).inserted else { throw .repeatedName(offset: start) }
      try expect(UInt8(ascii: ":"))
      members.append(JSONMember(name, try readValue(depth: depth + 1)))
    } while skip(UInt8(ascii: ","))
    try expect(UInt8(ascii: "}"))
    return .object(members)
  }

  private mutating func readArray(depth: Int) throws(JSONError) -> JSONValue {
    try enter(depth)
    var values: [JSONValue] = []
    guard !skip(UInt8(ascii: "]")) else { return .array([]) }
    repeat {
      values.append(try readValue(depth: depth + 1))
    } while skip(UInt8(ascii: ","))
    try expect(UInt8(ascii: "]"))
    return .array(values)
  }

  /// Takes the opening bracket.
  private mutating func enter(_ depth: Int) throws(JSONError) {
    guard depth < depthMax else { throw .tooDeep(offset: offset, depthMax: depthMax) }
    offset += 1
  }

  private mutating func readWord(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue
  {
    for byte in word.utf8 {
      guard try peek() == byte else { throw .unexpectedByte(offset: offset) }
      offset += 1
    }
    return value
  }

  private mutating func readNumber() throws(JSONError) -> JSONValue {
    let start = offset
    var isInteger = true
    let isNegative = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try takeDigits() }
    if take(UInt8(ascii: ".")) {
      isInteger = false
      try takeDigits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isInteger = false
      _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
      try takeDigits()
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isInteger {
      if !isNegative, let value = UInt64(text) { return .unsigned(value) }
      if isNegative, let value = Int64(text), value < 0 { return .negative(value) }
    }
    guard let value = Double(text), value.isFinite else {
      throw .numberOutOfRange(offset: start)
    }
    return .double(value)
  }

  private mutating func takeDigits() throws(JSONError) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard digits.contains(try peek()) else { throw .unexpectedByte(offset: offset) }
    while offset < bytes.count, digits.contains(bytes[offset]) { offset += 1 }
  }

  private mutating func readString() throws(JSONError) -> String {
    guard try peek() == UInt8(ascii: "\"") else { throw .unexpectedByte(offset: offset) }
    offset += 1
    let start = offset
    var text: [UInt8] = []
    while true {
      let runStart = offset
      while isPlain(try peek()) { offset += 1 }
      text += bytes[runStart..<offset]
      switch bytes[offset] {
      case UInt8(ascii: "\""):
        offset += 1
        guard let string = String(validating: text, as: UTF8.self) else {
          throw .invalidUTF8(offset: start)
        }
        return string
      case UInt8(ascii: "\\"):
        text += try readEscape()
      default:
        throw .unexpectedByte(offset: offset)
      }
    }
  }

  private func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  private mutating func readEscape() throws(JSONError) -> [UInt8] {
    let start = offset
    offset += 1
    let letter = try peek()
    offset += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var scalar = try readCodeUnit(start)
      if (0xD800...0xDBFF).contains(scalar) {
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
          throw .invalidEscape(offset: start)
        }
        let low = try readCodeUnit(start)
        guard (0xDC00...0xDFFF).contains(low) else { throw .invalidEscape(offset: start) }
        scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
      }
      // Refuses a low surrogate that stands alone.
      guard let valid = Unicode.Scalar(scalar) else { throw .invalidEscape(offset: start) }
      return Array(String(Character(valid)).utf8)
    default: throw .invalidEscape(offset: start)
    }
  }

  /// Four hexadecimal digits.
  private mutating func readCodeUnit(_ start: Int) throws(JSONError) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = hexValue(try peek()) else { throw .invalidEscape(offset: start) }
      unit = unit << 4 | UInt32(digit)
      offset += 1
    }
    return unit
  }

  private func peek() throws(JSONError) -> UInt8 {
    guard offset < bytes.count else { throw .unexpectedEnd }
    return bytes[offset]
  }

  private mutating func skipWhiteSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0A, 0x0D: offset += 1
      default: return
      }
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  /// Takes `byte` with the white space before it, if it comes next.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipWhiteSpace()
    return take(byte)
  }

  private mutating func expect(_ byte: UInt8) throws(JSONError) {
    guard !skip(byte) else { return }
    throw offset < bytes.count ? .unexpectedByte(offset: offset) : .unexpectedEnd
  }
}
