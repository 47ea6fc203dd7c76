// DecodePlanTests.swift
//
// Any k symbols give any others, by whatever size of cosets: the sum term by term (1) and the one
// large transform (all points) are the ends of the range, and a plan may choose any size.

import CKernels
import RunSeed
import Testing

@testable import ReedSolomon

@Suite struct DecodePlanTests {
  private static func cosetSizes(_ pattern: ErasurePattern) -> [Int?] {
    [nil] + (0...pattern.points.size.trailingZeroBitCount).map { 1 << $0 }
  }

  // Both rates, all shapes up to n = 8, all sets of symbols, all sizes.
  @Test func `any k symbols give all others, for every small code, choice and coset size`() throws {
    var count = 0
    for n in 2...8 {
      for k in 1..<n {
        let code = try ReedSolomonCode(sourceCount: k, repairCount: n - k)
        let source = testBytes(seed: UInt64(16 * n + k), count: k * 6)
        let symbols = source + (try code.encode(source.span, symbolByteCount: 6))
        for choice in 0..<1 << n where choice.nonzeroBitCount == k {
          let present = (0..<n).filter { choice >> $0 & 1 == 1 }
          let pattern = try ErasurePattern(code: code, present: present)
          let received = present.flatMap { symbols[$0 * 6..<($0 + 1) * 6] }
          for size in Self.cosetSizes(pattern) {
            let plan = DecodePlan(pattern, validTargets: Array(0..<n), cosetSize: size)
            let decoded = try plan.decode(received.span, symbolByteCount: 6)
            expectEqual(decoded, symbols, "(\(k),\(n)) \(present), cosets of \(size ?? 0)")
            count += 1
          }
        }
      }
    }
    print("exhaustive: \(count) decodings")
    #expect(count > 494 * 3)
  }

  static let shapes = [
    (k: 10, m: 3), (k: 3, m: 10), (k: 16, m: 16), (k: 17, m: 16), (k: 31, m: 33), (k: 34, m: 66),
    (k: 67, m: 33), (k: 1, m: 40), (k: 40, m: 1), (k: 334, m: 666), (k: 667, m: 333),
  ]

  @Test(arguments: shapes)
  func `random targets come from random symbols, by every coset size`(k: Int, m: Int) throws {
    let seed = UInt64(k * 100_000 + m + 1)
    print("seed \(seed)")
    var generator = Dice(seed: seed)
    let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
    for size in [2, 62, 64, 66, 2 * Int.random(in: 1...100, using: &generator)] {
      let source = testBytes(seed: seed, count: k * size)
      let symbols = source + (try code.encode(source.span, symbolByteCount: size))
      let all = Array(0..<k + m).shuffled(using: &generator)
      let pattern = try ErasurePattern(code: code, present: Array(all.prefix(k)))
      let received = pattern.present.flatMap { symbols[$0 * size..<($0 + 1) * size] }
      let count = [1, 2, 40, k + m].randomElement(using: &generator) ?? 1
      let targets = Array(all.shuffled(using: &generator).prefix(count))
      let expected = targets.flatMap { symbols[$0 * size..<($0 + 1) * size] }
      for cosetSize in Self.cosetSizes(pattern) {
        let plan = DecodePlan(pattern, validTargets: targets, cosetSize: cosetSize)
        expectEqual(
          try plan.decode(received.span, symbolByteCount: size), expected,
          "\(size) bytes, cosets of \(cosetSize ?? 0), \(targets.count) targets")
      }
    }
  }

