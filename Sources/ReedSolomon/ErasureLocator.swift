// ErasureLocator.swift
//
// The polynomial that is zero at every erased point: its log at each point, without the point's
// own factor. log at p = sum over erased q != p of log[p xor q], a convolution over XOR, hence two
// Walsh transforms instead of a quadratic sum.
//
// Only the points of the decoder's transform (a power of two, N) are counted. The specification
// also counts the erased points beyond N, but seen from every p < N those have the same set of
// differences: they would add one constant to all logs, which the decoder multiplies in and divides
// out again.

import CKernels

struct ErasureLocator: Sendable {
  /// Per point, the log of the locator modulo 65535 (65535 stands for 0).
  let logs: [UInt16]

  /// `isPresent` has one entry per symbol of the code.
  init(points: CodePoints, isPresent: [Bool]) {
    var erased = [UInt16](repeating: 0, count: points.size)
    for point in points.unknownPoints { erased[point] = 1 }
    for (symbol, present) in isPresent.enumerated() where !present {
      erased[points.point(of: symbol)] = 1
    }
    WalshTransform.apply(to: &erased)
    let kernel = WalshTransform.transformedLogs(size: points.size)
    // Transforming twice multiplies by N = 2^s; 2^16 = 1 modulo 65535, so 2^(16 - s) undoes it.
    let scale = UInt16(truncatingIfNeeded: FieldTables.elementCount / points.size)
    for (index, factor) in kernel.enumerated() {
      let product = FieldTables.multiplyModulo(erased[index], factor)
      erased[index] = scale == 0 ? product : FieldTables.multiplyModulo(product, scale)
    }
    WalshTransform.apply(to: &erased)
    logs = erased
  }
}

/// The Walsh-Hadamard transform modulo 65535.
enum WalshTransform {
  /// In place; the length is a power of two.
  static func apply(to values: inout [UInt16]) {
    var distance = 1
    while distance < values.count {
      layer(&values, distance: distance)
      distance *= 2
    }
  }

  /// The transform of `log[0 ..< size]` with 0 in place of log[0].
  static func transformedLogs(size: Int) -> ArraySlice<UInt16> {
    prefixes[size..<2 * size]
  }

  /// Entries size ..< 2 * size are the transform of that size: the transform of a prefix is what
  /// the larger transform holds there half-way, so one run gives all sizes.
  private static let prefixes: [UInt16] = {
    var values = FieldTables.shared.log
    values[0] = 0
    var result: [UInt16] = [0, values[0]]
    result.reserveCapacity(2 * values.count)
    var distance = 1
    while distance < values.count {
      layer(&values, distance: distance)
      distance *= 2
      result += values[..<distance]
    }
    return result
  }()

  private static func layer(_ values: inout [UInt16], distance: Int) {
    let count = values.count
    unsafe ck_walsh_layer(&values, count, distance)
  }
}
