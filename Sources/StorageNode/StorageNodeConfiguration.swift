// StorageNodeConfiguration.swift
//
// The limits of a node. Whatever comes beyond one of them is refused with `unavailable` (try later
// or elsewhere); nothing waits in a queue that can grow.

package struct StorageNodeConfiguration: Sendable, Hashable {
  /// Requests that run at once. Most wait for a drive or the registry, so more than threads; few
  /// enough that the last one admitted still meets its deadline.
  package var runningRequestCountMax = 256
  /// Bytes of requests and answers held at once: a few dozen full batches.
  package var runningByteCountMax = 384 << 20
  /// Metadata kept in memory: 66 bytes a shard, so 500 blobs at n = 1000 and thousands below.
  package var metadataCacheByteCountMax = 32 << 20
  /// Expanded slivers with their trees. A reader that asks for symbols with paths one by one finds the
  /// sliver expanded.
  package var expansionCacheByteCountMax = 32 << 20
  /// How long a store waits for the cursor to reach its registration. Events arrive within
  /// milliseconds; a node that is this far behind should be left alone.
  package var registrationWaitMax = Duration.seconds(5)
  /// No request runs longer, whatever deadline its sender gave.
  package var requestDurationMax = Duration.seconds(120)
  /// Registry look-ups of one request that run at once.
  package var lookUpCountMax = 16
  /// Blobs whose registrations are looked up for one step of the cursor.
  package var eventBatchCountMax = 256
  /// The cursor is saved after this many events or this long after an event; what lies between is
  /// replayed after a crash, which does no harm.
  package var eventCountBetweenSaves = 1024
  package var choresDelay = Duration.seconds(5)
  /// Deletes that failed on a drive and wait for the next try. Beyond it the saved cursor stands
  /// still until these are done and an inventory has found the others.
  package var pendingDeleteCountMax = 4096
  package var retryDelayMin = Duration.milliseconds(100)
  package var retryDelayMax = Duration.seconds(10)

  /// How often drives are looked at for segments to compact: often enough that deleting makes room
  /// while the operator watches, seldom enough to cost nothing.
  package var compactionInterval = Duration.seconds(60)

  /// How long after a loss repair begins, while all other shards are there; less the more shards of
  /// the blob are lost. A client goes on for a while with slivers that a node lacks, and what is
  /// stored again need not be repaired. Nil: never, but for what readers ask for.
  package var repairDelay: Duration? = .seconds(15 * 60)
  /// Bytes of symbols a second that repair may receive; nil: as many as it can.
  package var repairByteRateMax: Int?
  /// Slivers that are rebuilt together: blobs of one batch share their requests.
  package var repairBatchBlobCountMax = 64
  package var repairBatchByteCountMax = 64 << 20
  /// An answer later than this counts as none; other sources are asked.
  package var repairRequestDeadline = Duration.seconds(15)
  package var repairRetryDelayMin = Duration.seconds(5)
  package var repairRetryDelayMax = Duration.seconds(600)
  /// How often every sliver that should be here is looked up; also after each start.
  package var inventoryInterval = Duration.seconds(6 * 3600)

  /// Every byte that is stored is read, and compared with its checksum, once in this time.
  package var scrubPeriod = Duration.seconds(14 * 86_400)
  /// Bytes a second that the scrub reads of one drive at most, however late it is: a small part of
  /// what a disk can do.
  package var scrubByteRateMax = 32 << 20
  /// How often a drive is looked at for whether a step of its scrub is due.
  package var scrubInterval = Duration.seconds(1)
  /// How far the scrub is, is saved this often, or 32 times a pass where that is more often. What
  /// lies between is read again after a crash.
  package var scrubSaveDelayMax = Duration.seconds(300)

  package init() {}
}
