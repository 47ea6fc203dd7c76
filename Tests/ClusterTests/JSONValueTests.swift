// JSONValueTests.swift
//
// JSON, base64 and percent-encoding: what is read, what is refused, what is written.

import Cluster
import RedStuff
import Testing

@Suite struct JSONValueTests {
  @Test(
    arguments: [
      ("null", .null), (" true ", true), ("\t\r\nfalse", false), ("0", 0), ("42", 42), ("-1", -1),
      ("18446744073709551615", .unsigned(.max)), ("-9223372036854775808", .negative(.min)),
      ("18446744073709551616", .double(18_446_744_073_709_551_616)),
      ("-9223372036854775809", .double(-9_223_372_036_854_775_808)),
      ("-0", .double(-0.0)), ("1.5", .double(1.5)), ("2e3", .double(2000)), ("1E-2", .double(0.01)),
      ("1.0", .double(1)), ("\"\"", ""), ("\"ü🐋\"", "ü🐋"),
      (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
      (#""\u0041\u00fc\u20AC""#, "Aü€"), (#""\ud83d\udc0b""#, "🐋"), (#""\u0000""#, "\u{0}"),
      ("[]", []), ("[ 1 , [2] ]", [1, [2]]), ("{}", [:]),
      (#"{"b":1,"a":{"c":null}}"#, ["b": 1, "a": ["c": nil]]),
    ] as [(String, JSONValue)])
  func `text is read as it is meant`(text: String, value: JSONValue) throws {
    #expect(try JSONValue(parsing: Array(text.utf8)) == value)
  }

  @Test(
    arguments: [
      ("", .unexpectedEnd), (" ", .unexpectedEnd), ("[", .unexpectedEnd), ("[1", .unexpectedEnd),
      ("{\"a\"", .unexpectedEnd), ("\"a", .unexpectedEnd), ("\"\\", .unexpectedEnd),
      ("tru", .unexpectedEnd), ("-", .unexpectedEnd), ("1.", .unexpectedEnd),
      ("1e", .unexpectedEnd),
      ("trux", .unexpectedByte(offset: 3)), ("[1,]", .unexpectedByte(offset: 3)),
      ("[,1]", .unexpectedByte(offset: 1)), ("{\"a\":1,}", .unexpectedByte(offset: 7)),
      ("{1:2}", .unexpectedByte(offset: 1)), ("[1 2]", .unexpectedByte(offset: 3)),
      ("+1", .unexpectedByte(offset: 0)), (".5", .unexpectedByte(offset: 0)),
      ("01", .leftoverBytes(offset: 1)), ("1 2", .leftoverBytes(offset: 2)),
      ("{\"a\" 1}", .unexpectedByte(offset: 5)), ("'a'", .unexpectedByte(offset: 0)),
      ("\"a\nb\"", .unexpectedByte(offset: 2)), ("NaN", .unexpectedByte(offset: 0)),
      ("1e999", .numberOutOfRange(offset: 0)), ("{\"a\":1,\"a\":2}", .repeatedName(offset: 7)),
      (#""\x""#, .invalidEscape(offset: 1)), (#""\u12g4""#, .invalidEscape(offset: 1)),
      (#""\ud83d""#, .invalidEscape(offset: 1)), (#""\ud83dx""#, .invalidEscape(offset: 1)),
      (#""\ud83d\u0041""#, .invalidEscape(offset: 1)), (#""\udc0b""#, .invalidEscape(offset: 1)),
      (#""\ud83d\ud83d""#, .invalidEscape(offset: 1)),
      ("\u{FEFF}1", .unexpectedByte(offset: 0)),
    ] as [(String, JSONError)])
  func `text that is no JSON is refused where it goes wrong`(text: String, error: JSONError) {
    #expect(throws: error) { try JSONValue(parsing: Array(text.utf8)) }
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
    ] as [[UInt8]])
  func `strings are strict UTF-8`(bytes: [UInt8]) {
    #expect(throws: JSONError.invalidUTF8(offset: 1)) {
      try JSONValue(parsing: [0x22] + bytes + [0x22])
    }
  }

  @Test func `length and depth have bounds`() throws {
    let nested = Array(String(repeating: "[", count: 4).utf8) + Array("]]]]".utf8)
    #expect(try JSONValue(parsing: nested, depthMax: 4) == [[[[]]]])
    #expect(throws: JSONError.tooDeep(offset: 3, depthMax: 3)) {
      try JSONValue(parsing: nested, depthMax: 3)
    }
    #expect(throws: JSONError.tooDeep(offset: JSONValue.depthMax, depthMax: JSONValue.depthMax)) {
      try JSONValue(parsing: [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000))
    }
    #expect(throws: JSONError.tooLong(byteCount: 8, byteCountMax: 7)) {
      try JSONValue(parsing: nested, byteCountMax: 7)
    }
  }

  @Test func `values survive their text`() throws {
    for seed in UInt64(0)..<2000 {
      var dice = Dice(seed: seed)
      let value = dice.json()
      #expect(try JSONValue(parsing: value.encoded()) == value, "seed \(seed): \(value.text)")
    }
  }

  @Test func `text is written without white space, in order`() {
    let value: JSONValue = [
      "z": [1, -2, true, nil], "a": "q\"\\\u{1}\n", "d": .double(0.5), "i": .double(.infinity),
      "max": .integer(UInt64.max),
    ]
    #expect(
      value.text
        == #"{"z":[1,-2,true,null],"a":"q\"\\\u0001\n","d":0.5,"i":null,"max":18446744073709551615}"#
    )
  }

  @Test func `values are asked for by kind`() {
    let value: JSONValue = ["n": -5, "s": "text", "b": true, "l": [1], "d": .double(1.5)]
    #expect(value["n"]?.integer(Int8.self) == -5)
    #expect(value["n"]?.integer(UInt8.self) == nil)
    #expect(value["d"]?.integer(Int.self) == nil)
    #expect(value["d"]?.double == 1.5)
    #expect(value["n"]?.double == -5)
    #expect(value["s"]?.string == "text")
    #expect(value["b"]?.bool == true)
    #expect(value["l"]?.array == [1])
    #expect(value["missing"] == nil)
    #expect(value["s"]?["x"] == nil)
    #expect(value.members?.map(\.name) == ["n", "s", "b", "l", "d"])
  }
}

@Suite struct TextEncodingTests {
  // RFC 4648, section 10.
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
    ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func `base64 has the text of its standard`(plain: String, text: String) {
    #expect(Base64.encode(Array(plain.utf8)) == text)
    #expect(Base64.decode(text) == Array(plain.utf8))
  }

