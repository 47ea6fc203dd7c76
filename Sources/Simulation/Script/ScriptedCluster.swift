// ScriptedCluster.swift
//
// A small cluster to which happens what a script says, and nothing else: the machines, network and
// control store of simulated runs, with the production node on them, and virtual time.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Repair
import Simulator
import StorageNode
import Synchronization
import World

struct ScriptedCluster: Sendable {
  struct Plan: Sendable {
    var shardCount = 7
    var nodeCount = 7
    var driveCount = 1
    var segmentByteCountMax = 16 << 10
    var driveCapacityByteCount: Int?
    var seed: UInt64 = 1
    /// By node, what it lies about.
    var lies: [Int: LyingNode.Habits] = [:]
    /// By default nodes repair at once and look for what they lack at their start.
    var configure: @Sendable (inout StorageNodeConfiguration) -> Void = { _ in }

    init() {}
  }

  let world: SharedWorld
  let machines: [Machine]
  let client: ClientMachine

  /// Runs the script with all nodes and a client up, and stops them.
  static func run(
    _ plan: Plan = Plan(), _ script: @escaping @Sendable (ScriptedCluster) async throws -> Void
  ) async throws {
    let clock = VirtualClock()
    let lane = TimedLane(clock)
    try await lane.run {
      let cluster = try await ScriptedCluster(plan, clock, lane)
      for machine in cluster.machines { try await machine.initialise() }
      for machine in cluster.machines { await machine.start() }
      await cluster.client.start()
      do {
        try await script(cluster)
      } catch {
        await cluster.stop()
        throw error
      }
      await cluster.stop()
    }
  }

  private init(_ plan: Plan, _ clock: VirtualClock, _ lane: TimedLane) async throws {
    var swarm = Swarm(seed: plan.seed)
    swarm.shardCount = plan.shardCount
    swarm.shardRuns = Committee.evenRuns(
      shardCount: plan.shardCount, nodeCount: plan.nodeCount)
    swarm.zones = swarm.shardRuns.map { _ in "zone" }
    swarm.driveCount = plan.driveCount
    swarm.epochDuration = nil
    swarm.segmentByteCountMax = plan.segmentByteCountMax
    swarm.driveCapacityByteCount = plan.driveCapacityByteCount
    swarm.heals = true
    swarm.faults = []
    swarm.frailNodes = Set(plan.lies.keys)
    let trace = Trace()
    var world = try await SharedWorld.make(
      swarm, clock: clock, trace: trace, findings: Findings(trace: trace), networkExecutor: lane
    ) { _ in lane }
    let configure = plan.configure
    world.configure = { configuration in
      configuration = StorageNodeConfiguration()
      configuration.repairDelay = .zero
      configure(&configuration)
    }
    let made = world
    self.world = made
    machines = made.signers.enumerated().map {
      Machine(position: $0.offset, signer: $0.element, lies: plan.lies[$0.offset], in: made)
    }
    client = ClientMachine(position: 0, in: made)
  }

  private func stop() async {
    await client.stop(.cancellingTails)
    for machine in machines { await machine.stop() }
    await world.network.shutDown()
  }

  // MARK: What a script does

  var parameters: EncodingParameters { world.parameters }
  /// The most that a blob with symbols of this size holds.
  func byteCount(symbolByteCount: Int) -> Int { parameters.sourceSymbolCount * symbolByteCount }

  struct NotRunning: Error {}

  private func process() throws -> ClientMachine.Process {
    guard let process = client.process else { throw NotRunning() }
    return process
  }

