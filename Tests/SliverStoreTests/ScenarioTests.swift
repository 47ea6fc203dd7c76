// ScenarioTests.swift
//
// How other stores lost their users' data, as far as one drive is concerned, and what ours does then.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct ScenarioTests {
  private let keys = (0..<30).map { sliverKey($0, 0) }

  /// A drive whose segments are mostly dead: of five blobs one is left.
  private func halfDeadDrive(seed: UInt64 = 1) async throws -> (
    TestDrive, SliverStore, live: [SliverKey]
  ) {
    let drive = try await TestDrive(seed: seed)
    let store = try await drive.open()
    for key in keys { try await store.put([sliverRecord(key)]) }
    for blob in keys.indices where !blob.isMultiple(of: 5) { try await store.delete(blobID(blob)) }
    let live = keys.indices.filter { $0.isMultiple(of: 5) }.map { keys[$0] }
    return (drive, store, live)
  }

  private func expectExactly(_ live: [SliverKey], in store: SliverStore) async throws {
    for key in keys {
      let found = try await store.sliver(key)
      #expect(found?.bytes == (live.contains(key) ? defaultBytes(key) : nil))
    }
  }

  @Test func `compaction on a full drive loses nothing, and works when there is space`()
    async throws
  {
    let (drive, store, live) = try await halfDeadDrive()
    let before = drive.disk.names
    drive.disk.setFull(true)
    let error = await storeError { _ = try await store.compact() }
    #expect(error.map { if case .full = $0 { true } else { false } } == true)
    try await expectExactly(live, in: store)
    #expect(drive.disk.names.starts(with: before.prefix(1)))
    drive.disk.setFull(false)
    #expect(try await store.compact().removedSegmentCount > 0)
    try await expectExactly(live, in: store)
    drive.disk.restart(.nothing)
    drive.index.wipe()
    try await expectExactly(live, in: try await drive.open())
  }

  @Test func `space that ends during compaction costs nothing`() async throws {
    let (whole, compacted, _) = try await halfDeadDrive()
    whole.disk.keepOperationNames()
    _ = try await compacted.compact()
    let needy = whole.disk.operationNames.enumerated()
      .filter { $0.element.hasPrefix("write") || $0.element.hasPrefix("create") }.map(\.offset)
    #expect(needy.count > 2)
    for operation in needy {
      let (drive, store, live) = try await halfDeadDrive(seed: UInt64(operation))
      drive.disk.schedule(.full, atOperation: drive.disk.operationCount + operation)
      let error = await storeError { _ = try await store.compact() }
      #expect(error.map { if case .full = $0 { true } else { false } } ?? true, "\(operation)")
      #expect(drive.disk.lastFault != nil)
      try await expectExactly(live, in: store)
      try await store.put([sliverRecord(sliverKey(100, 0))])
      drive.disk.restart(.some)
      drive.index.wipe()
      try await expectExactly(live, in: try await drive.open())
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `a write that runs out of space is whole or absent`(seed: UInt64) async throws {
    let drive = try await TestDrive(seed: seed, segmentByteCountMax: 1 << 20)
    let store = try await drive.open()
    try await store.put([sliverRecord(keys[0])])
    for number in 0..<3 {
      // The space is asked for first.
      drive.disk.schedule(.full, atOperation: drive.disk.operationCount + 1)
      let records = keys[(number * 5 + 1)...(number * 5 + 5)].map { sliverRecord($0) }
      let error = await storeError { try await store.put(records) }
      #expect(error.map { if case .full = $0 { true } else { false } } == true)
      #expect(try await store.contains(keys).filter(\.self).count == 1)
    }
    drive.disk.restart(.some)
    drive.index.wipe()
    let reopened = try await drive.open()
    try await expectExactly([keys[0]], in: reopened)
    #expect(try await reopened.statistics.rottenCount == 0)
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `errors at the start delete nothing and are over when they are`(seed: UInt64) async throws {
    let (drive, _, live) = try await halfDeadDrive(seed: seed)
    if seed.isMultiple(of: 2) { drive.index.wipe() }
    let names = drive.disk.names
    var trouble = DiskTrouble()
    trouble.openFailureRate = 0.1
    trouble.readFailureRate = 0.05
    drive.disk.setTrouble(trouble)
    var badOpeningCount = 0
    for _ in 0..<20 {
      let error = await storeError { _ = try await drive.open() }
      guard let error else { continue }
      badOpeningCount += 1
      // Never "absent", "damaged" or "foreign": the drive only failed to say.
      #expect({ if case .disk = error { true } else { false } }(), "\(error)")
    }
    #expect(badOpeningCount > 0)
    #expect(drive.disk.names == names)
    drive.disk.setTrouble(DiskTrouble())
    try await expectExactly(live, in: try await drive.open())
  }

  @Test func `a drive that is slow to start is waited for`() async throws {
    let clock = VirtualClock()
    let disk = SimulatedDisk(seed: 1, clock: clock)
    let index = SimulatedIndex(clock: clock)
    let randomness = SeededRandomness(seed: 2)
    let key = keys[0]
    try await clock.autoAdvancing {
      try await SliverStore.initialise(
        disk: disk, clusterID: testCluster, node: testNode, randomness: randomness)
      let store = try await SliverStore.open(
        disk: disk, index: index, clusterID: testCluster, node: testNode, randomness: randomness)
      try await store.put([sliverRecord(key)])
    }
    var trouble = DiskTrouble()
    trouble.slowness = 5000
    trouble.stalledUntil = clock.now + .seconds(60)
    disk.setTrouble(trouble)
    let began = clock.now
    let found = try await clock.autoAdvancing {
      try await SliverStore.open(
        disk: disk, index: index, clusterID: testCluster, node: testNode, randomness: randomness
      ).sliver(key)?.bytes
    }
    #expect(clock.now - began > .seconds(60))
    #expect(found == defaultBytes(key))
  }

  // What stands at the end of a segment was acknowledged, or stands in memory only: an opening that
  // cannot read it may say neither "there" nor "missing".
  @Test func `a last group that cannot be read is an error, not missing`() async throws {
    let drive = try await TestDrive()
    try await drive.open().put([sliverRecord(keys[0]), sliverRecord(keys[1])])
    let headers = try await drive.headers(of: drive.segments[0])
    let body = headers[0].end - 10
    drive.disk.setUnreadable(body..<body + 1, of: drive.segments[0])
    drive.index.wipe()
    let store = try await drive.open()
    let error = await storeError { _ = try await store.sliver(keys[0]) }
    #expect(error.map { if case .disk = $0 { true } else { false } } == true)
    #expect(try await store.sliver(keys[1])?.bytes == defaultBytes(keys[1]))
    // It is not confirmed either, and can be stored again.
    #expect(try await store.contains([keys[0]]) == [false])
    try await store.put([sliverRecord(keys[0])])
    #expect(try await store.sliver(keys[0])?.bytes == defaultBytes(keys[0]))
    #expect(try await store.contains([keys[0]]) == [true])
  }

  @Test(arguments: [true, false])
  func `what is deleted while its records cannot be read stays deleted`(isFull: Bool) async throws {
    let drive = try await TestDrive()
    try await drive.open().put([sliverRecord(keys[0])])
    let segment = drive.segments[0]
    let bytes = try required(drive.disk.contents(of: segment))
    drive.index.wipe()
    if isFull {
      drive.disk.setFull(true)
      // Even overwriting finds no space, as on drives that never overwrite.
      drive.disk.schedule(.full, atOperation: drive.disk.operationCount + 8)
    } else {
      drive.disk.setUnreadable(500..<501, of: segment)
    }
    let store = try await drive.open()
    drive.disk.setFull(false)
    #expect(try await store.contains([keys[0]]) == [false])
    try await store.delete(keys[0].blob)
    #expect(try await store.sliver(keys[0]) == nil)
    _ = try await store.compact()
    // The same bytes on a drive that reads again.
    drive.disk.setContents(of: segment, to: nil)
    drive.disk.setContents(of: segment, to: bytes)
    let later = try await drive.open()
    #expect(try await later.contains([keys[0]]) == [false])
    #expect(try await later.sliver(keys[0]) == nil)
  }

  @Test func `a blob deleted while a whole segment cannot be read stays deleted`() async throws {
    let drive = try await TestDrive(segmentByteCountMax: 1 << 20)
    let first = try await drive.open()
    for key in keys { try await first.put([sliverRecord(key)]) }
    try await first.close()
    let segment = drive.segments[0]
    let bytes = try required(drive.disk.contents(of: segment))
    drive.disk.setUnreadable(0..<4096, of: segment)
    drive.index.wipe()
    let store = try await drive.open()
    #expect(try await store.contains([keys[0]]) == [false])
    try await store.delete(keys[0].blob)
    // Once is enough.
    let size = try await store.statistics.segmentByteCount
    try await store.delete(keys[0].blob)
    #expect(try await store.statistics.segmentByteCount == size)
    drive.disk.setContents(of: segment, to: nil)
    drive.disk.setContents(of: segment, to: bytes)
    drive.index.wipe()
    let later = try await drive.open()
    #expect(try await later.contains([keys[0], keys[1]]) == [false, true])
  }
}
