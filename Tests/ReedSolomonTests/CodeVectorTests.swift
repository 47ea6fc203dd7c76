// CodeVectorTests.swift
//
// Every case of rs1d.json at every level of this CPU.

import CKernels
import Testing

@testable import ReedSolomon

@Suite struct CodeVectorTests {
  @Test(arguments: supportedLevels)
  func `encoding gives the symbols of the reference`(level: ck_level) throws {
    let vectors = try VectorFile.decode(CodeVectors.self, from: "rs1d")
    for vector in vectors.cases {
      let code = try ReedSolomonCode(
        sourceCount: vector.k, repairCount: vector.m, kernels: .kernels(at: level))
      let size = vector.symbol_size
      let source = testBytes(seed: vector.seed, count: vector.k * size)
      let repair = try code.encode(source.span, symbolByteCount: size)
      let label = vector.testDescription
      #expect(digestHex(repair) == vector.recovery_concat_blake2b256, "\(label)")
      #expect(rateName(code.rate) == vector.rate, "\(label)")
      let symbols = (0..<vector.m).map { Array(repair[$0 * size..<($0 + 1) * size]) }
      if let expected = vector.recovery { #expect(symbols.map(hex) == expected, "\(label)") }
      expect(symbols[0], vector.recovery_first, label)
      expect(symbols[vector.m - 1], vector.recovery_last, label)
      let last = try code.repairSymbol(vector.m - 1, of: source.span, symbolByteCount: size)
      expectEqual(last, symbols[vector.m - 1], label)
    }
    print("rs1d.json at \(name(level)): \(vectors.cases.count) encodings")
  }

  @Test(arguments: supportedLevels)
  func `decoding gives the bytes of the reference`(level: ck_level) throws {
    let vectors = try VectorFile.decode(CodeVectors.self, from: "rs1d")
    var clean = 0
    var corrupt = 0
    for vector in vectors.cases {
      let code = try ReedSolomonCode(
        sourceCount: vector.k, repairCount: vector.m, kernels: .kernels(at: level))
      let size = vector.symbol_size
      let source = testBytes(seed: vector.seed, count: vector.k * size)
      let repair = try code.encode(source.span, symbolByteCount: size)
      let all = source + repair
      for decoding in vector.decode {
        var symbols = all
        if let corruption = decoding.corrupt {
          let start = (vector.k + corruption.recovery) * size
          symbols[start] ^= corruption.xor_first_byte
          symbols[start + size - 1] ^= corruption.xor_last_byte
        }
        let present = indices(decoding, k: vector.k)
        let received = present.flatMap { symbols[$0 * size..<($0 + 1) * size] }
        let plan = try DecodePlan(code: code, present: present)
        let decoded = try plan.decode(received.span, symbolByteCount: size)
        let label = "\(vector.testDescription) from \(present)"
        if decoding.expect == "source" {
          expectEqual(decoded, source, label)
          clean += 1
        } else {
          try #require(decoding.decoded != nil || decoding.decoded_blake2b256 != nil)
          if let expected = decoding.decoded { #expect(hex(decoded) == expected, "\(label)") }
          if let expected = decoding.decoded_blake2b256 {
            #expect(digestHex(decoded) == expected, "\(label)")
          }
          corrupt += 1
        }
      }
    }
    print("rs1d.json at \(name(level)): \(clean) decodings, \(corrupt) of corrupt symbols")
  }

  private func indices(_ decoding: CodeVector.Decoding, k: Int) -> [Int] {
    let sources = decoding.originals ?? Array((decoding.originals_from ?? k)..<k)
    let repairs = decoding.recoveries ?? Array(0..<(decoding.recoveries_count ?? 0))
    return sources + repairs.map { k + $0 }
  }

  private func expect(_ symbol: [UInt8], _ value: CodeVector.Value?, _ label: String) {
    if let expected = value?.hex { #expect(hex(symbol) == expected, "\(label)") }
    if let expected = value?.blake2b256 { #expect(digestHex(symbol) == expected, "\(label)") }
  }

  private func rateName(_ rate: Rate) -> String {
    switch rate {
    case .high: "high"
    case .low: "low"
    }
  }

  private func name(_ level: ck_level) -> String {
    unsafe String(cString: ck_level_name(level))
  }
}
