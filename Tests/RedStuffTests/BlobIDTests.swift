// BlobIDTests.swift
//
// The text and number forms of blob IDs, hashes and byte strings.

import Testing

@testable import RedStuff

@Suite struct BlobIDTests {
  @Test func `any 32 bytes survive the text form`() throws {
    for seed in UInt64(0)..<100 {
      let id = try #require(BlobID(bytes: generatedBytes(seed: seed, count: 32)))
      #expect(id.text.utf8.count == BlobID.textLength)
      #expect(BlobID(text: id.text) == id)
      #expect(BlobID(bytes: id.bytes) == id)
    }
  }

  // The last character carries four bits of the ID and two unused ones.
  @Test func `of all last characters only those without unused bits parse`() {
    let stem = "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppx"
    let accepted = (UInt8(0)..<128).filter {
      BlobID(text: stem + String(UnicodeScalar($0))) != nil
    }
    #expect(String(decoding: accepted, as: UTF8.self) == "048AEIMQUYcgkosw")
  }

  @Test(arguments: [
    "", "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppxQ=",
    "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppx",
    "O0FF49LD08pxbkLQ9xoX3t2LRLK/gBU6S2HFoe+ppxQ", "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppxQA",
    " 0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppxQ", "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_pé",
    "O0FF49LD08pxbkLQ9xoX3t2LRLK_gBU6S2HFoe_ppx=",
  ])
  func `padding, other lengths and other characters are refused`(text: String) {
    #expect(BlobID(text: text) == nil)
  }

  @Test(arguments: [0, 31, 33, 64]) func `other byte counts are refused`(count: Int) {
    #expect(BlobID(bytes: [UInt8](repeating: 1, count: count)) == nil)
  }

  @Test func `order is that of the bytes`() throws {
    var ids: [BlobID] = []
    for seed in UInt64(0)..<40 {
      var bytes = generatedBytes(seed: seed, count: 32)
      // Long common prefixes, so that every word decides some comparison.
      for position in 0..<Int(seed % 4) * 8 { bytes[position] = 7 }
      ids.append(try #require(BlobID(bytes: bytes)))
    }
    #expect(
      ids.sorted().map(\.bytes) == ids.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) })
  }

  @Test func `base64url survives every length and refuses a single left character`() {
    for count in 0..<70 {
      let bytes = generatedBytes(seed: UInt64(count), count: count)
      #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }
    #expect(Base64URL.decode("A") == nil)
    #expect(Base64URL.decode("AAAAA") == nil)
  }

  @Test(arguments: ["0", "0g", "0x", " 1", "é"]) func `odd or foreign hex is refused`(text: String)
  {
    #expect([UInt8](hex: text) == nil)
  }

  @Test func `hex of either case is read`() {
    #expect([UInt8](hex: "00fFAb") == [0, 255, 171])
  }
}
