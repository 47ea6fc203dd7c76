// DecodePlan.swift
//
// Any k symbols -> the source. Which symbols are present decides all constants of the decoding, so
// they are worked out once per set (a plan) and used for every codeword that misses the same
// symbols: all columns of a blob, for instance.
//
// Method: multiply the received values by the erasure locator, transform, differentiate, transform
// back; at an erased point the derivative is the wanted value times the locator's derivative.
//
// Invariant: exactly k symbols go in. They determine the result, so any two correct decoders agree
// on it even when the symbols are corrupt; with more than k, they would not.

import CKernels

/// The constants for decoding from one set of symbols.
package struct DecodePlan: Sendable {
  package let code: ReedSolomonCode
  /// The symbols present, in the order in which decoding takes them: `k` distinct indices.
  package let present: [Int]
  /// The source symbols that are not present, ascending.
  package let missingSources: [Int]

  /// Evaluation points and size of the transform.
  let points: CodePoints
  /// Per present symbol, the factor of the locator at its point.
  let receivedFactors: [UInt8]
  /// Per missing source, the factor that takes the locator out again.
  let missingFactors: [UInt8]

  /// Plans decoding from the symbols `present`: indices below `k` are sources, `k + i` is repair
  /// symbol i.
  ///
  /// Throws `symbolIndexInvalid`, `symbolRepeated`, or `symbolCountMismatch` unless there are
  /// exactly `k`. Cost: O(N log N) small steps for N points, about 0.1 ms at n = 1000; nothing if
  /// all sources are present.
  package init(code: ReedSolomonCode, present: [Int]) throws(ReedSolomonError) {
    guard present.count == code.sourceCount else {
      throw .symbolCountMismatch(received: present.count, required: code.sourceCount)
    }
    var isPresent = [Bool](repeating: false, count: code.symbolCount)
    for index in present {
      guard isPresent.indices ~= index else {
        throw .symbolIndexInvalid(index, symbolCount: code.symbolCount)
      }
      guard !isPresent[index] else { throw .symbolRepeated(index) }
      isPresent[index] = true
    }
    self.code = code
    self.present = present
    missingSources = (0..<code.sourceCount).filter { !isPresent[$0] }
    points = CodePoints(code)
    guard !missingSources.isEmpty else {
      receivedFactors = []
      missingFactors = []
      return
    }
    let locator = ErasureLocator(points: points, isPresent: isPresent)
    let tables = FieldTables.shared
    receivedFactors = code.kernels.factors(
      of: present.map { [points] in tables.exp[Int(locator.logs[points.point(of: $0)])] })
    missingFactors = code.kernels.factors(
      of: missingSources.map { [points] in
        tables.exp[Int(FieldTables.modulus - locator.logs[points.point(of: $0)])]
      })
  }
}

/// Where each symbol of a code lies among the evaluation points.
struct CodePoints: Sendable {
  let code: ReedSolomonCode
  /// Points of the decoder's transform, a power of two.
  let size: Int

  init(_ code: ReedSolomonCode) {
    self.code = code
    let end =
      switch code.rate {
      case .high(let size): size + code.sourceCount
      case .low(let size): size + code.repairCount
      }
    size = Rate.nextPowerOfTwo(end)
  }

  func point(of symbolIndex: Int) -> Int {
    let isSource = symbolIndex < code.sourceCount
    let index = isSource ? symbolIndex : symbolIndex - code.sourceCount
    return switch code.rate {
    case .high(let size): isSource ? size + index : index
    case .low(let size): isSource ? index : size + index
    }
  }

  /// Points that carry no symbol and whose value is unknown, not zero: they count as erased.
  var unknownPoints: Range<Int> {
    switch code.rate {
    case .high(let size): code.repairCount..<size
    case .low(let size): size + code.repairCount..<self.size
    }
  }
}
