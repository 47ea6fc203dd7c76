// SQLiteControlStore+Watchers.swift
//
// The tasks that wait for changes. Each is told up to which revision nothing that it waits for has
// happened, so that changes dropped meanwhile, none of them its own, cost it nothing.
//
// Invariant: a watcher that was taken out is resumed once, by whoever took it out, outside the lock.

import Cluster

/// Who waits for changes, and up to where changes have been told.
struct ControlStoreWatchers: Sendable {
  private struct Watcher: Sendable {
    var after: Revision
    var prefix: [UInt8]
    var continuation: CheckedContinuation<Revision, Never>
  }

  private(set) var committed: Revision
  private var watchers: [UInt64: Watcher] = [:]
  private var lastID: UInt64 = 0

  init(committed: Revision) { self.committed = committed }

  var count: Int { watchers.count }

  mutating func makeID() -> UInt64 {
    lastID += 1
    return lastID
  }

  mutating func add(
    _ id: UInt64, after seen: Revision, prefix: [UInt8],
    _ continuation: CheckedContinuation<Revision, Never>
  ) {
    watchers[id] = Watcher(after: seen, prefix: prefix, continuation: continuation)
  }

  /// To be called in the order of the commits; answers what wakes those concerned.
  mutating func committed(_ keys: [[UInt8]], from before: Revision, to after: Revision)
    -> [@Sendable () -> Void]
  {
    committed = max(committed, after)
    return take(before) { watcher in keys.contains { $0.starts(with: watcher.prefix) } }
  }

  mutating func cancel(_ id: UInt64) -> (@Sendable () -> Void)? {
    guard let watcher = watchers.removeValue(forKey: id) else { return nil }
    return { watcher.continuation.resume(returning: watcher.after) }
  }

  mutating func takeAll() -> [@Sendable () -> Void] { take(.start) { _ in true } }

  /// `unchanged`: up to there nothing that these watchers wait for has happened.
  private mutating func take(_ unchanged: Revision, where isDue: (Watcher) -> Bool)
    -> [@Sendable () -> Void]
  {
    let due = watchers.filter { isDue($0.value) }
    for id in due.keys { watchers.removeValue(forKey: id) }
    return due.values.map { watcher in
      { watcher.continuation.resume(returning: max(watcher.after, unchanged)) }
    }
  }
}
