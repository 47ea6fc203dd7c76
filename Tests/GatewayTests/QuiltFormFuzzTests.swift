// QuiltFormFuzzTests.swift
//
// Forms and their metadata from anyone, cut anywhere: refused or read, never trapped, and the same
// whether they come in one piece or in many. The seed is printed when an expectation fails.

import Cluster
import RedStuff
import Testing

@testable import Gateway

@Suite struct QuiltFormFuzzTests {
  private static let pieces = [
    "--B", "--B\r\n", "--B--", "\r\n", "\r", "\n", "--", "-", "B", ":", ";", "\"", "\\", " ", "=",
    "Content-Disposition: form-data; name=\"a\"\r\n\r\n", "Content-Disposition", "form-data",
    "name=", "name=\"_metadata\"", "\r\n--B\r\n", "\r\n--B--", "x", "ü", "\u{0}",
    "Content-Transfer-Encoding: base64",
  ]

  @Test(arguments: [UInt64](1...8))
  func `forms mean the same however they are cut`(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    var readCount = 0
    for round in 0..<1500 {
      var bytes: [UInt8] = []
      if random.below(2) == 0 {
        bytes = form([("a", [1, 2, 13, 10]), ("b", [])])
        for _ in 0...random.below(3) {
          bytes[random.below(bytes.count)] = UInt8(random.below(256))
        }
      } else {
        for _ in 0..<random.below(12) {
          bytes += Self.pieces[random.below(Self.pieces.count)].utf8
        }
      }
      let whole = try? parts(of: bytes)
      let cut = try? parts(of: bytes, pieceByteCount: 1 + random.below(5))
      #expect(whole?.map(\.name) == cut?.map(\.name), "seed \(seed) round \(round)")
      #expect(whole?.map(\.data) == cut?.map(\.data), "seed \(seed) round \(round)")
      if whole != nil { readCount += 1 }
    }
    #expect(readCount > 100, "seed \(seed)")
  }

  @Test(arguments: [UInt64](1...8))
  func `random parts come back from the form they make`(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    for round in 0..<200 {
      let sent = (0..<random.below(5)).map { number in
        let data = (0..<random.below(300)).map { _ in
          // Mostly what boundaries are made of.
          [13, 10, 45, 66, UInt8(random.below(256))][random.below(5)] as UInt8
        }
        return (name: "p\(number)", data: data)
      }
      let isSound = sent.allSatisfy { !([13, 10] + $0.data).containsBoundary }
      guard isSound else { continue }
      let got = try parts(of: form(sent), pieceByteCount: 1 + random.below(40))
      #expect(got.map(\.data) == sent.map(\.data), "seed \(seed) round \(round)")
    }
  }

  @Test(arguments: [UInt64](1...8))
  func `metadata of any kind is read or refused`(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    let good = Array(
      #"[{"identifier":"a","tags":{"k":"v","n":1.5}},{"identifier":"bü","tags":{}}]"#.utf8)
    var readCount = 0
    for _ in 0..<2000 {
      var bytes = good
      for _ in 0...random.below(2) { bytes[random.below(bytes.count)] = UInt8(random.below(128)) }
      if random.below(4) == 0 { bytes = Array(bytes.prefix(random.below(bytes.count))) }
      guard let metadata = try? QuiltFormMetadata(bytes) else { continue }
      readCount += 1
      for (identifier, tags) in metadata.tags {
        #expect((try? QuiltIdentifier(identifier.text)) != nil, "seed \(seed)")
        #expect((try? QuiltTags(bcs: tags.bcsBytes)) == tags, "seed \(seed)")
      }
    }
    #expect(readCount > 20 && readCount < 2000, "seed \(seed)")
  }
}

extension Collection<UInt8> {
  /// Whether the delimiter of the tests' forms lies in these bytes.
  fileprivate var containsBoundary: Bool {
    let bytes = Array(self)
    let delimiter = Array("\r\n--B".utf8)
    guard bytes.count >= delimiter.count else { return false }
    return (0...bytes.count - delimiter.count).contains { start in
      bytes[start..<start + delimiter.count].elementsEqual(delimiter)
    }
  }
}
