// Machine.swift
//
// A simulated machine with a storage node on it: its drives outlive the process, which starts, stops,
// crashes and starts again on what the drives kept. The node itself is the production code; only the
// seams under it are of this world.

import Cluster
import ControlPlane
import Logging
import RedStuff
import Simulator
import SliverStore
import StorageNode
import Synchronization
import World

final class Machine: Sendable {
  struct Drive: Sendable {
    let disk: SimulatedDisk
    let index: SimulatedIndex
  }

  struct Process: Sendable {
    let seams: ProcessSeams
    let node: StorageNode
    /// Repairs what it lacks without being asked.
    let repairsUnasked: Bool
    let inventoryInterval: Duration

    func answer(_ request: NodeRequest) async -> NodeResponse {
      await node.answer(request, deadline: seams.clock.now + .seconds(60))
    }

    var drivesAreWell: Bool {
      get async {
        guard case .health(let health) = await answer(.health(detailed: true)) else { return false }
        return health.detail?.driveProblems == []
      }
    }
  }

  let position: Int
  let member: CommitteeMember
  let signer: NodeSigner
  let drives: [Drive]
  /// Of what the node misses; on the system's drive, so it stays when drives go.
  let missingIndex: SimulatedIndex
  let lies: LyingNode.Habits?
  private let world: SharedWorld
  private let dice: SeededRandomness
  private let slot = ProcessSlot<Process>()
  private let losesUnnoticed = Mutex(false)

  init(position: Int, signer: NodeSigner, lies: LyingNode.Habits?, in world: SharedWorld) {
    self.position = position
    self.signer = signer
    self.lies = lies
    self.world = world
    member = world.committee.members[position]
    dice = world.dice("machine \(position)")
    let dice = dice
    drives = (0..<world.swarm.driveCount).map { _ in
      let seed = dice.next()
      return Drive(
        disk: SimulatedDisk(
          seed: seed, capacityByteCount: world.swarm.driveCapacityByteCount ?? 1 << 30,
          clock: world.clock, trace: world.trace),
        index: SimulatedIndex(seed: seed, clock: world.clock, trace: world.trace))
    }
    missingIndex = SimulatedIndex(seed: dice.next(), clock: world.clock, trace: world.trace)
  }

  var name: String { member.name }
  var process: Process? { slot.process }
  var isRunning: Bool { process != nil }
  /// May lose data or lie.
  var isFrail: Bool { world.swarm.frailNodes.contains(position) }
  var place: NetworkPlace { .process(name) }

  /// Whether it restores by itself whatever it lacks, and soon: finds it out, and repairs it.
  var heals: Bool {
    guard let process else { return false }
    return process.repairsUnasked && (findsByInventory || !losesUnnoticed.withLock { $0 })
  }

  /// The process of an honest node whose drives are well: what may be expected to repair.
  var wellProcess: Process? {
    get async {
      guard lies == nil, let process, await process.drivesAreWell else { return nil }
      return process
    }
  }

  /// It takes inventories often enough to notice within a run what nothing else tells.
  var findsByInventory: Bool {
    process.map { $0.inventoryInterval <= .seconds(3600) } ?? false
  }

  /// It lost something in a way that only an inventory shows.
  func noteLossUnnoticed() { losesUnnoticed.withLock { $0 = true } }

  /// Makes the drives the node's; once, before its first start. The power may go right after it.
  func initialise() async throws {
    for drive in drives { try await initialise(drive) }
    if !world.swarm.faults.isEmpty { losePower() }
  }

  func initialise(_ drive: Drive) async throws {
    try await SliverStore.initialise(
      disk: drive.disk, clusterID: world.clusterID, node: member.id, randomness: dice)
  }

  /// Starts the process on what the drives hold. Does nothing if it runs or is being changed.
  func start() async {
    guard let run = slot.beginStart() else { return }
    let seams = ProcessSeams(name, run: run, in: world)
    world.trace.record(.process, traceValue(1, UInt64(position)), "\(name) starts")
    var opened: [StorageDrive] = []
    for (number, drive) in drives.enumerated() {
      opened.append(await open(drive, number, seams))
    }
    let endpoint = world.network.endpoint(
      of: seams.life, zone: member.topology.zone, clock: seams.clock,
      executor: world.executor(name))
    let configuration = configuration()
    let node = StorageNode(
      configuration: configuration, signer: signer, cluster: world.clusterID,
      committee: world.committee, drives: opened, transport: endpoint,
      missingIndex: FencedIndex(missingIndex, life: seams.life), registry: seams.registry(),
      clock: seams.clock, randomness: seams.randomness,
      compute: ChargedCompute(clock: seams.clock, dice: dice), logger: world.logger(name))
    await node.loadSettings()
    // It is paused whether or not that can be saved.
    if !world.swarm.heals { try? await node.pauseRepair() }
    seams.tasks.start { [world, name] in
      do {
        try await node.run()
      } catch is CancellationError {
        // The way it is told to stop.
      } catch {
        if seams.life.isAlive {
          world.findings.add(.nodesStart, "\(name) stopped following the registry: \(error)")
        }
      }
    }
    seams.tasks.start { await node.compactDrives() }
    seams.tasks.start { await node.repairSlivers() }
    seams.tasks.start { await node.scrubDrives() }
    let service: any NodeService =
      lies.map {
        LyingNode(
          node, habits: $0, signer: signer, cluster: world.clusterID,
          parameters: world.parameters, clock: seams.clock, randomness: seams.randomness,
          trace: world.trace)
      } ?? node
    world.network.listen(
      member.id, service: service, life: seams.life, isHonest: lies == nil)
    slot.settle(
      Process(
        seams: seams, node: node,
        repairsUnasked: world.swarm.heals && configuration.repairDelay != nil,
        inventoryInterval: configuration.inventoryInterval))
  }

