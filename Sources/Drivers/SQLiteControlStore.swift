// SQLiteControlStore.swift
//
// The control store of one machine: a SQLite file, owned by one process at a time.
//
//   entries   key (primary), value, version             what stands now
//   changes   revision, position, key, value            the last transactions; a null value: removed
//   counters  name (primary), value                     `revision`, and `compacted`: the last
//                                                       revision whose changes are gone
//
// Invariants: a transaction is on the disk when it returns (WAL with synchronous = FULL, checked after
// opening); the revision counter, the entries and the changes go together in one SQLite transaction.
// If they did not, nodes would miss events after a crash.
//
// Nothing here blocks the caller's thread: SQLite runs on GRDB's queues. Transactions that arrive
// while one is being synced go together in the next sync, each with a revision of its own.

package import Cluster
import Foundation
import GRDB
import Synchronization
package import World

package final class SQLiteControlStore: ControlStore {
  /// Transactions whose changes are kept. A node that was away for longer reads the whole registry
  /// again, which costs less than keeping more: a change takes about a kilobyte.
  package static let changesRevisionCountMax = 50_000
  /// Changes are dropped in bites of this many revisions, so that no transaction pays for many.
  private static let trimRevisionCount = 256
  /// One sync for that many transactions; more would only make the first one wait longer.
  private static let groupCountMax = 64
  /// Waiting transactions. At two thousand a second that is two seconds' worth: beyond it, refuse.
  package static let pendingCountMax = 4096
  /// Entries of one answer, whatever the caller asked for.
  private static let answerCountMax = 10_000

  private struct Pending: Sendable {
    var transaction: ControlTransaction
    var answer: CheckedContinuation<Result<ControlTransactionResult, ControlStoreError>, Never>
  }

  private struct WriteQueue: Sendable {
    var pending: [Pending] = []
    var isDraining = false
    var isClosed = false
  }

  /// Tests look at its settings.
  let pool: DatabasePool
  private let lock: ControlStoreLock
  private let path: String
  private let retention: Int
  private let queue = Mutex(WriteQueue())
  private let watchers: Mutex<ControlStoreWatchers>

  init(pool: DatabasePool, lock: ControlStoreLock, path: String, retention: Int, revision: Revision)
  {
    self.pool = pool
    self.lock = lock
    self.path = path
    self.retention = retention
    self.watchers = Mutex(ControlStoreWatchers(committed: revision))
  }

  /// Ends all waits and closes the file; later calls are answered with `unavailable`.
  package func close() async {
    let (wasClosed, refused) = queue.withLock { queue in
      defer {
        queue.isClosed = true
        queue.pending = []
      }
      return (queue.isClosed, queue.pending)
    }
    for pending in refused { pending.answer.resume(returning: .failure(closedError)) }
    guard !wasClosed else { return }
    watchers.withLock { $0.takeAll() }.forEach { $0() }
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      // Waits for what is being written and read, so not on the caller's thread.
      DispatchQueue.global().async { [pool, lock] in
        // A file that SQLite will not close yet closes with this object; all that was committed is
        // on the disk anyway.
        _ = Result { try pool.close() }
        lock.release()
        done.resume()
      }
    }
  }

  private var closedError: ControlStoreError { .unavailable("\(path) is closed") }

  /// Calls of `changes` that wait now.
  var waiterCount: Int { watchers.withLock { $0.count } }

  private var isClosed: Bool { queue.withLock { $0.isClosed } }

  package func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    let limit = min(max(limit, 0), Self.answerCountMax)
    return try await read { db in
      var entries: [ControlEntry] = []
      // One more than asked for tells whether there is more.
      let rows = try Row.fetchCursor(
        db.cachedStatement(
          sql: """
            SELECT key, value, version FROM entries
            WHERE key >= coalesce(?, x'') AND key < coalesce(?, x'') ORDER BY key LIMIT ?
            """),
        arguments: [Data(lower), Data(upper), limit + 1])
      while let row = try rows.next() {
        entries.append(
          ControlEntry(
            key: try bytes(row, 0), value: try bytes(row, 1), version: try revision(row, 2)))
      }
      let hasMore = entries.count > limit
      if hasMore { entries.removeLast() }
      return ControlRange(
        entries: entries, revision: try counter(.revision, in: db), hasMore: hasMore)
    }
  }

  package func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    let result = await withCheckedContinuation { answer in
      let admission = queue.withLock { queue -> (refusal: ControlStoreError?, mustStart: Bool) in
        if queue.isClosed { return (closedError, false) }
        guard queue.pending.count < Self.pendingCountMax else {
          return (.unavailable("\(Self.pendingCountMax) transactions wait already"), false)
        }
        queue.pending.append(Pending(transaction: transaction, answer: answer))
        defer { queue.isDraining = true }
        return (nil, !queue.isDraining)
      }
      if let refusal = admission.refusal { answer.resume(returning: .failure(refusal)) }
      if admission.mustStart { pool.asyncWriteWithoutTransaction { db in self.drain(db) } }
    }
    return try result.get()
  }

  package func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    let limit = min(max(limit, 1), Self.answerCountMax)
    var seen = revision
    while true {
      let after = seen
      let found = try await read { db in
        try fetchChanges(after: after, prefix: prefix, limit: limit, in: db)
      }.get()
      guard found.changes.isEmpty, !Task.isCancelled else { return found }
      seen = await wait(after: found.through, prefix: prefix)
      if isClosed { throw closedError }
    }
  }

  /// Forgets the changes up to and including `revision`.
  package func compact(through revision: Revision) async throws(ControlStoreError) {
    let result: Result<Void, ControlStoreError> = await withCheckedContinuation { done in
      pool.asyncWriteWithoutTransaction { db in
        do {
          try db.inTransaction(.immediate) {
            try dropChanges(through: min(revision, try counter(.revision, in: db)), in: db)
            return .commit
          }
          done.resume(returning: .success(()))
        } catch {
          done.resume(returning: .failure(.unavailable("\(self.path): \(error)")))
        }
      }
    }
    try result.get()
  }

  private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value)
    async throws(ControlStoreError) -> Value
  {
    guard !isClosed else { throw closedError }
    // Not GRDB's `async` calls: those interrupt SQLite when the task is cancelled.
    let result: Result<Value, ControlStoreError> = await withCheckedContinuation { answer in
      pool.asyncRead { database in
        do {
          answer.resume(returning: .success(try body(database.get())))
        } catch {
          answer.resume(returning: .failure(.unavailable("\(self.path): \(error)")))
        }
      }
    }
    return try result.get()
  }

  /// Runs on the writer's queue until nothing waits any more.
  private func drain(_ db: Database) {
    while true {
      let group = queue.withLock { queue -> [Pending] in
        let group = Array(queue.pending.prefix(Self.groupCountMax))
        queue.pending.removeFirst(group.count)
        queue.isDraining = !group.isEmpty
        return group
      }
      guard !group.isEmpty else { return }
      commit(group, in: db)
    }
  }

  private func commit(_ group: [Pending], in db: Database) {
    var results: [ControlTransactionResult] = []
    var before = Revision.start
    var after = Revision.start
    do {
      try db.inTransaction(.immediate) {
        before = try counter(.revision, in: db)
        after = before
        for pending in group {
          results.append(try apply(pending.transaction, revision: &after, in: db))
        }
        guard after > before else { return .commit }
        try setCounter(.revision, to: after, in: db)
        try trimChanges(from: before, to: after, in: db)
        return .commit
      }
    } catch {
      let failure = ControlStoreError.unavailable("\(path): \(error)")
      for pending in group { pending.answer.resume(returning: .failure(failure)) }
      return
    }
    var changedKeys: [[UInt8]] = []
    for (pending, result) in zip(group, results) where result != .conflict {
      changedKeys.append(contentsOf: pending.transaction.changes.map(\.key))
    }
    let woken = watchers.withLock { $0.committed(changedKeys, from: before, to: after) }
    for wake in woken { wake() }
    for (pending, result) in zip(group, results) {
      pending.answer.resume(returning: .success(result))
    }
  }

  private func trimChanges(from before: Revision, to after: Revision, in db: Database) throws {
    let bite = UInt64(Self.trimRevisionCount)
    guard after.value > UInt64(retention), before.value / bite != after.value / bite else { return }
    try dropChanges(through: Revision(after.value - UInt64(retention)), in: db)
  }

  /// - Returns: the revision up to which nothing with `prefix` has changed.
  private func wait(after seen: Revision, prefix: [UInt8]) async -> Revision {
    let id = watchers.withLock { $0.makeID() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isWaiting = watchers.withLock { watchers in
          // A commit between looking and waiting would otherwise be slept through.
          guard watchers.committed <= seen, !Task.isCancelled, !isClosed else { return false }
          watchers.add(id, after: seen, prefix: prefix, continuation)
          return true
        }
        if !isWaiting { continuation.resume(returning: seen) }
      }
    } onCancel: {
      watchers.withLock { $0.cancel(id) }?()
    }
  }
}
