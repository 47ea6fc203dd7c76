// SliverStoreTypes.swift
//
// What a drive's store is asked, what it answers, and why it may say no.

package import Cluster
package import RedStuff
package import World

/// Why a drive did not store, find or open something, and what to do next.
package enum SliverStoreError: Error, Equatable, Sendable {
  /// The drive said no. Never a proof that something is not there.
  case disk(DiskError)
  /// The index failed; reopening the store rebuilds what it lacks from the segments.
  case index(IndexError)
  /// No space for this; what was stored before is intact. Delete blobs, compact or add space.
  case full(freeByteCount: Int, neededByteCount: Int)
  /// No marker file: the drive is not mounted or was never initialised. Never initialise it by
  /// itself: the data may come back with the mount.
  case absentDrive
  /// The drive has a marker or segments already.
  case alreadyInitialised(file: String)
  /// Both copies of the marker are unreadable; restore the file from another drive of this node.
  case damagedMarker(file: String)
  /// The drive belongs to another cluster or node; attach it there.
  case foreignDrive(cluster: ClusterID, node: NodeID)
  /// A newer program wrote this drive; run that one.
  case unsupportedVersion(found: UInt32, supported: UInt32)
  /// A sync failed, so nothing written since can be trusted: no writes until the store is reopened.
  case readOnly(String)
  /// The caller's own mistake: a body that is no whole number of symbols, or too long.
  case invalidRecord(String)
  /// The sliver is there but has fewer symbols.
  case symbolsOutOfRange(Range<Int>, symbolCount: Int)
  case cancelled
  case closed
}

extension SliverStoreError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "the drive failed: \(error)"
    case .index(let error): "the index failed: \(error.message); reopening rebuilds it"
    case .full(let free, let needed):
      "\(needed) bytes are needed and \(free) are free; delete blobs or add space"
    case .absentDrive:
      "there is no drive marker: the drive is not mounted, or was replaced by an empty one"
    case .alreadyInitialised(let file): "the drive is in use already: it holds \(file)"
    case .damagedMarker(let file):
      "the drive marker \(file) is damaged; restore it from a backup"
    case .foreignDrive(let cluster, let node): "the drive belongs to \(node) of cluster \(cluster)"
    case .unsupportedVersion(let found, let supported):
      "the drive has format version \(found), this program knows \(supported); use a newer program"
    case .readOnly(let reason): "no writes until the node is restarted: \(reason)"
    case .invalidRecord(let reason): "the record is invalid: \(reason)"
    case .symbolsOutOfRange(let range, let symbolCount):
      "symbols \(range) were asked of a sliver of \(symbolCount)"
    case .cancelled: "cancelled"
    case .closed: "the drive is closed"
    }
  }
}

/// Names one sliver: the blob, its pair, and which of the pair's two slivers.
package struct SliverKey: Hashable, Sendable {
  package var blob: BlobID
  package var pair: SliverPairIndex
  package var axis: SliverAxis

  package init(blob: BlobID, pair: SliverPairIndex, axis: SliverAxis) {
    self.blob = blob
    self.pair = pair
    self.axis = axis
  }
}

/// Something to keep.
package enum StoreRecord: Sendable {
  /// The encoded metadata of a blob.
  case metadata(BlobID, [UInt8])
  /// A sliver: whole symbols of `symbolByteCount` bytes.
  case sliver(SliverKey, symbolByteCount: Int, bytes: [UInt8])
}

package struct SliverStoreOptions: Sendable {
  /// A segment is sealed when the next group would pass this size. Large enough for few files per
  /// terabyte, small enough to compact in seconds.
  package var segmentByteCountMax: Int
  /// What the segments may take together; nil: as much as the drive has.
  package var capacityByteCount: Int?
  /// Kept free by writes of slivers. Tombstones may use an eighth of it, compaction all: it copies
  /// before it frees, and a full drive on which it cannot copy would stay full for ever. So seven
  /// eighths should hold what is needed of one segment.
  package var reserveByteCount: Int
  /// Compaction rewrites a segment when at most this share of its bytes is still needed.
  package var compactionLiveShareMax: Double
  /// One call of `compact()` copies at most about this much.
  package var compactionByteCountMax: Int

  /// By default a segment takes a 32nd of the capacity, 256 MiB at most, and the reserve is two
  /// segments.
  package init(
    segmentByteCountMax: Int? = nil, capacityByteCount: Int? = nil,
    reserveByteCount: Int? = nil, compactionLiveShareMax: Double = 0.5,
    compactionByteCountMax: Int = 1 << 30
  ) {
    let segmentByteCountMax =
      segmentByteCountMax ?? min(256 << 20, (capacityByteCount ?? .max) / 32)
    self.segmentByteCountMax = segmentByteCountMax
    self.capacityByteCount = capacityByteCount
    self.reserveByteCount = reserveByteCount ?? 2 * segmentByteCountMax
    self.compactionLiveShareMax = compactionLiveShareMax
    self.compactionByteCountMax = compactionByteCountMax
  }

  /// What a write must leave free.
  func reserveByteCount(keptBy space: SpaceClass) -> Int {
    switch space {
    case .data: reserveByteCount
    case .urgent: reserveByteCount - reserveByteCount / 8
    case .compaction: 0
    }
  }
}

/// What stands on a drive.
package struct SliverStoreStatistics: Equatable, Sendable {
  package var sliverCount = 0
  /// Bytes of records that are still needed, checksums and headers included.
  package var liveByteCount = 0
  /// Bytes of all segments.
  package var segmentByteCount = 0
  package var segmentCount = 0
  /// What slivers may still take: the capacity or the drive, less the reserve.
  package var freeByteCount = 0
  /// The capacity option or the size of the drive.
  package var totalByteCount = 0
  /// Records found rotten since the store was opened.
  package var rottenCount = 0
  /// Why nothing can be written until the store is reopened.
  package var readOnlyReason: String?

  package init() {}
}

package struct CompactionReport: Equatable, Sendable {
  package var removedSegmentCount = 0
  package var copiedByteCount = 0
  package var freedByteCount = 0
  package var droppedTombstoneCount = 0
  /// Needed records that did not match their checksums; they are missing now.
  package var rotten = ScrubFindings()

  package init() {}
}
