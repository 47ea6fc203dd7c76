// ProcessClock.swift
//
// The clocks of one simulated process, made from the master clock of the run: monotonic time that
// starts anywhere and runs too fast or too slow, and wall time that is wrong, jumps and stands still.
//
// Invariants: monotonic time never goes backwards, whatever is done to it; a sleep ends at or after
// its deadline on this clock; after the process's end every sleep throws.

internal import Synchronization
package import World

package final class ProcessClock: Clock {
  /// A fiftieth: no crystal is worse, some virtual machines are.
  package static let driftMax = 20_000

  fileprivate struct State {
    // Where the clocks stood when the drift was last set.
    var masterBase: Instant
    var base: Instant
    /// Since 1970.
    var wallBaseNanoseconds: UInt64
    /// Parts per million that this clock gains; negative: loses.
    var drift = 0
    var frozenWallTime: WallTime?
  }

  package let master: VirtualClock
  private let life: ProcessLife
  private let trace: Trace
  private let state: Mutex<State>

  /// - Parameter start: the monotonic time now.
  package init(
    master: VirtualClock, life: ProcessLife, trace: Trace,
    start: Instant = Instant(nanoseconds: 1_000_000_000), drift: Int = 0,
    wallSkew: Duration = .zero
  ) {
    self.master = master
    self.life = life
    self.trace = trace
    state = Mutex(
      State(
        masterBase: master.now, base: start,
        wallBaseNanoseconds: master.wallTime.nanoseconds.moved(by: wallSkew),
        drift: Self.clamped(drift)))
  }

  package var now: Instant {
    let masterNow = master.now
    return state.withLock { $0.time(at: masterNow) }
  }

  package var wallTime: WallTime {
    let masterNow = master.now
    return state.withLock { $0.frozenWallTime ?? $0.wallTime(at: masterNow) }
  }

  package func sleep(until deadline: Instant) async throws {
    // The drift may change meanwhile, so one sleep of the master may be too short.
    repeat {
      guard life.isAlive else { throw CancellationError() }
      try await master.sleep(until: masterInstant(of: deadline))
      guard life.isAlive else { throw CancellationError() }
    } while now < deadline
  }

  /// The first instant of the master clock at which this clock shows `instant`, as it runs now.
  package func masterInstant(of instant: Instant) -> Instant {
    state.withLock { $0.masterInstant(of: instant) }
  }

  // MARK: Trouble

  /// From now on the clock gains this many parts per million, at most `driftMax` either way.
  package func setDrift(_ drift: Int) {
    let masterNow = master.now
    state.withLock { state in
      state.rebase(at: masterNow)
      state.drift = Self.clamped(drift)
    }
    trace.record(
      .time, traceValue(1, UInt64(bitPattern: Int64(drift))), "\(life.name) drifts by \(drift) ppm")
  }

  /// Moves the wall clock, forwards or backwards.
  package func jumpWallTime(by duration: Duration) {
    let masterNow = master.now
    state.withLock { state in
      state.rebase(at: masterNow)
      state.wallBaseNanoseconds = state.wallBaseNanoseconds.moved(by: duration)
      state.frozenWallTime = state.frozenWallTime.map {
        WallTime(nanoseconds: $0.nanoseconds.moved(by: duration))
      }
    }
    trace.record(
      .time, traceValue(2, UInt64(bitPattern: duration.wholeNanoseconds)),
      "\(life.name): the wall clock jumps by \(duration)")
  }

  /// Sets the wall clock this far from the master's, as a time server would.
  package func setWallSkew(_ skew: Duration) {
    let (masterNow, masterWall) = (master.now, master.wallTime)
    state.withLock { state in
      state.rebase(at: masterNow)
      state.wallBaseNanoseconds = masterWall.nanoseconds.moved(by: skew)
      if state.frozenWallTime != nil {
        state.frozenWallTime = WallTime(nanoseconds: state.wallBaseNanoseconds)
      }
    }
    trace.record(
      .time, traceValue(3, UInt64(bitPattern: skew.wholeNanoseconds)),
      "\(life.name): the wall clock is set \(skew) from the right time")
  }

  /// A frozen wall clock stands still; thawed, it shows what it would without the freeze.
  package func setWallFrozen(_ isFrozen: Bool) {
    let masterNow = master.now
    state.withLock { state in
      let shown = state.frozenWallTime ?? state.wallTime(at: masterNow)
      state.frozenWallTime = isFrozen ? shown : nil
    }
    trace.record(
      .time, traceValue(4, isFrozen ? 1 : 0),
      "\(life.name): the wall clock \(isFrozen ? "stands still" : "goes on")")
  }

  private static func clamped(_ drift: Int) -> Int { min(max(drift, -driftMax), driftMax) }
}

extension ProcessClock.State {
  private static var million: UInt64 { 1_000_000 }

  /// How far this clock gets while the master gets a million.
  private var rate: UInt64 { UInt64(Int(Self.million) + drift) }

  fileprivate func elapsed(until masterNow: Instant) -> UInt64 {
    guard masterNow > masterBase else { return 0 }
    return scaled(masterNow.nanoseconds - masterBase.nanoseconds, rate, Self.million).quotient
  }

  fileprivate func time(at masterNow: Instant) -> Instant {
    Instant(nanoseconds: base.nanoseconds + elapsed(until: masterNow))
  }

  fileprivate func wallTime(at masterNow: Instant) -> WallTime {
    WallTime(nanoseconds: wallBaseNanoseconds + elapsed(until: masterNow))
  }

  fileprivate func masterInstant(of instant: Instant) -> Instant {
    guard instant > base else { return masterBase }
    let (quotient, remainder) = scaled(
      instant.nanoseconds - base.nanoseconds, Self.million, rate)
    let (sum, overflow) = masterBase.nanoseconds.addingReportingOverflow(quotient)
    guard !overflow, sum < .max else { return Instant(nanoseconds: .max) }
    return Instant(nanoseconds: remainder > 0 ? sum + 1 : sum)
  }

  fileprivate mutating func rebase(at masterNow: Instant) {
    let elapsed = elapsed(until: masterNow)
    base.nanoseconds += elapsed
    wallBaseNanoseconds += elapsed
    masterBase = masterNow
  }

  /// `value * factor / divisor`, or the largest number if it is more.
  private func scaled(_ value: UInt64, _ factor: UInt64, _ divisor: UInt64)
    -> (quotient: UInt64, remainder: UInt64)
  {
    let product = value.multipliedFullWidth(by: factor)
    guard product.high < divisor else { return (.max, 0) }
    return divisor.dividingFullWidth(product)
  }
}

extension WallTime {
  fileprivate init(nanoseconds: UInt64) { self.init(milliseconds: nanoseconds / 1_000_000) }

  fileprivate var nanoseconds: UInt64 { milliseconds * 1_000_000 }
}

extension UInt64 {
  /// Clamped at the ends.
  fileprivate func moved(by duration: Duration) -> UInt64 {
    (Instant(nanoseconds: self) + duration).nanoseconds
  }
}
