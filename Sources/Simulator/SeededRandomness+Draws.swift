// SeededRandomness+Draws.swift
//
// What simulated runs draw: choices, chances and waits. And dice of their own for each part of the
// world, so that one part that draws more does not change what the others get.

internal import World

extension SeededRandomness {
  /// Dice that depend on the seed and the label only, not on what was drawn so far.
  package convenience init(seed: UInt64, label: String) {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ seed
    for byte in label.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    self.init(seed: hash ^ seed << 32)
  }

  package func number(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + number(below: range.count)
  }

  package func number(in range: Range<Int>) -> Int {
    range.lowerBound + number(below: range.count)
  }

  /// One of the elements; nil if there is none.
  package func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[number(below: elements.count)]
  }

  /// `count` of the elements (all, if there are fewer), in any order.
  package func pick<Element>(_ count: Int, of elements: [Element]) -> [Element] {
    var rest = elements
    var picked: [Element] = []
    while picked.count < count, !rest.isEmpty {
      picked.append(rest.remove(at: number(below: rest.count)))
    }
    return picked
  }

  package func duration(in range: ClosedRange<Duration>) -> Duration {
    let low = range.lowerBound.wholeNanoseconds
    let span = range.upperBound.wholeNanoseconds - low
    return .nanoseconds(low + Int64(number(below: Int(span) + 1)))
  }

  /// A wait whose length has no memory, `mean` on average, at most ten times that.
  package func wait(mean: Duration) -> Duration {
    // The sum of halvings: a geometric number of half-lives, with a uniform rest. No logarithm, whose
    // last bit might differ between machines.
    let halves = min((~next()).leadingZeroBitCount + next().leadingZeroBitCount, 14)
    let part = Double(next() >> 11) * 0x1p-53
    return .nanoseconds(
      Int64(Double(mean.wholeNanoseconds) * (Double(halves) + part) / 2.5))
  }
}
