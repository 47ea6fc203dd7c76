// LatencyRecord.swift
//
// How long answers took: a histogram with buckets that grow with the time they stand for, eight to
// each doubling. Older answers count less and less, so that a quantile is one of the last thousand.
//
// Invariant: whole numbers only, so that the same answers in the same order give the same quantiles
// everywhere.

package struct LatencyRecord: Sendable {
  /// One microsecond or so; shorter is as good.
  private static let octaveMin = 10
  /// A minute; nothing waits longer for an answer.
  private static let octaveMax = 35
  private static let bucketsPerOctave = 8
  private static let bucketCount = (octaveMax - octaveMin + 1) * bucketsPerOctave
  /// What one answer weighs, so that halving does not lose the rare ones at once.
  private static let sampleWeight = 16
  /// When this many answers are counted, all weigh half: a few dozen are beyond the quantiles asked
  /// for, and a node that got faster or slower is known as that after as many requests.
  package static let sampleCountMax = 1024

  /// Empty before the first answer.
  private var weights: [UInt16] = []
  private var total = 0

  package init() {}

  package var sampleCount: Int { total / Self.sampleWeight }

  package mutating func insert(nanoseconds: Int64) {
    if weights.isEmpty { weights = Array(repeating: 0, count: Self.bucketCount) }
    weights[Self.bucket(of: nanoseconds)] += UInt16(Self.sampleWeight)
    total += Self.sampleWeight
    guard sampleCount >= Self.sampleCountMax else { return }
    total = 0
    for bucket in weights.indices {
      weights[bucket] /= 2
      total += Int(weights[bucket])
    }
  }

  /// The time that all but `permille` thousandths of the answers kept to; nil before the first.
  package func nanoseconds(exceededBy permille: Int) -> Int64? {
    guard total > 0 else { return nil }
    // In thousandths of a weight.
    let allowed = total * permille
    var above = 0
    for bucket in weights.indices.reversed() where weights[bucket] > 0 {
      let weight = Int(weights[bucket]) * 1000
      let bounds = Self.bounds(of: bucket)
      if above + weight > allowed {
        // Answers are taken to lie evenly within their bucket.
        let width = Int(bounds.upperBound - bounds.lowerBound)
        return bounds.upperBound - Int64(width * (allowed - above) / weight)
      }
      above += weight
    }
    return Self.bounds(of: 0).lowerBound
  }

  private static func bucket(of nanoseconds: Int64) -> Int {
    let value = UInt64(max(nanoseconds, 1 << octaveMin))
    let octave = 63 - value.leadingZeroBitCount
    guard octave <= octaveMax else { return bucketCount - 1 }
    let step = Int(value >> UInt64(octave - 3)) - bucketsPerOctave
    return (octave - octaveMin) * bucketsPerOctave + step
  }

  private static func bounds(of bucket: Int) -> Range<Int64> {
    let octave = octaveMin + bucket / bucketsPerOctave
    let width = Int64(1) << Int64(octave - 3)
    let start = width * Int64(bucketsPerOctave + bucket % bucketsPerOctave)
    return start..<start + width
  }
}
