// LocalNode.swift
//
// One storage node of a local cluster: opens its identity and its drive, runs, and closes in the
// order that loses nothing: out of reach first, then finish what runs, then the drive.
//
// A drive that cannot be opened leaves the node running without it; an identity that cannot be read
// leaves the node down. Neither is ever replaced by a new one on its own.

import Cluster
import ControlPlane
import Drivers
import Foundation
import Logging
import SliverStore
import StorageNode
import World

/// What all nodes of the process share.
struct LocalNodeEnvironment: Sendable {
  var directory: DataDirectory
  var description: ClusterDescription
  var committee: Committee
  var registry: Registry
  var clock: any Clock
  var randomness: any Randomness
  var compute: any Compute
  var transport: any Transport
  var storeOptions: SliverStoreOptions
  var logger: Logger
}

struct LocalNode: Sendable {
  let node: StorageNode
  private let running: Task<Void, Never>
  /// Compacting, scrubbing and refilling its drives.
  private let upkeep: [Task<Void, Never>]

  static func start(_ member: CommitteeMember, in environment: LocalNodeEnvironment) async throws
    -> LocalNode
  {
    let signer = try signer(of: member, in: environment)
    var logger = environment.logger
    logger[metadataKey: "node"] = "\(member.name)"
    let drive = await openDrive(0, of: member, in: environment, logger: logger)
    let missingIndex = try await SQLiteIndex(
      path: environment.directory.missingIndex(of: member.name).path)
    let node = StorageNode(
      configuration: StorageNodeConfiguration(), signer: signer,
      cluster: environment.description.clusterID, committee: environment.committee,
      drives: [drive], transport: environment.transport, missingIndex: missingIndex,
      registry: environment.registry, clock: environment.clock,
      randomness: environment.randomness, compute: environment.compute, logger: logger)
    await node.loadSettings()
    let running = Task {
      do {
        try await node.run()
      } catch is CancellationError {
        // The way it is told to stop.
      } catch {
        logger.error("the node stopped following the registry: \(error)")
      }
    }
    return LocalNode(
      node: node, running: running,
      // On threads of their own: what is asked for does not queue behind them.
      upkeep: [
        Task(priority: .utility) { await node.compactDrives() },
        Task(priority: .utility) { await node.scrubDrives() },
        Task(priority: .utility) { await node.repairSlivers() },
      ])
  }

  /// Call once the node is out of reach of its transports.
  func stop() async {
    running.cancel()
    for task in upkeep { task.cancel() }
    await running.value
    for task in upkeep { await task.value }
    await node.close()
  }

  private static func signer(of member: CommitteeMember, in environment: LocalNodeEnvironment)
    throws -> NodeSigner
  {
    let file = environment.directory.identity(of: member.name)
    let identity = try NodeIdentity.read(file)
    guard identity.clusterID == "\(environment.description.clusterID)" else {
      throw CommandFailure(
        "\(file.path) belongs to cluster \(identity.clusterID), this is cluster "
          + "\(environment.description.clusterID); put the right directory back.")
    }
    guard let key = hexDecoded(identity.privateKey) else {
      throw CommandFailure("\(file.path) holds no private key; restore it from a backup.")
    }
    let signer = try NodeSigner(node: NodeID(identity.node), privateKey: key)
    guard signer.node == member.id, signer.publicKey == member.publicKey else {
      throw CommandFailure(
        "\(file.path) is not the identity of \(member.name); put the right directory back.")
    }
    return signer
  }

  private static func openDrive(
    _ number: Int, of member: CommitteeMember, in environment: LocalNodeEnvironment, logger: Logger
  ) async -> StorageDrive {
    let directory = environment.directory
    let name = "drive-\(number)"
    do {
      let disk = try await openDisk(
        directory.segments(number, of: member.name).path, clock: environment.clock)
      let index = try await SQLiteIndex(path: directory.index(number, of: member.name).path)
      let store = try await SliverStore.open(
        disk: disk, index: index, clusterID: environment.description.clusterID, node: member.id,
        randomness: environment.randomness, options: environment.storeOptions)
      return StorageDrive(name: name, state: .ready(store))
    } catch {
      logger.error("drive \(number) cannot be used: \(error)")
      return StorageDrive(name: name, state: .absent("\(error)"))
    }
  }

  /// A node that stopped a moment ago may hold its drive until its last answer is out.
  private static func openDisk(_ path: String, clock: any World.Clock) async throws -> FileDisk {
    let deadline = clock.now + .seconds(5)
    while true {
      do throws(FileDiskError) {
        return try FileDisk(directory: path)
      } catch {
        guard case .inUse = error, clock.now < deadline else { throw error }
        try await clock.sleep(for: .milliseconds(50))
      }
    }
  }

  /// Makes an empty drive with its marker: for a new node, or when an operator replaces a lost one.
  static func initialiseDrive(
    _ number: Int, of name: String, node: NodeID, cluster: ClusterID, in directory: DataDirectory
  ) async throws {
    try directory.makeDirectory(directory.segments(number, of: name))
    let disk = try FileDisk(directory: directory.segments(number, of: name).path)
    try await SliverStore.initialise(
      disk: disk, clusterID: cluster, node: node, randomness: SystemRandomness())
    try directory.syncDirectory(directory.drive(number, of: name))
    try directory.syncDirectory(directory.node(name))
  }
}
