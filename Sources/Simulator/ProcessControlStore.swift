// ProcessControlStore.swift
//
// One process's way to the control store that all share: slow, at times out of reach, at times late
// with its news or telling them twice. What it reads and writes is always the truth of one instant.
//
// Invariants: a transaction of a dead process never happens; one under way when its process dies
// happens or not. Told changes are never a part of a transaction, and never skip one.

package import Cluster
import Synchronization
package import World

/// What is wrong between a process and the control store.
package struct ControlTrouble: Sendable, Equatable {
  /// There, and the same back.
  package var delay = DelayDistribution(median: .microseconds(300), tail: 0.03)
  /// Nothing happens, and the caller learns that. 1 is an outage.
  package var refusals = 0.0
  /// It may have happened, and the caller does not learn whether: for transactions it did, by an even
  /// chance. Other calls just fail.
  package var lostAnswers = 0.0
  /// News come this much later.
  package var newsDelay = DelayDistribution.none
  /// How often news are told that were told before.
  package var repetitions = 0.0
  /// News come in batches of a few, down to one transaction each.
  package var splits = 0.0

  /// Nothing is wrong.
  package init() {}
}

package final class ProcessControlStore: ControlStore {
  /// How long a client of the store waits before it says that it does not answer.
  package static let callDurationMax = Duration.seconds(5)
  /// Where each follower of changes was, a few calls ago; far more than any process has.
  private static let followerCountMax = 64

  private struct Follower {
    var prefix: [UInt8]
    /// The last answer took it from `before` to `told`.
    var before: Revision
    var told: Revision
  }

  private struct State {
    var trouble = ControlTrouble()
    var callCount: UInt64 = 0
    var followers: [Follower] = []
  }

  private let shared: MemoryControlStore
  private let life: ProcessLife
  private let clock: VirtualClock
  private let randomness: any Randomness
  private let trace: Trace
  private let state = Mutex(State())

  package init(
    shared: MemoryControlStore, life: ProcessLife, clock: VirtualClock,
    randomness: any Randomness, trace: Trace
  ) {
    self.shared = shared
    self.life = life
    self.clock = clock
    self.randomness = randomness
    self.trace = trace
  }

  /// For calls that begin, travel or end from now on.
  package func setTrouble(_ trouble: ControlTrouble) {
    state.withLock { $0.trouble = trouble }
    trace.record(
      .fault, traceValue(1, UInt64(trouble.refusals * 1000), UInt64(trouble.lostAnswers * 1000)),
      "\(life.name) and the control store: \(trouble)")
  }

  package func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    let call = try begin()
    try await travel(call)
    let range = try await shared.range(from: lower, below: upper, limit: limit)
    try await travel(call)
    try lose(call)
    record(call, 2, range.revision, "reads \(range.entries.count) entries")
    return range
  }

  package func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    // As with a real store, a transaction that was sent goes its way whether or not the task that
    // asked for it still wants it.
    let sent = Task { () async -> Result<ControlTransactionResult, ControlStoreError> in
      do throws(ControlStoreError) {
        return .success(try await self.sendTransaction(transaction))
      } catch {
        return .failure(error)
      }
    }
    return try await sent.value.get()
  }

  private func sendTransaction(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    let call = try begin()
    let isLost = randomness.chance(trouble.lostAnswers)
    let onTheWay: ControlStoreError?
    do throws(ControlStoreError) {
      try await travel(call)
      onTheWay = isLost ? .unavailable("the connection broke") : nil
    } catch {
      onTheWay = error
    }
    // What was lost, given up, or under way when its process died may get there all the same.
    if let onTheWay, randomness.chance(0.5) { throw onTheWay }
    let result = try await shared.transact(transaction)
    record(
      call, onTheWay == nil ? 3 : 4, shared.revision,
      "writes \(transaction.changes.count) keys: \(result)")
    if let onTheWay { throw onTheWay }
    try await travel(call)
    return result
  }

  package func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    let call = try begin()
    var start = revision
    if let earlier = earlier(than: revision, prefix), randomness.chance(trouble.repetitions) {
      start = earlier
    }
    let isSplit = randomness.chance(trouble.splits)
    let limit = isSplit ? min(limit, 1 + randomness.number(below: 4)) : limit
    var news: ControlChanges
    do throws(ControlStoreError) {
      news = try await shared.changes(after: start, prefix: prefix, limit: limit)
    } catch {
      guard start < revision, case .compacted = error else { throw error }
      start = revision
      news = try await shared.changes(after: start, prefix: prefix, limit: limit)
    }
    do {
      try await clock.sleep(for: trouble.newsDelay.draw(from: randomness))
    } catch {
      // Whoever is cancelled is told nothing.
      return ControlChanges(changes: [], through: revision)
    }
    try await travel(call)
    try refuse(call)
    // News that were all told before lead nowhere new.
    news.through = max(news.through, revision)
    remember(prefix, from: revision, to: news.through)
    record(
      call, 5, news.through,
      "hears \(news.changes.count) changes after \(start), from \(revision) through \(news.through)"
    )
    return news
  }

  // MARK: Calls

  private var trouble: ControlTrouble { state.withLock { $0.trouble } }

  private func begin() throws(ControlStoreError) -> UInt64 {
    let call = state.withLock { state in
      state.callCount += 1
      return state.callCount
    }
    guard life.isAlive else { throw .unavailable("the process has ended") }
    try refuse(call)
    return call
  }

  private func refuse(_ call: UInt64) throws(ControlStoreError) {
    guard randomness.chance(trouble.refusals) else { return }
    record(call, 6, .start, "is refused")
    throw .unavailable("the control store is out of reach")
  }

  private func lose(_ call: UInt64) throws(ControlStoreError) {
    guard randomness.chance(trouble.lostAnswers) else { return }
    record(call, 7, .start, "does not get its answer")
    throw .unavailable("the connection broke")
  }

  private func travel(_ call: UInt64) async throws(ControlStoreError) {
    let delay = trouble.delay.draw(from: randomness)
    do {
      try await clock.sleep(for: min(delay, Self.callDurationMax))
    } catch {
      throw .unavailable("the call was cancelled")
    }
    guard life.isAlive else { throw .unavailable("the process has ended") }
    if delay > Self.callDurationMax {
      record(call, 8, .start, "waits for too long")
      throw .unavailable("the control store does not answer")
    }
  }

  // MARK: News

  private func earlier(than revision: Revision, _ prefix: [UInt8]) -> Revision? {
    state.withLock { state in
      state.followers.first { $0.prefix == prefix && $0.told == revision }?.before
    }
  }

  private func remember(_ prefix: [UInt8], from before: Revision, to told: Revision) {
    guard before < told else { return }
    state.withLock { state in
      state.followers.removeAll { $0.prefix == prefix && $0.told == before }
      if state.followers.count >= Self.followerCountMax { state.followers.removeFirst() }
      state.followers.append(Follower(prefix: prefix, before: before, told: told))
    }
  }

  private func record(
    _ call: UInt64, _ kind: UInt64, _ revision: Revision, _ text: @autoclosure () -> String
  ) {
    trace.record(
      .control, traceValue(kind, call, revision.value), "\(life.name) #\(call) \(text())")
  }
}
