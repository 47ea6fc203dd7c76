// JSONValue.swift
//
// JSON (RFC 8259) as a value, for the answers that the reference gives as JSON. Integers are exact
// over the whole range of UInt64 and Int64, since file sizes and revisions do not fit a double;
// members keep their order. `JSONParser.swift` reads it.

internal import RedStuff

/// A JSON value. Make integers with `integer(_:)`, so that equal numbers are equal values.
package enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// Zero and above.
  case unsigned(UInt64)
  /// Below zero.
  case negative(Int64)
  /// With a fraction or an exponent, or outside the two above. What is not finite is written as null.
  case double(Double)
  case string(String)
  case array([JSONValue])
  /// Names are distinct when read; whoever writes sees to it.
  case object([JSONMember])

  /// The value must be in the range of UInt64 or Int64.
  package static func integer(_ value: some BinaryInteger) -> JSONValue {
    value < 0 ? .negative(Int64(value)) : .unsigned(UInt64(value))
  }
}

package struct JSONMember: Hashable, Sendable {
  package var name: String
  package var value: JSONValue

  package init(_ name: String, _ value: JSONValue) {
    self.name = name
    self.value = value
  }
}

// Reading what was parsed: nil where the value is of another kind.
extension JSONValue {
  package subscript(_ name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  package var isNull: Bool { self == .null }

  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  package var array: [JSONValue]? {
    if case .array(let values) = self { values } else { nil }
  }

  package var members: [JSONMember]? {
    if case .object(let members) = self { members } else { nil }
  }

  /// Nil also where the number does not fit.
  package func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
    switch self {
    case .unsigned(let value): Value(exactly: value)
    case .negative(let value): Value(exactly: value)
    default: nil
    }
  }

  /// Any number, at the precision of a double.
  package var double: Double? {
    switch self {
    case .unsigned(let value): Double(value)
    case .negative(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { JSONMember($0.0, $0.1) })
  }
  package init(nilLiteral: ()) { self = .null }
}

extension JSONValue {
  /// UTF-8 without white space.
  package func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  package var text: String { String(decoding: encoded(), as: UTF8.self) }

  private func append(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .unsigned(let value): bytes += "\(value)".utf8
    case .negative(let value): bytes += "\(value)".utf8
    case .double(let value): bytes += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): Self.append(value, to: &bytes)
    case .array(let values):
      bytes.append(UInt8(ascii: "["))
      for (position, value) in values.enumerated() {
        if position > 0 { bytes.append(UInt8(ascii: ",")) }
        value.append(to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (position, member) in members.enumerated() {
        if position > 0 { bytes.append(UInt8(ascii: ",")) }
        Self.append(member.name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        member.value.append(to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func append(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes += "\\\"".utf8
      case UInt8(ascii: "\\"): bytes += "\\\\".utf8
      case UInt8(ascii: "\n"): bytes += "\\n".utf8
      case UInt8(ascii: "\r"): bytes += "\\r".utf8
      case UInt8(ascii: "\t"): bytes += "\\t".utf8
      case 0..<0x20: bytes += ("\\u00" + [byte].hex).utf8
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
