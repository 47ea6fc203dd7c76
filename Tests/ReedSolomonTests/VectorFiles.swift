// VectorFiles.swift
//
// The vectors of gf.json and rs1d.json, produced by the reference implementation, and the generator
// of their test data.

import CKernels
import Foundation
import RunSeed
import Testing

enum VectorFile {
  static func decode<T: Decodable>(_ type: T.Type, from name: String) throws -> T {
    let url = try #require(
      Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Vectors"))
    return try JSONDecoder().decode(type, from: Data(contentsOf: url))
  }
}

/// gf.json: hashes are over the table as little-endian 16-bit words; samples are [index, value].
struct FieldVectors: Decodable {
  let exp_hash, log_hash, skew_hash, log_walsh_hash: String
  let exp, log, skew, log_walsh: [[Int]]
  let products_a_b_ab: [[UInt16]]
}

/// rs1d.json: the source is testBytes(seed, k * symbol_size).
struct CodeVectors: Decodable {
  let cases: [CodeVector]
}

struct CodeVector: Decodable, Sendable, CustomTestStringConvertible {
  struct Value: Decodable {
    let hex: String?
    let blake2b256: String?
  }
  struct Corruption: Decodable {
    let recovery: Int
    let xor_first_byte, xor_last_byte: UInt8
  }
  struct Decoding: Decodable {
    let originals, recoveries: [Int]?
    /// Sources from this one on are at hand.
    let originals_from: Int?
    /// As many repair symbols, from the first, are at hand.
    let recoveries_count: Int?
    let expect: String?
    let corrupt: Corruption?
    let decoded, decoded_blake2b256: String?
  }

  let k, m, symbol_size: Int
  let seed: UInt64
  let rate: String
  let recovery_concat_blake2b256: String
  let recovery: [String]?
  let recovery_first, recovery_last: Value?
  let decode: [Decoding]

  var testDescription: String { "RS(\(k), \(m)), \(symbol_size) bytes" }
}

/// SplitMix64 from the seed, as little-endian bytes.
func testBytes(seed: UInt64, count: Int) -> [UInt8] {
  var generator = Dice(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    let word = generator.next()
    for shift in stride(from: 0, to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
    }
  }
  return Array(bytes.prefix(count))
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

/// BLAKE2b-256 in hex.
func digestHex(_ bytes: [UInt8]) -> String {
  var hash = ck_blake2b()
  var digest = [UInt8](repeating: 0, count: 32)
  unsafe ck_blake2b_init(&hash)
  unsafe ck_blake2b_update(&hash, bytes, bytes.count)
  unsafe ck_blake2b_final(&hash, &digest)
  return hex(digest)
}

/// The levels that this CPU can run, scalar first.
let supportedLevels = [CK_LEVEL_SCALAR, CK_LEVEL_AVX2, CK_LEVEL_AVX512, CK_LEVEL_GFNI]
  .filter(ck_level_supported)

/// Expects two arrays to be equal and names the first difference. `#expect(a == b)` would work out
/// and print all differences, which takes minutes for arrays of this size.
func expectEqual<Element: Equatable>(
  _ found: [Element], _ expected: [Element], _ label: @autoclosure () -> String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  if found == expected { return }
  let index = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset
  let place = index.map { "entry \($0) on" } ?? "the end of the shorter one on"
  Issue.record(
    "\(found.count) found, \(expected.count) expected, different from \(place); \(label())",
    sourceLocation: sourceLocation)
}
