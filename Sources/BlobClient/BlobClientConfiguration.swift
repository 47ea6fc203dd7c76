// BlobClientConfiguration.swift
//
// The limits of a client, each with the reason for its number.

package import Cluster

package struct BlobClientConfiguration: Sendable {
  /// How long one request to a node may take.
  package var requestDeadline = Duration.seconds(10)

  // Reading.
  /// Payload that a read fetches at once. Two windows exist at a time, one being fetched and one
  /// being delivered. Large enough that a round trip does not matter.
  package var windowByteCount = 8 << 20
  /// The longest piece given to the receiver.
  package var sinkByteCountMax = 1 << 20
  /// Requests of one read under way.
  package var requestsInFlightMax = 64
  /// The size at which requests and expected answers are cut.
  package var batchByteCountTarget = NodeMessageLimits.batchByteCountTarget
  /// Where this client stands; near nodes are asked rather than far ones. What is not said counts as
  /// near to all.
  package var topology = Topology()
  /// A node is given as long as all but a few of its answers take, at least this long (a shorter time
  /// says nothing about it), before others are asked for the same...
  package var hedgeDelayMin = Duration.milliseconds(5)
  /// ... and this long while too little is known.
  package var hedgeDelayInitial = Duration.seconds(1)
  /// Requests that may be sent because others are late, of a thousand others: 2.5 %, for some 2 % that
  /// are late.
  package var hedgesPerThousand = 25
  /// Of these at once, half of them for hedges of several requests: enough for a node that hangs in
  /// the first reads of a process, and for one row that a small cluster has to put together.
  package var hedgeBurstMax = 16
  /// How soon a read that the budget did not suffice for looks again.
  package var hedgeRetryDelay = Duration.milliseconds(50)
  /// How often nodes that failed in passing are tried again when without them nothing is left.
  package var retryCountMax = 2
  package var retryDelayMin = Duration.milliseconds(100)
  package var retryDelayMax = Duration.seconds(5)
  /// Verified metadata kept: 500 blobs at n = 1000, 5000 at n = 100.
  package var metadataCacheByteCountMax = 32 << 20
  /// Quilt indexes kept: some 300 of 666 patches with a tag or two.
  package var quiltIndexCacheByteCountMax = 32 << 20
  /// A longer index is neither read nor written, since it is held in memory as a whole: one window,
  /// or 12 KiB of names and tags for each of the 666 patches at n = 1000.
  package var quiltIndexByteCountMax = 8 << 20
  /// What is read of a patch to learn how long it is; small patches come whole with it.
  package var patchStartByteCount = 64 << 10
  /// A strict read holds the blob and encodes it again: about seven times this in memory.
  package var strictByteCountMax: UInt64 = 256 << 20
  /// Spool files of all reads together; above it a read that needs one is refused.
  package var spoolByteCountMax = 32 << 30

  // Storing.
  /// How long a store may try to get its certificate.
  package var storeDeadline = Duration.seconds(300)
  /// A node that failed so often in a row is not counted on for the certificate. With the delays
  /// between tries that is some three seconds: enough for a restart, and soon enough to say no.
  package var storeAttemptCountMax = 6
  /// How long slivers go on being sent after the certificate.
  package var tailDuration = Duration.seconds(30)
  /// Tails that may run after their store returned; a store above that waits for its own.
  package var tailCountMax = 16
  /// Nodes of one store that are being sent to at once, each one batch.
  package var uploadsInFlightMax = 32

  package init() {}
}
