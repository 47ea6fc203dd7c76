// FenceTests.swift
//
// Whatever is left of a process that has ended cannot touch its drive and index any more.

import Simulator
import Testing
import World

@Suite struct FenceTests {
  let clock = VirtualClock()
  let life = ProcessLife(name: "node 1")

  @Test func `a living process sees the drive as it is`() async throws {
    let disk = SimulatedDisk(seed: 1)
    let fenced = FencedDisk(disk, life: life)
    let file = try await fenced.create("file")
    try await file.write([[1, 2], [3]], at: 0)
    try await file.sync()
    try await file.truncate(to: 2)
    #expect(try await file.byteCount() == 2)
    try await fenced.rename("file", to: "other")
    try await fenced.syncDirectory()
    #expect(try await fenced.files() == ["other"])
    #expect(try await fenced.open("other").read(at: 0, count: 2) == [1, 2])
    #expect(try await fenced.space() == disk.space())
    try await fenced.remove("other")
    #expect(disk.names.isEmpty)
  }

  @Test func `every operation of a dead process fails and changes nothing`() async throws {
    let (disk, _) = try await driveWithFile(byteCount: 8)
    let fenced = FencedDisk(disk, life: life)
    let file = try await fenced.open("file")
    life.end()
    let count = disk.operationCount
    let attempts: [() async throws -> Void] = [
      { _ = try await fenced.files() }, { _ = try await fenced.open("file") },
      { _ = try await fenced.create("new") }, { try await fenced.remove("file") },
      { try await fenced.rename("file", to: "new") }, { try await fenced.syncDirectory() },
      { _ = try await fenced.space() }, { _ = try await file.byteCount() },
      { _ = try await file.read(at: 0, count: 1) }, { try await file.write([[9]], at: 0) },
      { try await file.truncate(to: 0) }, { try await file.sync() },
    ]
    for attempt in attempts {
      let error = await diskError(attempt)
      #expect(error.map { if case .failed(_, _, 5) = $0 { true } else { false } } == true)
    }
    #expect(disk.operationCount == count)
    #expect(disk.contents(of: "file") == [UInt8](repeating: 1, count: 8))
    #expect(disk.names == ["file"])
  }

  @Test func `what waits while its process dies does not happen`() async throws {
    let clock = clock
    let disk = SimulatedDisk(seed: 1, clock: clock)
    let fenced = FencedDisk(disk, life: life)
    let task = Task { _ = try await fenced.create("file") }
    while clock.sleeperCount == 0 { await Task.yield() }
    life.end()
    clock.advance(by: .seconds(1))
    #expect(await diskError { try await task.value } != nil)
    #expect(disk.names.isEmpty)
  }

  @Test func `a write of a dying process is over before the next one looks`() async throws {
    let clock = clock
    var counts: Set<Int> = []
    for seed in 0..<30 {
      let (disk, _) = try await clock.autoAdvancing {
        try await driveWithFile(seed: UInt64(seed), byteCount: 1024, clock: clock)
      }
      let life = ProcessLife(name: "node 1")
      let file = try await clock.autoAdvancing {
        try await FencedDisk(disk, life: life).open("file")
      }
      var slow = DiskTrouble()
      slow.slowness = 1000
      disk.setTrouble(slow)
      let zombie = Task { try await file.write([[UInt8](repeating: 2, count: 1024)], at: 0) }
      while clock.sleeperCount == 0 { await Task.yield() }
      life.end()
      disk.setTrouble(DiskTrouble())
      let next = FencedDisk(disk, life: ProcessLife(name: "node 1 again"))
      let seen = try await clock.autoAdvancing {
        try await next.open("file").read(at: 0, count: 1024)
      }
      clock.advance(by: .seconds(10))
      #expect(await diskError { try await zombie.value } != nil)
      #expect(disk.contents(of: "file") == seen)
      counts.insert(seen.count { $0 == 2 })
    }
    #expect(counts == [0, 512, 1024])
  }

  @Test func `an index is closed to the dead`() async throws {
    let index = SimulatedIndex()
    let fenced = FencedIndex(index, life: life)
    try await fenced.apply([.set(key: [1], value: [2])])
    #expect(try await fenced.values(for: [[1]]) == [[2]])
    #expect(try await fenced.entries(from: [], below: [9], limit: 1).count == 1)
    life.end()
    await #expect(throws: IndexError.self) { try await fenced.values(for: [[1]]) }
    await #expect(throws: IndexError.self) {
      try await fenced.entries(from: [], below: [9], limit: 1)
    }
    await #expect(throws: IndexError.self) { try await fenced.apply([.remove(key: [1])]) }
    await #expect(throws: IndexError.self) { try await fenced.removeAll() }
    #expect(index.contents.count == 1)
  }

  @Test func `a batch that waits while its process dies is not applied`() async throws {
    let index = SimulatedIndex(clock: clock)
    let fenced = FencedIndex(index, life: life)
    let task = Task { try await fenced.apply([.set(key: [1], value: [2])]) }
    while clock.sleeperCount == 0 { await Task.yield() }
    life.end()
    clock.advance(by: .seconds(1))
    await #expect(throws: IndexError.self) { try await task.value }
    #expect(index.contents.isEmpty)
  }
}
