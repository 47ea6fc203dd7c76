// SimulatedDisk+Replacing.swift
//
// What happens to a drive as a whole: it rots, is put back to an earlier state, or is replaced.

internal import Synchronization
internal import World

/// What was durable on a drive at some moment.
package struct DiskSnapshot: Sendable, Equatable {
  var files: [String: [UInt8]]

  package var names: [String] { files.keys.sorted() }
  package var byteCount: Int { files.values.reduce(0) { $0 + $1.count } }
}

extension SimulatedDisk {
  package func snapshot() -> DiskSnapshot {
    state.withLock { state in
      DiskSnapshot(files: state.durableNames.mapValues { state.inodes[$0]?.durableBytes ?? [] })
    }
  }

  /// The drive holds what `snapshot` says and nothing else. Files opened before do not work any
  /// more, as after a crash.
  package func restore(_ snapshot: DiskSnapshot) {
    state.withLock { state in
      state.replaceAll(by: snapshot.files)
    }
    ledger.restart()
    record(event: "restore", snapshot.byteCount)
  }

  /// The drive is replaced by an empty one.
  package func wipe() { restore(DiskSnapshot(files: [:])) }

  /// What looks clean and never reached the platter shows its old bytes, as when memory was needed
  /// for something else.
  package func dropCaches() {
    state.withLock { state in
      for number in state.inodes.keys.sorted() { state.inodes[number]?.dropForsaken() }
    }
  }

  /// Flips this many bits anywhere in what is durable.
  ///
  /// - Returns: where, for people.
  @discardableResult package func rot(bitCount: Int) -> [String] {
    let places = state.withLock { state in
      let files = state.durableNames.sorted { $0.key < $1.key }
        .map {
          (name: $0.key, inode: $0.value, count: state.inodes[$0.value]?.durableByteCount ?? 0)
        }
      let total = files.reduce(0) { $0 + $1.count }
      guard total > 0 else { return [(name: String, offset: Int)]() }
      return (0..<bitCount).map { _ in
        var offset = dice.number(below: total)
        var position = 0
        while offset >= files[position].count {
          offset -= files[position].count
          position += 1
        }
        let mask: UInt8 = 1 << UInt8(dice.number(below: 8))
        state.inodes[files[position].inode]?.flip(offset, mask: mask)
        return (files[position].name, offset)
      }
    }
    for place in places { record(event: "rot in \(place.name) at", place.offset) }
    return places.map { "\($0.name) at \($0.offset)" }
  }
}

extension SimulatedDisk.State {
  fileprivate mutating func replaceAll(by files: [String: [UInt8]]) {
    inodes = [:]
    durableNames = [:]
    for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
      inodes[nextInode] = SimulatedDisk.Inode(bytes: bytes, durableByteCount: bytes.count)
      durableNames[name] = nextInode
      nextInode += 1
    }
    names = durableNames
    unsyncedChanges = []
    unreadable = [:]
    pending = [:]
    generation += 1
  }
}
