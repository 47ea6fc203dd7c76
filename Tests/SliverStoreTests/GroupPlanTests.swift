// GroupPlanTests.swift
//
// What one group of writes makes of operations that touch the same records.

import RedStuff
import Testing

@testable import SliverStore

@Suite struct GroupPlanTests {
  private let key = sliverKey(1, 0)

  private func store(_ key: SliverKey, orRotten rotten: RecordEntry? = nil) throws -> [LogEntry] {
    let record = try PreparedRecord(sliverRecord(key))
    return [
      LogEntry(record: record, indexKey: IndexKey.sliver(key), condition: .absent(orRotten: rotten))
    ]
  }

  private func delete(_ blob: BlobID) -> [LogEntry] {
    [
      LogEntry(
        record: .tombstone(of: blob), indexKey: IndexKey.tombstone(blob),
        condition: .needsTombstone(blob))
    ]
  }

  private func known(_ key: SliverKey) throws -> (entry: RecordEntry, all: [[UInt8]: RecordEntry]) {
    let entry = RecordEntry(try PreparedRecord(sliverRecord(key)).header, in: 1)
    return (entry, [IndexKey.sliver(key): entry])
  }

  @Test func `the same sliver twice is one record`() throws {
    var plan = GroupPlan(entries: [:], blobsToEnd: [])
    plan.add(0, try store(key), freeByteCount: 10_000)
    plan.add(1, try store(key), freeByteCount: 10_000)
    #expect(plan.items.map(\.operation) == [0])
    #expect(plan.refused.isEmpty)
  }

  @Test func `a delete between makes it two`() throws {
    var plan = GroupPlan(entries: [:], blobsToEnd: [])
    plan.add(0, try store(key), freeByteCount: 10_000)
    plan.add(1, delete(key.blob), freeByteCount: 10_000)
    plan.add(2, delete(key.blob), freeByteCount: 10_000)
    plan.add(3, try store(key), freeByteCount: 10_000)
    #expect(plan.items.map(\.operation) == [0, 1, 3])
  }

  @Test func `what is there already is written again only behind a delete`() throws {
    let (entry, all) = try known(key)
    var plan = GroupPlan(entries: all, blobsToEnd: [key.blob])
    plan.add(0, try store(key), freeByteCount: 10_000)
    plan.add(1, try store(key, orRotten: entry), freeByteCount: 10_000)
    #expect(plan.items.map(\.operation) == [1])

    plan = GroupPlan(entries: all, blobsToEnd: [key.blob])
    plan.add(0, delete(key.blob), freeByteCount: 10_000)
    plan.add(1, try store(key), freeByteCount: 10_000)
    #expect(plan.items.map(\.operation) == [0, 1])
  }

  @Test func `nobody relies on a record that found no room`() throws {
    var plan = GroupPlan(entries: [:], blobsToEnd: [])
    plan.add(0, try store(key), freeByteCount: 500)
    plan.add(1, try store(key), freeByteCount: 10_000)
    #expect(plan.items.map(\.operation) == [1])
    #expect(plan.refused.keys.sorted() == [0])
    // The group itself uses up space.
    plan.add(2, try store(sliverKey(2, 0)), freeByteCount: plan.byteCount + 500)
    #expect(plan.refused[2] == .full(freeByteCount: 500, neededByteCount: plan.byteCount))
  }

  @Test func `a copy is dropped when its original was deleted or replaced meanwhile`() throws {
    let (entry, all) = try known(key)
    var copy = try store(key)
    copy[0].condition = .unchanged(entry)
    for (all, isDeleted, isCopied) in [(all, false, true), (all, true, false), ([:], false, false)]
    {
      var plan = GroupPlan(entries: all, blobsToEnd: [key.blob])
      if isDeleted { plan.add(0, delete(key.blob), freeByteCount: 10_000) }
      plan.add(1, copy, freeByteCount: 10_000)
      #expect(plan.items.contains { $0.operation == 1 } == isCopied)
    }
  }
}
