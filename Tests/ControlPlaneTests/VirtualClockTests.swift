// VirtualClockTests.swift
//
// Time for tests: nobody wakes early, everybody wakes in order, and cancellation wakes at once.

import Simulator
import Testing
import World

@Suite(.timeLimit(.minutes(1))) struct VirtualClockTests {
  @Test func `sleepers wake when their time has come, not before`() async throws {
    let clock = VirtualClock()
    let start = clock.now
    let wall = clock.wallTime
    async let sleeping: Void = clock.sleep(for: .seconds(5))
    try await eventually { clock.sleeperCount > 0 }
    clock.advance(by: .milliseconds(4999))
    #expect(clock.sleeperCount == 1)
    #expect(clock.nextDeadline == start + .seconds(5))
    clock.advance(by: .milliseconds(1))
    #expect(clock.sleeperCount == 0)
    try await sleeping
    #expect(clock.now - start == .seconds(5))
    #expect(clock.wallTime == wall + .seconds(5))
  }

  @Test func `parts of milliseconds add up on the wall`() {
    let clock = VirtualClock()
    let wall = clock.wallTime
    for _ in 0..<10 { clock.advance(by: .microseconds(250)) }
    #expect(clock.wallTime == wall + .milliseconds(2))
    clock.setWallTime(WallTime(milliseconds: 5))
    clock.advance(by: .microseconds(500))
    #expect(clock.wallTime == WallTime(milliseconds: 6))
  }

  @Test func `a deadline in the past does not sleep`() async throws {
    let clock = VirtualClock()
    try await clock.sleep(until: clock.now)
    try await clock.sleep(until: Instant(nanoseconds: 0))
  }

  @Test func `cancellation ends a sleep at once`() async throws {
    let clock = VirtualClock()
    let task = Task { try await clock.sleep(for: .seconds(5)) }
    try await eventually { clock.sleeperCount > 0 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(clock.sleeperCount == 0)
  }

  @Test func `time runs by itself while everybody sleeps`() async throws {
    let clock = VirtualClock()
    let start = clock.now
    let woken = try await clock.autoAdvancing {
      try await withThrowingTaskGroup(of: Int.self) { group in
        for seconds in [30, 10, 20] {
          group.addTask {
            try await clock.sleep(for: .seconds(seconds))
            return seconds
          }
        }
        return try await group.reduce(into: [Int]()) { $0.append($1) }
      }
    }
    #expect(woken == [10, 20, 30])
    #expect(clock.now - start == .seconds(30))
  }

  @Test func `a deadline ends what takes longer`() async throws {
    let clock = VirtualClock()
    await #expect(throws: DeadlineExceeded.self) {
      try await clock.autoAdvancing {
        try await withDeadline(clock.now + .seconds(1), clock: clock) {
          try await clock.sleep(for: .seconds(2))
        }
      }
    }
  }

  @Test func `dice repeat themselves for a seed`() {
    let first = SeededRandomness(seed: 0)
    // The first outputs of SplitMix64 for seed 0, as published with xoshiro.
    #expect(first.next() == 0xE220_A839_7B1D_CDAF)
    #expect(first.next() == 0x6E78_9E6A_A1B9_65F4)
    let again = SeededRandomness(seed: 0)
    #expect(again.bytes(count: 8) == [0xAF, 0xCD, 0x1D, 0x7B, 0x39, 0xA8, 0x20, 0xE2])
  }
}
