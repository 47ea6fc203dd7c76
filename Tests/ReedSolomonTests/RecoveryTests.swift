// RecoveryTests.swift
//
// Any k of the n symbols give the source back.

import RunSeed
import Testing

@testable import ReedSolomon

@Suite struct RecoveryTests {
  // All shapes up to n = 10 and all sets of symbols: 2026 decodings.
  @Test func `any k symbols decode, for every small code and every choice`() throws {
    var count = 0
    for n in 2...10 {
      for k in 1..<n {
        let code = try ReedSolomonCode(sourceCount: k, repairCount: n - k)
        let source = testBytes(seed: UInt64(16 * n + k), count: k * 6)
        let symbols = source + (try code.encode(source.span, symbolByteCount: 6))
        for choice in 0..<1 << n where choice.nonzeroBitCount == k {
          let present = (0..<n).filter { choice >> $0 & 1 == 1 }
          expectEqual(try decode(code, symbols, present, size: 6), source, "(\(k),\(n)) \(present)")
          count += 1
        }
      }
    }
    print("exhaustive: \(count) decodings")
    #expect(count == (2...10).reduce(0) { $0 + (1 << $1) - 2 })
  }

  @Test(arguments: [
    (k: 10, m: 3), (k: 3, m: 10), (k: 16, m: 16), (k: 17, m: 16), (k: 31, m: 33), (k: 34, m: 66),
    (k: 67, m: 33), (k: 334, m: 666), (k: 667, m: 333), (k: 1, m: 40), (k: 40, m: 1),
    (k: 1000, m: 3000), (k: 5000, m: 2000),
  ])
  func `random k symbols in random order decode`(k: Int, m: Int) throws {
    let seed = UInt64(k * 100_000 + m)
    print("seed \(seed)")
    var generator = Dice(seed: seed)
    let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
    let size = 2 * Int.random(in: 1...40, using: &generator)
    let source = testBytes(seed: seed, count: k * size)
    let symbols = source + (try code.encode(source.span, symbolByteCount: size))
    for _ in 0..<(k + m > 2000 ? 2 : 8) {
      let present = Array((0..<k + m).shuffled(using: &generator).prefix(k))
      expectEqual(try decode(code, symbols, present, size: size), source, "\(size) bytes")
    }
  }

  @Test func `the largest codes decode`() throws {
    for (k, m) in [(32768, 32768), (65535, 1), (1, 65535), (16384, 49152)] {
      let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
      let source = testBytes(seed: 9, count: k * 2)
      let symbols = source + (try code.encode(source.span, symbolByteCount: 2))
      var generator = Dice(seed: UInt64(k))
      let present = Array((0..<k + m).shuffled(using: &generator).prefix(k))
      expectEqual(try decode(code, symbols, present, size: 2), source, "(\(k), \(m))")
    }
  }

  @Test func `the examples of the specification come out`() throws {
    // Elements as 2-byte symbols: the repair symbols of each unit vector.
    let cases: [(k: Int, m: Int, source: [UInt8], repair: [UInt8])] = [
      (3, 4, [1, 0, 0], [12, 15, 10, 8]), (3, 4, [0, 1, 0], [15, 12, 8, 10]),
      (3, 4, [0, 0, 1], [10, 8, 12, 15]), (5, 2, [1, 0, 0, 0, 0], [3, 2]),
      (5, 2, [0, 0, 0, 1, 0], [4, 5]), (5, 2, [0, 0, 0, 0, 1], [7, 6]), (2, 2, [1, 2], [0, 3]),
    ]
    for example in cases {
      let code = try ReedSolomonCode(sourceCount: example.k, repairCount: example.m)
      let source: [UInt8] = example.source.flatMap { [$0, 0] }
      let repair = try code.encode(source.span, symbolByteCount: 2)
      #expect(repair == example.repair.flatMap { [$0, 0] })
    }
  }

  private func decode(
    _ code: ReedSolomonCode, _ symbols: [UInt8], _ present: [Int], size: Int
  ) throws -> [UInt8] {
    let received = present.flatMap { symbols[$0 * size..<($0 + 1) * size] }
    return try DecodePlan(code: code, present: present)
      .decode(received.span, symbolByteCount: size)
  }
}
