// ForegroundLoad.swift
//
// Whether what a node does for others takes longer than it does by itself.
//
// Each answer is compared with what half of the answers of its kind and size keep to while nothing is
// repaired: the baseline, a median that moves slowly. The median of these comparisons moves fast. Both
// are medians, so that neither a skewed distribution nor single slow answers look like load.
//
// Invariant: nothing is learnt for the baseline while repair is at work, or what repair does to the
// others would soon pass for usual.

package import World

package struct ForegroundLoad: Sendable {
  /// What was served. The median of a mixture would follow the mixture.
  package enum Work: Sendable, Hashable {
    case read(byteCount: Int)
    case store(byteCount: Int)
  }

  /// Half of the answers take one and a half times as long as they did: that is felt.
  package static let slowPerThousand: Int64 = 1500
  /// Shorter answers are never called slow: at this length scheduling is what they measure.
  package static let latencyFloor = Duration.milliseconds(5)
  /// After this long without an answer nobody is there who could be kept waiting.
  package static let memory = Duration.seconds(5)
  /// Answers of a class from which on its median is a baseline.
  package static let baselineSampleCountMin = 32

  /// Sizes up to 16 KiB, 128 KiB, 1 MiB and above.
  private static let sizeClassCount = 4
  private static let sizeClassMin = 16 << 10
  /// Steps of the medians, as parts of them. A few dozen answers move the baseline by half; ten in a
  /// row that are slow move the comparison from usual to slow, so that a few among many do not.
  private static let baselineStepDivisor: Int64 = 64
  private static let recentStep: Int64 = 50

  private struct Baseline: Sendable {
    var medianNanoseconds: Int64 = 0
    var sampleCount = 0
  }

  private var baselines = [Baseline](repeating: Baseline(), count: 2 * sizeClassCount)
  /// Answers lately, in thousandths of what is usual.
  private var recentPerThousand: Int64 = 1000
  private var lastAnsweredAt: Instant?

  package init() {}

  /// - Parameter isUndisturbed: whether repair was idle all the time that the answer took.
  package mutating func served(
    _ work: Work, after latency: Duration, isUndisturbed: Bool, at now: Instant
  ) {
    let sample = max(latency.wholeNanoseconds, 0)
    let place = Self.place(of: work)
    compare(sample, with: baselines[place], at: now)
    // What there is no baseline of is learnt in any case: a node may begin with repair.
    guard isUndisturbed || baselines[place].sampleCount < Self.baselineSampleCountMin else {
      return
    }
    Self.learn(sample, &baselines[place])
  }

  private mutating func compare(_ sample: Int64, with baseline: Baseline, at now: Instant) {
    forget(at: now)
    guard baseline.sampleCount >= Self.baselineSampleCountMin else { return }
    lastAnsweredAt = now
    let floor = Self.latencyFloor.wholeNanoseconds
    let usual = max(baseline.medianNanoseconds, 1)
    let perThousand = sample < floor ? min(sample * 1000 / usual, 1000) : sample * 1000 / usual
    if perThousand > recentPerThousand {
      recentPerThousand = min(recentPerThousand + Self.recentStep, perThousand)
    } else {
      recentPerThousand = max(recentPerThousand - Self.recentStep, perThousand)
    }
  }

  private static func learn(_ sample: Int64, _ baseline: inout Baseline) {
    baseline.sampleCount = min(baseline.sampleCount + 1, baselineSampleCountMin)
    guard baseline.medianNanoseconds > 0 else {
      baseline.medianNanoseconds = sample
      return
    }
    let median = baseline.medianNanoseconds
    let step = median / baselineStepDivisor + 1
    baseline.medianNanoseconds =
      sample > median ? min(median + step, sample) : max(median - step, sample)
  }

  /// Whether the answers of the last seconds took longer than usual.
  package mutating func isSlow(at now: Instant) -> Bool {
    forget(at: now)
    return recentPerThousand > Self.slowPerThousand
  }

  private mutating func forget(at now: Instant) {
    guard let lastAnsweredAt, now - lastAnsweredAt > Self.memory else { return }
    self.lastAnsweredAt = nil
    recentPerThousand = 1000
  }

  private static func place(of work: Work) -> Int {
    let (first, byteCount) =
      switch work {
      case .read(let byteCount): (0, byteCount)
      case .store(let byteCount): (sizeClassCount, byteCount)
      }
    var sizeClass = 0
    while sizeClass < sizeClassCount - 1, byteCount > sizeClassMin << (3 * sizeClass) {
      sizeClass += 1
    }
    return first + sizeClass
  }
}
