// StorageDriverTests.swift
//
// Real files and a real SQLite index: what the simulated ones stand for.

import Cluster
import Foundation
import RedStuff
import Testing
import World

@testable import Drivers
@testable import SliverStore

private let cluster = identifier(7) { ClusterID($0) }
private let node = NodeID(1)

/// A directory that goes with the last reference.
private final class TemporaryDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "storage-driver-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var indexPath: String { path + "/index.sqlite" }
}

private func identifier<ID>(_ byte: UInt8, _ make: ([UInt8]) -> ID?) -> ID {
  guard let id = make([UInt8](repeating: byte, count: 32)) else {
    preconditionFailure("32 bytes are an ID")
  }
  return id
}

private func key(_ blob: UInt8, _ pair: Int) -> SliverKey {
  SliverKey(
    blob: identifier(blob) { BlobID(bytes: $0) }, pair: SliverPairIndex(UInt16(pair)),
    axis: .secondary)
}

private func bytes(_ key: SliverKey, byteCount: Int = 20_000) -> [UInt8] {
  (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(key.pair.value) &* 7 + $0 >> 8) }
}

private func record(_ key: SliverKey) -> StoreRecord {
  .sliver(key, symbolByteCount: 500, bytes: bytes(key))
}

private func open(_ directory: TemporaryDirectory) async throws -> SliverStore {
  try await SliverStore.open(
    disk: try FileDisk(directory: directory.path),
    index: try await SQLiteIndex(path: directory.indexPath), clusterID: cluster, node: node,
    randomness: SystemRandomness(),
    options: SliverStoreOptions(segmentByteCountMax: 200_000, reserveByteCount: 0))
}

private func initialised() async throws -> TemporaryDirectory {
  let directory = try TemporaryDirectory()
  try await SliverStore.initialise(
    disk: try FileDisk(directory: directory.path), clusterID: cluster, node: node,
    randomness: SystemRandomness())
  return directory
}

