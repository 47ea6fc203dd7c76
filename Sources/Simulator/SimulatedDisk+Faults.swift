// SimulatedDisk+Faults.swift
//
// Trouble on demand: crashes at an operation, a full drive, errors, failed syncs, rot.

internal import Synchronization
internal import World

/// What happens instead of one operation.
package enum DiskFault: Equatable, Sendable {
  /// The power goes: the operation is done in part, and all later ones fail until `restart`.
  case crash
  case full
  /// An I/O error; of a sync: a failed sync.
  case failure
}

/// What a crash keeps of what was not synced.
package enum CrashSurvival: Equatable, Sendable, CaseIterable {
  case nothing
  case everything
  /// Any subset.
  case some
}

extension SimulatedDisk {
  /// Operations so far; the next one has this number.
  package var operationCount: Int { state.withLock { $0.operationCount } }

  package func schedule(_ fault: DiskFault, atOperation number: Int) {
    state.withLock { $0.faults[number] = fault }
  }

  package var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

  /// Whether writes that need space find none.
  package func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
  package func setSyncsFail(_ fails: Bool) { state.withLock { $0.syncsFail = fails } }
  package func setReadsFail(_ fails: Bool) { state.withLock { $0.readsFail = fails } }

  /// Reads that touch `range` of the file fail from now on.
  package func setUnreadable(_ range: Range<Int>, of name: String) {
    state.withLock { state in
      if let inode = state.names[name] { state.unreadable[inode, default: []].append(range) }
    }
  }

  /// Ends the power if that has not happened yet, and starts again with what survived.
  package func restart(_ survival: CrashSurvival) {
    let randomness = randomness
    func survives() -> Bool {
      switch survival {
      case .nothing: false
      case .everything: true
      case .some: randomness.next() & 1 == 0
      }
    }
    state.withLock { state in
      for change in state.unsyncedChanges where survives() {
        switch change {
        case .link(let name, let inode): state.durableNames[name] = inode
        case .unlink(let name): state.durableNames[name] = nil
        case .rename(let name, let newName, let inode):
          if state.durableNames[name] == inode { state.durableNames[name] = nil }
          state.durableNames[newName] = inode
        }
      }
      state.unsyncedChanges = []
      state.names = state.durableNames
      let used = Set(state.names.values)
      for number in state.inodes.keys.sorted() {
        guard used.contains(number) else {
          state.inodes[number] = nil
          continue
        }
        state.inodes[number]?.crash(randomness, survives: survives)
      }
      state.faults = [:]
      state.hasCrashed = false
      state.generation += 1
    }
  }

  /// Flips bits of one byte, now and for ever.
  package func rot(_ name: String, at offset: Int, mask: UInt8 = 1) {
    state.withLock { state in
      guard let inode = state.names[name], let count = state.inodes[inode]?.bytes.count,
        offset < count
      else { return }
      state.inodes[inode]?.bytes[offset] ^= mask
    }
  }

  /// What a file holds now; nil if there is no such file.
  package func contents(of name: String) -> [UInt8]? {
    state.withLock { state in
      state.names[name].flatMap { state.inodes[$0]?.bytes }
    }
  }

  /// Puts a file there, durably, without any operation.
  package func setContents(of name: String, to bytes: [UInt8]?) {
    state.withLock { state in
      guard let bytes else {
        state.names[name] = nil
        state.durableNames[name] = nil
        return
      }
      var inode = Inode()
      inode.bytes = bytes
      inode.durableByteCount = bytes.count
      let number = state.names[name] ?? state.nextInode
      state.nextInode = max(state.nextInode, number + 1)
      state.inodes[number] = inode
      state.names[name] = number
      state.durableNames[name] = number
    }
  }

  /// Names of all files now, without any operation.
  package var names: [String] { state.withLock { $0.names.keys.sorted() } }
}

extension SimulatedDisk.Inode {
  /// Goes back to what is durable, except where an unsynced sector survives.
  fileprivate mutating func crash(_ randomness: SeededRandomness, survives: () -> Bool) {
    let sector = SimulatedDisk.sectorByteCount
    // The size may be the old one, the new one, or one between; what is behind the new end is gone.
    var count = durableByteCount
    if survives() {
      let low = min(durableByteCount, bytes.count)
      let high = max(durableByteCount, bytes.count)
      count = survives() ? bytes.count : low + randomness.number(below: high - low + 1)
    }
    var image = bytes
    if image.count < max(count, durableByteCount) {
      image.append(
        contentsOf: [UInt8](repeating: 0, count: max(count, durableByteCount) - image.count))
    }
    for (number, old) in undo.sorted(by: { $0.key < $1.key }) {
      // A sector that a failed sync gave up was never written.
      if !forsaken.contains(number), survives() { continue }
      let range = number * sector..<min((number + 1) * sector, image.count)
      for (position, offset) in range.enumerated() {
        image[offset] = position < old.count ? old[position] : 0
      }
    }
    image.removeLast(image.count - count)
    self = SimulatedDisk.Inode(bytes: image, durableByteCount: count)
  }
}
