// CosetPlan.swift
//
// Decoding by cosets. A coset is a run of C points (a power of two) that starts at a multiple of C.
// The sum over one coset a of sources, g(x) / (p + x) with g = f * e, is for every p of another coset b
//
//   G(p) / (a + b)        G: the polynomial with the values g on coset a; a, b: numbers of the cosets
//
// because the polynomial that vanishes on a coset maps a point to the number of its coset, in the
// basis in which x*x + x = x >> 1. Within the same coset the sum is the derivative of G at p. So
// each coset of sources takes one inverse transform, each coset of targets one transform, and each
// pair of them one multiplication by a constant.
//
// The ends of the range are the well-known ways: C = 1 is the sum term by term, C = all points is one
// transform, the derivative, and the transform back. In between lies the cheapest, since most cosets
// hold no source or no target.

struct CosetPlan: Sendable {
  /// A symbol in its coset.
  struct Member: Sendable {
    /// Of a source, its place among the received symbols; of a target, its place in the output.
    let place: Int
    /// Its point, counted from the start of the coset.
    let row: Int
    /// The locator at its point; for a target the inverse.
    let element: UInt16
  }

  struct Coset: Sendable {
    let number: Int
    /// In ascending order of rows; a target that is wanted twice is here twice.
    var members: [Member]

    var rows: Range<Int> { (members.first?.row ?? 0)..<(members.last?.row ?? -1) + 1 }
  }

  /// Points in a coset.
  let size: Int
  let sources: [Coset]
  let targets: [Coset]
  /// Element `i * targets.count + j` takes source coset i to target coset j; 0 if they are the same.
  let elements: [UInt16]

  init(
    size: Int, locator: ErasureLocator, sourcePoints: [Int],
    targets targetPoints: [(place: Int, point: Int)]
  ) {
    let tables = FieldTables.shared
    self.size = size
    sources = Self.cosets(of: sourcePoints.enumerated().map { ($0, $1) }, size: size) {
      tables.exp[Int(locator.logs[$0])]
    }
    targets = Self.cosets(of: targetPoints, size: size) {
      tables.exp[Int(FieldTables.modulus - locator.logs[$0])]
    }
    elements = sources.flatMap { [targets] source in
      targets.map { target in
        let distance = source.number ^ target.number
        return distance == 0 ? 0 : tables.exp[Int(FieldTables.modulus - tables.log[distance])]
      }
    }
  }

  private static func cosets(
    of points: [(place: Int, point: Int)], size: Int, element: (Int) -> UInt16
  ) -> [Coset] {
    var cosets: [Coset] = []
    for (place, point) in points.sorted(by: { $0.point < $1.point }) {
      let number = point / size
      if cosets.last?.number != number { cosets.append(Coset(number: number, members: [])) }
      cosets[cosets.count - 1].members.append(
        Member(place: place, row: point % size, element: element(point)))
    }
    return cosets
  }

  /// The size of cosets that costs least, 1 for the sum term by term.
  static func cheapestSize(sourcePoints: [Int], targetPoints: [Int], pointCount: Int) -> Int {
    // Even pairs cost each source two multiplications and a half.
    guard targetPoints.count > 2 else { return 1 }
    var isSource = [Bool](repeating: false, count: pointCount)
    var isTarget = isSource
    for point in sourcePoints { isSource[point] = true }
    for point in targetPoints { isTarget[point] = true }
    var best = (size: 1, cost: sourcePoints.count * targetPoints.count)
    var size = 1
    var count = pointCount
    while count > 1 {
      count /= 2
      size *= 2
      for coset in 0..<count {
        isSource[coset] = isSource[2 * coset] || isSource[2 * coset + 1]
        isTarget[coset] = isTarget[2 * coset] || isTarget[2 * coset + 1]
      }
      let cost = cost(
        size: size, sourceCount: isSource[..<count].count { $0 },
        targetCount: isTarget[..<count].count { $0 })
      if cost < best.cost { best = (size, cost) }
    }
    return best.size
  }

  /// In multiplications of a row by an element. A butterfly of the transforms takes about one; their
  /// layers have size / 2 of them.
  private static func cost(size: Int, sourceCount: Int, targetCount: Int) -> Int {
    let layers = size.trailingZeroBitCount
    return (sourceCount + targetCount) * size * (layers + 2) / 2
      + sourceCount * targetCount * size
  }
}
