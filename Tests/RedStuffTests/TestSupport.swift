// TestSupport.swift
//
// Vectors made by the reference implementation, and the bytes that they use.

import Foundation
import RunSeed
import Testing

@testable import RedStuff

/// A JSON file of vectors, decoded into the test's own shape.
func vectors<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
  let url = try #require(
    Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
  return try JSONDecoder().decode(type, from: Data(contentsOf: url))
}

/// The first `count` bytes of the generator.
func generatedBytes(seed: UInt64, count: Int) -> [UInt8] {
  var generator = Dice(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    var word = generator.next()
    for _ in 0..<8 {
      bytes.append(UInt8(truncatingIfNeeded: word))
      word >>= 8
    }
  }
  return Array(bytes.prefix(count))
}

func bytes(hex: String) throws -> [UInt8] { try #require([UInt8](hex: hex)) }

func blobID(_ text: String) throws -> BlobID { try #require(BlobID(text: text)) }

/// A value in the vectors: in full, or as its hash where it is long.
struct ExpectedBytes: Decodable {
  var hex: String?
  var len: Int?
  var blake2b256: String?

  init(hex: String?, blake2b256: String?) {
    self.hex = hex
    self.blake2b256 = blake2b256
  }

  init(from decoder: any Decoder) throws {
    if let text = try? decoder.singleValueContainer().decode(String.self) {
      hex = text
      return
    }
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    hex = try fields.decodeIfPresent(String.self, forKey: .hex)
    len = try fields.decodeIfPresent(Int.self, forKey: .len)
    blake2b256 = try fields.decodeIfPresent(String.self, forKey: .blake2b256)
  }

  enum CodingKeys: CodingKey { case hex, len, blake2b256 }

  func matches(_ bytes: [UInt8]) -> Bool {
    guard hex != nil || blake2b256 != nil else { return false }
    return (hex == nil || hex == bytes.hex) && (len == nil || len == bytes.count)
      && (blake2b256 == nil || blake2b256 == Digest(hashing: bytes).hex)
  }
}

/// The axis names of the vectors.
func axis(named name: String) throws -> SliverAxis {
  switch name {
  case "primary": return .primary
  case "secondary": return .secondary
  default: throw UnknownAxis(name: name)
  }
}

struct UnknownAxis: Error { let name: String }
