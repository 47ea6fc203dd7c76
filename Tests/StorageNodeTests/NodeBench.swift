// NodeBench.swift
//
// One storage node among others that exist on paper only, on simulated drives, a control store in
// memory and a clock that stands still. Crash and reopen it, and look at what is left.

import Cluster
import ControlPlane
import Logging
import RedStuff
import Simulator
import SliverStore
import Synchronization
import Testing
import World

@testable import StorageNode

/// What survives of a node: its drives.
struct BenchDrive: Sendable {
  let name: String
  let disk: SimulatedDisk
  let gates: DiskGates
  let index: SimulatedIndex

  init(_ number: Int) {
    name = "drive-\(number)"
    disk = SimulatedDisk(seed: UInt64(number) + 1)
    gates = DiskGates()
    index = SimulatedIndex()
  }
}

/// A node that follows the registry.
struct RunningNode: Sendable {
  let node: StorageNode
  let loop: Task<Void, any Error>

  /// As a process that ends in good order.
  func stop() async throws {
    loop.cancel()
    try await loop.value
    await node.close()
  }

  /// As a process that is killed: nothing is saved.
  func kill() async {
    loop.cancel()
    _ = await loop.result
  }
}

final class NodeBench: Sendable {
  static let node = NodeID(1)

  let parameters: EncodingParameters
  let cluster: ClusterID
  let clock = VirtualClock()
  let memory = MemoryControlStore()
  let control: InterceptedControlStore
  let randomness: SeededRandomness
  /// The test's own way to the registry, which no hook holds.
  let registry: Registry
  /// The node's.
  let nodeRegistry: Registry
  let committee: Committee
  let signers: [NodeSigner]
  var signer: NodeSigner { signers[1] }
  let drives: [BenchDrive]
  let transport: SimulatedTransport
  let missingIndex = SimulatedIndex()
  let compute = GatedCompute()

  init(shardCount: Int = 7, driveCount: Int = 1, seed: UInt64 = 1) async throws {
    parameters = try EncodingParameters(shardCount: shardCount)
    randomness = SeededRandomness(seed: seed)
    cluster = try #require(ClusterID(randomness.bytes(count: 32)))
    control = InterceptedControlStore(memory)
    registry = Registry(store: memory, clock: clock, randomness: randomness)
    nodeRegistry = Registry(store: control, clock: clock, randomness: randomness)
    drives = (0..<driveCount).map(BenchDrive.init)
    transport = SimulatedTransport(
      parameters: parameters, clock: clock, randomness: randomness)
    signers = try (0..<3).map { number in
      try NodeSigner(
        node: NodeID(UInt16(number)), privateKey: [UInt8](repeating: UInt8(number), count: 32))
    }
    let mine = 1..<1 + max(2, shardCount / 3)
    let runs = [0..<1, mine, mine.upperBound..<shardCount]
    let members = zip(signers, runs).map { signer, shards in
      CommitteeMember(
        id: signer.node, name: "\(signer.node)", publicKey: signer.publicKey, address: "",
        topology: Topology(), shards: shards)
    }
    let description = try ClusterDescription(
      clusterID: cluster, shardCount: shardCount, epochDuration: .seconds(3600), members: members)
    try await Registry.createCluster(description, store: memory, clock: clock)
    committee = try await registry.committee()
    for drive in drives {
      try await SliverStore.initialise(
        disk: drive.disk, clusterID: cluster, node: Self.node, randomness: randomness)
    }
  }

  /// Opens the drives; those in `absent` are not there.
  func openNode(
    absent: Set<Int> = [], registry: Registry? = nil,
    configuration: StorageNodeConfiguration = StorageNodeConfiguration()
  ) async throws -> StorageNode {
    var opened: [StorageDrive] = []
    for (number, drive) in drives.enumerated() {
      guard !absent.contains(number) else {
        opened.append(StorageDrive(name: drive.name, state: .absent("not mounted")))
        continue
      }
      let store = try await SliverStore.open(
        disk: GatedDisk(drive.disk, drive.gates), index: drive.index, clusterID: cluster,
        node: Self.node, randomness: randomness)
      opened.append(StorageDrive(name: drive.name, state: .ready(store)))
    }
    return StorageNode(
      configuration: configuration, signer: signer, cluster: cluster, committee: committee,
      drives: opened, transport: transport, missingIndex: missingIndex,
      registry: registry ?? nodeRegistry, clock: clock, randomness: randomness,
      compute: compute,
      logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
  }

  /// Opens the node and lets it follow the registry.
  func start(absent: Set<Int> = []) async throws -> RunningNode {
    let node = try await openNode(absent: absent)
    let running = RunningNode(node: node, loop: Task { try await node.run() })
    #expect(await eventually { running.node.events.withLock { $0.phase } == .following })
    return running
  }

  /// The power goes, and comes back.
  func crash(_ survival: CrashSurvival) {
    for drive in drives {
      drive.disk.restart(survival)
      drive.index.crash(losing: randomness.number(below: drive.index.losableBatchCount + 1))
    }
  }

  func encode(byteCount: Int = 300) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(randomness.bytes(count: byteCount), parameters: parameters)
  }

