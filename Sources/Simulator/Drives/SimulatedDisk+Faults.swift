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
  /// Operations so far; the next one has this number. Those of an index that shares the power count.
  package var operationCount: Int { ledger.count }

  /// A seed lets the dice of the drive fall as for that seed from the fault on.
  package func schedule(_ fault: DiskFault, atOperation number: Int, seed: UInt64? = nil) {
    ledger.schedule(ScheduledFault(fault: fault, seed: seed), atOperation: number)
  }

  /// What was scheduled and has not happened will not.
  package func clearSchedule() { ledger.clearSchedule() }

  /// From now on the dice that decide what survives fall as for this seed.
  package func reseed(_ seed: UInt64) { randomness.reseed(seed) }

  /// The operation that met the newest scheduled fault.
  package var lastFault: (number: Int, name: String)? { ledger.lastFault }

  /// From now on remembers what the operations are.
  package func keepOperationNames() { ledger.keepNames() }
  package var operationNames: [String] { ledger.names }

  package var hasCrashed: Bool { ledger.hasCrashed }

  /// From now on nothing happens until `restart`.
  package func cutPower() { ledger.cutPower() }

  /// What goes wrong from now on, for whatever is not finished yet.
  package func setTrouble(_ trouble: DiskTrouble) { state.withLock { $0.trouble = trouble } }
  package var trouble: DiskTrouble { state.withLock { $0.trouble } }

  /// Whether writes that need space find none.
  package func setFull(_ isFull: Bool) { state.withLock { $0.trouble.isFull = isFull } }
  package func setSyncsFail(_ fails: Bool) {
    state.withLock { $0.trouble.syncFailureRate = fails ? 1 : 0 }
  }
  package func setReadsFail(_ fails: Bool) {
    state.withLock { $0.trouble.readFailureRate = fails ? 1 : 0 }
  }

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
      state.settleWrites(randomness) { _ in true }
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
      state.generation += 1
    }
    ledger.restart()
    record(event: "restart", 0)
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
