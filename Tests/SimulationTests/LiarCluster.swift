// LiarCluster.swift
//
// A small cluster of real nodes, some of which lie, on a network without delays.

import BlobClient
import Cluster
import ControlPlane
import Logging
import RedStuff
import Simulation
import Simulator
import SliverStore
import StorageNode
import Synchronization
import Testing
import World

struct LiarCluster: Sendable {
  let clock = VirtualClock()
  let trace = Trace()
  let randomness: SeededRandomness
  let store = MemoryControlStore()
  let clusterID: ClusterID
  let committee: Committee
  let signers: [NodeSigner]
  let registry: Registry
  let network: SimulatedNetwork
  let endpoint: SimulatedEndpoint
  let lives: [ProcessLife]
  let disks: [SimulatedDisk]

  var parameters: EncodingParameters { committee.parameters }

  init(shards n: Int, nodes nodeCount: Int, seed: UInt64 = 1) async throws {
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
          topology: Topology(), shards: shards))
    }
    self.signers = signers
    let description = try ClusterDescription(
      clusterID: clusterID, shardCount: n, epochDuration: nil, members: members)
    try await Registry.createCluster(description, store: store, clock: clock)
    registry = Registry(store: store, clock: clock, randomness: randomness)
    committee = try await registry.committee()
    network = SimulatedNetwork(
      parameters: committee.parameters, clock: clock, randomness: randomness, trace: trace)
    lives = signers.map { ProcessLife(name: "node-\($0.node.value)") }
    endpoint = network.endpoint(
      of: ProcessLife(name: "client"), zone: "", clock: clock)
    disks = signers.indices.map { SimulatedDisk(seed: UInt64($0)) }
    network.setTrouble(Self.prompt)
  }

  static var prompt: LinkTrouble {
    var trouble = LinkTrouble()
    trouble.delayInsideZone = .none
    trouble.delayAcrossZones = .none
    return trouble
  }

  /// Lets time pass whenever nothing seems to happen. Much must seem to: a deadline that passes while
  /// an honest node computes would look like a fault.
  func passing<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws
    -> Value
  {
    try await clock.autoAdvancing(quietTurnCount: 3000, body)
  }

  /// Runs `body` with all nodes up; those with habits lie. Time stands still but in `passing`.
  func running(
    lying habits: [Int: LyingNode.Habits] = [:],
    _ body: @escaping @Sendable ([LyingNode]) async throws -> Void
  ) async throws {
    var nodes: [StorageNode] = []
    var liars: [LyingNode] = []
    for (position, signer) in signers.enumerated() {
      try await SliverStore.initialise(
        disk: disks[position], clusterID: clusterID, node: signer.node, randomness: randomness)
      let drive = try await SliverStore.open(
        disk: disks[position], index: SimulatedIndex(), clusterID: clusterID, node: signer.node,
        randomness: randomness)
      let endpoint = network.endpoint(of: lives[position], zone: "", clock: clock)
      let node = StorageNode(
        configuration: StorageNodeConfiguration(), signer: signer, cluster: clusterID,
        committee: committee, drives: [StorageDrive(name: "0", state: .ready(drive))],
        transport: endpoint, missingIndex: SimulatedIndex(), registry: registry, clock: clock,
        randomness: randomness, compute: InlineCompute(),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      nodes.append(node)
      guard let habits = habits[position] else {
        network.listen(signer.node, service: node, life: lives[position])
        continue
      }
      let liar = LyingNode(
        node, habits: habits, signer: signer, cluster: clusterID, parameters: parameters,
        clock: clock, randomness: randomness, trace: trace)
      liars.append(liar)
      network.listen(signer.node, service: liar, life: lives[position], isHonest: false)
    }
    let started = liars
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in nodes { group.addTask { try await node.run() } }
      defer { group.cancelAll() }
      try await body(started)
    }
    await network.shutDown()
  }

  func client(_ change: (inout BlobClientConfiguration) -> Void = { _ in }) -> BlobClient {
    var configuration = BlobClientConfiguration()
    change(&configuration)
    return BlobClient(
      configuration: configuration, registry: registry, cluster: clusterID, committee: committee,
      transport: endpoint, clock: clock, randomness: randomness,
      compute: InlineCompute(), spool: SimulatedDisk(seed: 99),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  var liar: LyingClient {
    LyingClient(
      registry: registry, transport: endpoint, cluster: clusterID, committee: committee,
      clock: clock, randomness: randomness)
  }

  /// Nobody reaches these nodes, and nobody else is out of reach.
  func setDown(_ positions: [Int]) {
    network.heal()
    network.setTrouble(Self.prompt)
    var refusing = Self.prompt
    refusing.refusals = 1
    for position in positions { network.setTrouble(refusing, to: .process("node-\(position)")) }
  }
}

extension BlobClient {
  func store(_ bytes: [UInt8]) async throws(BlobClientError) -> StoreReceipt {
    try await store(bytes, persistence: .deletable, epochs: nil)
  }

  /// Reads into memory.
  func bytes(
    of blob: BlobID, range: Range<UInt64>? = nil, check: ConsistencyCheck = .default
  ) async -> Result<[UInt8], BlobClientError> {
    let pieces = Mutex<[UInt8]>([])
    do throws(BlobClientError) {
      try await read(blob, range: range, check: check) { piece in
        pieces.withLock { $0 += piece }
      }
      return .success(pieces.withLock { $0 })
    } catch {
      return .failure(error)
    }
  }
}

func content(_ byteCount: Int, seed: UInt64 = 1) -> [UInt8] {
  SeededRandomness(seed: seed).bytes(count: byteCount)
}

/// All sets of `count` numbers below `n`.
func subsets(of n: Int, count: Int) -> [[Int]] {
  (0..<(1 << n)).map { mask in (0..<n).filter { mask >> $0 & 1 == 1 } }
    .filter { $0.count == count }
}
