// SimulatedIndex+Faults.swift
//
// Trouble on demand: batches lost at a crash, failing operations, rot, yesterday's copy.

internal import Synchronization
package import World

/// All entries of an index at some moment.
package struct IndexSnapshot: Sendable, Equatable {
  var entries: [IndexEntry]
}

extension SimulatedIndex {
  /// Loses the newest `batchCount` batches, as a crash would.
  package func crash(losing batchCount: Int) {
    state.withLock { state in
      for _ in 0..<min(batchCount, state.undo.count) {
        for (key, value) in state.undo.removeLast().reversed() { state.set(value, for: key) }
      }
      state.undo = []
      state.generation += 1
    }
    record(event: "lost batches", batchCount)
  }

  /// How many of the newest batches a crash may lose.
  package var losableBatchCount: Int { state.withLock { $0.undo.count } }

  /// Lets one later operation fail, counted from now; 0 is the next.
  package func failOperation(after count: Int) {
    ledger.schedule(ScheduledFault(fault: .failure), after: count)
  }

  /// What goes wrong from now on, for whatever is not finished yet.
  package func setTrouble(_ trouble: IndexTrouble) { state.withLock { $0.trouble = trouble } }
  package var trouble: IndexTrouble { state.withLock { $0.trouble } }

  /// All entries, for comparing.
  package var contents: [IndexEntry] {
    state.withLock { state in
      state.keys.map { IndexEntry(key: $0, value: state.values[ByteKey($0)] ?? []) }
    }
  }

  package func snapshot() -> IndexSnapshot { IndexSnapshot(entries: contents) }

  /// The index holds what `snapshot` says, whatever the drive beside it does.
  package func restore(_ snapshot: IndexSnapshot) {
    state.withLock { state in
      state.replaceAll(by: snapshot.entries)
      state.generation += 1
    }
    record(event: "restore", snapshot.entries.count)
  }

  /// The index is lost.
  package func wipe() { restore(IndexSnapshot(entries: [])) }

  /// Flips one bit in this many values.
  package func rot(count: Int) {
    let places = state.withLock { state in
      (0..<count).compactMap { _ -> Int? in
        guard !state.keys.isEmpty else { return nil }
        let place = dice.number(below: state.keys.count)
        let key = state.keys[place]
        guard var value = state.values[ByteKey(key)], !value.isEmpty else { return nil }
        value[dice.number(below: value.count)] ^= 1 << UInt8(dice.number(below: 8))
        state.values[ByteKey(key)] = value
        return place
      }
    }
    for place in places { record(event: "rot in entry", place) }
  }

  /// Flips one bit in each value whose key begins with `prefix`.
  package func rot(keysFrom prefix: [UInt8]) {
    state.withLock { state in
      for key in state.keys where key.starts(with: prefix) {
        guard var value = state.values[ByteKey(key)], !value.isEmpty else { continue }
        value[dice.number(below: value.count)] ^= 1 << UInt8(dice.number(below: 8))
        state.values[ByteKey(key)] = value
      }
    }
    record(event: "rot below key", prefix.count)
  }
}
