// SQLiteControlStore+Opening.swift
//
// Creating and opening the file of the control store. A file that is missing, foreign, damaged, of a
// newer version, or in use is an error that names it, and is left exactly as it was: a registry that
// was started anew by mistake would take every sliver for garbage.

import Foundation
import GRDB
import Glibc
import Synchronization

/// Why the control store's file was not opened.
package enum SQLiteControlStoreError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Not there: is the drive mounted, and the path right? Nothing was created.
  case missing(path: String)
  /// Create only: something stands there already. Open it, or choose another path.
  case alreadyExists(path: String)
  /// Another process (or this one) has it open: stop that first.
  case inUse(path: String)
  /// A file of something else: choose another path.
  case notAControlStore(path: String)
  /// Written by a newer walrus: use that one.
  case newerVersion(path: String, found: Int, supported: Int)
  /// The system or SQLite refuses; the reason says why.
  case unreadable(path: String, reason: String)

  package var description: String {
    switch self {
    case .missing(let path): "there is no control store at \(path); nothing was created"
    case .alreadyExists(let path): "\(path) exists already; open it, or choose another path"
    case .inUse(let path): "\(path) is in use by another process; stop that one first"
    case .notAControlStore(let path): "\(path) is not a control store; choose another path"
    case .newerVersion(let path, let found, let supported):
      "\(path) has version \(found), this program knows \(supported); use a newer program"
    case .unreadable(let path, let reason): "the control store \(path) cannot be opened: \(reason)"
    }
  }
}

extension SQLiteControlStore {
  /// How long SQLite waits for another connection of ours.
  private static let busyTimeout: TimeInterval = 5
  /// Reads at once; more than the cores of a small machine helps nobody.
  private static let readerCountMax = 4

  /// Makes a new, empty store. The folder must exist.
  package static func create(path: String) async throws(SQLiteControlStoreError)
    -> SQLiteControlStore
  {
    try await offThePool { () throws(SQLiteControlStoreError) in
      guard !FileManager.default.fileExists(atPath: path) else { throw .alreadyExists(path: path) }
      let lock = try ControlStoreLock(path: path)
      let store = try connect(path: path, lock: lock, retention: changesRevisionCountMax)
      try syncFolder(of: path)
      return store
    }
  }

  /// Opens a store that exists.
  package static func open(
    path: String, changesRevisionCountMax: Int = SQLiteControlStore.changesRevisionCountMax
  ) async throws(SQLiteControlStoreError) -> SQLiteControlStore {
    try await offThePool { () throws(SQLiteControlStoreError) in
      guard FileManager.default.fileExists(atPath: path) else { throw .missing(path: path) }
      let lock = try ControlStoreLock(path: path)
      return try connect(path: path, lock: lock, retention: changesRevisionCountMax)
    }
  }

  /// GRDB opens files on the caller's thread; ours must stay free.
  private static func offThePool<Value: Sendable>(
    _ body: @escaping @Sendable () throws(SQLiteControlStoreError) -> Value
  ) async throws(SQLiteControlStoreError) -> Value {
    let result: Result<Value, SQLiteControlStoreError> = await withCheckedContinuation { answer in
      DispatchQueue.global().async {
        answer.resume(returning: Result(catching: body))
      }
    }
    return try result.get()
  }

  private static func connect(path: String, lock: ControlStoreLock, retention: Int)
    throws(SQLiteControlStoreError) -> SQLiteControlStore
  {
    do {
      if FileManager.default.fileExists(atPath: path) { try inspect(path: path) }
      var configuration = Configuration()
      configuration.label = "control-store"
      configuration.busyMode = .timeout(busyTimeout)
      configuration.maximumReaderCount = readerCountMax
      let pool = try DatabasePool(path: path, configuration: configuration)
      let revision = try pool.writeWithoutTransaction { db in
        // GRDB sets NORMAL itself once the connection is set up, which loses the newest transactions
        // when the power fails.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2 else {
          throw DatabaseError(message: "synchronous = FULL was not accepted")
        }
        try db.inTransaction(.immediate) {
          if try Int.fetchOne(db, sql: "PRAGMA application_id") == 0 {
            try db.execute(sql: ControlStoreSchema.statements)
          }
          return .commit
        }
        return try counter(.revision, in: db)
      }
      return SQLiteControlStore(
        pool: pool, lock: lock, path: path, retention: retention, revision: revision)
    } catch let error as SQLiteControlStoreError {
      throw error
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
  }

  /// Looks at a file without writing to it. An empty database passes: a creation that was cut short.
  private static func inspect(path: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(busyTimeout)
    let (application, version, tableCount): (Int64, Int64, Int)
    do {
      let queue = try DatabaseQueue(path: path, configuration: configuration)
      (application, version, tableCount) = try queue.read { db in
        (
          try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0,
          try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0,
          try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        )
      }
      try queue.close()
    } catch let error as DatabaseError where error.resultCode == .SQLITE_NOTADB {
      throw SQLiteControlStoreError.notAControlStore(path: path)
    }
    if application == 0, version == 0, tableCount == 0 { return }
    guard application == ControlStoreSchema.applicationID else {
      throw SQLiteControlStoreError.notAControlStore(path: path)
    }
    guard version <= ControlStoreSchema.version else {
      throw SQLiteControlStoreError.newerVersion(
        path: path, found: Int(version), supported: Int(ControlStoreSchema.version))
    }
  }

  /// A new file's name must survive a power failure like its content.
  private static func syncFolder(of path: String) throws(SQLiteControlStoreError) {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let descriptor = unsafe Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { if descriptor >= 0 { _ = Glibc.close(descriptor) } }
    guard descriptor >= 0, fsync(descriptor) == 0 else {
      throw .unreadable(path: path, reason: "\(folder) cannot be synced, error \(errno)")
    }
  }
}

/// Holds `<path>.lock` locked while the store is open; the system lets go of it when a process dies.
///
/// Two processes could both write through SQLite, but would not wake each other's waiters.
final class ControlStoreLock: Sendable {
  private let descriptor: Mutex<CInt>

  init(path: String) throws(SQLiteControlStoreError) {
    let name = path + ".lock"
    let descriptor = unsafe Glibc.open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw .unreadable(path: path, reason: "\(name) cannot be opened, error \(errno)")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      _ = Glibc.close(descriptor)
      if code == EWOULDBLOCK { throw .inUse(path: path) }
      throw .unreadable(path: path, reason: "\(name) cannot be locked, error \(code)")
    }
    self.descriptor = Mutex(descriptor)
  }

  deinit { release() }

  func release() {
    descriptor.withLock { descriptor in
      if descriptor >= 0 { _ = Glibc.close(descriptor) }
      descriptor = -1
    }
  }
}
