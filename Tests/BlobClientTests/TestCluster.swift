// TestCluster.swift
//
// A whole cluster for one test: registry, transport, fake nodes, and blobs planted in them.

import BlobClient
import Cluster
import ControlPlane
import Logging
import RedStuff
import Routing
import Simulator
import Synchronization
import Testing
import World

/// Pseudo-random content.
func content(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
  SeededRandomness(seed: seed).bytes(count: byteCount)
}

/// Takes what a read gives.
final class Collector: Sendable {
  private let state = Mutex((bytes: [UInt8](), longest: 0, count: 0))

  var sink: BlobSink {
    { piece in
      self.state.withLock {
        $0.bytes += piece
        $0.longest = max($0.longest, piece.count)
        $0.count += 1
      }
    }
  }
  var bytes: [UInt8] { state.withLock { $0.bytes } }
  var longest: Int { state.withLock { $0.longest } }
  var count: Int { state.withLock { $0.count } }
}

struct TestCluster: Sendable {
  let clock = VirtualClock()
  let randomness: SeededRandomness
  let store = MemoryControlStore()
  let clusterID: ClusterID
  let committee: Committee
  let signers: [NodeSigner]
  let registry: Registry
  let transport: SimulatedTransport
  let spool = SimulatedDisk(seed: 99)
  let nodes: [FakeNode]

  var parameters: EncodingParameters { committee.parameters }
  var k1: Int { parameters.primarySourceCount }
  var k2: Int { parameters.secondarySourceCount }
  var f: Int { parameters.faultyShardCountMax }

  /// By default a node for each shard.
  /// The nodes are divided into `zones` runs of neighbours.
  init(
    shards n: Int, nodes nodeCount: Int? = nil, zones: Int = 1, seed: UInt64 = 1
  ) async throws {
    let nodeCount = nodeCount ?? n
    randomness = SeededRandomness(seed: seed)
    clusterID = try #require(ClusterID(randomness.bytes(count: 32)))
    var signers: [NodeSigner] = []
    var members: [CommitteeMember] = []
    for (number, shards) in Committee.evenRuns(shardCount: n, nodeCount: nodeCount).enumerated() {
      let signer = try NodeSigner(
        node: NodeID(UInt16(number)), privateKey: randomness.bytes(count: 32))
      signers.append(signer)
      members.append(
        CommitteeMember(
          id: signer.node, name: "node-\(number)", publicKey: signer.publicKey, address: "",
          topology: Topology(zone: "zone-\(number * zones / nodeCount)"), shards: shards))
    }
    self.signers = signers
    let description = try ClusterDescription(
      clusterID: clusterID, shardCount: n, epochDuration: nil, members: members)
    try await Registry.createCluster(description, store: store, clock: clock)
    registry = Registry(store: store, clock: clock, randomness: randomness)
    committee = try await registry.committee()
    transport = SimulatedTransport(
      parameters: committee.parameters, clock: clock, randomness: randomness)
    let (clusterID, committee) = (clusterID, committee)
    nodes = signers.map { FakeNode(signer: $0, cluster: clusterID, committee: committee) }
    for node in nodes { transport.connect(node.id, to: node) }
  }

  func client(_ change: (inout BlobClientConfiguration) -> Void = { _ in }) -> BlobClient {
    var configuration = BlobClientConfiguration()
    change(&configuration)
    return BlobClient(
      configuration: configuration, registry: registry, cluster: clusterID, committee: committee,
      transport: transport, clock: clock, randomness: randomness, compute: InlineCompute(),
      spool: spool, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  func encode(_ bytes: [UInt8]) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(bytes, parameters: parameters)
  }

  /// A certified blob, with all slivers where they belong.
  @discardableResult
  func plant(_ bytes: [UInt8]) async throws -> BlobID {
    let encoded = try encode(bytes)
    try await plant(encoded.metadata.metadata, encoded.blobID) { encoded.sliver($0, $1) }
    return encoded.blobID
  }

  func plant(
    _ metadata: BlobMetadata, _ blob: BlobID, _ sliver: (SliverAxis, SliverIndex) -> Sliver
  ) async throws {
    try await certify(blob, byteCount: metadata.blobByteCount)
    for node in nodes {
      var kept = FakeNode.Kept(metadata: metadata)
      for pair in committee.pairs(of: blob, keptBy: node.id) {
        for axis in SliverAxis.allCases {
          let index = pair.sliver(axis, shardCount: parameters.shardCount)
          kept.slivers[MatrixLine(axis, Int(index.value))] = sliver(axis, index)
        }
      }
      node.plant(blob, kept)
    }
  }

  func certify(_ blob: BlobID, byteCount: UInt64) async throws {
    let (registration, _) = try await registry.register(
      blob: blob, byteCount: byteCount, persistence: .deletable, epochs: nil)
    let confirmations = signers.map {
      $0.confirm(
        cluster: clusterID, epoch: registration.registeredEpoch, blob: blob,
        object: registration.object)
    }
    _ = try await registry.certify(
      registration.object, of: blob, certificate: Certificate(confirmations: confirmations))
  }

  /// The node that keeps a pair.
  func node(_ pair: Int, of blob: BlobID) -> FakeNode {
    let id = committee.node(keeping: SliverPairIndex(UInt16(pair)), of: blob)
    return nodes[Int(id.value)]
  }

  /// Both slivers of each pair are gone from their nodes.
  func lose(pairs: some Sequence<Int>, of blob: BlobID) {
    for pair in pairs {
      node(pair, of: blob).lose(
        blob, [.row(pair), .column(parameters.shardCount - 1 - pair)])
    }
  }

  func nodesDown(_ ids: some Sequence<Int>) {
    for id in ids { transport.setFault(.down, of: NodeID(UInt16(id))) }
  }
}

extension BlobClient {
  /// Reads into memory.
  func bytes(
    of blob: BlobID, range: Range<UInt64>? = nil, check: ConsistencyCheck = .default
  ) async throws -> [UInt8] {
    let collector = Collector()
    try await read(blob, range: range, check: check, into: collector.sink)
    return collector.bytes
  }
}

/// The error that `work` throws, if it is one of a client.
func clientError(_ work: () async throws -> Void) async -> BlobClientError? {
  do {
    try await work()
    return nil
  } catch {
    return error as? BlobClientError
  }
}

extension BlobClientError {
  var isUnavailable: Bool { if case .unavailable = self { true } else { false } }
}

/// All sets of `count` numbers below `n`.
func subsets(of n: Int, count: Int) -> [[Int]] {
  (0..<(1 << n)).map { mask in (0..<n).filter { mask >> $0 & 1 == 1 } }
    .filter { $0.count == count }
}
