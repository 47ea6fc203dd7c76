// InlineCompute.swift
//
// Runs every job at once, on the task that asked: tests and simulated runs stay in one order.

import World

package struct InlineCompute: Compute {
  package let width = 1

  package init() {}

  package func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    try work()
  }

  package func runAll(
    phases counts: [Int], _ job: @escaping @Sendable (_ phase: Int, _ index: Int) -> Void
  ) async {
    for (phase, count) in counts.enumerated() {
      for index in 0..<count { job(phase, index) }
    }
  }
}
