// CompactionTests.swift
//
// Space comes back, nothing else does.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct CompactionTests {
  @Test func `space of deleted blobs comes back and the rest stays`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for blob in 0..<10 { try await store.put((0..<6).map { sliverRecord(sliverKey(blob, $0)) }) }
    for blob in 0..<10 where blob != 4 { try await store.delete(blobID(blob)) }
    let before = try await store.statistics.segmentByteCount
    let report = try await store.compact()
    let after = try await store.statistics
    #expect(report.removedSegmentCount > 5)
    #expect(after.segmentByteCount < before / 3)
    #expect(after.sliverCount == 6)
    for store in [store, try await reopened(drive, keepingIndex: true), try await reopened(drive)] {
      for pair in 0..<6 {
        #expect(
          try await store.sliver(sliverKey(4, pair))?.bytes == defaultBytes(sliverKey(4, pair)))
      }
      #expect(try await store.blobs(after: nil, limit: 20) == [blobID(4)])
    }
  }

  @Test func `when everything is deleted nothing is left over`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for blob in 0..<6 { try await store.put((0..<6).map { sliverRecord(sliverKey(blob, $0)) }) }
    for blob in 0..<6 { try await store.delete(blobID(blob)) }
    for _ in 0..<3 { _ = try await store.compact() }
    #expect(drive.segments.isEmpty)
    #expect(drive.index.contents.map(\.key) == [IndexKey.store])

    // An index that is behind may still point into them: their numbers are never used again.
    let reopened = try await drive.open()
    try await reopened.put([sliverRecord(sliverKey(1, 1))])
    let number = try required(SegmentName(fileName: drive.segments[0])).number
    #expect(number > 5)
  }

  // The deleted slivers lie in a segment that is not worth compacting; their tombstone does not.
  @Test func `a tombstone stays while anything it keeps down stays`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put(
      [sliverRecord(sliverKey(1, 0))] + (0..<6).map { sliverRecord(sliverKey(2, $0)) })
    let old = drive.segments
    try await store.put((0..<7).map { sliverRecord(sliverKey(3, $0)) })
    try await store.delete(blobID(1))
    try await store.put((0..<6).map { sliverRecord(sliverKey(4, $0)) })
    try await store.delete(blobID(3))
    try await store.delete(blobID(4))
    for _ in 0..<3 { _ = try await store.compact() }
    #expect(old.allSatisfy(drive.segments.contains))
    let rebuilt = try await reopened(drive)
    #expect(try await rebuilt.contains([sliverKey(1, 0), sliverKey(2, 0)]) == [false, true])

    // When the rest of that segment goes, so does the tombstone.
    try await rebuilt.delete(blobID(2))
    for _ in 0..<3 { _ = try await rebuilt.compact() }
    #expect(drive.segments.isEmpty)
  }

  @Test func `a tombstone that rotted goes on keeping down what it ended`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put(
      [sliverRecord(sliverKey(1, 0))] + (0..<6).map { sliverRecord(sliverKey(2, $0)) })
    try await store.put((0..<6).map { sliverRecord(sliverKey(3, $0)) })
    try await store.delete(blobID(1))
    try await store.delete(blobID(3))
    let segment = try required(drive.segments.last)
    let tombstone = try required(
      try await drive.headers(of: segment).first { $0.kind == .tombstone })
    #expect(tombstone.blob == blobID(1))
    drive.disk.rot(segment, at: tombstone.offset)
    #expect(try await store.compact().removedSegmentCount == 1)
    #expect(!drive.segments.contains(segment))
    let rebuilt = try await reopened(drive)
    #expect(try await rebuilt.contains([sliverKey(1, 0), sliverKey(2, 0)]) == [false, true])
  }

  @Test func `a moved tombstone does not kill what was stored after it`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put(
      [sliverRecord(sliverKey(1, 0))] + (0..<6).map { sliverRecord(sliverKey(2, $0)) })
    try await store.put((0..<6).map { sliverRecord(sliverKey(3, $0)) })
    try await store.delete(blobID(1))
    try await store.put([sliverRecord(sliverKey(1, 0)), sliverRecord(sliverKey(1, 1))])
    try await store.put((0..<6).map { sliverRecord(sliverKey(4, $0)) })
    try await store.delete(blobID(3))
    try await store.delete(blobID(4))
    for _ in 0..<3 { _ = try await store.compact() }
    let rebuilt = try await reopened(drive)
    for pair in 0..<2 {
      #expect(
        try await rebuilt.sliver(sliverKey(1, pair))?.bytes == defaultBytes(sliverKey(1, pair)))
    }
  }

  @Test func `rot is not copied`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put((0..<3).map { sliverRecord(sliverKey(1, $0)) })
    try await store.put((0..<5).map { sliverRecord(sliverKey(2, $0)) })
    try await store.delete(blobID(2))
    let header = try required(
      try await drive.headers(of: drive.segments[0]).first { $0.blob == blobID(1) && $0.pair == 1 })
    drive.disk.rot(drive.segments[0], at: header.bodyOffset + 100)
    let report = try await store.compact()
    #expect(report.rotten.slivers == [sliverKey(1, 1)] && report.rotten.recordCount == 1)
    #expect(try await store.contains((0..<3).map { sliverKey(1, $0) }) == [true, false, true])
    #expect(try await store.sliver(sliverKey(1, 1)) == nil)
    #expect(try await reopened(drive).sliver(sliverKey(1, 1)) == nil)
  }

  @Test func `what goes with the damage of a segment is told`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put((0..<3).map { sliverRecord(sliverKey(1, $0)) })
    try await store.put((0..<5).map { sliverRecord(sliverKey(2, $0)) })
    try await store.delete(blobID(2))
    let segment = drive.segments[0]
    let header = try required(
      try await drive.headers(of: segment).first { $0.blob == blobID(1) && $0.pair == 1 })
    drive.disk.rot(segment, at: header.offset + 8)
    let report = try await store.compact()
    #expect(!drive.segments.contains(segment))
    #expect(report.rotten.slivers == [sliverKey(1, 1)])
    #expect(try await store.contains((0..<3).map { sliverKey(1, $0) }) == [true, false, true])
  }

  @Test func `a segment with a needed record that cannot be read stays`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put((0..<3).map { sliverRecord(sliverKey(1, $0)) })
    try await store.put((0..<5).map { sliverRecord(sliverKey(2, $0)) })
    try await store.delete(blobID(2))
    let segment = drive.segments[0]
    drive.disk.setUnreadable(1200..<1300, of: segment)
    let error = await storeError { _ = try await store.compact() }
    #expect(error.map { if case .disk = $0 { true } else { false } } == true)
    #expect(drive.segments.contains(segment))
    #expect(try await store.contains((0..<3).map { sliverKey(1, $0) }) == [true, true, true])
  }

  @Test func `values survive compaction`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.setValue([1, 2, 3], for: "cursor")
    try await store.put((0..<7).map { sliverRecord(sliverKey(1, $0)) })
    try await store.put((0..<7).map { sliverRecord(sliverKey(2, $0)) })
    try await store.delete(blobID(1))
    try await store.delete(blobID(2))
    for _ in 0..<3 { _ = try await store.compact() }
    #expect(try await store.value(for: "cursor") == [1, 2, 3])
    #expect(try await reopened(drive).value(for: "cursor") == [1, 2, 3])
  }

  @Test func `readers and writers go on during compaction`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for blob in 0..<8 { try await store.put((0..<6).map { sliverRecord(sliverKey(blob, $0)) }) }
    for blob in 0..<8 where blob.isMultiple(of: 2) { try await store.delete(blobID(blob)) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { _ = try await store.compact() }
      for blob in 0..<8 where !blob.isMultiple(of: 2) {
        group.addTask {
          for pair in Array(0..<6) + Array(0..<6) {
            let key = sliverKey(blob, pair)
            let found = try await store.sliver(key)
            #expect(found?.bytes == defaultBytes(key))
          }
        }
      }
      group.addTask { try await store.put((0..<6).map { sliverRecord(sliverKey(9, $0)) }) }
      try await group.waitForAll()
    }
    let rebuilt = try await reopened(drive)
    for blob in [1, 3, 5, 7, 9] {
      #expect(try await rebuilt.contains((0..<6).map { sliverKey(blob, $0) }).allSatisfy(\.self))
    }
  }

  // Anything in any order against a plain set, with crashes and lost indexes in between.
  @Test(arguments: 0..<60 as Range<UInt64>)
  func `a random history ends as the model says`(seed: UInt64) async throws {
    let drive = try await TestDrive(seed: seed, segmentByteCountMax: 4096)
    let dice = SeededRandomness(seed: seed)
    var store = try await drive.open()
    var present: Set<SliverKey> = []
    for step in 0..<120 {
      let blob = dice.number(below: 5)
      switch dice.number(below: 10) {
      case 0...4:
        let keys = (0...dice.number(below: 4)).map { _ in sliverKey(blob, dice.number(below: 5)) }
        try await store.put(keys.map { sliverRecord($0) })
        present.formUnion(keys)
      case 5, 6:
        try await store.delete(blobID(blob))
        present = present.filter { $0.blob != blobID(blob) }
      case 7:
        _ = try await store.compact()
      case 8:
        try await store.close()
        if dice.number(below: 3) == 0 { try await drive.index.removeAll() }
        store = try await drive.open()
      default:
        drive.disk.restart(.some)
        drive.index.crash(losing: dice.number(below: drive.index.losableBatchCount + 1))
        store = try await drive.open()
      }
      for blob in 0..<5 {
        for pair in 0..<5 {
          let key = sliverKey(blob, pair)
          let found = try await store.sliver(key)
          #expect((found != nil) == present.contains(key), "seed \(seed), step \(step), \(key)")
          if let found { #expect(found.bytes == defaultBytes(key)) }
        }
      }
      #expect(try await store.statistics.sliverCount == present.count, "seed \(seed), step \(step)")
    }
  }

  private func reopened(_ drive: TestDrive, keepingIndex: Bool = false) async throws -> SliverStore
  {
    if !keepingIndex { try await drive.index.removeAll() }
    return try await drive.open()
  }
}
