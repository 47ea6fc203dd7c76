// ProcessClockTests.swift
//
// Clocks that run wrongly: they may be fast, slow, set back or stopped, but monotonic time only grows
// and nobody wakes early.

import Simulator
import Testing
import World

/// Waits, without time passing, until other tasks have brought something about.
func eventually(_ condition: @Sendable () async -> Bool) async throws {
  for _ in 0..<100_000 {
    if await condition() { return }
    await Task.yield()
  }
  Issue.record("it never happened")
}

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProcessClockTests {
  let master = VirtualClock()
  let life = ProcessLife(name: "node-1")
  let trace = Trace()

  func clock(start: UInt64 = 5_000, drift: Int = 0, wallSkew: Duration = .zero) -> ProcessClock {
    ProcessClock(
      master: master, life: life, trace: trace, start: Instant(nanoseconds: start), drift: drift,
      wallSkew: wallSkew)
  }

  @Test(arguments: [-20_000, -500, 0, 1, 500, 20_000])
  func `a second of the master takes a second and the drift`(drift: Int) {
    let clock = clock(drift: drift)
    let wall = clock.wallTime
    master.advance(by: .seconds(1000))
    let nanoseconds = 1_000_000_000_000 + drift * 1_000_000
    #expect(clock.now == Instant(nanoseconds: 5_000 + UInt64(nanoseconds)))
    #expect(clock.wallTime == wall + .nanoseconds(Int64(nanoseconds)))
  }

  @Test func `drift beyond what clocks do is cut`() {
    let clock = clock(start: 0, drift: 1_000_000)
    master.advance(by: .seconds(1))
    #expect(clock.now == Instant(nanoseconds: 1_020_000_000))
  }

  @Test func `monotonic time never goes back, however the drift changes`() {
    let clock = clock()
    let dice = SeededRandomness(seed: 7)
    var last = clock.now
    for _ in 0..<10_000 {
      switch dice.number(below: 4) {
      case 0: clock.setDrift(dice.number(below: 60_000) - 30_000)
      case 1: clock.jumpWallTime(by: .seconds(Int64(dice.number(below: 100)) - 50))
      case 2: clock.setWallFrozen(dice.chance(0.5))
      default: master.advance(by: .nanoseconds(Int64(dice.number(below: 1_000_000))))
      }
      #expect(clock.now >= last)
      last = clock.now
    }
  }

  @Test func `a deadline is the first instant of the master at which it is reached`() {
    let dice = SeededRandomness(seed: 8)
    for _ in 0..<10_000 {
      let master = VirtualClock(now: Instant(nanoseconds: UInt64(dice.number(below: 1 << 40))))
      let clock = ProcessClock(
        master: master, life: life, trace: trace,
        start: Instant(nanoseconds: UInt64(dice.number(below: 1 << 40))),
        drift: dice.number(below: 40_001) - 20_000)
      let deadline = clock.now + .nanoseconds(Int64(1 + dice.number(below: 1 << 30)))
      let instant = clock.masterInstant(of: deadline)
      master.advance(to: instant + .nanoseconds(-1))
      #expect(clock.now < deadline)
      master.advance(to: instant)
      #expect(clock.now >= deadline)
    }
    #expect(clock().masterInstant(of: Instant(nanoseconds: .max)).nanoseconds == .max)
  }

  @Test func `a sleeper whose clock slows down sleeps on`() async throws {
    let clock = clock()
    let deadline = clock.now + .seconds(100)
    async let sleeping: Void = clock.sleep(until: deadline)
    try await eventually { master.sleeperCount == 1 }
    clock.setDrift(-20_000)
    master.advance(by: .seconds(100))
    try await eventually { master.sleeperCount == 1 }
    #expect(clock.now < deadline)
    master.advance(by: .seconds(3))
    try await sleeping
    #expect(clock.now >= deadline)
  }

  @Test func `after its process nobody sleeps`() async throws {
    let clock = clock()
    let sleeping = Task { try await clock.sleep(for: .seconds(1)) }
    try await eventually { master.sleeperCount == 1 }
    life.end()
    await #expect(throws: CancellationError.self) { try await clock.sleep(for: .seconds(1)) }
    master.advance(by: .seconds(1))
    await #expect(throws: CancellationError.self) { try await sleeping.value }
  }

  @Test func `the wall clock is wrong, jumps, stands still and is set right`() {
    let clock = clock(wallSkew: .seconds(-7200))
    let right = master.wallTime
    #expect(clock.wallTime + .seconds(7200) == right)
    clock.jumpWallTime(by: .seconds(7205))
    #expect(clock.wallTime == right + .seconds(5))
    clock.setWallFrozen(true)
    master.advance(by: .seconds(60))
    #expect(clock.wallTime == right + .seconds(5))
    clock.setWallFrozen(false)
    #expect(clock.wallTime == right + .seconds(65))
    clock.setWallSkew(.milliseconds(3))
    #expect(clock.wallTime == right + .milliseconds(60_003))
    #expect(trace.count == 4)
  }

  @Test func `of thousands of sleepers each wakes in its turn, and the cancelled ones at once`()
    async throws
  {
    let dice = SeededRandomness(seed: 9)
    let start = master.now
    let tasks = (0..<5000).map { _ in
      let deadline = start + .milliseconds(Int64(1 + dice.number(below: 1000)))
      return Task {
        try await master.sleep(until: deadline)
        return (deadline, master.now)
      }
    }
    try await eventually { master.sleeperCount == 5000 }
    for task in tasks.prefix(2500) { task.cancel() }
    for task in tasks.prefix(2500) {
      await #expect(throws: CancellationError.self) { try await task.value }
    }
    #expect(master.sleeperCount == 2500)
    while let next = master.nextDeadline {
      #expect(next > master.now)
      master.advance(to: next)
    }
    for task in tasks.suffix(2500) {
      let (deadline, woken) = try await task.value
      #expect(deadline <= woken)
    }
    #expect(master.now <= start + .milliseconds(1000))
  }
}
