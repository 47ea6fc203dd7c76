// SimulatedDisk.swift
//
// A drive in memory that keeps two stories apart: what is read back now, and what a crash leaves.
//
// A crash keeps any subset of the 512-byte sectors and of the directory changes that were not synced
// (SimulatedDisk+Faults.swift says how to ask for one, and for other trouble). After a failed sync
// its sectors read back well and look clean, but later syncs do not save them: so real kernels do.

internal import Synchronization
package import World

package final class SimulatedDisk: Disk {
  package static let sectorByteCount = 512

  /// One file, whatever its names are.
  struct Inode {
    var bytes: [UInt8] = []
    /// Sectors that differ from what is durable, and what is durable there (nil: behind its end).
    var undo: [Int: [UInt8]] = [:]
    /// Of those, the ones that a failed sync marked clean.
    var forsaken: Set<Int> = []
    var durableByteCount = 0
  }

  enum DirectoryChange {
    case link(String, Int)
    case unlink(String)
    case rename(String, to: String, Int)
  }

  struct State {
    var inodes: [Int: Inode] = [:]
    var nextInode = 0
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]
    var unsyncedChanges: [DirectoryChange] = []
    var capacityByteCount: Int
    var operationCount = 0
    var faults: [Int: DiskFault] = [:]
    var isFull = false
    var syncsFail = false
    var readsFail = false
    var unreadable: [Int: [Range<Int>]] = [:]
    var hasCrashed = false
    /// Grows with each crash: handles from before do not work afterwards.
    var generation = 0
  }

  let randomness: SeededRandomness
  let state: Mutex<State>

  package init(seed: UInt64, capacityByteCount: Int = 1 << 40) {
    randomness = SeededRandomness(seed: seed)
    state = Mutex(State(capacityByteCount: capacityByteCount))
  }

  package func files() async throws(DiskError) -> [String] {
    try await perform("list", file: "") { state throws(DiskError) in state.names.keys.sorted() }
  }

  package func open(_ name: String) async throws(DiskError) -> any DiskFile {
    let (inode, generation) = try await perform("open", file: name) { state throws(DiskError) in
      guard let inode = state.names[name] else { throw .notFound(file: name) }
      return (inode, state.generation)
    }
    return SimulatedFile(disk: self, name: name, inode: inode, generation: generation)
  }

  package func create(_ name: String) async throws(DiskError) -> any DiskFile {
    let (inode, generation) = try await perform("create", file: name) { state throws(DiskError) in
      guard state.names[name] == nil else { throw .alreadyExists(file: name) }
      if state.isFull { throw .full(file: name) }
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
    try await perform("remove", file: name) { state throws(DiskError) in
      guard state.names.removeValue(forKey: name) != nil else { throw .notFound(file: name) }
      state.unsyncedChanges.append(.unlink(name))
    }
  }

  package func rename(_ name: String, to newName: String) async throws(DiskError) {
    try await perform("rename", file: name) { state throws(DiskError) in
      guard let inode = state.names.removeValue(forKey: name) else { throw .notFound(file: name) }
      state.names[newName] = inode
      state.unsyncedChanges.append(.rename(name, to: newName, inode))
    }
  }

  package func syncDirectory() async throws(DiskError) {
    try await perform("syncDirectory", file: "") { state throws(DiskError) in
      if state.syncsFail { throw .failed(file: "", operation: "sync", code: 5) }
      state.durableNames = state.names
      state.unsyncedChanges = []
    }
  }

  package func space() async throws(DiskError) -> DiskSpace {
    let (free, total) = state.withLock { state in
      (
        state.isFull ? 0 : max(0, state.capacityByteCount - state.usedByteCount),
        state.capacityByteCount
      )
    }
    return DiskSpace(freeByteCount: free, totalByteCount: total)
  }

  /// Counts the operation, lets its fault happen, and else does it.
  ///
  /// `partly` is what a crash or a full drive in the middle of it leaves done.
  func perform<Value: Sendable>(
    _ operation: String, file: String, generation: Int? = nil,
    partly: ((inout State) -> Void)? = nil,
    _ body: (inout State) throws(DiskError) -> Value
  ) async throws(DiskError) -> Value {
    // A place where others may go on, as with a real drive.
    await Task.yield()
    let result: Result<Value, DiskError> = state.withLock { state in
      guard !state.hasCrashed, generation == nil || generation == state.generation else {
        return .failure(.failed(file: file, operation: operation, code: 5))
      }
      let fault = state.faults.removeValue(forKey: state.operationCount)
      state.operationCount += 1
      switch fault {
      case .crash:
        partly?(&state)
        state.hasCrashed = true
        return .failure(.failed(file: file, operation: operation, code: 5))
      case .full:
        partly?(&state)
        return .failure(.full(file: file))
      case .failure:
        partly?(&state)
        return .failure(.failed(file: file, operation: operation, code: 5))
      case nil:
        do throws(DiskError) { return .success(try body(&state)) } catch { return .failure(error) }
      }
    }
    return try result.get()
  }
}

