// ControlStore.swift
//
// The ordered key-value store under the control plane: compare-and-set transactions, ranges, and
// the changes since a revision. SQLite for one machine, etcd for many; both fit this shape.
//
// Invariants: revisions only grow; a transaction is durable when it returns; all changes of one
// transaction share its revision; a key's version is the revision of its last change.

package import Cluster

package enum ControlStoreError: Error, Equatable, Sendable {
  /// The store cannot be reached or does not answer; whether a transaction happened is unknown.
  case unavailable(String)
  /// Changes after this revision are no longer kept; read everything and follow from `oldest`.
  case compacted(oldest: Revision)
}

package struct ControlEntry: Equatable, Sendable {
  package var key: [UInt8]
  package var value: [UInt8]
  /// The revision of the last change of this key.
  package var version: Revision

  package init(key: [UInt8], value: [UInt8], version: Revision) {
    self.key = key
    self.value = value
    self.version = version
  }
}

package struct ControlRange: Equatable, Sendable {
  package var entries: [ControlEntry]
  /// The store's revision at which the entries were read.
  package var revision: Revision
  /// More entries follow the last one.
  package var hasMore: Bool

  package init(entries: [ControlEntry], revision: Revision, hasMore: Bool) {
    self.entries = entries
    self.revision = revision
    self.hasMore = hasMore
  }
}

package struct ControlTransaction: Equatable, Sendable {
  /// The transaction happens only if each key has this version; nil: the key must not exist.
  package var conditions: [(key: [UInt8], version: Revision?)]
  /// A nil value removes the key. No key may stand twice.
  package var changes: [(key: [UInt8], value: [UInt8]?)]

  package init(
    conditions: [(key: [UInt8], version: Revision?)], changes: [(key: [UInt8], value: [UInt8]?)]
  ) {
    self.conditions = conditions
    self.changes = changes
  }

  package static func == (left: ControlTransaction, right: ControlTransaction) -> Bool {
    left.conditions.elementsEqual(right.conditions, by: ==)
      && left.changes.elementsEqual(right.changes, by: ==)
  }
}

package enum ControlTransactionResult: Equatable, Sendable {
  case committed(Revision)
  /// A condition did not hold; nothing was changed.
  case conflict
}

package struct ControlChange: Equatable, Sendable {
  package var key: [UInt8]
  /// Nil: the key was removed.
  package var value: [UInt8]?
  package var revision: Revision

  package init(key: [UInt8], value: [UInt8]?, revision: Revision) {
    self.key = key
    self.value = value
    self.revision = revision
  }
}

package struct ControlChanges: Equatable, Sendable {
  /// In the order of their revisions; never a part of a transaction.
  package var changes: [ControlChange]
  /// Everything up to here has been told; ask again with this.
  package var through: Revision

  package init(changes: [ControlChange], through: Revision) {
    self.changes = changes
    self.through = through
  }
}

package protocol ControlStore: Sendable {
  /// Entries with `lower <= key < upper` in bytewise order, at most `limit`.
  func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  /// Changes after `revision` of keys with this prefix, at most about `limit`; waits until there is
  /// at least one or the task is cancelled (then it answers with none).
  func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
}
