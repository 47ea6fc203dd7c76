// MultipartParser.swift
//
// A form (RFC 7578: multipart/form-data) as it arrives, in pieces of any size. Pure: bytes go in, events
// come out, and what is held between two pieces is bounded: the header of one part, or the start of
// what may be a boundary.
//
//   preamble  CRLF "--" boundary CRLF headers CRLF CRLF data  CRLF "--" boundary ... "--"  epilogue
//
// Invariant: the data of the parts, put together, are exactly the bytes between header and boundary. A
// form without its closing boundary is incomplete: whoever takes it for complete stores a prefix.

/// Why bytes are not a form as we read it.
enum MultipartError: Error, Equatable {
  case tooMuchAround(byteCountMax: Int)
  case boundaryNotAlone
  case headerTooLong(byteCountMax: Int)
  case malformedHeader(String)
  case unsupportedEncoding(String)
  /// The closing boundary did not come.
  case unfinished
}

struct MultipartParser {
  enum Event: Equatable {
    /// A part begins; the name of its field.
    case part(name: String)
    case data([UInt8])
    case partEnd
  }

  /// Before the first boundary and after the last: nothing is expected there.
  static let surroundingByteCountMax = 64 << 10
  /// Of one part: an identifier takes 64 KiB at most, twice that if all of it is escaped.
  static let headerByteCountMax = 256 << 10

  private enum State {
    case preamble, boundaryEnd, header, dataStart, data, epilogue
  }

  /// CRLF, two dashes, the boundary.
  private let delimiter: [UInt8]
  private var state = State.preamble
  /// What was not understood yet. Starts as if a line had just ended, since the first boundary has
  /// none before it.
  private var buffer: [UInt8] = [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
  /// How much of the buffer was understood, while more is being read.
  private var position = 0
  /// How much of a header was searched for its end.
  private var searchedCount = 0
  private var surroundingByteCount = 0

  init(boundary: MultipartBoundary) {
    delimiter = Array("\r\n--\(boundary.text)".utf8)
  }

  /// The events of the next bytes.
  mutating func append(_ bytes: some Sequence<UInt8>) throws(MultipartError) -> [Event] {
    buffer.append(contentsOf: bytes)
    var events: [Event] = []
    while try step(&events) {}
    buffer.removeFirst(position)
    position = 0
    return events
  }

  /// To be called after the last byte.
  func finish() throws(MultipartError) {
    guard state == .epilogue else { throw .unfinished }
  }

  /// Bytes held between two pieces.
  var heldByteCount: Int { buffer.count }

  /// False: more bytes are needed.
  private mutating func step(_ events: inout [Event]) throws(MultipartError) -> Bool {
    switch state {
    case .preamble:
      let (end, isFound) = nextDelimiter()
      try skip(end - position)
      return advance(past: end, isFound)
    case .boundaryEnd: return try readBoundaryEnd()
    case .header: return try readHeader(&events)
    case .dataStart: return readDataStart(&events)
    case .data:
      let (end, isFound) = nextDelimiter()
      if end > position { events.append(.data(Array(buffer[position..<end]))) }
      if isFound { events.append(.partEnd) }
      return advance(past: end, isFound)
    case .epilogue:
      try skip(buffer.count - position)
      position = buffer.count
      return false
    }
  }

  private mutating func skip(_ count: Int) throws(MultipartError) {
    surroundingByteCount += count
    guard surroundingByteCount <= Self.surroundingByteCountMax else {
      throw .tooMuchAround(byteCountMax: Self.surroundingByteCountMax)
    }
  }

  private mutating func advance(past end: Int, _ isDelimiter: Bool) -> Bool {
    position = isDelimiter ? end + delimiter.count : end
    if isDelimiter { state = .boundaryEnd }
    return isDelimiter
  }

  /// Where the next delimiter is, or up to where there is none for sure.
  private func nextDelimiter() -> (end: Int, isFound: Bool) {
    var start = position
    while let candidate = buffer[start...].firstIndex(of: UInt8(ascii: "\r")) {
      let there = buffer[candidate...].prefix(delimiter.count)
      if delimiter.starts(with: there) { return (candidate, there.count == delimiter.count) }
      start = candidate + 1
    }
    return (buffer.count, false)
  }

  /// Two dashes end the form; blanks and a line end begin a part.
  private mutating func readBoundaryEnd() throws(MultipartError) -> Bool {
    let rest = buffer[position...]
    if rest.starts(with: "--".utf8) {
      position += 2
      state = .epilogue
      return true
    }
    let blankCount = rest.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.count
    let end = rest.dropFirst(blankCount)
    if end.starts(with: "\r\n".utf8) {
      // The line end stays: it is half of the empty line that ends a header without fields.
      position += blankCount
      searchedCount = 0
      state = .header
      return true
    }
    let mayFollow =
      "\r\n".utf8.starts(with: end) || (blankCount == 0 && "--".utf8.starts(with: end))
    guard mayFollow, blankCount <= Self.surroundingByteCountMax else { throw .boundaryNotAlone }
    return false
  }

  private mutating func readHeader(_ events: inout [Event]) throws(MultipartError) -> Bool {
    let mark = Array("\r\n\r\n".utf8)
    var start = position + searchedCount
    while start + mark.count <= buffer.count {
      if buffer[start] == mark[0], buffer[start..<start + mark.count].elementsEqual(mark) {
        let lines = buffer[min(position + 2, start)..<start]
        events.append(.part(name: try MultipartHeader(lines).name))
        position = start + mark.count - 2
        state = .dataStart
        return true
      }
      start += 1
    }
    searchedCount = start - position
    guard searchedCount <= Self.headerByteCountMax else {
      throw .headerTooLong(byteCountMax: Self.headerByteCountMax)
    }
    return false
  }

  /// A part without data may have its boundary right behind the header, whose last line end is then
  /// that of the delimiter.
  private mutating func readDataStart(_ events: inout [Event]) -> Bool {
    let there = buffer[position...].prefix(delimiter.count)
    if !delimiter.starts(with: there) {
      position += 2
      state = .data
      return true
    }
    guard there.count == delimiter.count else { return false }
    events.append(.partEnd)
    return advance(past: position, true)
  }
}
