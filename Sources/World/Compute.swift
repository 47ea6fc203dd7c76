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

  /// Runs `job(0)` ... `job(count - 1)`, at most `width` at once, in any order; returns when all are
  /// done. The jobs must be safe to run side by side.
  func runAll(count: Int, _ job: @escaping @Sendable (Int) -> Void) async
}