@Suite struct StorageDriverTests {
  @Test func `files hold what was written, in any order and length`() async throws {
    let directory = try TemporaryDirectory()
    let disk = try FileDisk(directory: directory.path)
    let file = try await disk.create("a")
    let large = [UInt8](repeating: 3, count: 200_000)
    try await file.write([[1, 2], large, [], [4], [UInt8](repeating: 5, count: 70_000)], at: 10)
    try await file.sync()
    #expect(try await file.byteCount() == 270_013)
    #expect(try await file.read(at: 0, count: 12) == [UInt8](repeating: 0, count: 10) + [1, 2])
    #expect(try await file.read(at: 12, count: 200_000) == large)
    #expect(try await file.read(at: 200_012, count: 3) == [4, 5, 5])
    try await file.truncate(to: 11)
    #expect(try await file.byteCount() == 11)
    await #expect(throws: DiskError.endOfFile(file: "a", offset: 10, count: 2)) {
      _ = try await file.read(at: 10, count: 2)
    }
  }

  @Test func `names are listed, renamed and removed`() async throws {
    let directory = try TemporaryDirectory()
    let disk = try FileDisk(directory: directory.path)
    try FileManager.default.createDirectory(
      atPath: directory.path + "/sub", withIntermediateDirectories: true)
    for name in ["b", "a", "c"] { _ = try await disk.create(name) }
    await #expect(throws: DiskError.alreadyExists(file: "a")) { _ = try await disk.create("a") }
    await #expect(throws: DiskError.notFound(file: "x")) { _ = try await disk.open("x") }
    await #expect(throws: DiskError.notFound(file: "x")) { try await disk.remove("x") }
    #expect(try await disk.files() == ["a", "b", "c"])
    let open = try await disk.open("c")
    try await open.write([[9]], at: 0)
    try await disk.rename("b", to: "a")
    try await disk.remove("c")
    try await disk.syncDirectory()
    #expect(try await disk.files() == ["a"])
    #expect(try await open.read(at: 0, count: 1) == [9])
    let space = try await disk.space()
    #expect(space.freeByteCount > 0 && space.freeByteCount <= space.totalByteCount)
  }

  @Test(arguments: ["../x", "a/b", "", ".", "..", "lock", "a\0b"])
  func `names that leave the drive are refused`(name: String) async throws {
    let directory = try TemporaryDirectory()
    let disk = try FileDisk(directory: directory.path)
    await #expect(throws: DiskError.self) { _ = try await disk.create(name) }
    await #expect(throws: DiskError.self) { try await disk.remove(name) }
    await #expect(throws: DiskError.self) { try await disk.rename("a", to: name) }
  }

  @Test func `a directory is opened once at a time`() throws {
    let directory = try TemporaryDirectory()
    var first: FileDisk? = try FileDisk(directory: directory.path)
    #expect(throws: FileDiskError.inUse(directory: directory.path)) {
      _ = try FileDisk(directory: directory.path)
    }
    withExtendedLifetime(first) {}
    first = nil
    _ = try FileDisk(directory: directory.path)
  }

  @Test func `a directory that is not there is an error`() {
    #expect(throws: FileDiskError.failed(directory: "/nowhere/at/all", operation: "open", code: 2))
    {
      _ = try FileDisk(directory: "/nowhere/at/all")
    }
  }

  @Test func `the index keeps order, ranges and changes over reopening`() async throws {
    let directory = try TemporaryDirectory()
    var index = try await SQLiteIndex(path: directory.indexPath)
    try await index.apply([
      .set(key: [2, 255], value: [1]), .set(key: [2], value: []), .set(key: [10], value: [3]),
      .set(key: [1, 9], value: [4]), .set(key: [2, 0], value: [5]), .remove(key: [77]),
    ])
    try await index.apply([.remove(key: [10]), .set(key: [2, 0], value: [6])])
    for _ in 0..<2 {
      #expect(try await index.values(for: [[2], [10], [2, 0], [2]]) == [[], nil, [6], []])
      #expect(
        try await index.entries(from: [2], below: [3], limit: 10).map(\.key)
          == [[2], [2, 0], [2, 255]])
      #expect(
        try await index.entries(from: [1], below: [3], limit: 2).map(\.key) == [[1, 9], [2]])
      index = try await SQLiteIndex(path: directory.indexPath)
    }
    try await index.removeAll()
    #expect(try await index.entries(from: [0], below: [255], limit: 10) == [])
    try await index.apply([.set(key: [1], value: [1])])
    #expect(try await index.values(for: [[1]]) == [[1]])
  }

  @Test func `a store on real files keeps everything over reopening`() async throws {
    let directory = try await initialised()
    for round in 0..<3 {
      let store = try await reopen(directory)
      if round == 0 {
        try await store.put((0..<30).map { record(key(1, $0)) })
        try await store.put((0..<10).map { record(key(2, $0)) })
        try await store.put([.metadata(key(1, 0).blob, [1, 2])])
        try await store.delete(key(2, 0).blob)
        try await store.setValue([7], for: "cursor")
      }
      for pair in 0..<30 {
        #expect(try await store.sliver(key(1, pair))?.bytes == bytes(key(1, pair)))
        #expect(
          try await store.symbols(3..<5, of: key(1, pair))
            == Array(bytes(key(1, pair))[1500..<2500]))
      }
      #expect(try await store.contains((0..<10).map { key(2, $0) }).allSatisfy { !$0 })
      #expect(try await store.metadata(of: key(1, 0).blob) == [1, 2])
      #expect(try await store.value(for: "cursor") == [7])
      if round == 1 { #expect(try await store.compact().removedSegmentCount > 0) }
      try await store.close()
    }
  }

  @Test func `many writers at once share syncs and lose nothing`() async throws {
    let directory = try await initialised()
    let store = try await open(directory)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for blob in 1...16 {
        group.addTask {
          for pair in 0..<20 { try await store.put([record(key(UInt8(blob), pair))]) }
        }
      }
      try await group.waitForAll()
    }
    for blob in 1...16 {
      for pair in 0..<20 {
        let found = try await store.sliver(key(UInt8(blob), pair))
        #expect(found?.bytes == bytes(key(UInt8(blob), pair)))
      }
    }
  }

  enum IndexDamage: CaseIterable { case deleted, garbage, torn, emptied, rottenPages }

  @Test(arguments: IndexDamage.allCases)
  func `a drive opens with a lost or corrupt index, and nothing is lost`(damage: IndexDamage)
    async throws
  {
    let directory = try await initialised()
    let keys = (1...4).flatMap { blob in (0..<100).map { key(UInt8(blob), $0) } }
    try await fill(directory, keys)
    let url = URL(fileURLWithPath: directory.indexPath)
    var content = try Data(contentsOf: url)
    #expect(content.count > 8192)
    switch damage {
    case .deleted: break
    case .garbage: content = Data((0..<content.count).map { UInt8(truncatingIfNeeded: $0 * 7) })
    case .torn: content = content.prefix(content.count / 2)
    case .emptied: content = Data()
    case .rottenPages:
      for position in 4096..<content.count {
        content[position] = UInt8(truncatingIfNeeded: position)
      }
    }
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: directory.indexPath + suffix)
    }
    if damage != .deleted { try content.write(to: url) }

    let reopened = try await reopen(directory)
    for key in keys {
      #expect(try await reopened.sliver(key)?.bytes == Array(bytes(key)[..<100]))
    }
  }

  @Test func `the system clock moves on and sleeps until its deadline`() async throws {
    let clock = SystemClock()
    let start = clock.now
    try await clock.sleep(until: start + .milliseconds(1))
    #expect(clock.now >= start + .milliseconds(1))
    #expect(clock.wallTime.milliseconds > 1_600_000_000_000)
  }

  private func fill(_ directory: TemporaryDirectory, _ keys: [SliverKey]) async throws {
    let store = try await open(directory)
    try await store.put(
      keys.map { .sliver($0, symbolByteCount: 50, bytes: Array(bytes($0)[..<100])) })
    try await store.close()
  }

  /// The lock goes with the last reference to the drive, which a task may hold a moment longer.
  private func reopen(_ directory: TemporaryDirectory) async throws -> SliverStore {
    for _ in 0..<100_000 {
      do {
        return try await open(directory)
      } catch is FileDiskError {
        await Task.yield()
      }
    }
    return try await open(directory)
  }
}
