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

  package func runAll(count: Int, _ job: @escaping @Sendable (Int) -> Void) async {
    for index in 0..<max(count, 0) { job(index) }
  }
}
