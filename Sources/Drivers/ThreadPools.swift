// ThreadPools.swift
//
// Threads of their own for what would block the cooperative pool: computing, and calls into drives
// and databases. Each kind has its own pool: sharing one would let full disk queues stop the very
// computing that they wait for.

internal import NIOPosix
internal import World

/// A bounded number of threads that run blocking calls to their end.
///
/// Cancellation does not reach into them: a write that others wait for too must not end because one
/// of them went away.
final class BlockingThreads: Sendable {
  private let pool: NIOThreadPool
  /// Added to what the threads are worth to the scheduler of the system: more yields to others.
  private let niceness: Int32

  init(count: Int, niceness: Int32 = 0) {
    self.niceness = niceness
    pool = NIOThreadPool(numberOfThreads: max(1, count))
    pool.start()
  }

  deinit {
    pool.shutdownGracefully { _ in }
  }

  func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
      // A pool that is shutting down runs the rest here and now: nobody may wait for ever.
      pool.submit { [niceness] _ in
        if niceness > 0 { setNiceness(niceness) }
        continuation.resume(returning: Result(catching: work))
      }
    }
    return try result.get()
  }
}

/// Threads for encoding and hashing. Whoever answers a request needs a core for microseconds, and these
/// for milliseconds: they let the others go first.
package final class ComputeThreads: Compute {
  /// Long against the microseconds of a hand-over, short against what a reader notices.
  private static let turnDuration = Duration.milliseconds(5)
  /// About a third of a core where others want all of it.
  package static let niceness: Int32 = 5

  package let width: Int
  private let threads: BlockingThreads

  package init(width: Int) {
    self.width = max(1, width)
    threads = BlockingThreads(count: self.width, niceness: Self.niceness)
  }

  package func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    try await threads.run(work)
  }

  package func runAll(
    phases counts: [Int], _ job: @escaping @Sendable (_ phase: Int, _ index: Int) -> Void
  ) async {
    let jobs = PhasedJobs(counts: counts, job)
    guard jobs.widthMax > 0 else { return }
    let work = { @Sendable [threads] in
      // A turn ends after a while, so that small work does not wait for a large encoding.
      while true {
        switch await threads.run({ jobs.run(forAtMost: Self.turnDuration) }) {
        case .turnOver: break
        case .phaseRunning(let phase): await jobs.wait(forEndOf: phase)
        case .nothingLeft: return
        }
      }
    }
    let width = min(width, jobs.widthMax)
    guard width > 1 else { return await work() }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<width - 1 { group.addTask { await work() } }
      await work()
    }
  }
}
