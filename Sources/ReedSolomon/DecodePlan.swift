// DecodePlan.swift
//
// From any k symbols to any others: what to multiply by, worked out once and used for every codeword
// with the same pattern, such as all columns of a blob or the slivers of many blobs.
//
// The value at an erased point p follows from the values at the present points x by
//
//   f(p) = sum over x of f(x) * e(x) / (e(p) * (p + x))        e: the erasure locator
//
// Term by term that is cheap for few targets. For many, points are taken together in cosets: runs of
// 2^t points that start at a multiple of 2^t (see CosetPlan.swift). The plan chooses what costs least.

/// The constants for computing some symbols from others.
package struct DecodePlan: Sendable {
  package let pattern: ErasurePattern
  /// The symbols that decoding yields, in the order of its output.
  package let targets: [Int]

  /// Targets that are present and only need copying.
  let copies: [(target: Int, position: Int)]
  /// The other targets, by place in `targets`.
  let computed: [Int]
  let method: Method

  enum Method: Sendable {
    /// Element `position * computed.count + i` is what present symbol `position` contributes to
    /// target `computed[i]` with.
    case direct([UInt16])
    case cosets(CosetPlan)
  }

  /// Plans decoding all sources from the symbols `present`; throws as `ErasurePattern` does.
  package init(code: ReedSolomonCode, present: [Int]) throws(ReedSolomonError) {
    self.init(sourcesFrom: try ErasurePattern(code: code, present: present))
  }

  /// Plans decoding all sources.
  package init(sourcesFrom pattern: ErasurePattern) {
    self.init(pattern, validTargets: Array(0..<pattern.code.sourceCount), cosetSize: nil)
  }

  /// Plans decoding any symbols, sources or repair symbols.
  ///
  /// Throws `symbolIndexInvalid` for a target that the code does not have. Cost: at most a few steps
  /// per pair of present symbol and target.
  package init(_ pattern: ErasurePattern, targets: [Int]) throws(ReedSolomonError) {
    for target in targets where !(0..<pattern.code.symbolCount).contains(target) {
      throw .symbolIndexInvalid(target, symbolCount: pattern.code.symbolCount)
    }
    self.init(pattern, validTargets: targets, cosetSize: nil)
  }

  /// With a given size of cosets (a power of two up to the number of points) instead of the cheapest;
  /// tests compare all of them.
  init(_ pattern: ErasurePattern, validTargets targets: [Int], cosetSize: Int?) {
    self.pattern = pattern
    self.targets = targets
    var copies: [(target: Int, position: Int)] = []
    var computed: [Int] = []
    for (place, symbol) in targets.enumerated() {
      let position = Int(pattern.positions[symbol])
      if position < 0 { computed.append(place) } else { copies.append((place, position)) }
    }
    self.copies = copies
    self.computed = computed
    let targetPoints = computed.map { pattern.points.point(of: targets[$0]) }
    let size =
      cosetSize
      ?? CosetPlan.cheapestSize(pattern.cosets, targetPoints: targetPoints)
    if cosetSize == nil, size == 1 {
      method = .direct(
        Self.elements(pattern.locator, from: pattern.presentPoints, to: targetPoints))
    } else {
      method = .cosets(
        CosetPlan(
          pattern.cosets, size: size, targets: zip(computed, targetPoints).map { ($0, $1) }))
    }
  }

  package var code: ReedSolomonCode { pattern.code }
  package var present: [Int] { pattern.present }

  /// The factors of the formula above.
  private static func elements(
    _ locator: ErasureLocator, from sourcePoints: [Int], to targetPoints: [Int]
  ) -> [UInt16] {
    let log = FieldTables.shared.log
    let exp = FieldTables.shared.exp
    let logs = locator.logs
    var elements = [UInt16](repeating: 0, count: sourcePoints.count * targetPoints.count)
    var element = elements.mutableSpan
    for (row, source) in sourcePoints.enumerated() {
      for (column, target) in targetPoints.enumerated() {
        let divisor = FieldTables.addModulo(logs[target], log[target ^ source])
        element[row * targetPoints.count + column] =
          exp[Int(FieldTables.subtractModulo(logs[source], divisor))]
      }
    }
    return elements
  }
}
