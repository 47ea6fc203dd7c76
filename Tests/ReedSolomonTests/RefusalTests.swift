// RefusalTests.swift
//
// What is refused, with which error, before a byte is written.

import Testing

@testable import ReedSolomon

@Suite struct RefusalTests {
  @Test(arguments: [
    (0, 1), (1, 0), (0, 0), (-1, 5), (5, -1), (65536, 1), (1, 65536), (32769, 32768),
    (32768, 32769), (65535, 2), (.max, .max), (.min, .min),
  ])
  func `shapes outside the field are refused`(k: Int, m: Int) {
    #expect(throws: ReedSolomonError.unsupportedShape(sourceCount: k, repairCount: m)) {
      try ReedSolomonCode(sourceCount: k, repairCount: m)
    }
  }

  // (k1, n - k1) and (k2, n - k2) of the specification.
  @Test(arguments: [
    (n: 4, isHigh: true), (n: 7, isHigh: true), (n: 10, isHigh: false), (n: 13, isHigh: true),
    (n: 31, isHigh: false), (n: 100, isHigh: false), (n: 300, isHigh: false),
    (n: 1000, isHigh: false),
  ])
  func `the shapes of Walrus have the rates of the specification`(n: Int, isHigh: Bool) throws {
    let f = (n - 1) / 3
    let primary = try ReedSolomonCode(sourceCount: n - 2 * f, repairCount: 2 * f)
    let secondary = try ReedSolomonCode(sourceCount: n - f, repairCount: f)
    #expect(
      primary.rate == (isHigh ? .high(size: primary.rate.size) : .low(size: primary.rate.size)))
    #expect(secondary.rate == .high(size: secondary.rate.size))
  }

  @Test func `both axes work up to 49155 shards and for none above`() {
    func supported(_ n: Int) -> Bool {
      let f = (n - 1) / 3
      return [n - 2 * f, n - f].allSatisfy { k in
        Rate(sourceCount: k, repairCount: n - k) != nil
      }
    }
    #expect((4...49155).allSatisfy(supported))
    #expect(!(49156...65536).contains(where: supported))
  }

  @Test(arguments: [0, 1, 3, 63, -2, .min, .max])
  func `odd, zero and negative symbol lengths are refused`(length: Int) throws {
    let code = try ReedSolomonCode(sourceCount: 2, repairCount: 2)
    let plan = try DecodePlan(code: code, present: [2, 3])
    let bytes = [UInt8](repeating: 0, count: 8)
    #expect(throws: ReedSolomonError.symbolByteCountInvalid(length)) {
      try code.encode(bytes.span, symbolByteCount: length)
    }
    #expect(throws: ReedSolomonError.symbolByteCountInvalid(length)) {
      try plan.decode(bytes.span, symbolByteCount: length)
    }
  }

  @Test func `a source of another length is refused`() throws {
    let code = try ReedSolomonCode(sourceCount: 2, repairCount: 2)
    let plan = try DecodePlan(code: code, present: [2, 3])
    for count in [0, 7, 9] {
      let bytes = [UInt8](repeating: 0, count: count)
      let refusal = ReedSolomonError.byteCountMismatch(byteCount: count, required: 8)
      #expect(throws: refusal) { try code.encode(bytes.span, symbolByteCount: 4) }
      #expect(throws: refusal) { try plan.decode(bytes.span, symbolByteCount: 4) }
    }
    let none: [UInt8] = []
    #expect(throws: ReedSolomonError.self) {
      try code.encode(none.span, symbolByteCount: .max - 1)
    }
  }

  @Test func `repair symbols that do not exist are refused`() throws {
    let code = try ReedSolomonCode(sourceCount: 2, repairCount: 3)
    let bytes = [UInt8](repeating: 0, count: 4)
    for index in [-1, 3, .max, .min] {
      #expect(throws: ReedSolomonError.repairIndexInvalid(index, repairCount: 3)) {
        try code.repairSymbol(index, of: bytes.span, symbolByteCount: 2)
      }
    }
    for range in [0..<4, -1..<2, 4..<4, -3 ..< -1] {
      #expect(throws: ReedSolomonError.repairRangeInvalid(range, repairCount: 3)) {
        try code.repairSymbols(range, of: bytes.span, symbolByteCount: 2)
      }
    }
  }

  @Test func `plans refuse repeats, strangers and wrong counts`() throws {
    let code = try ReedSolomonCode(sourceCount: 3, repairCount: 2)
    let cases: [([Int], ReedSolomonError)] = [
      ([0, 1], .symbolCountMismatch(received: 2, required: 3)),
      ([], .symbolCountMismatch(received: 0, required: 3)),
      ([0, 1, 2, 3], .symbolCountMismatch(received: 4, required: 3)),
      ([0, 4, 4], .symbolRepeated(4)),
      ([0, 1, 5], .symbolIndexInvalid(5, symbolCount: 5)),
      ([0, -1, 1], .symbolIndexInvalid(-1, symbolCount: 5)),
      ([0, .max, 1], .symbolIndexInvalid(.max, symbolCount: 5)),
    ]
    for (present, refusal) in cases {
      #expect(throws: refusal) { try DecodePlan(code: code, present: present) }
    }
  }

  @Test func `targets that the code does not have are refused`() throws {
    let pattern = ErasurePattern(
      sourcesOf: try ReedSolomonCode(sourceCount: 3, repairCount: 2))
    for target in [5, -1, .max] {
      #expect(throws: ReedSolomonError.symbolIndexInvalid(target, symbolCount: 5)) {
        try DecodePlan(pattern, targets: [3, target])
      }
    }
  }

  // Each call would leave its buffer by one byte, by a negative stride, or by overflow.
  @Test(arguments: [
    (symbolStride: 4, codewordStride: 8, codewords: 2, byteCount: 15),
    (symbolStride: 100, codewordStride: 0, codewords: 1, byteCount: 103),
    (symbolStride: -4, codewordStride: 8, codewords: 2, byteCount: 100),
    (symbolStride: 4, codewordStride: -8, codewords: 2, byteCount: 100),
    (symbolStride: .max, codewordStride: 0, codewords: 1, byteCount: 100),
    (symbolStride: 4, codewordStride: .max / 2, codewords: 4, byteCount: 100),
    (symbolStride: 4, codewordStride: 8, codewords: .max, byteCount: 100),
    (symbolStride: 4, codewordStride: 4, codewords: 1, byteCount: 0),
  ])
  func `grids that leave their buffer are refused`(
    symbolStride: Int, codewordStride: Int, codewords: Int, byteCount: Int
  ) throws {
    let code = try ReedSolomonCode(sourceCount: 2, repairCount: 2)
    let plan = try DecodePlan(code: code, present: [2, 3])
    let small = [UInt8](repeating: 0, count: byteCount)
    var large = [UInt8](repeating: 7, count: 64)
    var smallTarget = [UInt8](repeating: 7, count: byteCount)
    var scratch = CodecScratch()
    _ = unsafe small.withUnsafeBytes { small in
      unsafe large.withUnsafeMutableBytes { large in
        #expect(throws: ReedSolomonError.self) {
          try unsafe code.encode(
            SymbolGrid(small, symbolStride: symbolStride, codewordStride: codewordStride),
            into: MutableSymbolGrid(large, symbolStride: 4, codewordStride: 8),
            symbolByteCount: 4, codewordCount: codewords, scratch: &scratch)
        }
      }
    }
    #expect(large.allSatisfy { $0 == 7 })
    unsafe large.withUnsafeBytes { large in
      unsafe smallTarget.withUnsafeMutableBytes { target in
        let grid = unsafe MutableSymbolGrid(
          target, symbolStride: symbolStride, codewordStride: codewordStride)
        #expect(throws: ReedSolomonError.self) {
          try unsafe code.encode(
            SymbolGrid(large, symbolStride: 4, codewordStride: 8), into: grid, symbolByteCount: 4,
            codewordCount: codewords, scratch: &scratch)
        }
        #expect(throws: ReedSolomonError.self) {
          try unsafe plan.decode(
            .lent(codewordStride: 0) { _, body in unsafe body(large) }, into: grid,
            symbolByteCount: 4, codewordCount: codewords, scratch: &scratch)
        }
      }
    }
    #expect(smallTarget.allSatisfy { $0 == 7 })
  }

  @Test func `decoding refuses short or missing buffers and negative counts`() throws {
    let plan = try DecodePlan(
      code: ReedSolomonCode(sourceCount: 2, repairCount: 2), present: [2, 3])
    var target = [UInt8](repeating: 7, count: 64)
    let bytes = [UInt8](repeating: 1, count: 8)
    var scratch = CodecScratch()
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe target.withUnsafeMutableBytes { target in
        let grid = unsafe MutableSymbolGrid(target, symbolStride: 4, codewordStride: 8)
        let short = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<7])
        let grid7 = unsafe SymbolGrid(short, symbolStride: 0, codewordStride: 4)
        let lent = unsafe ReceivedSymbols.lent(codewordStride: 4) { position, body in
          unsafe body(position == 0 ? bytes : short)
        }
        let tooSmall = ReedSolomonError.bufferTooSmall(byteCount: 7, required: 8)
        func refuses(_ received: ReceivedSymbols, codewords: Int, _ refusal: ReedSolomonError) {
          #expect(throws: refusal) {
            try unsafe plan.decode(
              received, into: grid, symbolByteCount: 4, codewordCount: codewords,
              scratch: &scratch)
          }
        }
        unsafe refuses(lent, codewords: 2, tooSmall)
        unsafe refuses(.grid(grid7), codewords: 2, tooSmall)
        unsafe refuses(lent, codewords: -1, .codewordCountInvalid(-1))
      }
    }
    #expect(target.allSatisfy { $0 == 7 })
  }

  @Test func `no codewords are no work`() throws {
    let code = try ReedSolomonCode(sourceCount: 2, repairCount: 2)
    var scratch = CodecScratch()
    unsafe try code.encode(
      SymbolGrid(UnsafeRawBufferPointer(start: nil, count: 0), symbolStride: 4, codewordStride: 8),
      into: MutableSymbolGrid(
        UnsafeMutableRawBufferPointer(start: nil, count: 0), symbolStride: 4, codewordStride: 8),
      symbolByteCount: 4, codewordCount: 0, scratch: &scratch)
  }

  @Test func `every error says what to do in words`() {
    let errors: [ReedSolomonError] = [
      .unsupportedShape(sourceCount: 0, repairCount: 1), .symbolByteCountInvalid(3),
      .codewordCountInvalid(-1), .bufferTooSmall(byteCount: 1, required: nil),
      .bufferTooSmall(byteCount: 1, required: 2), .byteCountMismatch(byteCount: 1, required: 2),
      .repairRangeInvalid(0..<9, repairCount: 3), .repairIndexInvalid(9, repairCount: 3),
      .symbolIndexInvalid(9, symbolCount: 5),
      .symbolRepeated(1), .symbolCountMismatch(received: 1, required: 2),
    ]
    let texts = errors.map(\.description)
    #expect(Set(texts).count == errors.count)
    #expect(texts.allSatisfy { $0.count > 20 })
  }
}
