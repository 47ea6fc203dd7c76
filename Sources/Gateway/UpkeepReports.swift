// UpkeepReports.swift
//
// What the administration API says of repair and scrub, as it goes over the wire. The command that
// runs the cluster makes them; its subcommands decode them.

package import RedStuff

/// What the operator may change of repair.
package enum RepairAction: Equatable, Sendable {
  /// Everything missing is due now, whatever its delay; also what was tried in vain.
  case run
  /// All of a node, or one shard.
  case pause(shard: ShardIndex?)
  /// Ends all pauses, or that of one shard.
  case resume(shard: ShardIndex?)
  /// Bytes a second that each node may receive for it; nil: no limit.
  case limit(Int?)
}

package enum ScrubAction: String, Sendable {
  /// A full pass now.
  case run
  case pause, resume
}

/// How repair is doing on every node.
package struct ClusterRepair: Codable, Equatable, Sendable {
  package var nodes: [NodeRepair]
  /// Every node answers, nothing is missing, and each has looked up every sliver that should be on it
  /// since it started. False also means: not known.
  package var isHealed: Bool

  package init(nodes: [NodeRepair]) {
    self.nodes = nodes
    isHealed = nodes.allSatisfy { node in
      node.problem == nil && node.missingSliverCount == 0 && node.missingBlobCount == 0
        && node.inventoryAt != nil
    }
  }
}

package struct NodeRepair: Codable, Equatable, Sendable {
  package struct Shard: Codable, Equatable, Sendable {
    package var shard: Int
    package var missingSliverCount: Int

    package init(shard: Int, missingSliverCount: Int) {
      self.shard = shard
      self.missingSliverCount = missingSliverCount
    }
  }

  /// Blobs that are so many shards below what this node should keep of them.
  package struct Shortfall: Codable, Equatable, Sendable {
    package var lostShardCount: Int
    package var blobCount: Int
    /// How long after the loss repair begins by itself; nil: only if a reader asks.
    package var delaySeconds: Double?

    package init(lostShardCount: Int, blobCount: Int, delaySeconds: Double?) {
      self.lostShardCount = lostShardCount
      self.blobCount = blobCount
      self.delaySeconds = delaySeconds
    }
  }

  package var name: String
  package var id: UInt16
  /// Why nothing is known of it; then all counts are 0.
  package var problem: String?
  package var missingSliverCount = 0
  package var missingBlobCount = 0
  /// Of those blobs: too little of them answered; tried again later.
  package var unrecoverableBlobCount = 0
  /// Of those blobs: being rebuilt now.
  package var recoveringBlobCount = 0
  /// Missing slivers by reason: `neverReceived`, `driveLost`, `rotten`, `newlyAssigned`.
  package var reasons: [String: Int] = [:]
  package var shards: [Shard] = []
  package var shortfalls: [Shortfall] = []
  /// What the missing slivers take, of blobs whose size is known.
  package var byteCountToRestore = 0
  /// Since the node started: what came over the network for repair, and what was restored with it.
  package var receivedByteCount = 0
  package var restoredByteCount = 0
  package var restoredSliverCount = 0
  package var requestCount = 0
  /// Nodes whose symbols were shown to be wrong.
  package var liars: [Liar] = []
  package var isPaused = false
  /// Shards of which nothing is repaired.
  package var pausedShards: [Int] = []
  /// Bytes a second; nil: no limit.
  package var byteRateMax: Int?
  /// How much of what it can repair takes now, 0 ... 1; less than all while others are served.
  package var share = 1.0
  /// Milliseconds since 1970: when everything that should be here was last looked up.
  package var inventoryAt: UInt64?

  package init(name: String, id: UInt16, problem: String? = nil) {
    self.name = name
    self.id = id
    self.problem = problem
  }
}

/// How the scrub is doing on every node.
package struct ClusterScrub: Codable, Equatable, Sendable {
  package var nodes: [NodeScrub]

  package init(nodes: [NodeScrub]) { self.nodes = nodes }
}

package struct NodeScrub: Codable, Equatable, Sendable {
  package var name: String
  package var id: UInt16
  /// Why nothing is known of it; then all counts are 0.
  package var problem: String?
  /// Of the pass under way.
  package var verifiedByteCount = 0
  package var totalByteCount = 0
  package var rottenRecordCount = 0
  package var unreadableRecordCount = 0
  /// Milliseconds since 1970.
  package var passStartedAt: UInt64?
  package var lastPassEndedAt: UInt64?
  package var lastPassRottenCount = 0
  package var isPaused = false
  package var periodSeconds = 0.0

  package init(name: String, id: UInt16, problem: String? = nil) {
    self.name = name
    self.id = id
    self.problem = problem
  }
}
