// SleepQueueTests.swift
//
// Waiting on the machine's clock: nobody wakes early, whoever gives up leaves at once.

import Testing
import World

@testable import Drivers

struct SleepQueueTests {
  private let clock = SystemClock()

  @Test func `nobody wakes before the deadline, in whatever order they come`() async throws {
    let clock = clock
    let start = clock.now
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for step in (1...200).shuffled() {
        let deadline = start + .microseconds(step * 200)
        group.addTask {
          try await clock.sleep(until: deadline)
          return clock.now >= deadline
        }
      }
      for try await isInTime in group { #expect(isInTime) }
    }
  }

  @Test func `a deadline that is past does not wait`() async throws {
    try await clock.sleep(until: Instant(nanoseconds: 0))
    try await clock.sleep(until: clock.now)
  }

  @Test func `a short sleep is not kept waiting by a long one`() async throws {
    let clock = clock
    let long = Task { try await clock.sleep(for: .seconds(86_400 * 365)) }
    let endless = Task { try await clock.sleep(until: Instant(nanoseconds: .max)) }
    try await clock.sleep(for: .milliseconds(1))
    long.cancel()
    endless.cancel()
    await #expect(throws: CancellationError.self) { try await long.value }
    await #expect(throws: CancellationError.self) { try await endless.value }
  }

  @Test func `whoever is cancelled before the sleep does not sleep`() async throws {
    let clock = clock
    let sleeper = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await clock.sleep(for: .seconds(86_400))
    }
    await #expect(throws: CancellationError.self) { try await sleeper.value }
  }

  @Test func `thousands that give up leave nobody behind`() async throws {
    let clock = clock
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<5_000 {
        group.addTask {
          await #expect(throws: CancellationError.self) {
            try await clock.sleep(for: .seconds(86_400))
          }
        }
      }
      group.cancelAll()
    }
    // Others of this process may sleep meanwhile.
    #expect(SleepQueue.shared.sleeperCount < 5_000)
    try await clock.sleep(for: .milliseconds(1))
  }
}