  // A request may name a symbol twice.
  @Test func `a target that is wanted twice is the same both times, by every coset size`() throws {
    let code = try ReedSolomonCode(sourceCount: 34, repairCount: 66)
    let source = testBytes(seed: 7, count: 34 * 4)
    let symbols = source + (try code.encode(source.span, symbolByteCount: 4))
    let pattern = try ErasurePattern(code: code, present: Array(0..<34))
    let targets = [99, 0, 50, 98, 99, 99, 0]
    let expected = targets.flatMap { symbols[$0 * 4..<($0 + 1) * 4] }
    for size in Self.cosetSizes(pattern) {
      let plan = DecodePlan(pattern, validTargets: targets, cosetSize: size)
      expectEqual(
        try plan.decode(source.span, symbolByteCount: 4), expected, "cosets of \(size ?? 0)")
    }
  }

  @Test(arguments: supportedLevels)
  func `every level decodes what the encoder made`(level: ck_level) throws {
    for (k, m) in [(11, 20), (21, 10), (34, 66), (67, 33)] {
      let code = try ReedSolomonCode(
        sourceCount: k, repairCount: m, kernels: .kernels(at: level))
      let source = testBytes(seed: UInt64(k), count: k * 130)
      let symbols = source + (try code.encode(source.span, symbolByteCount: 130))
      for present in [Array(m..<k + m), Array(0..<k)] {
        let pattern = try ErasurePattern(code: code, present: present)
        let received = present.flatMap { symbols[$0 * 130..<($0 + 1) * 130] }
        for size in Self.cosetSizes(pattern) {
          let plan = DecodePlan(pattern, validTargets: Array(0..<k + m), cosetSize: size)
          expectEqual(try plan.decode(received.span, symbolByteCount: 130), symbols)
        }
      }
    }
  }

  // Contiguous symbols, symbols in pieces and symbols with tails take different ways into the sums.
  @Test(arguments: [1, 5, 70], [2, 34, 64, 66, 128, 4096, 4100])
  func `lent symbols and grids decode alike`(codewords: Int, size: Int) throws {
    let (k, m) = (7, 6)
    let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
    let pattern = try ErasurePattern(code: code, present: [12, 3, 8, 0, 10, 7, 5])
    let rows = (0..<k).map { testBytes(seed: UInt64($0), count: codewords * size) }
    let flat = rows.flatMap { $0 }
    for targets in [[1], [2, 11], Array(0..<13)] {
      let plan = try DecodePlan(pattern, targets: targets)
      var expected: [UInt8] = []
      var lent = [UInt8](repeating: 0, count: targets.count * codewords * size)
      var grid = lent
      for codeword in 0..<codewords {
        let symbols = rows.flatMap { $0[codeword * size..<(codeword + 1) * size] }
        expected += try plan.decode(symbols.span, symbolByteCount: size)
      }
      var scratch = CodecScratch()
      func decode(_ received: ReceivedSymbols, into target: inout [UInt8]) throws {
        try unsafe target.withUnsafeMutableBytes { target in
          try unsafe plan.decode(
            received,
            into: MutableSymbolGrid(
              target, symbolStride: size, codewordStride: targets.count * size),
            symbolByteCount: size, codewordCount: codewords, scratch: &scratch)
        }
      }
      try unsafe decode(
        .lent(codewordStride: size) { position, body in
          unsafe rows[position].withUnsafeBytes { unsafe body($0) }
        }, into: &lent)
      try unsafe flat.withUnsafeBytes { flat in
        try unsafe decode(
          .grid(SymbolGrid(flat, symbolStride: codewords * size, codewordStride: size)),
          into: &grid)
      }
      expectEqual(lent, expected, "lent")
      expectEqual(grid, expected, "grid")
    }
  }

  @Test func `few targets are summed directly, many go through cosets`() throws {
    let pattern = ErasurePattern(
      sourcesOf: try ReedSolomonCode(sourceCount: 334, repairCount: 666))
    func cosetSize(_ targetCount: Int) throws -> Int {
      let plan = try DecodePlan(pattern, targets: Array(334..<334 + targetCount))
      return switch plan.method {
      case .direct: 1
      case .cosets(let plan): plan.size
      }
    }
    #expect(try cosetSize(1) == 1)
    #expect(try (2...2048).contains(cosetSize(300)))
  }
}
