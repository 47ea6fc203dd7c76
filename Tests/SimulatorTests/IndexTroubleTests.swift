// IndexTroubleTests.swift
//
// Each fault of the simulated index does what its name says, and nothing else.

import Simulator
import Testing
import World

private func set(_ key: UInt8, _ value: UInt8) -> IndexChange { .set(key: [key], value: [value]) }

@Suite struct IndexTroubleTests {
  @Test func `a failed batch was applied as a whole or not at all`() async throws {
    var counts: Set<Int> = []
    for seed in 0..<20 {
      let index = SimulatedIndex(seed: UInt64(seed))
      var trouble = IndexTrouble()
      trouble.writeFailureRate = 1
      index.setTrouble(trouble)
      await #expect(throws: IndexError.self) { try await index.apply([set(1, 1), set(2, 2)]) }
      counts.insert(index.contents.count)
    }
    #expect(counts == [0, 2])
  }

  @Test func `reads fail apart from writes`() async throws {
    let index = SimulatedIndex()
    var trouble = IndexTrouble()
    trouble.readFailureRate = 1
    index.setTrouble(trouble)
    try await index.apply([set(1, 1)])
    await #expect(throws: IndexError.self) { try await index.values(for: [[1]]) }
    await #expect(throws: IndexError.self) {
      try await index.entries(from: [], below: [9], limit: 1)
    }
    index.setTrouble(IndexTrouble())
    #expect(try await index.values(for: [[1]]) == [[1]])
  }

  @Test func `a full index still removes`() async throws {
    let index = SimulatedIndex()
    try await index.apply([set(1, 1)])
    var trouble = IndexTrouble()
    trouble.isFull = true
    index.setTrouble(trouble)
    await #expect(throws: IndexError.self) { try await index.apply([set(2, 2)]) }
    try await index.apply([.remove(key: [1])])
    #expect(index.contents.isEmpty)
  }

  @Test func `rot changes values and no keys`() async throws {
    let index = SimulatedIndex(seed: 3)
    try await index.apply((0..<10).map { set($0, 0) })
    index.rot(count: 2)
    #expect(index.contents.map(\.key) == (0..<10).map { [$0] })
    #expect((1...2).contains(index.contents.count { $0.value != [0] }))
  }

  @Test func `an index is put back to any of its states`() async throws {
    let index = SimulatedIndex()
    try await index.apply([set(1, 1)])
    let earlier = index.snapshot()
    try await index.apply([set(1, 2), set(2, 2)])
    let later = index.snapshot()
    index.restore(earlier)
    #expect(index.contents == [IndexEntry(key: [1], value: [1])])
    #expect(index.losableBatchCount == 0)
    index.restore(later)
    #expect(index.contents.count == 2)
    index.wipe()
    #expect(index.contents.isEmpty)
  }

  @Test func `the power goes for a drive and its index at once`() async throws {
    let disk = SimulatedDisk(seed: 1)
    let index = SimulatedIndex(besides: disk)
    disk.schedule(.crash, atOperation: 1)
    _ = try await disk.files()
    await #expect(throws: IndexError.self) { try await index.values(for: []) }
    #expect(disk.hasCrashed)
    #expect(disk.lastFault?.number == 1)
    #expect(await diskError { _ = try await disk.files() } != nil)
    disk.restart(.nothing)
    _ = try await disk.files()
    _ = try await index.values(for: [])
  }

  @Test func `batches take time and are traced`() async throws {
    let (clock, trace) = (VirtualClock(), Trace(detail: .all))
    let index = SimulatedIndex(clock: clock, trace: trace)
    let began = clock.now
    try await clock.autoAdvancing { try await index.apply([set(1, 1)]) }
    #expect(clock.now > began)
    #expect(trace.events.map(\.text) == ["apply 1: done"])
  }
}
