// GridTests.swift
//
// Many codewords side by side give what each gives alone, whatever the strides, and only the
// symbols asked for are written.

import Testing

@testable import ReedSolomon

@Suite struct GridTests {
  static let lengths =
    Array(stride(from: 2, through: 200, by: 2)) + [254, 256, 258, 1022, 1024, 1026]

  /// A matrix of symbols whose rows or columns are codewords, with gaps of `gap` bytes.
  struct Layout {
    let symbolStride, codewordStride, byteCount: Int

    init(rows: Bool, symbols: Int, codewords: Int, length: Int, gap: Int) {
      symbolStride = rows ? length + gap : (length + gap) * codewords
      codewordStride = rows ? (length + gap) * symbols : length + gap
      byteCount = (length + gap) * symbols * codewords
    }

    func start(_ symbol: Int, _ codeword: Int) -> Int {
      symbol * symbolStride + codeword * codewordStride
    }
  }

  private func encode(
    _ code: ReedSolomonCode, _ bytes: [UInt8], _ from: Layout, into repair: inout [UInt8],
    _ to: Layout, length: Int, codewords: Int, wanted: Range<Int>? = nil
  ) throws {
    var scratch = CodecScratch()
    try unsafe bytes.withUnsafeBytes { bytes in
      try unsafe repair.withUnsafeMutableBytes { repair in
        try unsafe code.encode(
          SymbolGrid(
            bytes, symbolStride: from.symbolStride, codewordStride: from.codewordStride),
          into: MutableSymbolGrid(
            repair, symbolStride: to.symbolStride, codewordStride: to.codewordStride),
          symbolByteCount: length, codewordCount: codewords, wanted: wanted, scratch: &scratch)
      }
    }
  }

  @Test(arguments: [(k: 3, m: 4), (k: 5, m: 2)], [true, false])
  func `strided encoding equals encoding one by one`(shape: (k: Int, m: Int), rows: Bool) throws {
    let code = try ReedSolomonCode(sourceCount: shape.k, repairCount: shape.m)
    for length in Self.lengths {
      let codewords = length < 70 ? 37 : 5
      let from = Layout(rows: rows, symbols: shape.k, codewords: codewords, length: length, gap: 3)
      let to = Layout(rows: !rows, symbols: shape.m, codewords: codewords, length: length, gap: 1)
      let bytes = testBytes(seed: UInt64(length), count: from.byteCount)
      var repair = [UInt8](repeating: 0xEE, count: to.byteCount)
      try encode(code, bytes, from, into: &repair, to, length: length, codewords: codewords)
      var expected = [UInt8](repeating: 0xEE, count: to.byteCount)
      for codeword in 0..<codewords {
        let source = (0..<shape.k).flatMap { symbol in
          bytes[from.start(symbol, codeword)..<from.start(symbol, codeword) + length]
        }
        let alone = try code.encode(source.span, symbolByteCount: length)
        for symbol in 0..<shape.m {
          let start = to.start(symbol, codeword)
          expected.replaceSubrange(
            start..<start + length, with: alone[symbol * length..<(symbol + 1) * length])
        }
      }
      expectEqual(repair, expected, "\(length) bytes")
    }
  }

  @Test(arguments: [(k: 5, m: 12), (k: 12, m: 5), (k: 34, m: 66)])
  func `wanted repair symbols equal those of the whole encoding`(k: Int, m: Int) throws {
    let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
    let length = 10
    let from = Layout(rows: true, symbols: k, codewords: 7, length: length, gap: 0)
    let bytes = testBytes(seed: 3, count: from.byteCount)
    let all = Layout(rows: false, symbols: m, codewords: 7, length: length, gap: 0)
    var whole = [UInt8](repeating: 0, count: all.byteCount)
    try encode(code, bytes, from, into: &whole, all, length: length, codewords: 7)
    for lower in 0...m {
      for upper in lower...m {
        let to = Layout(rows: false, symbols: upper - lower, codewords: 7, length: length, gap: 0)
        var some = [UInt8](repeating: 0xEE, count: to.byteCount)
        try encode(
          code, bytes, from, into: &some, to, length: length, codewords: 7, wanted: lower..<upper)
        expectEqual(
          some, Array(whole[all.start(lower, 0)..<all.start(lower, 0) + to.byteCount]))
      }
    }
  }

