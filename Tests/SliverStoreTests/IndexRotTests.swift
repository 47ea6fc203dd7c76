// IndexRotTests.swift
//
// Flipped bits in the index: what is stored may be missing until the next opening, what was deleted
// stays away, and an opening makes the index anew.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct IndexRotTests {
  /// One blob deleted and stored again, one deleted, one only stored.
  private func prepared() async throws -> (TestDrive, SliverStore) {
    let drive = try await TestDrive()
    let store = try await drive.open()
    for blob in 1...3 { try await store.put([sliverRecord(sliverKey(blob, 0))]) }
    for blob in 1...2 { try await store.delete(blobID(blob)) }
    try await store.put([sliverRecord(sliverKey(1, 0))])
    return (drive, store)
  }

  private static let positions = 0..<8

  @Test(arguments: positions)
  func `a blob can be deleted whatever bit of the index has flipped`(position: Int) async throws {
    let (drive, store) = try await prepared()
    try await flip(drive, entry: position)
    try await store.delete(blobID(1))
    #expect(try await store.sliver(sliverKey(1, 0)) == nil)
    #expect(try await store.contains([sliverKey(1, 0)]) == [false])
    _ = try await store.compact()
    for _ in 0..<2 {
      drive.disk.restart(.everything)
      let reopened = try await drive.open()
      #expect(
        try await reopened.contains((1...3).map { sliverKey($0, 0) }) == [false, false, true])
      _ = try await reopened.compact()
    }
  }

  // The delete asks the index six times.
  @Test(arguments: 0..<6)
  func `what a delete that the index did not hear of may end does not count as stored`(
    operation: Int
  ) async throws {
    let (drive, store) = try await prepared()
    drive.index.failOperation(after: operation)
    let error = await storeError { try await store.delete(blobID(1)) }
    let key = sliverKey(1, 0)
    guard error != nil else {
      #expect(try await store.contains([key]) == [false])
      return
    }
    let isPromised = try await store.contains([key]) == [true]
    drive.disk.restart(.everything)
    let reopened = try await drive.open()
    if isPromised { #expect(try await reopened.contains([key]) == [true]) }
  }

  @Test(arguments: positions)
  func `opening makes a rotten index anew`(position: Int) async throws {
    let (drive, store) = try await prepared()
    try await flip(drive, entry: position)
    _ = try await store.index.entries(from: [], below: [0xFF], limit: 1000)
    try await store.put([sliverRecord(sliverKey(4, 0))])
    drive.disk.restart(.everything)
    let reopened = try await drive.open()
    for (blob, isThere) in [(1, true), (2, false), (3, true), (4, true)] {
      #expect((try await reopened.sliver(sliverKey(blob, 0)) != nil) == isThere)
    }
    for entry in drive.index.contents {
      #expect(try await CheckedIndex(drive.index).values(for: [entry.key]) != [[]])
    }
  }

  /// Flips a high bit in one value: what would do most harm unnoticed.
  private func flip(_ drive: TestDrive, entry position: Int) async throws {
    let contents = drive.index.contents
    try #require(contents.count > position)
    var value = contents[position].value
    value[min(7, value.count - 1)] ^= 0x40
    try await drive.index.apply([.set(key: contents[position].key, value: value)])
  }
}
