// Index.swift
//
// An ordered map from bytes to bytes beside the segments of a drive. It is a cache of what the
// segments say: a crash may lose the newest batches (always a suffix of them), never part of one,
// and a lost index is rebuilt. So nothing is acknowledged because it stands here.

package struct IndexError: Error, Equatable, Sendable {
  /// What failed and why, for people.
  package var message: String

  package init(_ message: String) { self.message = message }
}

package enum IndexChange: Equatable, Sendable {
  case set(key: [UInt8], value: [UInt8])
  case remove(key: [UInt8])
}

package struct IndexEntry: Equatable, Sendable {
  package var key: [UInt8]
  package var value: [UInt8]

  package init(key: [UInt8], value: [UInt8]) {
    self.key = key
    self.value = value
  }
}

package protocol Index: Sendable {
  /// One value per key, in the order asked; nil where there is none.
  func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?]
  /// Entries with `lower <= key < upper` in bytewise order, at most `limit`.
  func entries(from lower: [UInt8], below upper: [UInt8], limit: Int) async throws(IndexError)
    -> [IndexEntry]
  /// Applies all changes or none.
  func apply(_ changes: [IndexChange]) async throws(IndexError)
  /// Forgets everything.
  func removeAll() async throws(IndexError)
}
