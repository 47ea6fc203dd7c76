// WriteOperation.swift
//
// What the writer is asked to do, one by one and in order. Everything that changes the log or the
// index passes here, so each decision (is it there already? was it deleted meanwhile?) is made on
// the state that its write meets.

internal import Cluster
internal import RedStuff
internal import World

enum WriteOperation: Sendable {
  /// Appends records; each only under its condition.
  case log([LogEntry], SpaceClass)
  /// Forgets a record that was found rotten, if it is still the one that stands there.
  case drop(key: [UInt8], entry: RecordEntry)
  /// Notes that parts of a segment are no records any more, so that compaction rewrites it.
  case flagDamage(segment: UInt32)
  /// Closes the current segment, so that it can be compacted.
  case seal
  /// Removes a segment of which nothing is needed any more.
  case remove(segment: UInt32)
  /// Forgets dead marks and dropped tombstones of a removed segment.
  case forget(segment: UInt32, marked: [BlobID], tombstones: [BlobID])
  case close

  var isLogged: Bool { if case .log = self { true } else { false } }

  var byteCount: Int {
    switch self {
    case .log(let entries, _): entries.reduce(0) { $0 + $1.record.byteCount }
    default: RecordHeader.byteCount
    }
  }
}

/// Who may use how much of the last free space.
enum SpaceClass: Sendable {
  /// Leaves the reserve alone.
  case data
  /// Needs space in order to free more: all of the reserve.
  case compaction
  /// Deletes and node state: a part of it.
  case urgent
}

struct LogEntry: Sendable {
  enum Condition: Sendable {
    /// Nothing stands under its key, or only this, which is rotten.
    case absent(orRotten: RecordEntry?)
    /// The blob has anything that a tombstone must end.
    case needsTombstone(BlobID)
    /// This still stands there: compaction copies it.
    case unchanged(RecordEntry)
    case always
  }

  var record: PreparedRecord
  var indexKey: [UInt8]
  var condition: Condition
  /// Kept by copies; new records get the place they are written to.
  var sequence: SequenceNumber?
}
