// UnsecuredRecords.swift
//
// What an opening found at the end of a segment and could not make durable, because the drive could
// not read it or had no space. It may have been acknowledged, or stand in memory only; a later
// opening will tell. Until then nobody is told that it is there, nor that it is missing: reading it
// is an error, storing it writes it anew, and deleting its blob writes a tombstone.
//
// So are tombstones of a group whose write or sync failed: the next opening may find them.
//
// Bounded by the last groups of the segments that were open when the process ended, and one group.

internal import RedStuff

struct UnsecuredRecords: Sendable {
  private var newest: [[UInt8]: SequenceNumber] = [:]
  private var blobs: Set<BlobID> = []
  /// Whether this opening left nothing behind. Deleting what it left does not change that: the
  /// records are still there, and need their tombstones.
  private(set) var isEmpty = true

  mutating func insert(_ header: RecordHeader) {
    guard let key = IndexKey.of(header) else { return }
    isEmpty = false
    newest[key] = max(newest[key] ?? header.sequence, header.sequence)
    if let blob = header.blob { blobs.insert(blob) }
  }

  /// A tombstone that stands now ends whatever there may be of the blob.
  mutating func end(_ blob: BlobID) {
    guard blobs.remove(blob) != nil else { return }
    newest = newest.filter { IndexKey.blob(in: $0.key) != blob || $0.key.first == 5 }
  }

  /// Whether there may be more to say than that `entry` stands under `key`, or nothing does.
  func concern(_ key: [UInt8], besides entry: RecordEntry?) -> Bool {
    if isEmpty { return false }
    if let sequence = newest[key], entry.map({ $0.sequence < sequence }) ?? true { return true }
    guard let entry, key.first == 2, let blob = IndexKey.blob(in: key),
      let tombstone = newest[IndexKey.tombstone(blob)]
    else { return false }
    return entry.sequence < tombstone
  }

  /// Whether there may be something of the blob, or its end.
  func concern(_ blob: BlobID) -> Bool { blobs.contains(blob) }
}
