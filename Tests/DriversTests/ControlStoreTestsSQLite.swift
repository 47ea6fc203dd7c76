// ControlStoreTestsSQLite.swift
//
// What only the file-backed control store promises: durability settings, one owner, clear refusals,
// and a bounded log of changes.

import Cluster
import Foundation
import GRDB
import Testing
import World

@testable import Drivers

@Suite(.timeLimit(.minutes(1))) struct SQLiteControlStoreTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("control.sqlite")
  }

  @Test func `a commit waits for the disk`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    let settings = try await store.pool.writeWithoutTransaction { db in
      (
        try Int.fetchOne(db, sql: "PRAGMA synchronous"),
        try String.fetchOne(db, sql: "PRAGMA journal_mode")
      )
    }
    #expect(settings.0 == 2)
    #expect(settings.1 == "wal")
    await store.close()
    let again = try await SQLiteControlStore.open(path: path)
    let synchronous = try await again.pool.writeWithoutTransaction { db in
      try Int.fetchOne(db, sql: "PRAGMA synchronous")
    }
    #expect(synchronous == 2)
  }

  // What a killed process leaves: the file and its log, neither closed nor checkpointed.
  @Test func `a copy of the files at any moment holds all that was committed`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    for number in UInt8(0)..<50 {
      try await store.write([([number], [number])])
      guard number % 10 == 9 else { continue }
      let copy = folder.path("copy-\(number).sqlite")
      for suffix in ["", "-wal"] {
        try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
      }
      let restarted = try await SQLiteControlStore.open(path: copy)
      let found = try await restarted.everything()
      #expect(found.entries.map(\.key) == (0...number).map { [$0] })
      #expect(found.revision == Revision(UInt64(number) + 1))
      await restarted.close()
    }
  }

  @Test func `a second opener is refused until the first has closed`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    await #expect(throws: SQLiteControlStoreError.inUse(path: path)) {
      try await SQLiteControlStore.open(path: path)
    }
    await store.close()
    let again = try await SQLiteControlStore.open(path: path)
    try await again.write([([1], [1])])
  }

  @Test func `a missing file is not created`() async throws {
    await #expect(throws: SQLiteControlStoreError.missing(path: path)) {
      try await SQLiteControlStore.open(path: path)
    }
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `an existing file is not created again`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    await store.close()
    await #expect(throws: SQLiteControlStoreError.alreadyExists(path: path)) {
      try await SQLiteControlStore.create(path: path)
    }
  }

  @Test func `a file of something else is refused and left as it was`() async throws {
    let bytes = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 37) })
    try bytes.write(to: URL(fileURLWithPath: path))
    await #expect(throws: SQLiteControlStoreError.notAControlStore(path: path)) {
      try await SQLiteControlStore.open(path: path)
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
  }

  @Test func `a database of something else is refused and left as it was`() async throws {
    let other = try DatabaseQueue(path: path)
    try await other.write { try $0.execute(sql: "CREATE TABLE recipes (name TEXT)") }
    try other.close()
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    await #expect(throws: SQLiteControlStoreError.notAControlStore(path: path)) {
      try await SQLiteControlStore.open(path: path)
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
  }

  @Test func `a file of a newer version is refused by name`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    try await store.pool.write { try $0.execute(sql: "PRAGMA user_version = 7") }
    await store.close()
    await #expect(
      throws: SQLiteControlStoreError.newerVersion(path: path, found: 7, supported: 1)
    ) {
      try await SQLiteControlStore.open(path: path)
    }
  }

  @Test func `a path that cannot be a file is unreadable`() async throws {
    let inside = folder.path("no/such/folder/control.sqlite")
    let error = await #expect(throws: SQLiteControlStoreError.self) {
      try await SQLiteControlStore.create(path: inside)
    }
    guard case .unreadable(inside, _)? = error else {
      Issue.record("another error: \(String(describing: error))")
      return
    }
  }

  @Test func `a creation that was cut short is finished by opening`() async throws {
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    let store = try await SQLiteControlStore.open(path: path)
    try await store.write([([1], [1])])
    #expect(try await store.everything().entries.count == 1)
  }

  @Test func `values of a wrong type are an error, not a crash`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    try await store.write([([1], [1])])
    try await store.pool.write { db in
      try db.execute(sql: "UPDATE entries SET value = 5")
      try db.execute(sql: "UPDATE changes SET key = 'text', value = 2.5")
      try db.execute(sql: "UPDATE counters SET value = 'many' WHERE name = 'compacted'")
    }
    await #expect(throws: ControlStoreError.self) { try await store.everything() }
    await #expect(throws: ControlStoreError.self) {
      try await store.changes(after: .start, prefix: [], limit: 1)
    }
    try await store.pool.write { db in
      try db.execute(sql: "UPDATE counters SET value = 'many' WHERE name = 'revision'")
    }
    await #expect(throws: ControlStoreError.self) { try await store.write([([2], [2])]) }
  }

  @Test func `old changes are dropped, and who needs them is told`() async throws {
    let created = try await SQLiteControlStore.create(path: path)
    await created.close()
    let store = try await SQLiteControlStore.open(path: path, changesRevisionCountMax: 100)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<1000 {
        group.addTask { try await store.write([([1], [UInt8(number & 255)])]) }
      }
      try await group.waitForAll()
    }
    let rowCount = try await store.pool.read { db in
      try Int.fetchOne(db, sql: "SELECT count(*) FROM changes") ?? 0
    }
    #expect((100...400).contains(rowCount))
    await #expect(throws: ControlStoreError.self) {
      try await store.changes(after: Revision(500), prefix: [], limit: 1)
    }
    let told = try await store.changes(after: Revision(900), prefix: [1], limit: 1000)
    #expect(told.changes.count == 100)
  }

  @Test func `who waits is not refused because other changes were dropped meanwhile`() async throws
  {
    let store = try await SQLiteControlStore.create(path: path)
    let seen = try await store.write([([1], [0])])
    async let told = store.changes(after: seen, prefix: [1], limit: 10)
    try await eventually { store.waiterCount > 0 }
    let other = try await store.write([([2], [0])])
    try await store.compact(through: other)
    let revision = try await store.write([([1], [1])])
    #expect(try await told.changes.map(\.revision) == [revision])
  }

  @Test func `a closed store ends waits and refuses calls`() async throws {
    let store = try await SQLiteControlStore.create(path: path)
    let seen = try await store.write([([1], [0])])
    let waiting = Task { try await store.changes(after: seen, prefix: [1], limit: 1) }
    try await eventually { store.waiterCount > 0 }
    await store.close()
    await store.close()
    await #expect(throws: ControlStoreError.unavailable("\(path) is closed")) {
      try await waiting.value
    }
    await #expect(throws: ControlStoreError.unavailable("\(path) is closed")) {
      try await store.write([([1], [1])])
    }
    await #expect(throws: ControlStoreError.unavailable("\(path) is closed")) {
      try await store.everything()
    }
  }
}
