// MemoryControlStore.swift
//
// A control store in memory, for tests and simulated runs: the whole contract of `ControlStore`
// without a disk under it. Processes share it by sharing the object; "restarting" a process means
// making everything above it anew.
//
// Invariant: one lock, and nothing waits while holding it, so that every call is one step.

package import Cluster
import Synchronization
package import World

package final class MemoryControlStore: ControlStore {
  /// How the store misbehaves.
  package enum Outage: Sendable, Equatable {
    /// Nothing happens, and the caller learns that.
    case refusing
    /// Transactions happen, and the caller does not learn that.
    case losingAnswers
  }

  fileprivate struct Waiter {
    var after: Revision
    var prefix: [UInt8]
    var continuation: CheckedContinuation<Void, Never>
  }

  fileprivate struct State {
    /// Ascending by key.
    var entries: [ControlEntry] = []
    var history: [ControlChange] = []
    var revision = Revision.start
    var compactedThrough = Revision.start
    var waiters: [UInt64: Waiter] = [:]
    var nextWaiter: UInt64 = 0
    var outage: Outage?
  }

  private let state = Mutex(State())

  package init() {}

  package func setOutage(_ outage: Outage?) {
    let woken = state.withLock { state in
      state.outage = outage
      return outage == nil ? [] : state.takeWaiters { _ in true }
    }
    for waiter in woken { waiter.resume() }
  }

  /// Forgets the changes up to and including `revision`, as far as there are any.
  package func compact(through revision: Revision) {
    let woken = state.withLock { state in
      let through = min(revision, state.revision)
      guard through > state.compactedThrough else { return [CheckedContinuation<Void, Never>]() }
      state.compactedThrough = through
      state.history.removeAll { $0.revision <= through }
      return state.takeWaiters { $0.after < through }
    }
    for waiter in woken { waiter.resume() }
  }

  package var revision: Revision { state.withLock { $0.revision } }

  /// Calls of `changes` that wait now.
  package var waiterCount: Int { state.withLock { $0.waiters.count } }

  package func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    let range = state.withLock { state -> ControlRange? in
      guard state.outage != .refusing else { return nil }
      let start = state.position(of: lower)
      let end = max(start, state.position(of: upper))
      let cut = start + min(end - start, max(limit, 0))
      return ControlRange(
        entries: Array(state.entries[start..<cut]), revision: state.revision, hasMore: cut < end)
    }
    guard let range else { throw .unavailable("the simulated store is off") }
    return range
  }

  package func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    let (result, woken) = state.withLock { state in
      guard state.outage != .refusing else {
        return (ControlTransactionResult?.none, [CheckedContinuation<Void, Never>]())
      }
      let result = state.apply(transaction)
      let changed = transaction.changes.map(\.key)
      let woken =
        result == .conflict
        ? [] : state.takeWaiters { waiter in changed.contains { $0.starts(with: waiter.prefix) } }
      return (state.outage == .losingAnswers ? nil : result, woken)
    }
    for waiter in woken { waiter.resume() }
    guard let result else { throw .unavailable("the simulated store is off") }
    return result
  }

  package func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    while true {
      let answer = state.withLock { state -> Result<ControlChanges, ControlStoreError> in
        state.changes(after: revision, prefix: prefix, limit: limit)
      }
      let found = try answer.get()
      if !found.changes.isEmpty || Task.isCancelled { return found }
      await wait(after: found.through, prefix: prefix)
    }
  }

  /// Returns once something with `prefix` may have changed after `seen`, or on cancellation.
  private func wait(after seen: Revision, prefix: [UInt8]) async {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isWaiting = state.withLock { state in
          // A change between looking and waiting would otherwise be slept through.
          guard state.revision == seen, state.outage == nil, !Task.isCancelled else { return false }
          state.waiters[id] = Waiter(after: seen, prefix: prefix, continuation: continuation)
          return true
        }
        if !isWaiting { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
    }
  }
}

extension MemoryControlStore.State {
  /// Where `key` stands or would stand.
  fileprivate func position(of key: [UInt8]) -> Int {
    var lower = 0
    var upper = entries.count
    while lower < upper {
      let middle = (lower + upper) / 2
      if entries[middle].key.lexicographicallyPrecedes(key) {
        lower = middle + 1
      } else {
        upper = middle
      }
    }
    return lower
  }

  private func version(of key: [UInt8]) -> Revision? {
    let position = position(of: key)
    guard position < entries.count, entries[position].key == key else { return nil }
    return entries[position].version
  }

  fileprivate mutating func apply(_ transaction: ControlTransaction) -> ControlTransactionResult {
    for condition in transaction.conditions
    where version(of: condition.key) != condition.version {
      return .conflict
    }
    guard !transaction.changes.isEmpty else { return .committed(revision) }
    revision = Revision(revision.value + 1)
    for change in transaction.changes {
      let position = position(of: change.key)
      let exists = position < entries.count && entries[position].key == change.key
      switch (change.value, exists) {
      case (nil, false): continue
      case (nil, true): entries.remove(at: position)
      case (let value?, true):
        entries[position] = ControlEntry(key: change.key, value: value, version: revision)
      case (let value?, false):
        entries.insert(
          ControlEntry(key: change.key, value: value, version: revision), at: position)
      }
      history.append(ControlChange(key: change.key, value: change.value, revision: revision))
    }
    return .committed(revision)
  }

  fileprivate func changes(after seen: Revision, prefix: [UInt8], limit: Int)
    -> Result<ControlChanges, ControlStoreError>
  {
    guard outage != .refusing else { return .failure(.unavailable("the simulated store is off")) }
    guard seen >= compactedThrough else { return .failure(.compacted(oldest: compactedThrough)) }
    // A cursor of a store that was put back to an older state would wait for what it has seen.
    guard seen <= revision else { return .failure(.compacted(oldest: revision)) }
    var found: [ControlChange] = []
    for change in history[firstChange(after: seen)...] where change.key.starts(with: prefix) {
      if found.count >= max(limit, 1), let last = found.last, last.revision != change.revision {
        return .success(ControlChanges(changes: found, through: last.revision))
      }
      found.append(change)
    }
    return .success(ControlChanges(changes: found, through: revision))
  }

  private func firstChange(after seen: Revision) -> Int {
    var lower = 0
    var upper = history.count
    while lower < upper {
      let middle = (lower + upper) / 2
      if history[middle].revision <= seen { lower = middle + 1 } else { upper = middle }
    }
    return lower
  }

  /// In the order in which they came, so that a run can be repeated.
  fileprivate mutating func takeWaiters(where isDue: (MemoryControlStore.Waiter) -> Bool)
    -> [CheckedContinuation<Void, Never>]
  {
    let due = waiters.filter { isDue($0.value) }.keys.sorted()
    return due.compactMap { waiters.removeValue(forKey: $0)?.continuation }
  }
}
