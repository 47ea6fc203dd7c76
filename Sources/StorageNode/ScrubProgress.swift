// ScrubProgress.swift
//
// How far the scrub of each drive has come, and when its next step is due. Pure: the caller reads
// the drives, and says what time it is.
//
// A pass is spread over nine tenths of its period, so that it ends within it though a step may come
// late, and goes on by the wall clock where a restart left it. What a drive may read is a budget
// that refills with time; a pass that is behind its schedule never exceeds it.

import Repair
import SliverStore
import World

/// The pass over one drive.
struct DriveScrub: Sendable {
  /// What one step reads: a few milliseconds of a disk, so that readers in between hardly wait.
  static let stepByteCount = 1 << 20
  /// Small steps would do less than they cost.
  static let stepByteCountMin = 64 << 10

  var position: ScrubPosition?
  private(set) var startedAt: WallTime
  private(set) var walkedByteCount = 0
  private(set) var verifiedByteCount = 0
  private(set) var rottenCount = 0
  private(set) var unreadableCount = 0
  private(set) var lastPassEndedAt: WallTime?
  private(set) var lastPassRottenCount = 0
  /// As fast as the budget allows.
  private(set) var isHurried = false
  /// When it was saved last.
  private(set) var savedAt: Instant
  /// Whether it is further than what was saved.
  private(set) var isUnsaved = true
  /// No step before, after an error.
  var notBefore: Instant
  private var elapsedBefore = Duration.zero
  private var countedFrom: Instant
  private var budgetByteCount = 0.0
  private var refilledAt: Instant

  init(now: Instant, wallTime: WallTime) {
    startedAt = wallTime
    savedAt = now
    notBefore = now
    countedFrom = now
    refilledAt = now
  }

  /// Begins a pass anew.
  mutating func begin(now: Instant, wallTime: WallTime, isHurried: Bool = false) {
    position = nil
    startedAt = wallTime
    walkedByteCount = 0
    verifiedByteCount = 0
    rottenCount = 0
    unreadableCount = 0
    elapsedBefore = .zero
    countedFrom = now
    self.isHurried = isHurried
    isUnsaved = true
  }

  mutating func saved(now: Instant) {
    savedAt = now
    isUnsaved = false
  }

  /// Adds to the budget what it gained since the last time, a second's worth at most.
  mutating func refill(now: Instant, byteRateMax: Int) {
    let seconds = min(1, (now - refilledAt) / .seconds(1))
    refilledAt = now
    budgetByteCount = min(Double(byteRateMax), budgetByteCount + seconds * Double(byteRateMax))
  }

  /// How much the next step may read; nil: none is due.
  func due(now: Instant, period: Duration, aheadByteCount: Int) -> Int? {
    guard now >= notBefore, budgetByteCount > 0 else { return nil }
    let elapsed = (elapsedBefore + (now - countedFrom)) / .seconds(1)
    let planned = 0.9 * (period / .seconds(1))
    let step = max(Self.stepByteCountMin, Int(min(Double(Self.stepByteCount), budgetByteCount)))
    if isHurried || elapsed >= planned { return step }
    let whole = Double(walkedByteCount + aheadByteCount)
    let behind = whole * (elapsed / planned) - Double(walkedByteCount)
    return behind >= Double(Self.stepByteCount) ? step : nil
  }

  /// Takes over what a step did.
  ///
  /// - Returns: whether it ended the pass; then the next has begun.
  mutating func took(_ step: ScrubStep, now: Instant, wallTime: WallTime) -> Bool {
    position = step.next
    isUnsaved = true
    walkedByteCount += step.walkedByteCount
    verifiedByteCount += step.verifiedByteCount
    rottenCount += step.rotten.recordCount
    unreadableCount += step.unreadable.recordCount
    // Something is always used up: records that are skipped cost time too.
    budgetByteCount -= Double(max(step.readByteCount, Self.stepByteCountMin))
    guard step.next == nil else { return false }
    lastPassEndedAt = wallTime
    lastPassRottenCount = rottenCount
    begin(now: now, wallTime: wallTime)
    return true
  }
}

extension DriveScrub {
  private static let version: UInt64 = 1
  /// Above what any drive holds; sums of a few such numbers are still numbers.
  private static let countMax: UInt64 = 1 << 55

  /// What a restart goes on from: numbers of 64 bits, little-endian.
  var encoded: [UInt8] {
    let numbers =
      [
        Self.version, startedAt.milliseconds, UInt64(walkedByteCount), UInt64(verifiedByteCount),
        UInt64(rottenCount), UInt64(unreadableCount), lastPassEndedAt?.milliseconds ?? 0,
        UInt64(lastPassRottenCount),
      ] + (position?.fields ?? [])
    return numbers.flatMap { number in
      (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
    }
  }

  /// Goes on with a pass that was saved; nil if the bytes are none.
  init?(_ bytes: [UInt8], now: Instant, wallTime: WallTime) {
    guard bytes.count.isMultiple(of: 8) else { return nil }
    let numbers = stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    guard numbers.count >= 8, numbers[0] == Self.version else { return nil }
    let counts = numbers[2..<6].map { Int(clamping: min($0, Self.countMax)) }
    self.init(now: now, wallTime: wallTime)
    if numbers.count > 8 {
      guard let position = ScrubPosition(fields: numbers[8...]) else { return nil }
      self.position = position
    }
    isUnsaved = false
    startedAt = WallTime(milliseconds: numbers[1])
    walkedByteCount = counts[0]
    verifiedByteCount = counts[1]
    rottenCount = counts[2]
    unreadableCount = counts[3]
    lastPassEndedAt = numbers[6] == 0 ? nil : WallTime(milliseconds: numbers[6])
    lastPassRottenCount = Int(clamping: min(numbers[7], Self.countMax))
    // A clock that was set back counts as no time at all.
    let elapsed = wallTime > startedAt ? wallTime.milliseconds - startedAt.milliseconds : 0
    elapsedBefore = .milliseconds(Int64(clamping: min(elapsed, 1 << 50)))
  }
}

/// The scrub of all drives of a node.
struct ScrubProgress: Sendable {
  /// By position; only drives that are there, once their last position was read.
  var drives: [Int: DriveScrub] = [:]
  /// Positions at which a pass was asked for and has not begun.
  var asked: Set<Int> = []
  var isPaused = false

  /// The pass under way over all drives; `ahead` says what of it is left.
  func status(period: Duration, aheadByteCount: Int) -> ScrubStatus {
    var status = ScrubStatus(period: period)
    status.isPaused = isPaused
    for drive in drives.values {
      status.verifiedByteCount += drive.verifiedByteCount
      status.rottenRecordCount += drive.rottenCount
      status.unreadableRecordCount += drive.unreadableCount
      status.lastPassRottenCount += drive.lastPassRottenCount
    }
    status.totalByteCount = status.verifiedByteCount + aheadByteCount
    status.passStartedAt = drives.values.map(\.startedAt).min()
    let ends = drives.values.map(\.lastPassEndedAt)
    // Done is what is done on every drive.
    if !ends.contains(nil) { status.lastPassEndedAt = ends.compactMap(\.self).min() }
    return status
  }
}
