// SimulatedIndex.swift
//
// An ordered map in memory that does at a crash what an index may do: lose its newest batches.
// SimulatedIndex+Faults.swift says what else can go wrong with it.

internal import Synchronization
package import World

package final class SimulatedIndex: Index {
  /// Older batches count as durable, as they would be after a checkpoint.
  static let undoCountMax = 64

  struct State {
    var keys: [[UInt8]] = []
    var values: [ByteKey: [UInt8]] = [:]
    /// What each of the newest batches replaced, oldest batch first; nil: the key was not there.
    var undo: [[([UInt8], [UInt8]?)]] = []
    var trouble = IndexTrouble()
    /// Grows when what is under way must not happen any more.
    var generation = 0

    mutating func set(_ value: [UInt8]?, for key: [UInt8]) {
      let position = position(of: key)
      let isThere = position < keys.count && keys[position] == key
      values[ByteKey(key)] = value
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

    mutating func apply(_ changes: [IndexChange]) {
      var undo: [([UInt8], [UInt8]?)] = []
      for change in changes {
        switch change {
        case .set(let key, let value):
          undo.append((key, values[ByteKey(key)]))
          set(value, for: key)
        case .remove(let key):
          undo.append((key, values[ByteKey(key)]))
          set(nil, for: key)
        }
      }
      self.undo.append(undo)
      if self.undo.count > SimulatedIndex.undoCountMax { self.undo.removeFirst() }
    }

    mutating func replaceAll(by entries: [IndexEntry]) {
      keys = entries.map(\.key)
      values = [:]
      for entry in entries { values[ByteKey(entry.key)] = entry.value }
      undo = []
    }
  }

  enum Kind: String { case values, entries, apply, removeAll }

  let state = Mutex(State())
  let ledger: OperationLedger
  let dice: SeededRandomness
  private let latency: SeamLatency?
  private let trace: Trace?

  /// With a drive, the operations of both are counted together, and the power goes for both.
  package init(
    seed: UInt64 = 0, clock: (any Clock)? = nil, trace: Trace? = nil,
    besides disk: SimulatedDisk? = nil
  ) {
    ledger = disk?.ledger ?? OperationLedger()
    dice = SeededRandomness(seed: seed ^ 0xD1CE)
    latency = clock.map { SeamLatency(clock: $0, dice: SeededRandomness(seed: seed ^ 0x71CC)) }
    self.trace = trace
  }

  package func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?] {
    try await perform(.values, count: keys.count) { state in
      keys.map { state.values[ByteKey($0)] }
    }
  }

  package func entries(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(IndexError) -> [IndexEntry]
  {
    try await perform(.entries, count: limit) { state in
      var entries: [IndexEntry] = []
      var position = state.position(of: lower)
      while position < state.keys.count, entries.count < limit {
        let key = state.keys[position]
        guard key.lexicographicallyPrecedes(upper), let value = state.values[ByteKey(key)] else {
          break
        }
        entries.append(IndexEntry(key: key, value: value))
        position += 1
      }
      return entries
    }
  }

  package func apply(_ changes: [IndexChange]) async throws(IndexError) {
    let needsSpace = changes.contains { if case .set = $0 { true } else { false } }
    try await perform(.apply, count: changes.count, needsSpace: needsSpace) { state in
      state.apply(changes)
    }
  }

  package func removeAll() async throws(IndexError) {
    try await perform(.removeAll, count: 0) { state in state.replaceAll(by: []) }
  }

  private func perform<Value: Sendable>(
    _ kind: Kind, count: Int, needsSpace: Bool = false, _ body: (inout State) -> Value
  ) async throws(IndexError) -> Value {
    let life = SeamOwner.life
    let arrival = state.withLock { $0.generation }
    if let latency {
      await latency.wait(baseMicroseconds: kind == .apply ? 20 : 4, byteCount: 0) {
        state.withLock { ($0.trouble.slowness, $0.trouble.stalledUntil) }
      }
    }
    let result: Result<Value, IndexError> = state.withLock { state in
      guard !ledger.hasCrashed, arrival == state.generation, life?.isAlive ?? true else {
        return .failure(IndexError("the simulated index is gone"))
      }
      if let scheduled = ledger.begin("index \(kind.rawValue) \(count)") {
        if let seed = scheduled.seed { dice.reseed(seed) }
        // Whoever hears of an error does not know whether the batch was applied before it.
        if scheduled.fault != .full, kind == .apply, dice.next() & 1 == 0 { _ = body(&state) }
        return .failure(IndexError("the simulated index failed as told"))
      }
      let isRead = kind == .values || kind == .entries
      if dice.chance(isRead ? state.trouble.readFailureRate : state.trouble.writeFailureRate) {
        if kind == .apply, dice.next() & 1 == 0 { _ = body(&state) }
        return .failure(IndexError("the simulated index failed"))
      }
      if needsSpace, state.trouble.isFull {
        return .failure(IndexError("the simulated index found no space"))
      }
      return .success(body(&state))
    }
    record(kind, count: count, result)
    return try result.get()
  }

  private func record<Value>(_ kind: Kind, count: Int, _ result: Result<Value, IndexError>) {
    guard let trace else { return }
    let error: IndexError? = if case .failure(let error) = result { error } else { nil }
    var hash = EventHash()
    hash.add(kind.rawValue)
    hash.add(count)
    hash.add(error?.message ?? "")
    trace.record(.index, hash.value, "\(kind.rawValue) \(count): \(error?.message ?? "done")")
  }

  /// Something that happened to the index without being asked for.
  func record(event name: String, _ number: Int) {
    guard let trace else { return }
    var hash = EventHash()
    hash.add(name)
    hash.add(number)
    trace.record(.index, hash.value, "\(name) \(number)")
  }
}

/// Bytes that are hashed at once: an array is hashed one byte after the other.
struct ByteKey: Hashable {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func hash(into hasher: inout Hasher) {
    unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  }
}
