// ClusterAdministration.swift
//
// What the administration API asks of the process that runs the cluster, and the answers as they go
// over the wire. The command implements the protocol, and decodes the answers in its subcommands.

package import Cluster
package import RedStuff

package protocol ClusterAdministration: Sendable {
  func info() async throws(GatewayFailure) -> ClusterInfo
  func health() async throws(GatewayFailure) -> ClusterHealth
  /// How many shards hold both slivers of a blob; asks every node that can be reached.
  func completeShardCount(of blob: BlobID) async throws(GatewayFailure) -> Int
  /// Stops a node; it stays stopped over a restart. A stopped node is no error.
  func stop(node name: String) async throws(GatewayFailure) -> NodeReport
  /// Starts a stopped node. A running node is no error.
  func start(node name: String) async throws(GatewayFailure) -> NodeReport
  /// Empties the drives of a stopped node and makes them new; it keeps its keys.
  func wipe(node name: String) async throws(GatewayFailure) -> NodeReport
  /// What the gateway and the nodes that run have asked of nodes, since they started.
  func traffic() async -> ClusterTraffic
  func repair() async throws(GatewayFailure) -> ClusterRepair
  /// Changes repair of one node, or of all that run; how it stands then.
  func change(repair action: RepairAction, node name: String?)
    async throws(GatewayFailure) -> ClusterRepair
  func scrub() async throws(GatewayFailure) -> ClusterScrub
  /// Changes the scrub of one node, or of all that run; how it stands then.
  func change(scrub action: ScrubAction, node name: String?)
    async throws(GatewayFailure) -> ClusterScrub
}

/// What the cluster is. It changes only when the cluster is changed.
package struct ClusterInfo: Codable, Equatable, Sendable {
  package struct Node: Codable, Equatable, Sendable {
    package var name: String
    package var id: UInt16
    package var shardCount: Int
    /// Empty where the node runs in this process without a socket.
    package var address: String
    package var region: String
    package var zone: String
    package var rack: String
    package var host: String

    package init(
      name: String, id: UInt16, shardCount: Int, address: String, region: String = "",
      zone: String = "", rack: String = "", host: String = ""
    ) {
      self.name = name
      self.id = id
      self.shardCount = shardCount
      self.address = address
      self.region = region
      self.zone = zone
      self.rack = rack
      self.host = host
    }
  }

  /// How many domains of a level may be lost at once, whichever they are.
  package struct Tolerance: Codable, Equatable, Sendable {
    /// `node`, `host`, `rack`, `zone` or `region`.
    package var level: String
    package var domainCount: Int
    /// Everything certified on all shards stays readable.
    package var readableLossMax: Int
    /// New blobs are still taken.
    package var writableLossMax: Int

    package init(_ tolerance: DomainTolerance) {
      level = tolerance.level.rawValue
      domainCount = tolerance.domainCount
      readableLossMax = tolerance.readableLossMax
      writableLossMax = tolerance.writableLossMax
    }
  }

  package var name: String
  package var clusterId: String
  package var epoch: UInt32
  /// Nil: epochs do not end.
  package var epochSeconds: Double?
  package var shardCount: Int
  /// Shards that may be lost or lying while writes and repair go on.
  package var faultyShardCountMax: Int
  package var blobByteCountMax: UInt64
  /// The largest blob that the memory for uploads admits.
  package var uploadByteCountMax: UInt64
  /// Bytes kept per byte stored, for large blobs.
  package var expansion: Double
  package var tolerances: [Tolerance]
  package var nodes: [Node]

  package init(
    name: String, clusterId: String, epoch: UInt32, epochSeconds: Double?, shardCount: Int,
    faultyShardCountMax: Int, blobByteCountMax: UInt64, uploadByteCountMax: UInt64,
    expansion: Double, tolerances: [Tolerance], nodes: [Node]
  ) {
    self.name = name
    self.clusterId = clusterId
    self.epoch = epoch
    self.epochSeconds = epochSeconds
    self.shardCount = shardCount
    self.faultyShardCountMax = faultyShardCountMax
    self.blobByteCountMax = blobByteCountMax
    self.uploadByteCountMax = uploadByteCountMax
    self.expansion = expansion
    self.tolerances = tolerances
    self.nodes = nodes
  }
}

/// How the cluster is doing now.
package struct ClusterHealth: Codable, Equatable, Sendable {
  package var canRead: Bool
  package var canWrite: Bool
  package var nodes: [NodeReport]

  package init(canRead: Bool, canWrite: Bool, nodes: [NodeReport]) {
    self.canRead = canRead
    self.canWrite = canWrite
    self.nodes = nodes
  }
}

/// A node that gave another false symbols, and one of its answers that convicts it: BCS of a
/// `SymbolStatement` in base64; nil if it signed none.
package struct Liar: Codable, Equatable, Sendable {
  package var node: String
  package var count: Int
  package var evidence: String?

  package init(_ report: LiarReport, name: String) {
    node = name
    count = report.count
    evidence = report.evidence.map { Base64.encode($0.bcsBytes) }
  }
}

package struct NodeReport: Codable, Equatable, Sendable {
  package enum State: String, Codable, Sendable {
    case running, stopped
    /// It should run and does not answer, or its drives are gone.
    case failing
  }

  /// A shard as its node sees it: `ready`, `readOnly`, `inRecovery` (its drive is gone), `unknown`.
  package struct Shard: Codable, Equatable, Sendable {
    package var shard: Int
    package var state: String

    package init(shard: Int, state: String) {
      self.shard = shard
      self.state = state
    }
  }

  package var name: String
  package var id: UInt16
  package var state: State
  package var shardCount: Int
  /// Every shard of the node; empty while it does not answer.
  package var shards: [Shard] = []
  package var sliverCount: Int
  package var storedByteCount: Int
  package var freeByteCount: Int
  package var totalByteCount: Int
  /// Records whose checksum failed when read, since start.
  package var rottenCount: Int
  /// Sentences for people: what is wrong, and what to do.
  package var problems: [String]
  package var liars: [Liar] = []

  package init(
    name: String, id: UInt16, state: State, shardCount: Int, sliverCount: Int = 0,
    storedByteCount: Int = 0, freeByteCount: Int = 0, totalByteCount: Int = 0,
    rottenCount: Int = 0, problems: [String] = []
  ) {
    self.name = name
    self.id = id
    self.state = state
    self.shardCount = shardCount
    self.sliverCount = sliverCount
    self.storedByteCount = storedByteCount
    self.freeByteCount = freeByteCount
    self.totalByteCount = totalByteCount
    self.rottenCount = rottenCount
    self.problems = problems
  }
}
