// ThreadPools.swift
//
// Threads of their own for what would block the cooperative pool: computing, and calls into drives
// and databases. Each kind has its own pool: sharing one would let full disk queues stop the very
// computing that they wait for.

internal import NIOPosix
internal import Synchronization
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

  package func runAll(count: Int, _ job: @escaping @Sendable (Int) -> Void) async {
    guard count > 0 else { return }
    let next = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<min(width, count) {
        group.addTask { [threads] in
          // A turn ends after a while, so that small work does not wait for a large encoding.
          while !next.isExhausted(below: count) {
            await threads.run {
              let end = ContinuousClock.now + Self.turnDuration
              repeat {
                guard let index = next.take(below: count) else { return }
                job(index)
              } while ContinuousClock.now < end
            }
          }
        }
      }
    }
  }

  private final class Counter: Sendable {
    private let value = Mutex(0)

    func isExhausted(below bound: Int) -> Bool { value.withLock { $0 >= bound } }

    func take(below bound: Int) -> Int? {
      value.withLock { value in
        guard value < bound else { return nil }
        defer { value += 1 }
        return value
      }
    }
  }
}
