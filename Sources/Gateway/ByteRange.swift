// ByteRange.swift
//
// What a `Range` header asks of a blob of known length (RFC 9110, section 14). Open and suffix
// ranges are answered and ends past the blob are clipped; the reference refuses all three.

/// The outcome of a `Range` header.
enum ByteRangeRequest: Equatable, Sendable {
  /// No header, or one in a unit nobody knows, which the RFC says to ignore.
  case whole
  case part(Range<UInt64>)
  /// Answered with 416.
  case refused(String)

  /// `byteCount` is the length of the blob.
  init(header: String?, byteCount: UInt64) {
    guard let header else {
      self = .whole
      return
    }
    let sides = header.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard sides.count == 2, trimmed(sides[0]).lowercased() == "bytes" else {
      self = .whole
      return
    }
    let ranges = sides[1].split(separator: ",", omittingEmptySubsequences: true)
    guard ranges.count == 1 else {
      self = .refused("\(ranges.count) ranges were asked for and one is answered: ask for each")
      return
    }
    self = Self.range(trimmed(ranges[0]), byteCount: byteCount)
  }

  private static func range(_ text: Substring, byteCount: UInt64) -> ByteRangeRequest {
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard ends.count == 2 else { return .refused("`\(text)` is not a range of bytes") }
    switch (ends[0].isEmpty, ends[1].isEmpty) {
    case (true, true):
      return .refused("`-` is not a range of bytes")
    case (true, false):
      guard let count = number(ends[1]) else { break }
      guard count > 0, byteCount > 0 else {
        return .refused("the last \(count) of \(byteCount) bytes are none")
      }
      return .part(byteCount - min(count, byteCount)..<byteCount)
    case (false, _):
      guard let first = number(ends[0]) else { break }
      guard first < byteCount else {
        return .refused("byte \(first) lies past the end of a blob of \(byteCount) bytes")
      }
      if ends[1].isEmpty { return .part(first..<byteCount) }
      guard let last = number(ends[1]) else { break }
      guard first <= last else { return .refused("a range cannot run from \(first) to \(last)") }
      return .part(first..<min(last, byteCount - 1) + 1)
    }
    return .refused("`\(text)` is not a range of bytes")
  }

  /// Decimal digits only: no sign, no space. What exceeds 64 bits lies past every end.
  private static func number(_ text: Substring) -> UInt64? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 })
    else { return nil }
    return UInt64(text) ?? .max
  }
}

/// Without the spaces and tabs that HTTP allows around list members.
func trimmed(_ text: some StringProtocol) -> Substring {
  var text = Substring(text)
  while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
  while let last = text.last, last == " " || last == "\t" { text.removeLast() }
  return text
}
