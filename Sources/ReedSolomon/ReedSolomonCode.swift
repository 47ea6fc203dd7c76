// ReedSolomonCode.swift
//
// The systematic code of RS2: `k` source symbols get `m` repair symbols, and any `k` of the `n = k +
// m` give the source back. The code works on 16-bit elements; element e of every repair symbol
// depends only on elements e of the sources, so many codewords go through one transform side by
// side.
//
// Symbol index: 0 ..< k are the sources, k ..< n the repair symbols.
//
// Invariant: encoder and decoder use the same rate. A different rate gives other, equally plausible
// bytes, which no peer would recognise.

import CKernels

/// A code of `sourceCount` source symbols and `repairCount` repair symbols.
///
/// A small value: make one wherever it is needed. The tables behind it are built once per process,
/// on first use.
package struct ReedSolomonCode: Sendable, Hashable {
  package let sourceCount: Int
  package let repairCount: Int

  /// Which side of the code lies at the low evaluation points.
  let rate: Rate
  let kernels: FieldKernels

  /// The code, with the kernels of the CPU level in use.
  ///
  /// Throws `unsupportedShape` unless both counts are at least 1 and the shape fits into the field's
  /// 65536 points.
  package init(sourceCount: Int, repairCount: Int) throws(ReedSolomonError) {
    try self.init(sourceCount: sourceCount, repairCount: repairCount, kernels: .inUse)
  }

  /// The code with the kernels of one CPU level, numbered as in CKernels, which this CPU must have.
  /// For comparisons.
  package init(
    sourceCount: Int, repairCount: Int, levelNumber: UInt32
  ) throws(ReedSolomonError) {
    try self.init(
      sourceCount: sourceCount, repairCount: repairCount,
      kernels: .kernels(at: ck_level(levelNumber)))
  }

  /// The code on the kernels of a given level; tests compare levels.
  init(
    sourceCount: Int, repairCount: Int, kernels: FieldKernels
  ) throws(ReedSolomonError) {
    guard let rate = Rate(sourceCount: sourceCount, repairCount: repairCount) else {
      throw .unsupportedShape(sourceCount: sourceCount, repairCount: repairCount)
    }
    self.sourceCount = sourceCount
    self.repairCount = repairCount
    self.rate = rate
    self.kernels = kernels
  }

  /// Source and repair symbols together, `n`.
  package var symbolCount: Int { sourceCount + repairCount }

  package static func == (a: Self, b: Self) -> Bool {
    a.sourceCount == b.sourceCount && a.repairCount == b.repairCount
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(sourceCount)
    hasher.combine(repairCount)
  }

  /// Checks what every operation is told about its symbols.
  func check(symbolByteCount: Int, codewordCount: Int) throws(ReedSolomonError) {
    guard symbolByteCount >= 2, symbolByteCount % 2 == 0 else {
      throw .symbolByteCountInvalid(symbolByteCount)
    }
    guard codewordCount >= 0 else { throw .codewordCountInvalid(codewordCount) }
  }
}

/// The rate rule: where sources and repair symbols lie among the evaluation points.
enum Rate: Sendable, Hashable {
  /// Repair symbols at points 0 ..< size, sources from `size` on.
  case high(size: Int)
  /// Sources at points 0 ..< size, repair symbols from `size` on.
  case low(size: Int)

  /// Nil if a count is below 1 or the code does not fit into the field.
  init?(sourceCount: Int, repairCount: Int) {
    let elementCount = FieldTables.elementCount
    guard 1...elementCount ~= sourceCount, 1...elementCount ~= repairCount else { return nil }
    let sourceSize = Self.nextPowerOfTwo(sourceCount)
    let repairSize = Self.nextPowerOfTwo(repairCount)
    guard min(sourceSize, repairSize) + max(sourceCount, repairCount) <= elementCount else {
      return nil
    }
    let high =
      sourceSize > repairSize || (sourceSize == repairSize && sourceCount <= repairCount)
    self = high ? .high(size: repairSize) : .low(size: sourceSize)
  }

  static func nextPowerOfTwo(_ value: Int) -> Int {
    value <= 1 ? 1 : 1 << (Int.bitWidth - (value - 1).leadingZeroBitCount)
  }
}
