// StoringTests.swift
//
// Storing, finding, deleting, storing again; with the index intact and lost.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct StoringTests {
  @Test func `what is stored reads back, also after reopening`() async throws {
    let drive = try await TestDrive()
    var store = try await drive.open()
    let keys = (0..<20).map { sliverKey(1, $0, $0.isMultiple(of: 2) ? .primary : .secondary) }
    try await store.put(keys.map { sliverRecord($0) } + [.metadata(blobID(1), [1, 2, 3])])
    for round in 0..<3 {
      for key in keys {
        let found = try await store.sliver(key)
        #expect(found?.bytes == defaultBytes(key))
        #expect(found?.symbolByteCount == 100)
      }
      #expect(try await store.metadata(of: blobID(1)) == [1, 2, 3])
      #expect(try await store.statistics.sliverCount == 20)
      if round == 0 { try await store.close() }
      if round == 1 { try await drive.index.removeAll() }
      store = try await drive.open()
    }
  }

  @Test func `what is not stored is missing`() async throws {
    let store = try await TestDrive().open()
    try await store.put([sliverRecord(sliverKey(1, 1))])
    #expect(try await store.sliver(sliverKey(1, 2)) == nil)
    #expect(try await store.sliver(sliverKey(1, 1, .secondary)) == nil)
    #expect(try await store.symbols(0..<1, of: sliverKey(2, 1)) == nil)
    #expect(try await store.metadata(of: blobID(1)) == nil)
    #expect(try await store.value(for: "nothing") == nil)
    #expect(try await store.contains([sliverKey(1, 1), sliverKey(1, 2)]) == [true, false])
  }

  // The border cases of runs: below, at and above the smallest run.
  @Test(arguments: [2, 126, 128, 130, 1000])
  func `every slice equals that part of the whole`(symbolByteCount: Int) async throws {
    let store = try await TestDrive(segmentByteCountMax: 1 << 20).open()
    for symbolCount in [1, 2, 3, 40] {
      let key = sliverKey(symbolCount, 0)
      let whole = sliverBytes(key, symbolByteCount: symbolByteCount, symbolCount: symbolCount)
      try await store.put([.sliver(key, symbolByteCount: symbolByteCount, bytes: whole)])
      for lower in 0...symbolCount {
        for upper in lower...symbolCount {
          let slice = try await store.symbols(lower..<upper, of: key)
          let expected = Array(whole[lower * symbolByteCount..<upper * symbolByteCount])
          #expect(slice == expected)
        }
      }
    }
  }

  @Test func `symbols beyond the sliver are an error, not missing`() async throws {
    let store = try await TestDrive().open()
    try await store.put([sliverRecord(sliverKey(1, 1))])
    let error = await storeError { _ = try await store.symbols(8..<10, of: sliverKey(1, 1)) }
    #expect(error == .symbolsOutOfRange(8..<10, symbolCount: 9))
  }

  @Test func `a large sliver is read in parts`() async throws {
    let store = try await TestDrive(segmentByteCountMax: 1 << 24).open()
    let key = sliverKey(1, 1)
    let whole = sliverBytes(key, symbolByteCount: 2000, symbolCount: 600)
    try await store.put([.sliver(key, symbolByteCount: 2000, bytes: whole)])
    #expect(try await store.sliver(key)?.bytes == whole)
    #expect(try await store.symbols(599..<600, of: key) == Array(whole[1_198_000...]))
  }

  @Test func `records that are no slivers are refused`() async throws {
    let store = try await TestDrive().open()
    for (symbolByteCount, byteCount) in [(0, 10), (3, 10), (10, 0), (-2, 10), (70_000, 70_000)] {
      let error = await storeError {
        try await store.put([
          .sliver(
            sliverKey(1, 1), symbolByteCount: symbolByteCount,
            bytes: [UInt8](repeating: 1, count: byteCount))
        ])
      }
      #expect(error.map { if case .invalidRecord = $0 { true } else { false } } == true)
    }
  }

  @Test func `storing again writes nothing`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(1, 1))])
    let byteCount = try await store.statistics.segmentByteCount
    try await store.put([sliverRecord(sliverKey(1, 1)), sliverRecord(sliverKey(1, 1))])
    #expect(try await store.statistics.segmentByteCount == byteCount)
  }

  @Test func `the same sliver twice in one call is one record`() async throws {
    let store = try await TestDrive().open()
    try await store.put([sliverRecord(sliverKey(1, 1)), sliverRecord(sliverKey(1, 1))])
    #expect(try await store.statistics.sliverCount == 1)
    #expect(try await store.statistics.segmentByteCount < 1500)
  }

  @Test func `a deleted blob is gone, and stays so without the index`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put(
      (0..<10).map { sliverRecord(sliverKey(1, $0)) } + [.metadata(blobID(1), [9])])
    try await store.put([sliverRecord(sliverKey(2, 0))])
    try await store.delete(blobID(1))
    try await store.delete(blobID(1))
    try await drive.index.removeAll()
    let reopened = try await drive.open()
    #expect(try await reopened.contains((0..<10).map { sliverKey(1, $0) }).allSatisfy { !$0 })
    #expect(try await reopened.metadata(of: blobID(1)) == nil)
    #expect(try await reopened.contains([sliverKey(2, 0)]) == [true])
    #expect(try await reopened.blobs(after: nil, limit: 10) == [blobID(2)])
  }

  @Test func `deleting what is not there writes nothing`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.delete(blobID(5))
    #expect(drive.segments.isEmpty)
    try await store.put([sliverRecord(sliverKey(5, 1))])
    try await store.delete(blobID(5))
    let byteCount = try await store.statistics.segmentByteCount
    try await store.delete(blobID(5))
    #expect(try await store.statistics.segmentByteCount == byteCount)
  }

  @Test func `a blob that is stored after its deletion lives`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for _ in 0..<3 {
      try await store.put((0..<4).map { sliverRecord(sliverKey(1, $0)) })
      try await store.delete(blobID(1))
    }
    try await store.put([sliverRecord(sliverKey(1, 2))])
    #expect(
      try await store.contains((0..<4).map { sliverKey(1, $0) }) == [false, false, true, false])
    try await drive.index.removeAll()
    let rebuilt = try await drive.open()
    #expect(
      try await rebuilt.contains((0..<4).map { sliverKey(1, $0) }) == [false, false, true, false])
    #expect(try await rebuilt.sliver(sliverKey(1, 2))?.bytes == defaultBytes(sliverKey(1, 2)))
  }

  @Test func `blobs are listed in order, page by page`() async throws {
    let store = try await TestDrive(segmentByteCountMax: 1 << 20).open()
    let numbers = [3, 250, 17, 4, 99, 180, 42]
    for number in numbers {
      try await store.put((0..<70).map { sliverRecord(sliverKey(number, $0), symbolCount: 1) })
    }
    try await store.put([.metadata(blobID(5), [1])])
    try await store.delete(blobID(42))
    let all = [3, 4, 5, 17, 99, 180, 250].map(blobID)
    #expect(try await store.blobs(after: nil, limit: 100) == all)
    #expect(try await store.blobs(after: nil, limit: 2) == Array(all[..<2]))
    #expect(try await store.blobs(after: all[1], limit: 3) == Array(all[2..<5]))
    #expect(try await store.blobs(after: all[6], limit: 3) == [])
    #expect(try await store.blobs(after: blobID(16), limit: 1) == [blobID(17)])
  }

  @Test func `values are replaced, and survive a lost index`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.setValue([1], for: "cursor")
    try await store.setValue([2, 2], for: "cursor")
    try await store.setValue([], for: "other")
    #expect(try await store.value(for: "cursor") == [2, 2])
    try await drive.index.removeAll()
    let rebuilt = try await drive.open()
    #expect(try await rebuilt.value(for: "cursor") == [2, 2])
    #expect(try await rebuilt.value(for: "other") == [])
  }

  @Test func `the index is the same whether it was kept or rebuilt`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for blob in 0..<8 {
      try await store.put((0..<5).map { sliverRecord(sliverKey(blob, $0)) })
      if blob.isMultiple(of: 3) { try await store.delete(blobID(blob)) }
      try await store.setValue([UInt8(blob)], for: "cursor")
    }
    try await store.put([sliverRecord(sliverKey(0, 1))])
    try await store.close()
    _ = try await drive.open()
    let kept = drive.index.contents
    try await drive.index.removeAll()
    _ = try await drive.open()
    #expect(drive.index.contents == kept)
  }

  @Test func `a closed store says so`() async throws {
    let store = try await TestDrive().open()
    try await store.close()
    #expect(await storeError { try await store.put([sliverRecord(sliverKey(1, 1))]) } == .closed)
    #expect(await storeError { _ = try await store.sliver(sliverKey(1, 1)) } == .closed)
    #expect(await storeError { _ = try await store.blobs(after: nil, limit: 1) } == .closed)
    try await store.close()
  }

  @Test func `an index that fails stops writing and is rebuilt on reopening`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(1, 1))])
    // put: look up, plan, look up of the applier, apply.
    drive.index.failOperation(after: 3)
    let error = await storeError { try await store.put([sliverRecord(sliverKey(1, 2))]) }
    #expect(error.map { if case .index = $0 { true } else { false } } == true)
    let later = await storeError { try await store.put([sliverRecord(sliverKey(1, 3))]) }
    #expect(later.map { if case .readOnly = $0 { true } else { false } } == true)
    let reopened = try await drive.open()
    #expect(try await reopened.contains([sliverKey(1, 1), sliverKey(1, 2)]) == [true, true])
  }

  @Test func `an index that cannot be read at opening is replaced`() async throws {
    for failing in 0..<4 {
      let drive = try await TestDrive()
      let store = try await drive.open()
      try await store.put((0..<5).map { sliverRecord(sliverKey(1, $0)) })
      drive.index.failOperation(after: failing)
      let reopened = try await drive.open()
      #expect(try await reopened.contains((0..<5).map { sliverKey(1, $0) }).allSatisfy(\.self))
      try await reopened.put([sliverRecord(sliverKey(2, 1))])
    }
  }

  @Test func `another drive's index is not used`() async throws {
    let drive = try await TestDrive()
    try await drive.open().put([sliverRecord(sliverKey(1, 1))])
    var other = try await TestDrive(seed: 99)
    try await other.open().put([sliverRecord(sliverKey(2, 2))])
    other.index = drive.index
    let store = try await other.open()
    #expect(try await store.contains([sliverKey(1, 1), sliverKey(2, 2)]) == [false, true])
    #expect(try await store.sliver(sliverKey(2, 2))?.bytes == defaultBytes(sliverKey(2, 2)))
  }
}
