// PlantedBug.swift
//
// Slips that somebody could have made, one `if` each at the place where it would have been made. They
// check the checks: each of them, planted, must turn a simulated run red (`make mutants`).
//
// Only a build with the compilation condition PLANTED_BUGS has them. In every other build
// `isPlanted` is the constant false, and the optimiser leaves nothing of its branches.
//
// The invariants S1-S7 and L1-L3 that should notice stand in ARCHITECTURE.md.

#if PLANTED_BUGS
  internal import Synchronization
#endif

package enum PlantedBug: String, CaseIterable, Sendable {
  // MARK: SliverStore

  /// A group of records is answered without a sync of its segment. S3.
  case logSyncForgotten
  /// The name of a new segment is not made durable: a crash takes the file and all in it. S3.
  case directorySyncForgotten
  /// The marker of a new drive is renamed into place before it is synced: the drive never opens
  /// again. S3.
  case markerSyncForgotten
  /// A sync that failed is taken for one that will be made up for by the next. S3.
  case failedSyncForgiven
  /// Opening believes what it reads of the last group, which may stand in memory only, instead of
  /// writing it once more. S3.
  case lastGroupNotRewritten
  /// The index is told before the sync: whoever looks meanwhile confirms what may vanish. S3.
  case indexToldBeforeSync
  /// A write that ran out of space in the middle counts as done. S3, S7.
  case halfRecordTakenForWhole
  /// Bytes are read without comparing their checksums. S1.
  case checksumsSkipped
  /// Opening tells the index of records and not of tombstones: deleted slivers come back. S6.
  case tombstonesNotReplayed
  /// Compaction drops a tombstone that still keeps records of other segments down. S6.
  case tombstoneDroppedTooEarly
  /// Compaction takes the newest record of a segment for rotten. S3.
  case compactionDropsNewest
  /// Copies are not synced before the segment they come from is removed. S3.
  case copiesNotSynced
  /// The removal of a segment is not made durable before its tombstones are forgotten. S6.
  case removalNotSynced
  /// Deletes need as much free space as slivers do: a full drive stays full. L1, S6.
  case deletesNeedSpace
  /// Slivers are written beyond the capacity of the drive. S7.
  case capacityIgnored
  /// The lead of the write queue is not handed on: whoever queued behind waits for ever. L1.
  case leadNotPassed
  /// Slivers are written into the reserve: a full drive cannot be emptied any more. L1, S6.
  case reserveIgnored
  /// Values of the index are taken without comparing their checksums. S3, S6.
  case indexChecksumsSkipped
  /// Compaction drops tombstones by an index in which rot was seen. S6.
  case tombstonesDroppedByRottenIndex
  /// The scrub reads only the segment that is being written. L2.
  case sealedSegmentsNotScrubbed
  /// The scrub drops a rotten tombstone like any record: what it ended comes back. S6.
  case rottenTombstoneDropped

  // MARK: Repair

  /// What was decoded is taken for the sliver without comparing its root. S1, L2.
  case rebuiltSliversUnchecked
  /// Symbols are taken for proven whatever their paths lead to. S4, L2.
  case repairPathsUnchecked
  /// Symbols that do not fit together end the attempt, and nobody looks for who lied. L2.
  case liarsNotLookedFor
  /// A line is asked for with one symbol too few. L2.
  case oneSymbolTooFew
  /// Others are asked for what the node's own slivers could give. L2.
  case ownSymbolsNotUsed
  /// Rows are asked for as if no column had been rebuilt. L2.
  case rebuiltColumnsNotUsed
  /// What was tried in vain is never tried again. L2.
  case parkedForEver

  // MARK: StorageNode

  /// A node signs without looking whether all its slivers are there. S3.
  case missingSliversConfirmed
  /// A node takes slivers without comparing them with the metadata. S3.
  case uploadedSliversUnchecked
  /// The cursor passes events before their deletes are done, which an error then skips. S6.
  case cursorAdvancedTooEarly
  /// The cursor is saved although a delete before it failed, which a crash then forgets. S6.
  case cursorSavedDespiteFailedDelete
  /// With drives that followed the registry to different points, a node goes on from the last. S6.
  case newestCursorFollowed
  /// A node that missed events because they were compacted goes on without an inventory. S6.
  case compactedEventsSkipped
  /// A blob counts as ended because the registry does not answer. S5.
  case deletedOnRegistryError
  /// A store does not look again when a delete came between its look-up and its write. S6.
  case deleteBetweenIgnored
  /// A delete ends at the first drive. S6.
  case deletedOnFirstDriveOnly
  /// A sliver is looked for only on the drive that would take it today. S3.
  case firstDriveReadOnly
  /// Whoever waits for a blob's lane is not woken. L1.
  case laneWaiterNotWoken
  /// A request that is cancelled keeps its place among the running ones. L1.
  case cancelledRequestKeepsPlace
  /// Restored slivers are written without asking the registry again: a deleted blob comes back. S6.
  case restoredWithoutRegistry
  /// Slivers leave the missing-set before they are stored, which may fail. L2.
  case foundBeforeStored
  /// A node does not look at its start for what it lacks. L2.
  case startInventorySkipped
  /// What the scrub found rotten is not marked as missing. L2.
  case rotNotMarked
  /// What readers ask for in vain is not noted. L2.
  case demandsNotNoted

  // MARK: ControlPlane

  /// Client and registry are content with f + 1 shards. S2.
  case quorumTooSmall
  /// A certificate is not compared with the registration that it is shown for. S2.
  case otherCertificateAccepted
  /// Registrations are written without the condition that they are still what was read. S2.
  case changesUnconditioned
  /// Registrations end in their last epoch and not after it. S5.
  case expiredOneEpochEarly
  /// An upload that was never finished is never ended. S6.
  case abandonedNeverEnded

  // MARK: BlobClient

  /// A confirmation counts whatever its signature is; the certificate is then refused. L1.
  case confirmationUnchecked
  /// A store whose certificate did not reach the registry is reported as done. S2.
  case failedCertifyReported
  /// Metadata is not compared with the blob ID. S1.
  case metadataUnchecked
  /// Lines are not compared with their root. S1.
  case rootsUnchecked
  /// Symbols are taken without following their paths. S1.
  case pathsUnchecked
  /// The end of a range is rounded down to whole symbols. S1.
  case rangeEndRoundedDown
  /// The padding behind the end of a blob or range is delivered. S1.
  case paddingDelivered
  /// A byte is lost wherever one piece ends and the next begins. S1.
  case pieceBorderLost
  /// A read that goes over to columns in the middle begins again at its start. S1.
  case spoolStartsOver
  /// A request waits for its answer without a deadline. L1.
  case deadlineIgnored

  #if PLANTED_BUGS
    private static let chosen = Mutex<PlantedBug?>(nil)

    package var isPlanted: Bool { Self.chosen.withLock { $0 == self } }

    /// Plants one bug instead of any other, nil for none; between runs only.
    ///
    /// - Returns: false if this build has none to plant.
    package static func choose(_ bug: PlantedBug?) -> Bool {
      chosen.withLock { $0 = bug }
      return true
    }
  #else
    @inlinable package var isPlanted: Bool {
      @inline(__always) get { false }
    }

    /// Nothing to choose from in this build.
    ///
    /// - Returns: false unless none is asked for.
    package static func choose(_ bug: PlantedBug?) -> Bool { bug == nil }
  #endif
}
