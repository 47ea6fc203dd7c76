// ChargedCompute.swift
//
// Encoding and hashing: done at once, and paid for in virtual time, during which others go on.

import Simulator
import World

struct ChargedCompute: Compute {
  let width = 2
  let clock: any Clock
  let dice: SeededRandomness

  func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    await charge(jobCount: 1)
    return try work()
  }

  func runAll(
    phases counts: [Int], _ job: @escaping @Sendable (_ phase: Int, _ index: Int) -> Void
  ) async {
    for (phase, count) in counts.enumerated() {
      await charge(jobCount: count)
      for index in 0..<count { job(phase, index) }
    }
  }

  private func charge(jobCount: Int) async {
    let duration = Duration.microseconds(dice.number(in: 5...200) * max(jobCount, 1))
    // Cancellation does not stop a job that runs on a thread; neither does the end of the process.
    do { try await clock.sleep(for: duration) } catch {}
  }
}
