// PropertyTests.swift
//
// What holds for every code, length, layout and loss, tried on random ones: any k of the n symbols
// give the source back, and every level of the CPU computes what the scalar one does.

import CKernels
import RunSeed
import Testing

@testable import ReedSolomon

@Suite struct PropertyTests {
  /// Every length up to 200, and the neighbours of whole blocks above.
  static let lengths =
    Array(stride(from: 2, through: 200, by: 2))
    + (4...17).flatMap { [64 * $0 - 2, 64 * $0, 64 * $0 + 2] }

  /// A code of the wanted rate with up to 40 symbols on either side.
  private func shape(
    isHigh: Bool, using dice: inout Dice
  ) -> (k: Int, m: Int) {
    while true {
      let (k, m) = (Int.random(in: 1...40, using: &dice), Int.random(in: 1...40, using: &dice))
      if case .high = Rate(sourceCount: k, repairCount: m) {
        if isHigh { return (k, m) }
      } else if !isHigh {
        return (k, m)
      }
    }
  }

  @Test(arguments: [true, false])
  func `losses of every kind are made good, at every length and level`(isHigh: Bool) throws {
    let run = RunSeed.current
    for length in Self.lengths {
      let seed = run.seed(case: isHigh ? length : -length)
      var dice = Dice(seed: seed)
      let (k, m) = shape(isHigh: isHigh, using: &dice)
      let codewords = Int.random(in: 1...9, using: &dice)
      let label = "\(run): RS(\(k), \(m)), \(codewords) codewords of \(length) bytes"
      var matrix = SymbolMatrix(
        symbolCount: k + m, codewordCount: codewords, symbolByteCount: length, using: &dice)
      matrix.fill(0..<k, using: &dice)
      let empty = matrix
      try matrix.encode(ReedSolomonCode(sourceCount: k, repairCount: m, kernels: .scalar))
      let present = Array((0..<k + m).shuffled(using: &dice).prefix(k))
      for level in supportedLevels {
        let code = try ReedSolomonCode(
          sourceCount: k, repairCount: m, kernels: .kernels(at: level))
        var again = empty
        try again.encode(code)
        expectEqual(again.bytes, matrix.bytes, "encoding at \(level) of \(label)")
        var lossy = matrix
        for lost in Set(0..<k + m).subtracting(present) { lossy.overwrite(lost, with: 0x55) }
        try lossy.decode(DecodePlan(code: code, present: present))
        expectEqual(
          lossy.bytes(of: 0..<k), matrix.bytes(of: 0..<k),
          "decoding at \(level) from \(present) of \(label)")
      }
    }
  }

  @Test func `a part of the repair symbols is the part of all, at every level`() throws {
    let run = RunSeed.current
    for round in 0..<60 {
      var dice = Dice(seed: run.seed(case: round))
      let (k, m) = shape(isHigh: round % 2 == 0, using: &dice)
      let length = 2 * Int.random(in: 1...70, using: &dice)
      let source = testBytes(seed: dice.next(), count: k * length)
      let all = try ReedSolomonCode(sourceCount: k, repairCount: m, kernels: .scalar)
        .encode(source.span, symbolByteCount: length)
      let first = Int.random(in: 0..<m, using: &dice)
      let wanted = first..<Int.random(in: first + 1...m, using: &dice)
      for level in supportedLevels {
        let code = try ReedSolomonCode(
          sourceCount: k, repairCount: m, kernels: .kernels(at: level))
        let some = try code.repairSymbols(wanted, of: source.span, symbolByteCount: length)
        expectEqual(
          some, Array(all[wanted.lowerBound * length..<wanted.upperBound * length]),
          "\(run): \(wanted) of RS(\(k), \(m)), \(length) bytes at \(level)")
      }
    }
  }

  // The two codes of committees: (n-2f, 2f) and (n-f, f).
  @Test func `committees of any size survive any losses`() throws {
    let run = RunSeed.current
    for n in Array(4...40) + [64, 97, 100, 128, 129, 300] {
      var dice = Dice(seed: run.seed(case: n))
      let f = (n - 1) / 3
      for k in [n - 2 * f, n - f] {
        let length = 2 * Int.random(in: 1...40, using: &dice)
        let code = try ReedSolomonCode(sourceCount: k, repairCount: n - k)
        let source = testBytes(seed: dice.next(), count: k * length)
        let symbols = source + (try code.encode(source.span, symbolByteCount: length))
        for _ in 0..<3 {
          let present = Array((0..<n).shuffled(using: &dice).prefix(k))
          let received = present.flatMap { symbols[$0 * length..<($0 + 1) * length] }
          let decoded = try DecodePlan(code: code, present: present)
            .decode(received.span, symbolByteCount: length)
          expectEqual(decoded, source, "\(run): n = \(n), k = \(k), \(length) bytes, \(present)")
        }
      }
    }
  }

