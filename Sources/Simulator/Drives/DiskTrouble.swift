// DiskTrouble.swift
//
// What is wrong with a simulated drive or index, as rates per operation and as states. It may change
// at any time and holds for the operations that finish from then on.
//
// The last group of a drive's rates destroys what was acknowledged: only for drives whose loss is
// allowed for.

package import World

package struct DiskTrouble: Sendable, Equatable {
  /// An I/O error that is gone when the read is tried again.
  package var readFailureRate = 0.0
  /// An I/O error of a write, part of which is done, or of another change of the drive.
  package var writeFailureRate = 0.0
  /// A failed sync: what it should have written looks clean, and is lost at the next crash.
  package var syncFailureRate = 0.0
  /// Listing, opening and asking for a size fail, as with too many open files or a bad cable.
  package var openFailureRate = 0.0
  /// Nothing that needs space finds any.
  package var isFull = false
  /// All latencies times this.
  package var slowness = 1.0
  /// Nothing is done before this instant, or before the trouble changes.
  package var stalledUntil: Instant?

  /// A write that is reported done, and synced, and never reaches the platter.
  package var lostWriteRate = 0.0
  /// A write that lands elsewhere in the same file.
  package var misdirectedWriteRate = 0.0
  /// A read in which one sector shows what was there before.
  package var staleReadRate = 0.0

  package init() {}

  /// Whether it may destroy what was acknowledged.
  package var isDamaging: Bool {
    lostWriteRate > 0 || misdirectedWriteRate > 0 || staleReadRate > 0
  }
}

package struct IndexTrouble: Sendable, Equatable {
  package var readFailureRate = 0.0
  /// A batch fails; it may have been applied all the same.
  package var writeFailureRate = 0.0
  /// Batches that set anything fail.
  package var isFull = false
  package var slowness = 1.0
  package var stalledUntil: Instant?

  package init() {}
}

/// What an operation takes, and how it waits.
struct SeamLatency: Sendable {
  /// A stall is looked at again after at most this long: it may have been ended.
  private static let stallStep = Duration.milliseconds(250)

  let clock: any Clock
  let dice: SeededRandomness

  /// Waits as long as one operation takes; never fails, even if the task is cancelled.
  func wait(
    baseMicroseconds: Int, byteCount: Int, trouble: () -> (slowness: Double, until: Instant?)
  ) async {
    var microseconds = baseMicroseconds + dice.number(below: 9 * baseMicroseconds)
    // Now and then a drive has something else to do.
    if dice.number(below: 256) == 0 { microseconds *= 40 }
    let nanoseconds = Double(microseconds * 1000 + byteCount) * trouble().slowness
    await sleep(until: clock.now + .nanoseconds(Int64(nanoseconds)))
    while let until = trouble().until, until > clock.now {
      await sleep(until: min(until, clock.now + Self.stallStep))
    }
  }

  private func sleep(until deadline: Instant) async {
    do {
      try await clock.sleep(until: deadline)
    } catch {
      // The task was cancelled; what it asked for takes its time all the same.
      let clock = clock
      await Task {
        do { try await clock.sleep(until: deadline) } catch {}
      }.value
    }
  }
}
