// MultipartTests.swift
//
// Forms taken apart: in one piece and byte by byte, as clients write them and as they should not.

import Testing

@testable import Gateway

/// What a form holds.
func parts(
  of form: some Sequence<UInt8>, boundary: String = "B", pieceByteCount: Int = .max
) throws -> [(name: String, data: [UInt8])] {
  let boundary = try #require(
    MultipartBoundary(contentType: "multipart/form-data; boundary=\"\(boundary)\""))
  var parser = MultipartParser(boundary: boundary)
  var parts: [(name: String, data: [UInt8])] = []
  var isOpen = false
  let bytes = Array(form)
  var start = 0
  repeat {
    let end = start + min(pieceByteCount, bytes.count - start)
    for event in try parser.append(bytes[start..<end]) {
      switch event {
      case .part(let name):
        #expect(!isOpen)
        isOpen = true
        parts.append((name, []))
      case .data(let data):
        #expect(isOpen && !data.isEmpty)
        parts[parts.count - 1].data += data
      case .partEnd:
        #expect(isOpen)
        isOpen = false
      }
    }
    start = end
  } while start < bytes.count
  try parser.finish()
  return parts
}

/// A form as common clients write it.
func form(_ parts: [(name: String, data: [UInt8])], boundary: String = "B") -> [UInt8] {
  var bytes: [UInt8] = []
  for part in parts {
    bytes += "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(part.name)\"".utf8
    bytes += "; filename=\"x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n".utf8
    bytes += part.data + "\r\n".utf8
  }
  return bytes + "--\(boundary)--\r\n".utf8
}

@Suite struct MultipartTests {
  private func names(_ text: String) throws -> [String] {
    try parts(of: text.utf8).map(\.name)
  }

  private func part(_ header: String, _ data: String = "x") -> String {
    "--B\r\n\(header)\r\n\r\n\(data)\r\n--B--"
  }

  @Test(arguments: [1, 2, 3, 7, 64, .max])
  func `parts come whole, however the bytes are cut`(pieceByteCount: Int) throws {
    // Data that looks like a boundary for as long as it can.
    let almost = Array("\r\n--\r\n--A\r\n-B\r\r\n\r\n--".utf8)
    let sent: [(name: String, data: [UInt8])] = [
      ("a", almost), ("b", []), ("c/d e", someBytes(1000)), ("z", [13, 10]),
    ]
    let got = try parts(of: form(sent), pieceByteCount: pieceByteCount)
    #expect(got.map(\.name) == sent.map(\.name))
    #expect(got.map(\.data) == sent.map(\.data))
  }

  @Test func `what lies before and after the parts is left out`() throws {
    let text = "hello\r\n--B \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--\r\nbye"
    #expect(try parts(of: text.utf8).map(\.data) == [[0x31]])
  }

  @Test func `a form may have no parts`() throws {
    #expect(try parts(of: "--B--\r\n".utf8).isEmpty)
  }

  @Test func `a part without data may lack its own line end`() throws {
    let text =
      "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B\r\n"
      + "Content-Disposition: form-data; name=b\r\n\r\n\r\n--B--"
    let got = try parts(of: text.utf8)
    #expect(got.map(\.name) == ["a", "b"])
    #expect(got.allSatisfy { $0.data.isEmpty })
  }

  @Test(arguments: [
    ("form-data; name=\"a\"", "a"), ("form-data;name=a;", "a"),
    ("FORM-DATA ; filename=\"f\" ; NAME=\"a b\"", "a b"),
    (#"form-data; name="a\"b\\c\d""#, #"a"b\c\d"#), ("form-data; name=\"%22\"", "%22"),
    ("form-data; name=\"ü;日本\"; filename*=UTF-8''x", "ü;日本"),
  ])
  func `names are read as clients write them`(disposition: String, name: String) throws {
    #expect(try names(part("content-disposition: \(disposition)")) == [name])
  }

  @Test(arguments: [
    "Content-Type: text/plain", "no colon", "Content-Disposition: attachment; name=\"a\"",
    "Content-Disposition: form-data", "Content-Disposition: form-data; name=\"\"",
    "Content-Disposition: form-data; name=\"a", "Content-Disposition: form-data; name=",
    "Content-Disposition: form-data; name=a; name=b", "Content-Disposition: form-data name=a",
    "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=a",
  ])
  func `a part without one good name is refused`(header: String) throws {
    #expect(throws: MultipartError.self) { try names(part(header)) }
  }

  @Test func `encoded parts are refused, plain ones taken`() throws {
    let header = "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: "
    #expect(throws: MultipartError.unsupportedEncoding("base64")) {
      try names(part(header + "base64"))
    }
    #expect(try names(part(header + "Binary")) == ["a"])
  }

  @Test func `names are UTF-8`() throws {
    var bytes = Array(part("Content-Disposition: form-data; name=\"Q\"").utf8)
    let place = try #require(bytes.firstIndex(of: UInt8(ascii: "Q")))
    bytes[place] = 0xFF
    #expect(throws: MultipartError.self) { try parts(of: bytes) }
  }

  @Test func `a form that ends early is not taken for whole`() throws {
    let whole = form([("a", [1, 2, 3]), ("b", [])])
    // The line end behind the last boundary may be missing.
    for count in 0..<whole.count - 2 {
      #expect(throws: MultipartError.unfinished) { try parts(of: whole.prefix(count)) }
    }
  }

  @Test(arguments: ["--Bx\r\n", "--B \tx", "--B-x", "--B\rx"])
  func `a boundary stands alone on its line`(text: String) {
    #expect(throws: MultipartError.boundaryNotAlone) { try names(text) }
  }

  @Test func `headers and what is around the parts are bounded`() {
    let long = String(repeating: "h", count: MultipartParser.headerByteCountMax + 1)
    #expect(throws: MultipartError.headerTooLong(byteCountMax: 256 << 10)) {
      try names("--B\r\nX: \(long)")
    }
    let around = String(repeating: "p", count: MultipartParser.surroundingByteCountMax + 1)
    #expect(throws: MultipartError.tooMuchAround(byteCountMax: 64 << 10)) { try names(around) }
    #expect(throws: MultipartError.tooMuchAround(byteCountMax: 64 << 10)) {
      try names("--B--" + around)
    }
  }

  @Test(arguments: [
    ("multipart/form-data; boundary=abc", "abc"),
    ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\"", "a b:c"),
    (
      "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
      "----WebKitFormBoundary7MA4YWxk"
    ),
  ])
  func `boundaries are read as clients write them`(type: String, boundary: String) {
    #expect(MultipartBoundary(contentType: type)?.text == boundary)
  }

  @Test(arguments: [
    "", "text/plain; boundary=a", "multipart/mixed; boundary=a", "multipart/form-data",
    "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a \"",
    "multipart/form-data; boundary=\"\"", "multipart/form-data; boundary=ü",
    "multipart/form-data; boundary=" + String(repeating: "b", count: 71),
  ])
  func `what is no form has no boundary`(type: String) {
    #expect(MultipartBoundary(contentType: type) == nil)
  }
}
