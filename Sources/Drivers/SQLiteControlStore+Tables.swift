// SQLiteControlStore+Tables.swift
//
// The statements of the control store; they run on GRDB's queues, within one SQLite transaction each.
//
// Empty byte strings reach SQLite as null through GRDB: hence the `coalesce`s.

import Cluster
import Foundation
import GRDB
import World

enum ControlStoreCounter: String {
  case revision
  /// Changes up to here are gone.
  case compacted
}

enum ControlStoreSchema {
  /// Written into the file's header: "WALC".
  static let applicationID: Int64 = 0x5741_4C43
  static let version: Int64 = 1

  static let statements = """
    CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL)
      WITHOUT ROWID;
    CREATE TABLE changes (revision INTEGER NOT NULL, position INTEGER NOT NULL, key BLOB NOT NULL,
      value BLOB, PRIMARY KEY (revision, position)) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('revision', 0), ('compacted', 0);
    PRAGMA application_id = \(applicationID);
    PRAGMA user_version = \(version);
    """
}

/// A column of bytes. GRDB's own conversions stop the process when a damaged file holds another type.
func bytes(_ row: Row, _ column: Int) throws -> [UInt8] {
  guard let data = Data.fromDatabaseValue(row[column]) else {
    throw DatabaseError(message: "column \(column) holds no bytes: the file is damaged")
  }
  return [UInt8](data)
}

/// A column of revisions, which stay far below 2^63.
func revision(_ row: Row, _ column: Int) throws -> Revision {
  try revision(row[column] as DatabaseValue)
}

private func revision(_ value: DatabaseValue) throws -> Revision {
  guard let integer = Int64.fromDatabaseValue(value), integer >= 0 else {
    throw DatabaseError(message: "\(value) is no revision: the file is damaged")
  }
  return Revision(UInt64(integer))
}

private func integer(_ revision: Revision) -> Int64 { Int64(clamping: revision.value) }

func counter(_ counter: ControlStoreCounter, in db: Database) throws -> Revision {
  let statement = try db.cachedStatement(sql: "SELECT value FROM counters WHERE name = ?")
  guard let value = try DatabaseValue.fetchOne(statement, arguments: [counter.rawValue]) else {
    throw DatabaseError(message: "the counter \(counter.rawValue) is missing")
  }
  return try revision(value)
}

func setCounter(_ counter: ControlStoreCounter, to revision: Revision, in db: Database) throws {
  try db.cachedStatement(sql: "UPDATE counters SET value = ? WHERE name = ?")
    .execute(arguments: [integer(revision), counter.rawValue])
}

/// Applies one transaction with the revision after `current`, or finds a conflict and changes nothing.
func apply(
  _ transaction: ControlTransaction, revision current: inout Revision, in db: Database
) throws -> ControlTransactionResult {
  let version = try db.cachedStatement(
    sql: "SELECT version FROM entries WHERE key = coalesce(?, x'')")
  for condition in transaction.conditions {
    let found = try DatabaseValue.fetchOne(version, arguments: [Data(condition.key)])
    guard try found.map(revision) == condition.version else { return .conflict }
  }
  guard !transaction.changes.isEmpty else { return .committed(current) }
  let next = Revision(current.value + 1)
  for (position, change) in transaction.changes.enumerated() {
    let key = Data(change.key)
    if let value = change.value {
      try db.cachedStatement(
        sql: """
          INSERT INTO entries VALUES (coalesce(?, x''), coalesce(?, x''), ?)
          ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version
          """
      ).execute(arguments: [key, Data(value), integer(next)])
      try db.cachedStatement(
        sql: "INSERT INTO changes VALUES (?, ?, coalesce(?, x''), coalesce(?, x''))"
      ).execute(arguments: [integer(next), position, key, Data(value)])
    } else {
      try db.cachedStatement(sql: "DELETE FROM entries WHERE key = coalesce(?, x'')")
        .execute(arguments: [key])
      guard db.changesCount > 0 else { continue }
      try db.cachedStatement(sql: "INSERT INTO changes VALUES (?, ?, coalesce(?, x''), NULL)")
        .execute(arguments: [integer(next), position, key])
    }
  }
  current = next
  return .committed(next)
}

func dropChanges(through revision: Revision, in db: Database) throws {
  try db.cachedStatement(sql: "DELETE FROM changes WHERE revision <= ?")
    .execute(arguments: [integer(revision)])
  try setCounter(.compacted, to: max(revision, try counter(.compacted, in: db)), in: db)
}

/// The changes after a revision, whole transactions, at least one if there is one.
func fetchChanges(after seen: Revision, prefix: [UInt8], limit: Int, in db: Database) throws
  -> Result<ControlChanges, ControlStoreError>
{
  let compacted = try counter(.compacted, in: db)
  let current = try counter(.revision, in: db)
  guard seen >= compacted else { return .failure(.compacted(oldest: compacted)) }
  // A cursor of a file that was put back to an older state would wait for what it has seen.
  guard seen <= current else { return .failure(.compacted(oldest: current)) }
  let rows = try Row.fetchCursor(
    db.cachedStatement(
      sql: """
        SELECT revision, key, value FROM changes
        WHERE revision > ? AND substr(key, 1, ?) = coalesce(?, x'') ORDER BY revision, position
        """),
    arguments: [integer(seen), prefix.count, Data(prefix)])
  var found: [ControlChange] = []
  while let row = try rows.next() {
    let change = ControlChange(
      key: try bytes(row, 1), value: row.hasNull(atIndex: 2) ? nil : try bytes(row, 2),
      revision: try revision(row, 0))
    if found.count >= limit, let last = found.last, last.revision != change.revision {
      return .success(ControlChanges(changes: found, through: last.revision))
    }
    found.append(change)
  }
  return .success(ControlChanges(changes: found, through: current))
}