extension SimulatedDisk.State {
  /// All files that have a name now or may get it back.
  var usedByteCount: Int {
    Set(names.values).union(durableNames.values)
      .reduce(0) { $0 + (inodes[$1]?.bytes.count ?? 0) }
  }
}

extension SimulatedDisk.Inode {
  private static var sector: Int { SimulatedDisk.sectorByteCount }

  /// Remembers what is durable in the sectors of `range` before they change.
  private mutating func touch(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    for number in range.lowerBound / Self.sector...(range.upperBound - 1) / Self.sector {
      forsaken.remove(number)
      guard undo[number] == nil else { continue }
      let start = number * Self.sector
      let end = min(start + Self.sector, durableByteCount, bytes.count)
      undo[number] = start < end ? Array(bytes[start..<end]) : []
    }
  }

  mutating func write(_ new: [UInt8], at offset: Int) {
    touch(offset..<offset + new.count)
    if bytes.count < offset + new.count {
      bytes.append(contentsOf: [UInt8](repeating: 0, count: offset + new.count - bytes.count))
    }
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
  }

  mutating func truncate(to count: Int) {
    touch(min(count, bytes.count)..<max(count, bytes.count))
    if count < bytes.count {
      bytes.removeLast(bytes.count - count)
    } else {
      bytes.append(contentsOf: [UInt8](repeating: 0, count: count - bytes.count))
    }
  }

  mutating func sync() {
    undo = undo.filter { forsaken.contains($0.key) }
    durableByteCount = bytes.count
  }

  /// A sync that failed: what was dirty looks clean from now on.
  mutating func failSync() { forsaken.formUnion(undo.keys) }
}

private final class SimulatedFile: DiskFile {
  let name: String
  private let disk: SimulatedDisk
  private let inode: Int
  private let generation: Int

  init(disk: SimulatedDisk, name: String, inode: Int, generation: Int) {
    self.disk = disk
    self.name = name
    self.inode = inode
    self.generation = generation
  }

  func byteCount() async throws(DiskError) -> Int {
    try await perform("size") { state throws(DiskError) in
      state.inodes[self.inode]?.bytes.count ?? 0
    }
  }

  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    let name = name
    return try await perform("read") { state throws(DiskError) in
      let bytes = state.inodes[self.inode]?.bytes ?? []
      guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
        throw .endOfFile(file: name, offset: offset, count: count)
      }
      let range = offset..<offset + count
      if state.readsFail || state.unreadable[self.inode]?.contains(where: range.overlaps) == true {
        throw .failed(file: name, operation: "read", code: 5)
      }
      return Array(bytes[range])
    }
  }

  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    let (name, bytes) = (name, Array(buffers.joined()))
    let part = disk.randomness.number(below: bytes.count + 1)
    try await perform(
      "write", partly: { $0.inodes[self.inode]?.write(Array(bytes[..<part]), at: offset) }
    ) { state throws(DiskError) in
      let growth = max(0, offset + bytes.count - (state.inodes[self.inode]?.bytes.count ?? 0))
      if growth > 0, state.isFull || state.usedByteCount + growth > state.capacityByteCount {
        state.inodes[self.inode]?.write(Array(bytes[..<part]), at: offset)
        throw .full(file: name)
      }
      state.inodes[self.inode]?.write(bytes, at: offset)
    }
  }

  func truncate(to byteCount: Int) async throws(DiskError) {
    try await perform("truncate") { state throws(DiskError) in
      state.inodes[self.inode]?.truncate(to: byteCount)
    }
  }

  func sync() async throws(DiskError) {
    let name = name
    try await perform("sync", partly: { $0.inodes[self.inode]?.failSync() }) {
      state throws(DiskError) in
      if state.syncsFail {
        state.inodes[self.inode]?.failSync()
        throw .failed(file: name, operation: "sync", code: 5)
      }
      state.inodes[self.inode]?.sync()
    }
  }

  private func perform<Value: Sendable>(
    _ operation: String, partly: ((inout SimulatedDisk.State) -> Void)? = nil,
    _ body: (inout SimulatedDisk.State) throws(DiskError) -> Value
  ) async throws(DiskError) -> Value {
    try await disk.perform(
      operation, file: name, generation: generation, partly: partly, body)
  }
}
