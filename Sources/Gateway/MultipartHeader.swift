// MultipartHeader.swift
//
// What the header fields say: the boundary of a form, and of each part the name of its field. Names
// are UTF-8 in quotes, where a backslash stands before a quote or a backslash that is meant; nothing
// else is decoded, since clients disagree about anything else.

/// The line that separates the parts of a form.
struct MultipartBoundary: Equatable {
  /// The RFC's number.
  static let lengthMax = 70

  let text: String

  /// - Parameter contentType: the value of the header; nil if it is none of a form.
  init?(contentType: String) {
    guard let value = HeaderValue(contentType), value.word.lowercased() == "multipart/form-data",
      let boundary = value.parameters.first(where: { $0.name == "boundary" })?.value,
      (1...Self.lengthMax).contains(boundary.utf8.count), !boundary.hasSuffix(" "),
      boundary.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
    else { return nil }
    text = boundary
  }
}

/// The header of one part.
struct MultipartHeader: Equatable {
  /// Of the field; not empty.
  let name: String

  /// - Parameter lines: the header fields, without the empty line at their end.
  init(_ lines: some Sequence<UInt8>) throws(MultipartError) {
    guard let text = String(validating: Array(lines), as: UTF8.self) else {
      throw .malformedHeader("a header is not UTF-8")
    }
    var found: String?
    // A line end is one character to Swift.
    for line in text.split(separator: "\r\n") {
      guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
        throw .malformedHeader("`\(line.prefix(80))` has no colon")
      }
      let value = String(line[line.utf8.index(after: colon)...])
      switch line[..<colon].lowercased() {
      case "content-disposition":
        guard found == nil else { throw .malformedHeader("two Content-Disposition in one part") }
        found = try Self.name(disposition: value)
      case "content-transfer-encoding":
        let encoding = trimmed(value).lowercased()
        guard ["7bit", "8bit", "binary"].contains(encoding) else {
          throw .unsupportedEncoding(String(encoding.prefix(80)))
        }
      default: break
      }
    }
    guard let found else { throw .malformedHeader("a part has no Content-Disposition") }
    name = found
  }

  private static func name(disposition: String) throws(MultipartError) -> String {
    guard let value = HeaderValue(disposition), value.word.lowercased() == "form-data" else {
      throw .malformedHeader("the Content-Disposition of a part is form-data; name=\"...\"")
    }
    let names = value.parameters.filter { $0.name == "name" }
    guard names.count == 1, let name = names.first?.value, !name.isEmpty else {
      throw .malformedHeader("a part has one name, which is not empty")
    }
    return name
  }
}

/// A word and its parameters: `word; name=value; name="value"`.
private struct HeaderValue {
  let word: String
  /// Names in lower case.
  private(set) var parameters: [(name: String, value: String)] = []

  /// Nil where the grammar is broken.
  init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    Self.skipBlanks(&rest)
    word = Self.take(&rest) { $0 != UInt8(ascii: ";") && !Self.isBlank($0) }
    Self.skipBlanks(&rest)
    while !rest.isEmpty {
      guard rest.removeFirst() == UInt8(ascii: ";") else { return nil }
      Self.skipBlanks(&rest)
      // Some end their list with the separator.
      if rest.isEmpty { break }
      let name = Self.take(&rest) { Self.isToken($0) }.lowercased()
      guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "="), let value = Self.value(&rest)
      else { return nil }
      parameters.append((name, value))
      Self.skipBlanks(&rest)
    }
  }

  /// A token, or text in quotes.
  private static func value(_ rest: inout ArraySlice<UInt8>) -> String? {
    guard rest.first == UInt8(ascii: "\"") else {
      let token = take(&rest) { isToken($0) }
      return token.isEmpty ? nil : token
    }
    rest.removeFirst()
    var value: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return String(validating: value, as: UTF8.self) }
      let isEscape =
        byte == UInt8(ascii: "\\")
        && (rest.first == UInt8(ascii: "\"") || rest.first == UInt8(ascii: "\\"))
      value.append(isEscape ? rest.removeFirst() : byte)
    }
    return nil
  }

  private static func take(
    _ rest: inout ArraySlice<UInt8>, while isTaken: (UInt8) -> Bool
  ) -> String {
    let taken = rest.prefix(while: isTaken)
    rest = rest.dropFirst(taken.count)
    return String(decoding: taken, as: UTF8.self)
  }

  private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) {
    rest = rest.drop(while: isBlank)
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte != 0x7F && !"()<>@,;:\\\"[]?=".utf8.contains(byte)
  }
}

extension MultipartError: CustomStringConvertible {
  var description: String {
    switch self {
    case .tooMuchAround(let byteCountMax):
      "more than \(byteCountMax) bytes lie outside of the parts; is the boundary the right one?"
    case .boundaryNotAlone: "a boundary is followed by neither a line end nor two dashes"
    case .headerTooLong(let byteCountMax):
      "the header of a part is longer than \(byteCountMax) bytes"
    case .malformedHeader(let what): what
    case .unsupportedEncoding(let encoding):
      "parts are sent as they are, not with the transfer encoding `\(encoding)`"
    case .unfinished: "the closing boundary of the form did not come"
    }
  }
}