  /// Ends the process as an operator would: out of reach first, then its work, then its drives.
  func stop() async {
    guard let process = slot.beginEnd() else { return }
    world.trace.record(.process, traceValue(2, UInt64(position)), "\(name) stops")
    world.network.unlisten(member.id, life: process.seams.life)
    await process.seams.tasks.end()
    await process.node.close()
    await world.network.end(process.seams.life)
    process.seams.life.end()
    slot.settle(nil)
  }

  enum Crash: Sendable {
    /// The process dies; what it wrote is in the system's memory and stays.
    case killed
    /// The power goes: anything that was not synced may be gone.
    case powerLost
  }

  /// Ends the process at once, wherever it is.
  func crash(_ crash: Crash) async {
    guard let process = slot.beginEnd() else { return }
    world.trace.record(.process, traceValue(3, UInt64(position)), "\(name) crashes: \(crash)")
    process.seams.life.end()
    if crash == .powerLost { losePower() }
    process.seams.tasks.close()
    await world.network.end(process.seams.life)
    await process.seams.tasks.end()
    slot.settle(nil)
  }

  /// Empty drives in the place of its own, and the node on them.
  func replaceDrives() async {
    await crash(.powerLost)
    for drive in drives {
      drive.disk.wipe()
      drive.index.wipe()
      do {
        try await initialise(drive)
      } catch {
        world.findings.add(.nodesStart, "\(name): a new drive cannot be set up: \(error)")
      }
    }
    await start()
  }

  private func losePower() {
    for drive in drives {
      drive.disk.restart(dice.pick(CrashSurvival.allCases) ?? .some)
      let losable = drive.index.losableBatchCount
      drive.index.crash(losing: dice.chance(0.3) ? losable : dice.number(in: 0...losable))
      // It is a cache: it may be gone altogether.
      if dice.chance(0.1) { drive.index.wipe() }
    }
    missingIndex.crash(losing: dice.number(in: 0...missingIndex.losableBatchCount))
  }

  /// Small limits, so that they are reached.
  private func configuration() -> StorageNodeConfiguration {
    var configuration = StorageNodeConfiguration()
    configuration.runningRequestCountMax = dice.pick([24, 64, 256]) ?? 256
    configuration.metadataCacheByteCountMax = dice.pick([0, 4 << 10, 32 << 20]) ?? 0
    configuration.expansionCacheByteCountMax = dice.pick([0, 64 << 10, 32 << 20]) ?? 0
    configuration.eventBatchCountMax = dice.pick([1, 4, 256]) ?? 4
    configuration.eventCountBetweenSaves = dice.pick([1, 16, 1024]) ?? 16
    configuration.pendingDeleteCountMax = dice.pick([1, 4096]) ?? 4096
    configuration.compactionInterval = dice.pick([.seconds(5), .seconds(60)]) ?? .seconds(60)
    configuration.repairDelay = dice.pick([nil, .zero, .seconds(20), .seconds(900)]) ?? nil
    configuration.repairByteRateMax = dice.pick([nil, 1000, 1_000_000]) ?? nil
    configuration.repairBatchBlobCountMax = dice.pick([1, 8, 64]) ?? 8
    configuration.repairRequestDeadline = .seconds(dice.number(in: 2...15))
    configuration.inventoryInterval = .seconds(dice.number(in: 60...3600))
    configuration.scrubPeriod = .seconds(dice.number(in: 30...600))
    configuration.scrubByteRateMax = dice.pick([64 << 10, 32 << 20]) ?? 32 << 20
    configuration.scrubInterval = .seconds(dice.number(in: 1...30))
    // So seldom that nothing may depend on it but what cannot be noticed otherwise.
    if world.dice("inventory \(position)").chance(0.5) {
      configuration.inventoryInterval = .seconds(6 * 3600)
    }
    world.configure(&configuration)
    return configuration
  }

  private func open(_ drive: Drive, _ number: Int, _ seams: ProcessSeams) async -> StorageDrive {
    let name = "drive-\(number)"
    do {
      let store = try await SliverStore.open(
        disk: FencedDisk(drive.disk, life: seams.life),
        index: FencedIndex(drive.index, life: seams.life), clusterID: world.clusterID,
        node: member.id, randomness: seams.randomness,
        options: SliverStoreOptions(
          segmentByteCountMax: world.swarm.segmentByteCountMax,
          capacityByteCount: world.swarm.driveCapacityByteCount,
          reserveByteCount: world.swarm.driveCapacityByteCount.map { $0 / 4 } ?? 0))
      return StorageDrive(name: name, state: .ready(store))
    } catch {
      world.trace.record(.process, 4, "\(self.name) cannot open \(name): \(error)")
      return StorageDrive(name: name, state: .absent("\(error)"))
    }
  }
}
