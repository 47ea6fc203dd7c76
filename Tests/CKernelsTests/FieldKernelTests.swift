// FieldKernelTests.swift
//
// The scalar field kernels against plain bit matrices, and every level against the scalar one.
//
// A factor is any 16x16 bit matrix, so the tests need no field: random matrices find more mistakes
// than the matrices of field elements would.

import CKernels
import Testing

@Suite struct FieldKernelTests {
  /// The 16 columns of each of `count` matrices.
  private func matrices(_ count: Int, seed: UInt64) -> [[UInt16]] {
    let bytes = testBytes(count: 32 * count, seed: seed)
    return (0..<count).map { matrix in
      (0..<16).map { column in
        let index = 32 * matrix + 2 * column
        return UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8
      }
    }
  }

  private func factors(_ level: ck_level, _ matrices: [[UInt16]]) -> [UInt8] {
    let size = ck_gf_factor_bytes(level)
    return matrices.flatMap { matrix in
      var factor = [UInt8](repeating: 0, count: size)
      unsafe ck_gf_factor_make(level, matrix, &factor)
      return factor
    }
  }

  /// Matrix times vector, bit by bit.
  private func apply(_ matrix: [UInt16], to element: UInt16) -> UInt16 {
    (0..<16).filter { element >> $0 & 1 == 1 }.reduce(0) { $0 ^ matrix[$1] }
  }

  @Test(arguments: supportedLevels)
  func `a factor applies its matrix to every element of a row`(level: ck_level) {
    let matrices = matrices(8, seed: 2)
    for (matrix, number) in zip(matrices, 0...) {
      let factor = factors(level, [matrix])
      let source = testBytes(count: 192, seed: UInt64(number))
      var target = [UInt8](repeating: 0, count: 192)
      unsafe ck_gf_multiply(level, &target, source, 192, factor)
      for block in stride(from: 0, to: 192, by: 64) {
        for j in block..<block + 32 {
          let element = UInt16(source[j]) | UInt16(source[j + 32]) << 8
          let product = UInt16(target[j]) | UInt16(target[j + 32]) << 8
          #expect(product == apply(matrix, to: element))
        }
      }
    }
  }

  @Test(arguments: supportedLevels)
  func `factors add up like their matrices`(level: ck_level) {
    let units = matrices(16, seed: 3)
    let basis = factors(level, units)
    let size = ck_gf_factor_bytes(level)
    #expect(size <= Int(CK_GF_FACTOR_BYTES_MAX))
    var table = [UInt8](repeating: 0xEE, count: 100 * size)
    unsafe ck_gf_factor_table(level, basis, 100, &table)
    for index in 0..<100 {
      let sum = (0..<16).map { column in
        (0..<16).filter { index >> $0 & 1 == 1 }.reduce(UInt16(0)) { $0 ^ units[$1][column] }
      }
      let expected = factors(level, [sum])
      expectEqual(Array(table[index * size..<(index + 1) * size]), expected)
    }
  }

  /// The factors of v << 4 i for the matrix `units[j]` in place of 1 << j.
  private func nibbleFactors(_ level: ck_level, _ units: [[UInt16]]) -> [UInt8] {
    (0..<64).flatMap { entry in
      factors(level, [sum(units, of: UInt16(entry % 16) << UInt16(4 * (entry / 16)))])
    }
  }

  private func sum(_ units: [[UInt16]], of element: UInt16) -> [UInt16] {
    (0..<16).map { column in
      (0..<16).filter { element >> $0 & 1 == 1 }.reduce(UInt16(0)) { $0 ^ units[$1][column] }
    }
  }

  @Test(arguments: supportedLevels)
  func `accumulating adds every source times its element to every target`(level: ck_level) {
    let units = matrices(16, seed: 7)
    let nibbles = nibbleFactors(level, units)
    let (sources, targets, bytes, stride) = (3, 2, 128, 150)
    let elements: [UInt16] = [0x1234, 0, 1, 0xFFFF, 0x8000, 0x00F0]
    let source = testBytes(count: sources * stride, seed: 8)
    let before = testBytes(count: targets * stride, seed: 9)
    var after = before
    unsafe ck_gf_accumulate(
      level, &after, stride, targets, source, stride, sources, bytes, elements, nibbles)
    var expected = before
    for s in 0..<sources {
      for t in 0..<targets {
        let matrix = sum(units, of: elements[s * targets + t])
        for j in (0..<bytes).filter({ $0 % 64 < 32 }) {
          let from = s * stride + j
          let product = apply(matrix, to: UInt16(source[from]) | UInt16(source[from + 32]) << 8)
          expected[t * stride + j] ^= UInt8(product & 255)
          expected[t * stride + j + 32] ^= UInt8(product >> 8)
        }
      }
    }
    expectEqual(after, expected)
  }

