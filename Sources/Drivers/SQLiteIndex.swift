// SQLiteIndex.swift
//
// The index of a drive in one SQLite file. In WAL mode with synchronous=NORMAL a power cut loses the
// newest transactions and nothing else, which is what an index may do, and a commit costs no sync.
//
// A file that SQLite finds corrupt is marked, and deleted by the next opening: the store rebuilds
// the index from its segments. So a rotten index costs time, never a drive.

internal import GRDB
internal import Synchronization
package import World

internal import struct Foundation.Data

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

package final class SQLiteIndex: Index {
  /// One writer and a few readers; SQLite runs one write at a time anyway.
  static let threadCount = 3
  /// Remembers across restarts that the file must not be used.
  static let corruptSuffix = "-corrupt"

  private let path: String
  private let threads = BlockingThreads(count: threadCount)
  /// Nil while the file could not be replaced.
  private let pool: Mutex<DatabasePool?>

  /// Opens the file or makes a new one in place of one that is unusable.
  package init(path: String) async throws(IndexError) {
    self.path = path
    pool = Mutex(nil)
    try await threads.run { [self] () throws(IndexError) in
      let mark = path + Self.corruptSuffix
      if unsafe access(mark, F_OK) == 0 { try deleteFiles() }
      do throws(IndexError) {
        try openPool()
      } catch {
        // Whatever is wrong with it, an empty one serves: it is filled from the segments.
        try deleteFiles()
        try openPool()
      }
    }
  }

  package func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?] {
    guard !keys.isEmpty else { return [] }
    return try await run { pool in
      try pool.read { database in
        let statement = try database.cachedStatement(sql: "SELECT value FROM entry WHERE key = ?")
        return try keys.map { key in
          try Data.fetchOne(statement, arguments: [Data(key)]).map { [UInt8]($0) }
        }
      }
    }
  }

  package func entries(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(IndexError) -> [IndexEntry]
  {
    try await run { pool in
      try pool.read { database in
        let statement = try database.cachedStatement(
          sql: "SELECT key, value FROM entry WHERE key >= ? AND key < ? ORDER BY key LIMIT ?")
        let rows = try Row.fetchCursor(
          statement, arguments: [Data(lower), Data(upper), limit])
        var entries: [IndexEntry] = []
        while let row = try rows.next() {
          let (key, value): (Data, Data) = (row[0], row[1])
          entries.append(IndexEntry(key: [UInt8](key), value: [UInt8](value)))
        }
        return entries
      }
    }
  }

  package func apply(_ changes: [IndexChange]) async throws(IndexError) {
    guard !changes.isEmpty else { return }
    try await run { pool in
      try pool.write { database in
        let set = try database.cachedStatement(
          sql: "INSERT INTO entry (key, value) VALUES (?, ?) "
            + "ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        let remove = try database.cachedStatement(sql: "DELETE FROM entry WHERE key = ?")
        for change in changes {
          switch change {
          case .set(let key, let value):
            try set.execute(arguments: [Data(key), Data(value)])
          case .remove(let key):
            try remove.execute(arguments: [Data(key)])
          }
        }
      }
    }
  }

  package func removeAll() async throws(IndexError) {
    try await threads.run { [self] () throws(IndexError) in
      try closePool()
      try deleteFiles()
      try openPool()
    }
  }

  private func run<Value: Sendable>(
    _ work: @escaping @Sendable (DatabasePool) throws -> Value
  ) async throws(IndexError) -> Value {
    try await threads.run { [self] () throws(IndexError) in
      guard let pool = pool.withLock({ $0 }) else {
        throw IndexError("\(path) could not be replaced; reopen the drive")
      }
      do {
        return try work(pool)
      } catch {
        markIfCorrupt(error)
        throw IndexError("\(path): \(error)")
      }
    }
  }

  private func markIfCorrupt(_ error: any Error) {
    guard let error = error as? DatabaseError,
      [ResultCode.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode.primaryResultCode)
    else { return }
    let number = unsafe open(path + Self.corruptSuffix, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    if number >= 0 { close(number) }
  }

  private func openPool() throws(IndexError) {
    do {
      var configuration = Configuration()
      configuration.maximumReaderCount = Self.threadCount
      let opened = try DatabasePool(path: path, configuration: configuration)
      try opened.write { database in
        try database.execute(
          sql: "CREATE TABLE IF NOT EXISTS entry "
            + "(key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
      }
      // GRDB sets NORMAL by itself; this also proves that the file can be read.
      _ = try opened.read { database in
        try Int.fetchOne(database, sql: "SELECT count(*) FROM (SELECT key FROM entry LIMIT 1)")
      }
      pool.withLock { $0 = opened }
    } catch {
      throw IndexError("\(path) cannot be opened: \(error)")
    }
  }

  private func closePool() throws(IndexError) {
    let closing = pool.withLock { pool in
      defer { pool = nil }
      return pool
    }
    do { try closing?.close() } catch { throw IndexError("\(path) cannot be closed: \(error)") }
  }

  private func deleteFiles() throws(IndexError) {
    // The mark goes last: an interrupted deletion goes on at the next opening.
    for suffix in ["", "-wal", "-shm", Self.corruptSuffix] {
      if unsafe unlink(path + suffix) != 0, errno != ENOENT {
        throw IndexError("\(path)\(suffix) cannot be deleted: error \(errno)")
      }
    }
  }
}
