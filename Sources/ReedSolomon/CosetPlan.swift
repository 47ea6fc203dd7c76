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

internal import Synchronization

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

  init(_ sources: SourceCosets, size: Int, targets targetPoints: [(place: Int, point: Int)]) {
    let tables = FieldTables.shared
    let locator = sources.locator
    self.size = size
    self.sources = sources.cosets(size: size)
    targets = Self.cosets(of: targetPoints, size: size) {
      tables.exp[Int(FieldTables.modulus - locator.logs[$0])]
    }
    elements = self.sources.flatMap { [targets] source in
      targets.map { target in
        let distance = source.number ^ target.number
        return distance == 0 ? 0 : tables.exp[Int(FieldTables.modulus - tables.log[distance])]
      }
    }
  }

  fileprivate static func cosets(
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
  static func cheapestSize(_ sources: SourceCosets, targetPoints: [Int]) -> Int {
    // Even pairs cost each source two multiplications and a half.
    guard targetPoints.count > 2 else { return 1 }
    let targetCounts = counts(of: targetPoints, levelCount: sources.counts.count)
    var best = (size: 1, cost: sources.counts[0] * targetPoints.count)
    for level in 1..<sources.counts.count {
      let cost = cost(
        size: 1 << level, sourceCount: sources.counts[level], targetCount: targetCounts[level])
      if cost < best.cost { best = (1 << level, cost) }
    }
    return best.size
  }

  /// How many cosets of 1, 2, 4 ... points hold any of the points.
  fileprivate static func counts(of points: [Int], levelCount: Int) -> [Int] {
    var numbers = points.sorted()
    return (0..<levelCount).map { level in
      if level > 0 { for place in numbers.indices { numbers[place] /= 2 } }
      var kept = 0
      for number in numbers where kept == 0 || numbers[kept - 1] != number {
        numbers[kept] = number
        kept += 1
      }
      numbers.removeLast(numbers.count - kept)
      return kept
    }
  }

  /// In multiplications of a row by an element. A butterfly of the transforms takes about one; their
  /// layers have size / 2 of them.
  private static func cost(size: Int, sourceCount: Int, targetCount: Int) -> Int {
    let layers = size.trailingZeroBitCount
    return (sourceCount + targetCount) * size * (layers + 2) / 2
      + sourceCount * targetCount * size
  }
}

/// The cosets of the symbols at hand: the same for every plan of a pattern, and with many sources most of
/// what a plan takes.
final class SourceCosets: Sendable {
  let locator: ErasureLocator
  /// Cosets with sources, by the logarithm of their size.
  let counts: [Int]
  private let points: [Int]
  private let made = Mutex<[Int: [CosetPlan.Coset]]>([:])

  /// - points: of the sources, in the order of decoding.
  /// - pointCount: of the code, a power of two.
  init(points: [Int], pointCount: Int, locator: ErasureLocator) {
    self.points = points
    self.locator = locator
    counts = CosetPlan.counts(of: points, levelCount: pointCount.trailingZeroBitCount + 1)
  }

  func cosets(size: Int) -> [CosetPlan.Coset] {
    if let cosets = made.withLock({ $0[size] }) { return cosets }
    let exp = FieldTables.shared.exp
    let cosets = CosetPlan.cosets(of: points.enumerated().map { ($0, $1) }, size: size) {
      exp[Int(locator.logs[$0])]
    }
    made.withLock { $0[size] = cosets }
    return cosets
  }
}
