// Compute.swift
//
// Where encoding and hashing run: a fixed number of threads of their own, never the cooperative
// pool, which must stay free to answer. In the simulator: virtual time.

package protocol Compute: Sendable {
  /// How many jobs run at once.
  var width: Int { get }

  /// Runs `work` on one of the threads.
  func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value

  /// Runs phases one after the other: of phase p the jobs 0 ..< counts[p], at most `width` at once, in
  /// any order; returns when all are done. Jobs of one phase must be safe to run side by side.
  func runAll(
    phases counts: [Int], _ job: @escaping @Sendable (_ phase: Int, _ index: Int) -> Void
  ) async
}

extension Compute {
  /// One phase: `job(0)` ... `job(count - 1)`.
  package func runAll(count: Int, _ job: @escaping @Sendable (Int) -> Void) async {
    await runAll(phases: [count]) { _, index in job(index) }
  }
}
