// ControlStoreTestsSupport.swift
//
// The control stores that the conformance tests run on. Another backend joins by a case of
// `ControlStoreKind`.

import Cluster
import Foundation
import Simulator
import World

@testable import Drivers

enum ControlStoreKind: CaseIterable, Sendable {
  case memory
  case sqlite
}

/// A store to be tested, the folder it lies in, and what the tests must do to it from outside.
final class BenchStore: ControlStore {
  private let inner: any ControlStore
  private let folder: TemporaryFolder

  /// An empty store.
  init(_ kind: ControlStoreKind) async throws {
    folder = try TemporaryFolder()
    switch kind {
    case .memory: inner = MemoryControlStore()
    case .sqlite:
      inner = try await SQLiteControlStore.create(path: folder.path("control.sqlite"))
    }
  }

  private init(inner: any ControlStore, folder: TemporaryFolder) {
    self.inner = inner
    self.folder = folder
  }

  /// The store as it is after its process has ended in good order and started again.
  func reopened() async throws -> BenchStore {
    guard let store = inner as? SQLiteControlStore else { return self }
    await store.close()
    return BenchStore(
      inner: try await SQLiteControlStore.open(path: folder.path("control.sqlite")),
      folder: folder)
  }

  func compact(through revision: Revision) async throws {
    try await (inner as? SQLiteControlStore)?.compact(through: revision)
    (inner as? MemoryControlStore)?.compact(through: revision)
  }

  /// Returns once `count` calls of `changes` wait.
  func waiting(_ count: Int) async throws {
    func waiterCount() -> Int {
      (inner as? SQLiteControlStore)?.waiterCount ?? (inner as? MemoryControlStore)?.waiterCount
        ?? count
    }
    try await eventually { waiterCount() >= count }
  }

  func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    try await inner.range(from: lower, below: upper, limit: limit)
  }

  func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    try await inner.transact(transaction)
  }

  func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    try await inner.changes(after: revision, prefix: prefix, limit: limit)
  }
}

/// A folder of its own that goes with the object.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(
      path: "walrus-control-store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appending(path: name).path }
}

extension ControlStore {
  /// Writes without conditions; nil removes.
  @discardableResult
  func write(_ changes: [([UInt8], [UInt8]?)]) async throws -> Revision {
    let result = try await transact(ControlTransaction(conditions: [], changes: changes))
    guard case .committed(let revision) = result else { throw UnexpectedConflict() }
    return revision
  }

  func everything() async throws -> ControlRange {
    try await range(from: [], below: [255, 255, 255], limit: 10_000)
  }

  func entry(_ key: [UInt8]) async throws -> ControlEntry? {
    try await range(from: key, below: key + [0], limit: 1).entries.first
  }
}

struct UnexpectedConflict: Error {}

/// Returns once `condition` holds; a test that has run out of time ends instead.
func eventually(_ condition: () -> Bool) async throws {
  while !condition() {
    try Task.checkCancellation()
    await Task.yield()
  }
}
