// SpaceTests.swift
//
// Full drives: a refused write leaves nothing behind, reads and deletes go on, writes come back.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct SpaceTests {
  private func fill(_ store: SliverStore) async throws -> Int {
    for blob in 0..<1000 {
      let error = await storeError { try await store.put([sliverRecord(sliverKey(blob, 0))]) }
      if case .full? = error { return blob }
      #expect(error == nil)
    }
    throw Unexpected()
  }

  @Test(arguments: [true, false])
  func `a full drive reads and deletes, and compaction makes room`(byOption: Bool) async throws {
    let drive = try await TestDrive(
      capacityByteCount: byOption ? 1 << 30 : 60_000, segmentByteCountMax: 8192,
      storeCapacityByteCount: byOption ? 50_000 : nil, reserveByteCount: 8192)
    let store = try await drive.open()
    let count = try await fill(store)
    #expect(count > 20)
    if byOption { #expect(try await store.statistics.segmentByteCount <= 50_000 - 8192) }
    #expect(try await store.statistics.freeByteCount < 1100)
    for blob in 0..<count {
      #expect(
        try await store.sliver(sliverKey(blob, 0))?.bytes == defaultBytes(sliverKey(blob, 0)))
    }
    // Tombstones may take an eighth of the reserve: compaction needs the rest.
    var refusedCount = 0
    for blob in 0..<count where !blob.isMultiple(of: 5) {
      let error = await storeError { try await store.delete(blobID(blob)) }
      guard case .full? = error else {
        #expect(error == nil)
        continue
      }
      refusedCount += 1
      #expect(try await store.compact().removedSegmentCount > 0)
      try await store.delete(blobID(blob))
    }
    #expect((1...3).contains(refusedCount))
    _ = try await store.compact()
    try await store.put((0..<10).map { sliverRecord(sliverKey(2000, $0)) })
    for blob in stride(from: 0, to: count, by: 5) {
      #expect(
        try await store.sliver(sliverKey(blob, 0))?.bytes == defaultBytes(sliverKey(blob, 0)))
    }
  }

  // The drive fills up although it said there was room: others write to it too.
  @Test func `a write that hits the end of the drive is cut off and can be tried again`()
    async throws
  {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(1, 0))])
    let before = drive.disk.contents(of: drive.segments[0])
    // The store asks for the space first.
    drive.disk.schedule(.full, atOperation: drive.disk.operationCount + 1)
    let error = await storeError { try await store.put([sliverRecord(sliverKey(1, 1))]) }
    #expect(error.map { if case .full = $0 { true } else { false } } == true)
    #expect(drive.disk.contents(of: drive.segments[0]) == before)
    #expect(try await store.contains([sliverKey(1, 0), sliverKey(1, 1)]) == [true, false])
    try await store.put([sliverRecord(sliverKey(1, 1))])
    drive.disk.restart(.nothing)
    let reopened = try await drive.open()
    #expect(try await reopened.contains([sliverKey(1, 0), sliverKey(1, 1)]) == [true, true])
  }

  @Test func `a full drive opens, and its last group is told when there is room`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(1, 0))])
    try await store.put([sliverRecord(sliverKey(1, 1))])
    drive.disk.restart(.everything)
    drive.disk.setFull(true)
    let full = try await drive.open()
    #expect(try await full.contains([sliverKey(1, 0)]) == [true])
    drive.disk.setFull(false)
    let reopened = try await drive.open()
    #expect(try await reopened.contains([sliverKey(1, 0), sliverKey(1, 1)]) == [true, true])
  }
}