  @discardableResult
  func register(
    _ blob: EncodedBlob, _ persistence: Persistence = .deletable
  ) async throws -> Registration {
    try await registry.register(
      blob: blob.blobID, byteCount: blob.metadata.blobByteCount, persistence: persistence,
      epochs: persistence == .permanent ? 5 : nil
    ).0
  }

  /// The pairs that the node keeps.
  func pairs(of blob: BlobID) -> [SliverPairIndex] {
    committee.pairs(of: blob, keptBy: Self.node)
  }

  func slivers(of blob: EncodedBlob) -> [Sliver] {
    pairs(of: blob.blobID).flatMap { pair in
      let both = blob.pair(pair)
      return [both.primary, both.secondary]
    }
  }

  /// Everything that the node should have of a blob.
  func entry(_ blob: EncodedBlob, for registration: Registration) -> StoreEntry {
    StoreEntry(
      blob: blob.blobID, object: registration.object, metadata: blob.metadata.metadata,
      slivers: slivers(of: blob), wantsConfirmation: true)
  }

  func ask(_ node: StorageNode, _ request: NodeRequest) async -> NodeResponse {
    await node.answer(request, deadline: clock.now + .seconds(30))
  }

  /// Registers and stores a blob, and expects it confirmed.
  @discardableResult
  func store(_ blob: EncodedBlob, on running: RunningNode) async throws -> Registration {
    let registration = try await register(blob)
    let answer = await ask(running.node, .storeBatch([entry(blob, for: registration)]))
    try expectConfirmed(answer, registration)
    return registration
  }

  /// As the client does when all nodes have confirmed.
  func certify(_ registration: Registration) async throws {
    let confirmations = signers.map {
      $0.confirm(
        cluster: cluster, epoch: registration.registeredEpoch, blob: registration.blob,
        object: registration.object)
    }
    _ = try await registry.certify(
      registration.object, of: registration.blob,
      certificate: try Certificate(confirmations: confirmations))
  }

  func expectConfirmed(
    _ answer: NodeResponse, _ registration: Registration,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    guard case .storeBatch(let outcomes) = answer, outcomes.count == 1,
      case .confirmed(let confirmation) = outcomes[0]
    else {
      Issue.record("not confirmed: \(answer)", sourceLocation: sourceLocation)
      return
    }
    #expect(confirmation.blob == registration.blob, sourceLocation: sourceLocation)
    #expect(confirmation.object == registration.object, sourceLocation: sourceLocation)
    #expect(
      confirmation.verify(cluster: cluster, publicKey: signer.publicKey),
      sourceLocation: sourceLocation)
  }

  /// How many of the node's slivers of a blob come back unharmed.
  func intactCount(of blob: EncodedBlob, on node: StorageNode) async -> Int {
    var count = 0
    for pair in pairs(of: blob.blobID) {
      for axis in SliverAxis.allCases {
        let index = pair.sliver(axis, shardCount: parameters.shardCount)
        let answer = await ask(node, .sliver(blob.blobID, pair, axis))
        if answer == .sliver(blob.sliver(axis, index)) { count += 1 }
      }
    }
    return count
  }

  func ownCount(of blob: EncodedBlob) -> Int { 2 * pairs(of: blob.blobID).count }
}

/// Lets other tasks go on until something is so; says whether it came to be.
func eventually(_ condition: () async -> Bool) async -> Bool {
  for _ in 0..<20_000 {
    if await condition() { return true }
    await Task.yield()
  }
  return false
}

func reason(_ answer: NodeResponse) -> NodeFailure.Reason? {
  if case .failure(let failure) = answer { failure.reason } else { nil }
}

func reason(_ outcome: StoreOutcome) -> NodeFailure.Reason? {
  if case .refused(let failure) = outcome { failure.reason } else { nil }
}

func reason(_ outcome: ReadOutcome) -> NodeFailure.Reason? {
  if case .refused(let failure) = outcome { failure.reason } else { nil }
}