  @Test(arguments: supportedLevels)
  func `scaling multiplies a row by an element`(level: ck_level) {
    let units = matrices(16, seed: 11)
    var row = testBytes(count: 128, seed: 12)
    var expected = [UInt8](repeating: 0, count: 128)
    let factor = factors(level, [sum(units, of: 0xB00F)])
    unsafe ck_gf_multiply(level, &expected, row, 128, factor)
    unsafe ck_gf_scale(level, &row, 128, 0xB00F, nibbleFactors(level, units))
    expectEqual(row, expected)
  }

  /// The tests below compare with this level, which is the plainest.
  private static let fastLevels = supportedLevels.filter { $0 != CK_LEVEL_SCALAR }

  private func twiddles(_ level: ck_level, count: Int) -> [UInt8] {
    // Entry 0 is never read as a factor: it stands for zero.
    factors(level, [[UInt16](repeating: 0, count: 16)] + matrices(count - 1, seed: 4))
  }

  @Test(arguments: fastLevels)
  func `the inverse transform equals the scalar one`(level: ck_level) {
    for size in [1, 2, 4, 8, 16, 32, 64] {
      for rowBytes in [64, 192] {
        for delta in [0, size, 3 * size] {
          for nonzero in Set([0, 1, 2, 3, 5, size / 2 + 1, size - 1, size]) where nonzero <= size {
            var rows = testBytes(count: size * rowBytes)
            for index in nonzero * rowBytes..<rows.count { rows[index] = 0 }
            var expected = rows
            let count = max(2 * size + delta, 2)
            unsafe ck_gf_ifft(
              level, &rows, rowBytes, size, delta, nonzero, twiddles(level, count: count))
            unsafe ck_gf_ifft(
              CK_LEVEL_SCALAR, &expected, rowBytes, size, delta, nonzero,
              twiddles(CK_LEVEL_SCALAR, count: count))
            expectEqual(rows, expected, "size \(size) delta \(delta) nonzero \(nonzero)")
          }
        }
      }
    }
  }

  @Test(arguments: supportedLevels)
  func `the wanted rows of the forward transform equal the scalar ones`(level: ck_level) {
    for size in [1, 2, 4, 8, 16, 32, 64] {
      for delta in [0, size, 3 * size] {
        let source = testBytes(count: size * 128)
        let count = max(2 * size + delta, 2)
        let factors = twiddles(level, count: count)
        var expected = source
        unsafe expected.withUnsafeMutableBufferPointer {
          unsafe ck_gf_fft(
            CK_LEVEL_SCALAR, $0.baseAddress, $0.baseAddress, 128, size, delta, 0, size,
            twiddles(CK_LEVEL_SCALAR, count: count))
        }
        let bounds = [0, 1, 3, size / 4, size / 2, size / 2 + 1, size - 1, size]
        for from in Set(bounds) {
          for to in Set(bounds) where from <= to && to <= size {
            var rows = [UInt8](repeating: 0xEE, count: source.count)
            unsafe ck_gf_fft(level, &rows, source, 128, size, delta, from, to, factors)
            expectEqual(
              Array(rows[from * 128..<to * 128]), Array(expected[from * 128..<to * 128]),
              "size \(size) delta \(delta) rows \(from)..<\(to)")
          }
        }
      }
    }
  }

  @Test(arguments: supportedLevels)
  func `the forward transform undoes the inverse one`(level: ck_level) {
    let factors = twiddles(level, count: 256)
    for size in [2, 8, 16, 64] {
      let source = testBytes(count: size * 64)
      var rows = source
      unsafe ck_gf_ifft(level, &rows, 64, size, size, size, factors)
      #expect(rows != source)
      unsafe rows.withUnsafeMutableBufferPointer {
        unsafe ck_gf_fft(level, $0.baseAddress, $0.baseAddress, 64, size, size, 0, size, factors)
      }
      expectEqual(rows, source)
    }
  }

  @Test(arguments: supportedLevels)
  func `adding is XOR, whatever the length`(level: ck_level) {
    for count in [0, 1, 63, 64, 65, 200] {
      let a = testBytes(count: count, seed: 5)
      let b = testBytes(count: count, seed: 6)
      var sum = a
      unsafe ck_gf_xor(level, &sum, b, count)
      #expect(sum == zip(a, b).map { $0 ^ $1 })
    }
  }

  @Test(arguments: supportedLevels)
  func `the derivative adds rows as defined`(level: ck_level) {
    for size in [1, 2, 4, 32] {
      var rows = testBytes(count: size * 64)
      var expected = rows
      for i in 1..<max(size, 1) {
        let width = i & -i
        for j in 0..<width * 64 { expected[(i - width) * 64 + j] ^= expected[i * 64 + j] }
      }
      unsafe ck_gf_derivative(level, &rows, 64, size)
      expectEqual(rows, expected)
    }
  }
}
