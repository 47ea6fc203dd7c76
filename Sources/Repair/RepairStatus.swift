// RepairStatus.swift
//
// What a node says of its repair and its scrub, as values.

package import Cluster
package import RedStuff
package import World

/// Why a sliver is missing.
package enum MissingReason: UInt8, CaseIterable, Hashable, Sendable {
  /// The blob is certified and this sliver of it never came.
  case neverReceived
  /// The drive that it was on is gone, or was replaced.
  case driveLost
  /// Its bytes did not match their checksums.
  case rotten
  /// The shard is new on this node.
  case newlyAssigned
}

/// How repair of a node is doing.
package struct RepairStatus: Equatable, Sendable {
  package var missingSliverCount = 0
  /// Blobs of which this node misses any sliver.
  package var missingBlobCount = 0
  /// Of those: too few symbols answered at the last attempt; tried again later.
  package var unrecoverableBlobCount = 0
  /// And those that are being rebuilt now.
  package var recoveringBlobCount = 0
  package var slivers: [MissingReason: Int] = [:]
  /// By shard of this node, its missing slivers.
  package var shards: [ShardIndex: Int] = [:]
  /// By the number of shards of this node that lack something: how many blobs.
  package var blobsByLostShardCount: [Int: Int] = [:]
  /// By the same number: how long after the loss their repair begins; none: only if a reader asks.
  package var delaysByLostShardCount: [Int: Duration] = [:]
  /// Bytes that the missing slivers take, as far as their blobs' sizes are known.
  package var byteCountToRestore = 0
  /// Since start: bytes of symbols that came for repair, and of slivers that were restored.
  package var receivedByteCount = 0
  package var restoredByteCount = 0
  /// Since start: what had to come for all that was restored, if nothing had gone wrong.
  package var neededByteCount = 0
  /// Since start: attempts at a blob, or at a batch of them, that did not restore all they meant to.
  package var failedAttemptCount = 0
  package var restoredSliverCount = 0
  package var requestCount = 0
  /// Helpers whose symbols were shown to be wrong.
  package var liars: [NodeID: LiarReport] = [:]
  package var isPaused = false
  /// Shards of this node of which nothing is repaired.
  package var pausedShards: Set<ShardIndex> = []
  /// Bytes a second that repair may receive; nil: as many as it can.
  package var byteRateMax: Int?
  /// How much of what it can repair takes now, 0 ... 1; less than all while others are served.
  package var share = 1.0
  /// When every sliver that should be here was last looked up, against the registry.
  package var inventoryAt: WallTime?

  package init() {}
}

/// How the scrub of a node is doing: reading every byte that is stored, and comparing checksums.
package struct ScrubStatus: Equatable, Sendable {
  /// Of the pass under way.
  package var verifiedByteCount = 0
  package var totalByteCount = 0
  package var rottenRecordCount = 0
  /// Records that the drive refused to read; they may be well.
  package var unreadableRecordCount = 0
  package var passStartedAt: WallTime?
  package var lastPassEndedAt: WallTime?
  package var lastPassRottenCount = 0
  package var isPaused = false
  /// A pass is meant to take this long.
  package var period: Duration

  package init(period: Duration) { self.period = period }
}