  /// Gives every node its slivers, as a client would: a client's own uploads go on in tasks beside
  /// any lane.
  func store(_ bytes: [UInt8]) async throws -> EncodedBlob {
    let process = try process()
    let blob = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
    let (registration, _) = try await process.registry.register(
      blob: blob.blobID, byteCount: UInt64(bytes.count), persistence: .deletable, epochs: nil)
    var confirmations: [StorageConfirmation] = []
    for (position, machine) in machines.enumerated() {
      let slivers = slivers(of: blob, on: position).compactMap { _, answer in
        if case .sliver(let sliver) = answer { sliver } else { nil }
      }
      let entry = StoreEntry(
        blob: blob.blobID, object: registration.object, metadata: blob.metadata.metadata,
        slivers: slivers, wantsConfirmation: true)
      do throws(TransportError) {
        let answer = try await process.endpoint.send(
          .storeBatch([entry]), to: machine.member.id,
          deadline: process.seams.clock.now + .seconds(60))
        guard machine.lies == nil, case .storeBatch(let outcomes) = answer,
          case .confirmed(let confirmation)? = outcomes.first
        else { continue }
        confirmations.append(confirmation)
      } catch {
        // Without those of liars there are enough.
        guard machine.lies != nil else { throw error }
      }
    }
    _ = try await process.registry.certify(
      registration.object, of: blob.blobID, certificate: Certificate(confirmations: confirmations))
    return blob
  }

  /// Blobs of these sizes, each of other bytes.
  func store(sizes: [Int]) async throws -> [EncodedBlob] {
    var blobs: [EncodedBlob] = []
    for (number, size) in sizes.enumerated() {
      let bytes = SeededRandomness(seed: UInt64(number + 1)).bytes(count: size)
      blobs.append(try await store(bytes))
    }
    return blobs
  }

  func delete(_ blob: EncodedBlob) async throws {
    _ = try await process().registry.delete(blob: blob.blobID, object: nil)
  }

  func bytes(of blob: EncodedBlob) async throws -> [UInt8] {
    let pieces = Mutex<[UInt8]>([])
    try await process().client.read(blob.blobID) { piece in pieces.withLock { $0 += piece } }
    return pieces.withLock { $0 }
  }

  func rest(_ duration: Duration) async throws { try await world.clock.sleep(for: duration) }

  /// Lets time pass until something holds.
  ///
  /// - Returns: whether it did within `limit`.
  func waits(
    atMost limit: Duration, every step: Duration = .seconds(1), until holds: () async throws -> Bool
  ) async throws -> Bool {
    let end = world.clock.now + limit
    while try await !holds() {
      guard world.clock.now < end else { return false }
      try await rest(step)
    }
    return true
  }

  // MARK: What is there

  /// Slivers of a blob that a node should have and does not give as they were encoded.
  func lackingCount(_ blob: EncodedBlob, on node: Int) async -> Int {
    var count = 0
    for (request, wanted) in slivers(of: blob, on: node)
    where await answer(request, of: node) != wanted { count += 1 }
    return count
  }

  func lackingCount(_ blobs: [EncodedBlob], on node: Int) async -> Int {
    var count = 0
    for blob in blobs { count += await lackingCount(blob, on: node) }
    return count
  }

  /// Slivers of a blob that the index of a node knows; nothing is read, and no repair asked for.
  func knownCount(_ blob: EncodedBlob, on node: Int) async -> Int {
    var count = 0
    for pair in world.committee.pairs(of: blob.blobID, keptBy: machines[node].member.id) {
      for axis in SliverAxis.allCases {
        let answer = await answer(.sliverStatus(blob.blobID, pair, axis), of: node)
        if answer == .storedStatus(.stored) { count += 1 }
      }
    }
    return count
  }

  func slivers(of blob: EncodedBlob, on node: Int) -> [(NodeRequest, NodeResponse)] {
    world.committee.pairs(of: blob.blobID, keptBy: machines[node].member.id).flatMap { pair in
      SliverAxis.allCases.map { axis in
        let index = pair.sliver(axis, shardCount: world.swarm.shardCount)
        return (.sliver(blob.blobID, pair, axis), .sliver(blob.sliver(axis, index)))
      }
    }
  }

  func answer(_ request: NodeRequest, of node: Int) async -> NodeResponse? {
    guard let process = machines[node].process else { return nil }
    return await process.node.answer(
      request, deadline: process.seams.clock.now + .seconds(60))
  }

  func status(of node: Int) async throws -> RepairStatus {
    guard let process = machines[node].process else { throw NotRunning() }
    return try await process.node.repairStatus()
  }

  /// Whether a node has looked for what it lacks, and lacks nothing.
  func isHealed(_ node: Int) async throws -> Bool {
    let status = try await status(of: node)
    return status.inventoryAt != nil && status.missingSliverCount == 0
  }
}
