// SimulatedIndex.swift
//
// An ordered map in memory that does at a crash what an index may do: lose its newest batches.

internal import Synchronization
package import World

package final class SimulatedIndex: Index {
  /// Older batches count as durable, as they would be after a checkpoint.
  static let undoCountMax = 64

  private struct State {
    var keys: [[UInt8]] = []
    var values: [[UInt8]: [UInt8]] = [:]
    /// What each of the newest batches replaced, oldest batch first; nil: the key was not there.
    var undo: [[([UInt8], [UInt8]?)]] = []
    var operationCount = 0
    var failingOperation: Int?

    mutating func set(_ value: [UInt8]?, for key: [UInt8]) {
      let position = position(of: key)
      let isThere = position < keys.count && keys[position] == key
      values[key] = value
      if value != nil, !isThere { keys.insert(key, at: position) }
      if value == nil, isThere { keys.remove(at: position) }
    }

    /// The position of the first key that is not below `key`.
    func position(of key: [UInt8]) -> Int {
      var low = 0
      var high = keys.count
      while low < high {
        let middle = (low + high) / 2
        if keys[middle].lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  private let state = Mutex(State())

  package init() {}

  package func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?] {
    try begin()
    return state.withLock { state in keys.map { state.values[$0] } }
  }

  package func entries(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(IndexError) -> [IndexEntry]
  {
    try begin()
    return state.withLock { state in
      var entries: [IndexEntry] = []
      var position = state.position(of: lower)
      while position < state.keys.count, entries.count < limit {
        let key = state.keys[position]
        guard key.lexicographicallyPrecedes(upper), let value = state.values[key] else { break }
        entries.append(IndexEntry(key: key, value: value))
        position += 1
      }
      return entries
    }
  }

  package func apply(_ changes: [IndexChange]) async throws(IndexError) {
    try begin()
    state.withLock { state in
      var undo: [([UInt8], [UInt8]?)] = []
      for change in changes {
        switch change {
        case .set(let key, let value):
          undo.append((key, state.values[key]))
          state.set(value, for: key)
        case .remove(let key):
          undo.append((key, state.values[key]))
          state.set(nil, for: key)
        }
      }
      state.undo.append(undo)
      if state.undo.count > Self.undoCountMax { state.undo.removeFirst() }
    }
  }

  package func removeAll() async throws(IndexError) {
    try begin()
    state.withLock { state in
      state.keys = []
      state.values = [:]
      state.undo = []
    }
  }

  /// Loses the newest `batchCount` batches, as a crash would.
  package func crash(losing batchCount: Int) {
    state.withLock { state in
      for _ in 0..<min(batchCount, state.undo.count) {
        for (key, value) in state.undo.removeLast().reversed() { state.set(value, for: key) }
      }
      state.undo = []
    }
  }

  /// How many of the newest batches a crash may lose.
  package var losableBatchCount: Int { state.withLock { $0.undo.count } }

  /// Lets one later operation fail, counted from now; 0 is the next.
  package func failOperation(after count: Int) {
    state.withLock { $0.failingOperation = $0.operationCount + count }
  }

  /// All entries, for comparing.
  package var contents: [IndexEntry] {
    state.withLock { state in
      state.keys.map { IndexEntry(key: $0, value: state.values[$0] ?? []) }
    }
  }

  private func begin() throws(IndexError) {
    let fails = state.withLock { state in
      defer { state.operationCount += 1 }
      return state.operationCount == state.failingOperation
    }
    if fails { throw IndexError("the simulated index failed as told") }
  }
}
