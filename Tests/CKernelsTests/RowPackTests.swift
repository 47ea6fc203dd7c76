// RowPackTests.swift
//
// Symbols to rows and back, against the layout of elements as the specification states it.

import CKernels
import Testing

@Suite struct RowPackTests {
  /// The elements of a symbol in order (specification 3.1).
  private func elements(_ symbol: ArraySlice<UInt8>) -> [UInt16] {
    let bytes = Array(symbol)
    var elements: [UInt16] = []
    var start = 0
    while start < bytes.count {
      let half = min(32, (bytes.count - start) / 2)
      for j in start..<start + half {
        elements.append(UInt16(bytes[j]) | UInt16(bytes[j + half]) << 8)
      }
      start += 2 * half
    }
    return elements
  }

  /// The elements of a row of whole blocks.
  private func elements(ofRow row: [UInt8]) -> [UInt16] {
    stride(from: 0, to: row.count, by: 64).flatMap { elements(row[$0..<$0 + 64]) }
  }

  @Test(arguments: [(66, [0x2000, 0x3F1F, 0x4140]), (4, [0x0200, 0x0301]), (2, [0x0100])])
  func `a symbol of ascending bytes has the elements of the specification`(
    length: Int, some: [UInt16]
  ) {
    let found = elements(Array(0..<UInt8(length))[...])
    #expect(found.count == length / 2)
    #expect(some.allSatisfy(found.contains))
  }

  @Test func `a row holds every element of every codeword once`() {
    for length in Array(stride(from: 2, through: 200, by: 2)) {
      for codewords in [1, 2, 3, 17, 33, 70] {
        let codewordStride = length + 6
        let bytes = testBytes(count: codewords * codewordStride)
        let blocks = ck_row_block_count(length, codewords)
        var row = [UInt8](repeating: 0xEE, count: blocks * 64)
        unsafe ck_row_gather(&row, bytes, length, codewordStride, codewords, 0, blocks)
        let expected = (0..<codewords).flatMap {
          elements(bytes[$0 * codewordStride..<$0 * codewordStride + length])
        }
        let padding = [UInt16](repeating: 0, count: blocks * 32 - expected.count)
        expectEqual(
          elements(ofRow: row).sorted(), (expected + padding).sorted(),
          "\(codewords) codewords of \(length) bytes")
      }
    }
  }

  @Test func `tails share blocks as far as they fit`() {
    #expect(ck_row_block_count(2, 64) == 2)
    #expect(ck_row_block_count(2, 65) == 3)
    #expect(ck_row_block_count(20, 3) == 1)
    #expect(ck_row_block_count(34, 2) == 2)
    #expect(ck_row_block_count(64, 5) == 5)
    #expect(ck_row_block_count(66, 32) == 33)
    #expect(ck_row_block_count(128, 0) == 0)
  }

  @Test func `scattering gives the symbols back and touches nothing between them`() {
    for length in Array(stride(from: 2, through: 200, by: 2)) {
      for codewords in [1, 3, 40] {
        let codewordStride = length + 6
        let bytes = testBytes(count: codewords * codewordStride)
        let blocks = ck_row_block_count(length, codewords)
        // Strips of three blocks: rows are cut anywhere.
        var copy = [UInt8](repeating: 0xEE, count: bytes.count)
        for first in stride(from: 0, to: blocks, by: 3) {
          let count = min(3, blocks - first)
          var row = [UInt8](repeating: 0, count: count * 64)
          unsafe ck_row_gather(&row, bytes, length, codewordStride, codewords, first, count)
          unsafe ck_row_scatter(row, &copy, length, codewordStride, codewords, first, count)
        }
        let expected = bytes.indices.map { $0 % codewordStride < length ? bytes[$0] : 0xEE }
        expectEqual(copy, expected, "\(codewords) codewords of \(length) bytes")
      }
    }
  }

  @Test func `symbols are copied from stride to stride, and nothing else`() {
    for size in [1, 2, 4, 6, 8, 16, 30, 64, 100] {
      for (from, to) in [(size, size), (size + 3, size), (size, size + 5), (size + 1, size + 2)] {
        let source = testBytes(count: 7 * from, seed: UInt64(size))
        var target = [UInt8](repeating: 0xEE, count: 7 * to)
        var expected = target
        for i in 0..<6 {
          expected.replaceSubrange(i * to..<i * to + size, with: source[i * from..<i * from + size])
        }
        unsafe ck_symbols_copy(&target, to, source, from, size, 6)
        expectEqual(target, expected, "\(size) bytes")
      }
    }
  }
}
