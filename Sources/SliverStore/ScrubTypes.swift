// ScrubTypes.swift
//
// How far the scrub of a drive has come, and what one step of it found.

package import RedStuff

/// Where a pass over a drive stands. Kept by the caller, also over a restart: an older position
/// reads some records once more, and no position skips one.
package struct ScrubPosition: Hashable, Sendable {
  var segment: UInt32
  /// In the segment: everything before it was read in this pass.
  var offset: Int
  /// The pass ends with this segment, the newest when it began: what is written later was just
  /// checked, and a pass that followed the writers might never end.
  var last: UInt32
  /// Records of the segment that the index knows and that were seen.
  var seenCount = 0
  /// Parts of the segment were no records.
  var hasDamage = false

  init(segment: UInt32, last: UInt32) {
    self.segment = segment
    self.last = last
    offset = 0
  }

  /// All of it in plain numbers, to be stored.
  package var fields: [UInt64] {
    [
      UInt64(segment), UInt64(offset), UInt64(last), UInt64(max(0, seenCount)), hasDamage ? 1 : 0,
    ]
  }

  /// Nil for numbers that are no position.
  package init?(fields: some Collection<UInt64>) {
    let fields = Array(fields)
    guard fields.count == 5, let segment = UInt32(exactly: fields[0]),
      let offset = Int(exactly: fields[1]), let last = UInt32(exactly: fields[2]),
      let seenCount = Int(exactly: fields[3]), fields[4] <= 1
    else { return nil }
    self.segment = segment
    self.offset = offset
    self.last = last
    self.seenCount = seenCount
    hasDamage = fields[4] == 1
  }

  mutating func move(to segment: UInt32) {
    guard segment != self.segment else { return }
    self = ScrubPosition(segment: segment, last: last)
  }
}

/// Records by what they held.
package struct ScrubFindings: Equatable, Sendable {
  package var slivers: [SliverKey] = []
  /// Blobs whose metadata it was.
  package var metadata: [BlobID] = []
  /// All of them, also tombstones and values.
  package var recordCount = 0

  package init() {}

  mutating func add(_ key: [UInt8]) {
    recordCount += 1
    if let sliver = IndexKey.sliverKey(in: key) {
      slivers.append(sliver)
    } else if key.first == 2, let blob = IndexKey.blob(in: key) {
      metadata.append(blob)
    }
  }
}

/// What one step of a scrub did.
package struct ScrubStep: Equatable, Sendable {
  /// Where to go on; nil: the pass is complete.
  package var next: ScrubPosition?
  /// How much of the segments lies behind it now, dead records included.
  package var walkedByteCount = 0
  /// Of needed records: every byte of theirs was compared, or found rotten.
  package var verifiedByteCount = 0
  /// About what was read from the drive.
  package var readByteCount = 0
  /// What did not match its checksums. Slivers and metadata are missing now; tombstones were
  /// written again.
  package var rotten = ScrubFindings()
  /// What the drive refused to read. It stands in the index as before: it may read well tomorrow.
  package var unreadable = ScrubFindings()
  /// Of stretches of which nothing is known.
  package var unreadableByteCount = 0

  package init() {}

  var isEmpty: Bool { self == ScrubStep() }
}
