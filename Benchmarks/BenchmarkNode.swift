// BenchmarkNode.swift
//
// A storage node with one drive, on files or in memory, which can lose it.

import Cluster
import ControlPlane
import Drivers
import Foundation
import Logging
import Simulator
import SliverStore
import StorageNode
import Synchronization
import World

/// Where benchmark nodes keep what they store.
enum BenchmarkDrives: Sendable {
  /// Without faults and delays: for many nodes, and where only bytes are counted.
  case memory
  /// Files and indexes as nodes have them, below this directory.
  case files(URL)
}

/// What all nodes of a benchmark share.
struct BenchmarkWorld: Sendable {
  let clusterID: ClusterID
  let committee: Committee
  let registry: Registry
  let transport: BenchmarkTransport
  let clock: any Clock
  let randomness: any Randomness
  let compute: any Compute
  let drives: BenchmarkDrives
  let logger: Logger
}

final class BenchmarkNode: Sendable {
  private struct Running {
    let node: StorageNode
    let following: Task<Void, Never>
    var repairing: Task<Void, Never>?
  }

  let member: CommitteeMember
  let reads = ReadCounter()
  private let signer: NodeSigner
  private let world: BenchmarkWorld
  private let running = Mutex<Running?>(nil)
  /// Drives so far: a lost one is not used again.
  private let driveCount = Atomic<Int>(0)

  init(member: CommitteeMember, signer: NodeSigner, world: BenchmarkWorld) {
    self.member = member
    self.signer = signer
    self.world = world
  }

  var node: StorageNode? { running.withLock { $0?.node } }

  /// Starts with an empty drive, and repairs nothing yet.
  func startEmpty() async throws {
    let number = driveCount.add(1, ordering: .relaxed).newValue
    let (disk, index, missing) = try await makeDrive(number)
    try await SliverStore.initialise(
      disk: disk, clusterID: world.clusterID, node: member.id, randomness: world.randomness)
    let store = try await SliverStore.open(
      disk: CountingDisk(disk: disk, reads: reads), index: index,
      clusterID: world.clusterID, node: member.id, randomness: world.randomness)
    var configuration = StorageNodeConfiguration()
    configuration.repairDelay = nil
    let node = StorageNode(
      configuration: configuration, signer: signer, cluster: world.clusterID,
      committee: world.committee, drives: [StorageDrive(name: "0", state: .ready(store))],
      transport: world.transport, missingIndex: missing, registry: world.registry,
      clock: world.clock, randomness: world.randomness, compute: world.compute,
      logger: world.logger)
    let following = Task { [logger = world.logger] in
      do { try await node.run() } catch is CancellationError {
      } catch { logger.error("a node does not follow the registry: \(error)") }
    }
    running.withLock { $0 = Running(node: node, following: following) }
    world.transport.connect(member.id, to: node)
  }

  private func makeDrive(_ number: Int) async throws -> (any Disk, any Index, any Index) {
    switch world.drives {
    case .memory:
      let seed = UInt64(member.id.value) << 32 | UInt64(number)
      return (
        SimulatedDisk(seed: seed), SimulatedIndex(seed: seed), SimulatedIndex(seed: seed)
      )
    case .files(let directory):
      let drive = directory.appending(path: "\(member.name)-\(number)")
      try FileManager.default.createDirectory(at: drive, withIntermediateDirectories: true)
      return (
        try FileDisk(directory: drive.path),
        try await SQLiteIndex(path: drive.appending(path: "index.sqlite").path),
        try await SQLiteIndex(path: drive.appending(path: "missing.sqlite").path)
      )
    }
  }

  func repair() {
    running.withLock { running in
      guard let node = running?.node, running?.repairing == nil else { return }
      running?.repairing = Task(priority: .utility) { await node.repairSlivers() }
    }
  }

  /// Whether messages reach it; it goes on running.
  func setReachable(_ isReachable: Bool) {
    guard isReachable, let node else { return world.transport.disconnect(member.id) }
    world.transport.connect(member.id, to: node)
  }

  func stop() async {
    guard let stopped = running.withLock({ $0.take() }) else { return }
    world.transport.disconnect(member.id)
    stopped.repairing?.cancel()
    stopped.following.cancel()
    await stopped.repairing?.value
    await stopped.following.value
    await stopped.node.close()
  }

  /// A database that is just being closed takes some of its files away at the same time.
  private func remove(_ directory: URL) throws {
    while FileManager.default.fileExists(atPath: directory.path) {
      do {
        try FileManager.default.removeItem(at: directory)
      } catch let error as CocoaError where error.code == .fileNoSuchFile {
        continue
      }
    }
  }

  /// The drive is gone, with all on it, and an empty one is in its place.
  func loseDrive() async throws {
    await stop()
    if case .files(let directory) = world.drives {
      let number = driveCount.load(ordering: .relaxed)
      try remove(directory.appending(path: "\(member.name)-\(number)"))
    }
    try await startEmpty()
  }
}
