// ErasurePattern.swift
//
// Which k symbols of a code are at hand. That alone decides the erasure locator, the costly half of
// what decoding needs to know, so it is worked out once per set and shared by all plans: for the
// whole source, for one lost symbol, for any others.
//
// Invariant: exactly k symbols. They determine all others, so any two correct decoders agree even
// when the symbols are corrupt; with more than k, they would not.

/// A set of `k` symbols from which any others can be computed.
package struct ErasurePattern: Sendable {
  package let code: ReedSolomonCode
  /// The symbols present, in the order in which decoding takes them: `k` distinct indices.
  package let present: [Int]

  /// Evaluation points of the code.
  let points: CodePoints
  /// The points of the present symbols, in their order.
  let presentPoints: [Int]
  /// Per symbol, its place in `present`; -1 if it is not there.
  let positions: [Int32]
  let locator: ErasureLocator
  /// For the plans of this pattern.
  let cosets: SourceCosets

  /// The pattern in which exactly the symbols `present` are at hand: indices below `k` are sources,
  /// `k + i` is repair symbol i.
  ///
  /// Throws `symbolIndexInvalid`, `symbolRepeated`, or `symbolCountMismatch` unless there are
  /// exactly `k`. Cost: O(N log N) additions for N points, some 10 us at n = 1000.
  package init(code: ReedSolomonCode, present: [Int]) throws(ReedSolomonError) {
    guard present.count == code.sourceCount else {
      throw .symbolCountMismatch(received: present.count, required: code.sourceCount)
    }
    var positions = [Int32](repeating: -1, count: code.symbolCount)
    for (position, index) in present.enumerated() {
      guard positions.indices ~= index else {
        throw .symbolIndexInvalid(index, symbolCount: code.symbolCount)
      }
      guard positions[index] < 0 else { throw .symbolRepeated(index) }
      positions[index] = Int32(position)
    }
    self.code = code
    self.present = present
    self.positions = positions
    points = CodePoints(code)
    presentPoints = present.map { [points] in points.point(of: $0) }
    locator = ErasureLocator(points: points, isPresent: positions.map { $0 >= 0 })
    cosets = SourceCosets(points: presentPoints, pointCount: points.size, locator: locator)
  }

  /// The pattern in which all sources, in order, are at hand: what encoding starts from.
  package init(sourcesOf code: ReedSolomonCode) {
    do {
      try self.init(code: code, present: Array(0..<code.sourceCount))
    } catch {
      preconditionFailure("the sources of a code are no pattern: \(error)")
    }
  }
}

/// Where each symbol of a code lies among the evaluation points.
struct CodePoints: Sendable {
  let code: ReedSolomonCode
  /// Points of the code, a power of two.
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
