// SimulatedFile.swift
//
// An open file of a simulated drive. It works until the next crash.

internal import World

final class SimulatedFile: DiskFile {
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
    try await perform(DiskOperation(.size, name)) { state throws(DiskError) in
      state.inodes[self.inode]?.bytes.count ?? 0
    }
  }

  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    let (name, dice) = (name, disk.dice)
    return try await perform(DiskOperation(.read, name, offset: offset, byteCount: count)) {
      state throws(DiskError) in
      let bytes = state.inodes[self.inode]?.bytes ?? []
      guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
        throw .endOfFile(file: name, offset: offset, count: count)
      }
      let range = offset..<offset + count
      if state.unreadable[self.inode]?.contains(where: range.overlaps) == true {
        throw .failed(file: name, operation: "read", code: 5)
      }
      var found = Array(bytes[range])
      if count > 0, dice.chance(state.trouble.staleReadRate) {
        let sectors = SimulatedDisk.Inode.sectors(range)
        let sector = sectors.lowerBound + dice.number(below: sectors.count)
        let old = state.inodes[self.inode]?.staleBytes(ofSector: sector) ?? []
        let start = sector * SimulatedDisk.sectorByteCount
        for position in range where (start..<start + SimulatedDisk.sectorByteCount) ~= position {
          found[position - offset] = position - start < old.count ? old[position - start] : 0
        }
      }
      return found
    }
  }

  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    let (name, disk, inode) = (name, disk, inode)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(buffers.reduce(0) { $0 + $1.count })
    for buffer in buffers { bytes += buffer }
    let part = disk.randomness.number(below: bytes.count + 1)
    try await perform(
      DiskOperation(.write, name, offset: offset, byteCount: bytes.count),
      write: SimulatedDisk.PendingWrite(life: nil, inode: inode, bytes: bytes, offset: offset),
      partly: { $0.inodes[inode]?.tear(bytes, at: offset, disk.randomness) }
    ) { state throws(DiskError) in
      let trouble = state.trouble
      let growth = max(0, offset + bytes.count - (state.inodes[inode]?.bytes.count ?? 0))
      if growth > 0, trouble.isFull || state.usedByteCount + growth > state.capacityByteCount {
        state.inodes[inode]?.write(bytes[..<part], at: offset)
        throw .full(file: name)
      }
      if disk.dice.chance(trouble.misdirectedWriteRate),
        state.inodes[inode]?.misdirect(bytes, at: offset, disk.dice) != nil
      {
        return
      }
      if disk.dice.chance(trouble.lostWriteRate) {
        state.inodes[inode]?.lose(bytes, at: offset)
      } else {
        state.inodes[inode]?.write(bytes, at: offset)
      }
    }
  }

  func truncate(to byteCount: Int) async throws(DiskError) {
    try await perform(DiskOperation(.truncate, name, offset: byteCount)) {
      state throws(DiskError) in
      state.inodes[self.inode]?.truncate(to: byteCount)
    }
  }

  func sync() async throws(DiskError) {
    let dice = disk.dice
    try await perform(
      DiskOperation(.sync, name), partly: { $0.inodes[self.inode]?.failSync() }
    ) { state throws(DiskError) in
      state.inodes[self.inode]?.sync()
      // What the drive lost shows at once, or when the power goes.
      if state.trouble.lostWriteRate > 0, dice.next() & 1 == 0 {
        state.inodes[self.inode]?.dropForsaken()
      }
    }
  }

  private func perform<Value: Sendable>(
    _ operation: DiskOperation, write: SimulatedDisk.PendingWrite? = nil,
    partly: ((inout SimulatedDisk.State) -> Void)? = nil,
    _ body: (inout SimulatedDisk.State) throws(DiskError) -> Value
  ) async throws(DiskError) -> Value {
    try await disk.perform(
      operation, generation: generation, write: write, partly: partly, body)
  }
}