  @Test func `base64 reads back what it wrote`() {
    for count in 0..<200 {
      var dice = Dice(seed: UInt64(count))
      let bytes = dice.bytes(count)
      #expect(Base64.decode(Base64.encode(bytes)) == bytes, "seed \(count)")
    }
  }

  @Test(arguments: [
    "Zg", "Zg=", "Zg===", "Z", "Zh==", "Zm9=", "Zm8-", "Zm8_", "Zm9v====", "====", "=Zg=",
    "Zg==Zg==",
    "Zm 9v", "Zm9v\n",
  ])
  func `base64 has one text for a value`(text: String) {
    #expect(Base64.decode(text) == nil)
  }

  @Test func `percent-encoding reads back what it wrote`() throws {
    for seed in UInt64(0)..<200 {
      var dice = Dice(seed: seed)
      let text = dice.text()
      #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text, "seed \(seed)")
    }
    #expect(PercentEncoding.encode("a b/ü~") == "a%20b%2F%C3%BC~")
  }

  @Test(arguments: ["%", "%4", "%g0", "%ff", "a%C3"])
  func `broken escapes are refused`(text: String) {
    #expect(PercentEncoding.decode(text) == nil)
    #expect(WireRequest(method: "GET", target: "/?\(text)", headers: [], body: []) == nil)
    #expect(WireRequest(method: "GET", target: "/?a=\(text)", headers: [], body: []) == nil)
  }

  @Test func `a target is taken apart at its first question mark`() {
    let wire = WireRequest(method: "GET", target: "/p?a=1&b&c=x?y=z&&", headers: [], body: [])
    #expect(wire?.path == "/p")
    #expect(wire?.query == [WireField("a", "1"), WireField("b", ""), WireField("c", "x?y=z")])
    #expect(WireRequest(method: "GET", target: "/p", headers: [], body: [])?.query == [])
  }
}