  @Test func `odd lengths are refused`() throws {
    let code = try ReedSolomonCode(sourceCount: 3, repairCount: 4)
    let plan = try DecodePlan(code: code, present: [1, 2, 6])
    for length in stride(from: 1, through: 199, by: 2) {
      let symbols = [UInt8](repeating: 1, count: 3 * length)
      #expect(throws: ReedSolomonError.symbolByteCountInvalid(length)) {
        try code.encode(symbols.span, symbolByteCount: length)
      }
      #expect(throws: ReedSolomonError.symbolByteCountInvalid(length)) {
        try plan.decode(symbols.span, symbolByteCount: length)
      }
    }
  }
}

extension FieldKernels {
  fileprivate static var scalar: FieldKernels { kernels(at: CK_LEVEL_SCALAR) }
}

/// Codewords side by side or one after the other, with gaps of odd lengths that nobody may write.
struct SymbolMatrix {
  let symbolCount, codewordCount, symbolByteCount: Int
  let symbolStride, codewordStride: Int
  private(set) var bytes: [UInt8]

  init(
    symbolCount: Int, codewordCount: Int, symbolByteCount: Int, using dice: inout Dice
  ) {
    self.symbolCount = symbolCount
    self.codewordCount = codewordCount
    self.symbolByteCount = symbolByteCount
    let near = symbolByteCount + Int.random(in: 0...5, using: &dice)
    let gap = Int.random(in: 0...5, using: &dice)
    if Bool.random(using: &dice) {
      symbolStride = near
      codewordStride = near * symbolCount + gap
    } else {
      codewordStride = near
      symbolStride = near * codewordCount + gap
    }
    let last = (symbolCount - 1) * symbolStride + (codewordCount - 1) * codewordStride
    bytes = [UInt8](repeating: 0xEE, count: last + symbolByteCount)
  }

  private func range(_ symbol: Int, _ codeword: Int) -> Range<Int> {
    let start = symbol * symbolStride + codeword * codewordStride
    return start..<start + symbolByteCount
  }

  mutating func fill(_ symbols: Range<Int>, using dice: inout Dice) {
    for symbol in symbols {
      for codeword in 0..<codewordCount {
        bytes.replaceSubrange(
          range(symbol, codeword), with: testBytes(seed: dice.next(), count: symbolByteCount))
      }
    }
  }

  mutating func overwrite(_ symbol: Int, with byte: UInt8) {
    for codeword in 0..<codewordCount {
      for index in range(symbol, codeword) { bytes[index] = byte }
    }
  }

  func bytes(of symbols: Range<Int>) -> [UInt8] {
    symbols.flatMap { symbol in
      (0..<codewordCount).flatMap { bytes[range(symbol, $0)] }
    }
  }

  /// Sources to repair symbols, within this matrix.
  mutating func encode(_ code: ReedSolomonCode) throws {
    var scratch = CodecScratch()
    let split = code.sourceCount * symbolStride
    // Side by side the repair symbols come after all sources; else they lie between them, and the
    // sources are lent as a copy.
    let copy = bytes
    try unsafe copy.withUnsafeBytes { source in
      try unsafe bytes.withUnsafeMutableBytes { target in
        try unsafe code.encode(
          SymbolGrid(source, symbolStride: symbolStride, codewordStride: codewordStride),
          into: MutableSymbolGrid(
            UnsafeMutableRawBufferPointer(rebasing: target[split...]), symbolStride: symbolStride,
            codewordStride: codewordStride),
          symbolByteCount: symbolByteCount, codewordCount: codewordCount, scratch: &scratch)
      }
    }
  }

  /// Fills in the sources that the plan misses.
  mutating func decode(_ plan: DecodePlan) throws {
    var scratch = CodecScratch()
    let copy = bytes
    try unsafe copy.withUnsafeBytes { source in
      let received = unsafe ReceivedSymbols.lent(codewordStride: codewordStride) {
        [symbolStride] position, body in
        let start = plan.present[position] * symbolStride
        unsafe body(UnsafeRawBufferPointer(rebasing: source[start...]))
      }
      try unsafe bytes.withUnsafeMutableBytes { target in
        try unsafe plan.decode(
          received,
          into: MutableSymbolGrid(
            target, symbolStride: symbolStride, codewordStride: codewordStride),
          output: .missingTargets, symbolByteCount: symbolByteCount, codewordCount: codewordCount,
          scratch: &scratch)
      }
    }
  }
}
