// WireMessages.swift
//
// A request and an answer as HTTP sees them, without any HTTP library: what NodeMessageCodec makes
// and what servers, clients and the simulator carry.
//
// Queries hold names and values as they are meant; percent-encoding happens only in `target`.

/// A header or query field. Header names are compared without regard to case.
package struct WireField: Hashable, Sendable {
  package var name: String
  package var value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

package struct WireRequest: Sendable, Equatable {
  package var method: String
  /// From the first slash on, without query. Node paths need no percent-encoding.
  package var path: String
  package var query: [WireField]
  package var headers: [WireField]
  package var body: [UInt8]

  package init(
    method: String, path: String, query: [WireField] = [], headers: [WireField] = [],
    body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
  }

  /// Takes a request target apart as a server receives it: path, `?`, percent-encoded query.
  ///
  /// Nil where an escape is broken or its bytes are no UTF-8.
  package init?(method: String, target: String, headers: [WireField], body: [UInt8]) {
    let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var query: [WireField] = []
    if halves.count == 2 {
      for field in halves[1].split(separator: "&") {
        let sides = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = PercentEncoding.decode(sides[0]),
          let value = PercentEncoding.decode(sides.count == 2 ? sides[1] : "")
        else { return nil }
        query.append(WireField(name, value))
      }
    }
    self.init(
      method: method, path: String(halves[0]), query: query, headers: headers, body: body)
  }

  /// Path and percent-encoded query: what stands between method and version.
  package var target: String {
    guard !query.isEmpty else { return path }
    let fields = query.map {
      PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value)
    }
    return path + "?" + fields.joined(separator: "&")
  }

  /// Head and body as HTTP/1.1 carries them, for byte counters. What connections add (host, agent)
  /// is not known here and not counted.
  package var wireByteCount: Int { wireByteCount(bodyByteCount: body.count) }

  /// With a body of that length instead.
  func wireByteCount(bodyByteCount: Int) -> Int {
    let startLine =
      method.utf8.count + target.utf8.count + " ".utf8.count + " HTTP/1.1\r\n".utf8.count
    return startLine + headByteCount(of: headers, bodyByteCount: bodyByteCount) + bodyByteCount
  }
}

package struct WireResponse: Sendable, Equatable {
  package var status: Int
  package var headers: [WireField]
  package var body: [UInt8]

  package init(status: Int, headers: [WireField] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// As for requests; the reason phrase, which HTTP allows to be empty, counts nothing.
  package var wireByteCount: Int { wireByteCount(bodyByteCount: body.count) }

  /// With a body of that length instead.
  func wireByteCount(bodyByteCount: Int) -> Int {
    let startLine = "HTTP/1.1 200 \r\n".utf8.count
    return startLine + headByteCount(of: headers, bodyByteCount: bodyByteCount) + bodyByteCount
  }
}

/// Why an answer is none. The sender is at fault, or something between us and it.
package enum WireError: Error, Hashable, Sendable {
  /// Neither a success nor our error envelope; `text` is the start of the body.
  case unexpectedAnswer(status: Int, text: String)
  case bodyTooLarge(byteCount: Int, byteCountMax: Int)
  /// The body does not decode, or answers another question.
  case malformed(String)
}

extension [WireField] {
  /// The first value of a header.
  package func value(ofHeader name: String) -> String? {
    let wanted = name.lowercased()
    return first { $0.name.lowercased() == wanted }?.value
  }
}

/// All header lines with the length of the body and the empty line that ends them.
private func headByteCount(of headers: [WireField], bodyByteCount: Int) -> Int {
  let separators = ": \r\n".utf8.count
  let lines = headers.reduce(0) {
    $0 + $1.name.utf8.count + $1.value.utf8.count + separators
  }
  let length = "content-length".utf8.count + String(bodyByteCount).utf8.count + separators
  return lines + length + "\r\n".utf8.count
}

/// The escapes of RFC 3986, section 2.1.
package enum PercentEncoding {
  /// Escapes all but the unreserved characters.
  package static func encode(_ text: String) -> String {
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.utf8.count)
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        encoded.append(byte)
      default:
        encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }

  /// Nil where an escape is cut off or the bytes are no UTF-8. A plus stays a plus.
  package static func decode(_ text: some StringProtocol) -> String? {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(text.utf8.count)
    var bytes = text.utf8.makeIterator()
    while let byte = bytes.next() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(byte)
        continue
      }
      guard let high = bytes.next().flatMap(hexValue), let low = bytes.next().flatMap(hexValue)
      else { return nil }
      decoded.append(high << 4 | low)
    }
    return String(validating: decoded, as: UTF8.self)
  }
}

/// The value of a hexadecimal digit of either case.
func hexValue(_ digit: UInt8) -> UInt8? {
  switch digit {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
  default: nil
  }
}
