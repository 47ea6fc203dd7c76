// Dice.swift
//
// What faults are drawn from: chances, and delays with a tail. Whole numbers and single IEEE
// operations only, so that debug and release builds draw alike.

package import World

extension Randomness {
  /// True with this probability; never for 0, always for 1.
  package func chance(_ probability: Double) -> Bool {
    guard probability > 0 else { return false }
    return Double(next() >> 11) * 0x1p-53 < probability
  }

  /// From `shortest` up to, and not including, `longest`; `shortest` if that is not shorter.
  package func duration(from shortest: Duration, below longest: Duration) -> Duration {
    let width = (longest - shortest).wholeNanoseconds
    guard width > 0 else { return shortest }
    return shortest + .nanoseconds(Int64(number(below: Int(width))))
  }
}

/// How long something takes.
///
/// Between half and one and a half times the median; then doubled for as long as the dice say so.
/// That gives the long tail that networks and stores have, from two numbers.
package struct DelayDistribution: Sendable, Equatable {
  /// A thousand times the median.
  package static let doublingCountMax = 10

  package var median: Duration
  /// The chance of each doubling.
  package var tail: Double

  package init(median: Duration, tail: Double = 0.05) {
    self.median = median
    self.tail = tail
  }

  package static let none = DelayDistribution(median: .zero, tail: 0)

  package func draw(from randomness: any Randomness) -> Duration {
    guard median > .zero else { return .zero }
    var delay = randomness.duration(from: median / 2, below: median / 2 + median)
    var doublingCount = 0
    while doublingCount < Self.doublingCountMax, randomness.chance(tail) {
      delay = delay * 2
      doublingCount += 1
    }
    return delay
  }
}

/// Many numbers as one, for the trace.
package func traceValue(_ values: UInt64...) -> UInt64 {
  values.reduce(0xCBF2_9CE4_8422_2325) { hash, value in
    let mixed = (hash ^ value) &* 0x0000_0100_0000_01B3
    return mixed ^ mixed >> 32
  }
}
