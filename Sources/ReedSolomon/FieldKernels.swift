// FieldKernels.swift
//
// The C kernels of one CPU level together with the factors they need. A factor is stored the way
// its level reads it, so level and tables must never be mixed: hence one object for both.

import CKernels

/// The kernels of one level. Shared and immutable; about 1 MiB (GFNI) or 4 MiB of tables.
final class FieldKernels: Sendable {
  let level: ck_level
  let factorByteCount: Int
  /// Factor w is the element 2w. Layer d of a transform needs, for the group of rows that starts
  /// at point p, the factor skew[p + d - 1]; since that index has log2(d) trailing ones, it is
  /// the element (p + d - 1) >> log2(d) = p / d, entry p / 2d. One table serves all layers.
  let twiddles: [UInt8]
  /// Entry 16 i + v is the factor of the element v << 4 i: four of these make any factor, and all
  /// of them stay in the nearest cache.
  let nibbleFactors: [UInt8]

  /// Twiddles for all 65536 evaluation points.
  static let twiddleCount = FieldTables.elementCount / 2

  private static let scalar = FieldKernels(CK_LEVEL_SCALAR)
  private static let avx2 = FieldKernels(CK_LEVEL_AVX2)
  private static let avx512 = FieldKernels(CK_LEVEL_AVX512)
  private static let gfni = FieldKernels(CK_LEVEL_GFNI)

  /// The kernels of the level in use.
  static var inUse: FieldKernels { kernels(at: ck_level_in_use()) }

  /// The kernels of a level, which this CPU must support.
  static func kernels(at level: ck_level) -> FieldKernels {
    switch level {
    case CK_LEVEL_AVX2: avx2
    case CK_LEVEL_AVX512: avx512
    case CK_LEVEL_GFNI: gfni
    default: scalar
    }
  }

  private init(_ level: ck_level) {
    let factorByteCount = ck_gf_factor_bytes(level)
    // Factors of the elements 1, 2, 4, ... 32768. Factors add up, so these make all others.
    var units = [UInt8](repeating: 0, count: 16 * factorByteCount)
    unsafe units.withUnsafeMutableBytes { units in
      for bit in 0..<16 {
        let products = (0..<16).map { FieldTables.shared.multiply(1 << $0, 1 << UInt16(bit)) }
        let factor = unsafe units.baseAddress?.advanced(by: bit * factorByteCount)
        unsafe ck_gf_factor_make(level, products, factor)
      }
    }
    var twiddles = [UInt8](repeating: 0, count: Self.twiddleCount * factorByteCount)
    unsafe twiddles.withUnsafeMutableBytes { twiddles in
      unsafe units.withUnsafeBytes { units in
        let basis = unsafe units.baseAddress?.advanced(by: factorByteCount)
        unsafe ck_gf_factor_table(level, basis, Self.twiddleCount, twiddles.baseAddress)
      }
    }
    var nibbles = [UInt8](repeating: 0, count: 64 * factorByteCount)
    unsafe nibbles.withUnsafeMutableBytes { nibbles in
      unsafe units.withUnsafeBytes { units in
        for nibble in 0..<4 {
          unsafe ck_gf_factor_table(
            level, units.baseAddress?.advanced(by: 4 * nibble * factorByteCount), 16,
            nibbles.baseAddress?.advanced(by: 16 * nibble * factorByteCount))
        }
      }
    }
    self.level = level
    self.factorByteCount = factorByteCount
    self.twiddles = twiddles
    self.nibbleFactors = nibbles
  }
}
