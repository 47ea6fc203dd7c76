// SimulatedDisk.swift
//
// A drive in memory that keeps two stories apart: what is read back now, and what a crash leaves.
//
// A crash keeps any subset of the 512-byte sectors and of the directory changes that were not synced
// (SimulatedDisk+Faults.swift says how to ask for one, and for other trouble). After a failed sync
// its sectors read back well and look clean, but later syncs do not save them: so real kernels do.
//
// With a clock every operation takes its time and happens at the end of it. What is under way when
// the power goes, or when its process ends (FencedDisk.swift), does not happen; a write may be torn.

internal import Synchronization
package import World

package final class SimulatedDisk: Disk {
  package static let sectorByteCount = 512

  enum DirectoryChange {
    case link(String, Int)
    case unlink(String)
    case rename(String, to: String, Int)
  }

  /// A write that was asked for and has not happened yet.
  struct PendingWrite {
    var life: ProcessLife?
    var inode: Int
    var bytes: [UInt8]
    var offset: Int
  }

  struct State {
    var inodes: [Int: Inode] = [:]
    var nextInode = 0
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]
    var unsyncedChanges: [DirectoryChange] = []
    var capacityByteCount: Int
    var trouble = DiskTrouble()
    var unreadable: [Int: [Range<Int>]] = [:]
    /// Grows with each crash: handles from before do not work afterwards.
    var generation = 0
    var pending: [UInt64: PendingWrite] = [:]
    var nextPending: UInt64 = 0
  }

  /// What survives, and which part of a torn write is done.
  let randomness: SeededRandomness
  /// Whether trouble happens; apart, so that latencies do not change what survives.
  let dice: SeededRandomness
  let ledger = OperationLedger()
  let state: Mutex<State>
  private let latency: SeamLatency?
  private let trace: Trace?

  /// Without a clock operations take no time, only a turn.
  package init(
    seed: UInt64, capacityByteCount: Int = 1 << 40, clock: (any Clock)? = nil, trace: Trace? = nil
  ) {
    randomness = SeededRandomness(seed: seed)
    dice = SeededRandomness(seed: seed ^ 0xD1CE)
    latency = clock.map { SeamLatency(clock: $0, dice: SeededRandomness(seed: seed ^ 0x71CC)) }
    state = Mutex(State(capacityByteCount: capacityByteCount))
    self.trace = trace
  }

  package func files() async throws(DiskError) -> [String] {
    try await perform(DiskOperation(.list)) { state throws(DiskError) in state.names.keys.sorted() }
  }

  package func open(_ name: String) async throws(DiskError) -> any DiskFile {
    let (inode, generation) = try await perform(DiskOperation(.open, name)) {
      state throws(DiskError) in
      guard let inode = state.names[name] else { throw .notFound(file: name) }
      return (inode, state.generation)
    }
    return SimulatedFile(disk: self, name: name, inode: inode, generation: generation)
  }

  package func create(_ name: String) async throws(DiskError) -> any DiskFile {
    let (inode, generation) = try await perform(DiskOperation(.create, name)) {
      state throws(DiskError) in
      guard state.names[name] == nil else { throw .alreadyExists(file: name) }
      if state.trouble.isFull { throw .full(file: name) }
      let inode = state.nextInode
      state.nextInode += 1
      state.inodes[inode] = Inode()
      state.names[name] = inode
      state.unsyncedChanges.append(.link(name, inode))
      return (inode, state.generation)
    }
    return SimulatedFile(disk: self, name: name, inode: inode, generation: generation)
  }

  package func remove(_ name: String) async throws(DiskError) {
    try await perform(DiskOperation(.remove, name)) { state throws(DiskError) in
      guard state.names.removeValue(forKey: name) != nil else { throw .notFound(file: name) }
      state.unsyncedChanges.append(.unlink(name))
    }
  }

  package func rename(_ name: String, to newName: String) async throws(DiskError) {
    try await perform(DiskOperation(.rename, name)) { state throws(DiskError) in
      guard let inode = state.names.removeValue(forKey: name) else { throw .notFound(file: name) }
      state.names[newName] = inode
      state.unsyncedChanges.append(.rename(name, to: newName, inode))
    }
  }

  package func syncDirectory() async throws(DiskError) {
    try await perform(DiskOperation(.syncDirectory)) { state throws(DiskError) in
      state.durableNames = state.names
      state.unsyncedChanges = []
    }
  }

  package func space() async throws(DiskError) -> DiskSpace {
    try await perform(DiskOperation(.space)) { state throws(DiskError) in
      let free = max(0, state.capacityByteCount - state.usedByteCount)
      return DiskSpace(
        freeByteCount: state.trouble.isFull ? 0 : free, totalByteCount: state.capacityByteCount)
    }
  }

  /// Waits as long as the operation takes, lets happen what goes wrong with it, and else does it.
  ///
  /// `partly` is what a crash, an error or a full drive in the middle of it leaves done.
  func perform<Value: Sendable>(
    _ operation: DiskOperation, generation: Int? = nil, write: PendingWrite? = nil,
    partly: ((inout State) -> Void)? = nil,
    _ body: (inout State) throws(DiskError) -> Value
  ) async throws(DiskError) -> Value {
    let life = SeamOwner.life
    let (arrival, ticket) = state.withLock { state in
      state.settleDeadWrites(randomness)
      let ticket = state.nextPending
      if var write {
        write.life = life
        state.nextPending += 1
        state.pending[ticket] = write
      }
      return (generation ?? state.generation, ticket)
    }
    await wait(for: operation)
    let result: Result<Value, DiskError> = state.withLock { state in
      state.settleDeadWrites(randomness)
      if write != nil { state.pending[ticket] = nil }
      let refusal = DiskError.failed(file: operation.file, operation: operation.name, code: 5)
      guard !ledger.hasCrashed, arrival == state.generation, life?.isAlive ?? true else {
        return .failure(refusal)
      }
      let scheduled = ledger.begin(operation.text)
      if let seed = scheduled?.seed { randomness.reseed(seed) }
      switch scheduled?.fault {
      case .crash, .failure:
        partly?(&state)
        return .failure(refusal)
      case .full:
        partly?(&state)
        return .failure(.full(file: operation.file))
      case nil: break
      }
      if let code = failureCode(of: operation.kind, state.trouble) {
        partly?(&state)
        return .failure(.failed(file: operation.file, operation: operation.name, code: code))
      }
      do throws(DiskError) { return .success(try body(&state)) } catch { return .failure(error) }
    }
    record(operation, result)
    return try result.get()
  }

  private func wait(for operation: DiskOperation) async {
    guard let latency else {
      // A place where others may go on, as with a real drive.
      await Task.yield()
      return
    }
    await latency.wait(
      baseMicroseconds: operation.kind.latencyMicroseconds, byteCount: operation.byteCount
    ) {
      state.withLock { ($0.trouble.slowness, $0.trouble.stalledUntil) }
    }
  }

  /// The system's error number if the drive's trouble strikes this operation.
  private func failureCode(of kind: DiskOperation.Kind, _ trouble: DiskTrouble) -> Int32? {
    let (inputOutput, tooManyFiles): (Int32, Int32) = (5, 24)
    switch kind {
    case .read: return dice.chance(trouble.readFailureRate) ? inputOutput : nil
    case .sync, .syncDirectory: return dice.chance(trouble.syncFailureRate) ? inputOutput : nil
    case .list, .open:
      guard dice.chance(trouble.openFailureRate) else { return nil }
      return dice.next() & 1 == 0 ? inputOutput : tooManyFiles
    case .size, .space: return dice.chance(trouble.openFailureRate) ? inputOutput : nil
    case .write, .truncate, .create, .remove, .rename:
      return dice.chance(trouble.writeFailureRate) ? inputOutput : nil
    }
  }

  private func record<Value>(_ operation: DiskOperation, _ result: Result<Value, DiskError>) {
    guard let trace else { return }
    let error: DiskError? = if case .failure(let error) = result { error } else { nil }
    trace.record(
      .disk, operation.hash(error), "\(operation.text): \(error.map { "\($0)" } ?? "done")")
  }

  /// Something that happened to the drive without being asked for.
  func record(event name: String, _ number: Int) {
    guard let trace else { return }
    var hash = EventHash()
    hash.add(name)
    hash.add(number)
    trace.record(.disk, hash.value, "\(name) \(number)")
  }
}

extension SimulatedDisk.State {
  /// All files that have a name now or may get it back.
  var usedByteCount: Int {
    Set(names.values).union(durableNames.values)
      .reduce(0) { $0 + (inodes[$1]?.bytes.count ?? 0) }
  }

  /// What dead processes were writing happens in part or not at all, before anyone else does
  /// anything: nobody can tell this moment from that of their death.
  mutating func settleDeadWrites(_ randomness: SeededRandomness) {
    guard !pending.isEmpty else { return }
    settleWrites(randomness) { $0.life.map { !$0.isAlive } ?? false }
  }

  /// Ends the writes under way that `isOver`.
  mutating func settleWrites(
    _ randomness: SeededRandomness, _ isOver: (SimulatedDisk.PendingWrite) -> Bool
  ) {
    for (ticket, write) in pending.sorted(by: { $0.key < $1.key }) where isOver(write) {
      pending[ticket] = nil
      guard randomness.next() & 1 == 0 else { continue }
      inodes[write.inode]?.tear(write.bytes, at: write.offset, randomness)
    }
  }
}