  // Targets 0, 2 and 3 are computed, 1 and 4 copied.
  @Test(arguments: [[0, 1, 2, 3, 4], [2], [4, 0]])
  func `strided decoding writes only the symbols asked for`(targets: [Int]) throws {
    let code = try ReedSolomonCode(sourceCount: 5, repairCount: 6)
    let present = [9, 1, 5, 4, 10]
    let plan = try DecodePlan(
      ErasurePattern(code: code, present: present), targets: targets)
    for length in Self.lengths {
      let codewords = length < 70 ? 33 : 4
      let layout = Layout(rows: true, symbols: 11, codewords: codewords, length: length, gap: 2)
      var matrix = testBytes(seed: UInt64(length), count: layout.byteCount)
      for codeword in 0..<codewords {
        let start = layout.start(0, codeword)
        let source = (0..<5).flatMap { symbol in
          matrix[
            start + symbol * layout.symbolStride..<start + symbol * layout.symbolStride + length]
        }
        let repair = try code.encode(source.span, symbolByteCount: length)
        for symbol in 0..<6 {
          let at = layout.start(5 + symbol, codeword)
          matrix.replaceSubrange(
            at..<at + length, with: repair[symbol * length..<(symbol + 1) * length])
        }
      }
      let target = Layout(
        rows: false, symbols: targets.count, codewords: codewords, length: length, gap: 1)
      var decoded = [UInt8](repeating: 0xEE, count: target.byteCount)
      try decode(
        plan, matrix, layout, into: &decoded, target, length: length, codewords: codewords)
      var expected = [UInt8](repeating: 0xEE, count: target.byteCount)
      for (place, symbol) in targets.enumerated() {
        for codeword in 0..<codewords {
          let from = layout.start(symbol, codeword)
          let to = target.start(place, codeword)
          expected.replaceSubrange(to..<to + length, with: matrix[from..<from + length])
        }
      }
      expectEqual(decoded, expected, "\(length) bytes")
    }
  }

  private func decode(
    _ plan: DecodePlan, _ matrix: [UInt8], _ layout: Layout, into decoded: inout [UInt8],
    _ target: Layout, length: Int, codewords: Int
  ) throws {
    var scratch = CodecScratch()
    try unsafe matrix.withUnsafeBytes { matrix in
      let received = unsafe ReceivedSymbols.lent(codewordStride: layout.codewordStride) {
        position, body in
        unsafe body(
          UnsafeRawBufferPointer(rebasing: matrix[layout.start(plan.present[position], 0)...]))
      }
      try unsafe decoded.withUnsafeMutableBytes { decoded in
        try unsafe plan.decode(
          received,
          into: MutableSymbolGrid(
            decoded, symbolStride: target.symbolStride, codewordStride: target.codewordStride),
          symbolByteCount: length, codewordCount: codewords, scratch: &scratch)
      }
    }
  }

  @Test func `symbols that are there may already lie in place`() throws {
    let code = try ReedSolomonCode(sourceCount: 4, repairCount: 2)
    let source = testBytes(seed: 1, count: 4 * 70)
    let repair = try code.encode(source.span, symbolByteCount: 70)
    var decoded = source
    for index in 70..<210 { decoded[index] = 0 }
    let plan = try DecodePlan(code: code, present: [0, 3, 4, 5])
    let received =
      [Array(source[..<70]), Array(source[210...])] + [
        Array(repair[..<70]), Array(repair[70...]),
      ]
    var scratch = CodecScratch()
    try unsafe decoded.withUnsafeMutableBytes { decoded in
      // A copy would set this right, and the second change would spoil it.
      unsafe decoded[0] ^= 1
      try unsafe plan.decode(
        .lent(codewordStride: 0) { position, body in
          unsafe received[position].withUnsafeBytes { unsafe body($0) }
        },
        into: MutableSymbolGrid(decoded, symbolStride: 70, codewordStride: 0),
        output: .missingTargets, symbolByteCount: 70, codewordCount: 1, scratch: &scratch)
      unsafe decoded[0] ^= 1
    }
    expectEqual(decoded, source)
  }

  // Two tasks share matrix and output; each has its own codewords and its own scratch.
  @Test func `threads may encode different codewords of one matrix`() async throws {
    let code = try ReedSolomonCode(sourceCount: 34, repairCount: 66)
    let (codewords, length) = (64, 34)
    let from = Layout(rows: false, symbols: 34, codewords: codewords, length: length, gap: 0)
    let to = Layout(rows: false, symbols: 66, codewords: codewords, length: length, gap: 0)
    let bytes = testBytes(seed: 5, count: from.byteCount)
    var whole = [UInt8](repeating: 0, count: to.byteCount)
    try encode(code, bytes, from, into: &whole, to, length: length, codewords: codewords)

    nonisolated(unsafe) let target = UnsafeMutableRawBufferPointer.allocate(
      byteCount: to.byteCount, alignment: 64)
    defer { unsafe target.deallocate() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for start in stride(from: 0, to: codewords, by: 16) {
        group.addTask {
          var scratch = CodecScratch()
          try unsafe bytes.withUnsafeBytes { bytes in
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[from.start(0, start)...])
            let out = unsafe UnsafeMutableRawBufferPointer(rebasing: target[to.start(0, start)...])
            try unsafe code.encode(
              SymbolGrid(part, symbolStride: from.symbolStride, codewordStride: length),
              into: MutableSymbolGrid(out, symbolStride: to.symbolStride, codewordStride: length),
              symbolByteCount: length, codewordCount: 16, scratch: &scratch)
          }
        }
      }
      try await group.waitForAll()
    }
    expectEqual(unsafe Array(target), whole)
  }
}
