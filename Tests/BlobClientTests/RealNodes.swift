// RealNodes.swift
//
// Whole storage nodes on simulated drives for a `TestCluster`.

import Cluster
import Logging
import RedStuff
import Simulator
import SliverStore
import StorageNode
import Testing
import World

/// The nodes of a `TestCluster`, with drives.
struct RealNodes {
  let cluster: TestCluster
  let disks: [SimulatedDisk]
  let indexes: [SimulatedIndex]
  let missingIndexes: [SimulatedIndex]

  init(_ cluster: TestCluster) async throws {
    self.cluster = cluster
    disks = cluster.signers.indices.map { SimulatedDisk(seed: UInt64($0)) }
    indexes = cluster.signers.map { _ in SimulatedIndex() }
    missingIndexes = cluster.signers.map { _ in SimulatedIndex() }
    for (disk, signer) in zip(disks, cluster.signers) {
      try await SliverStore.initialise(
        disk: disk, clusterID: cluster.clusterID, node: signer.node,
        randomness: cluster.randomness)
    }
  }

  /// Starts all nodes, runs `body`, and stops them without closing anything, as a crash would.
  func running(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await running(StorageNodeConfiguration()) { _ in try await body() }
  }

  /// The same with nodes that repair themselves as `configuration` says.
  func running(
    _ configuration: StorageNodeConfiguration,
    _ body: @escaping @Sendable ([StorageNode]) async throws -> Void
  ) async throws {
    var nodes: [StorageNode] = []
    for (position, signer) in cluster.signers.enumerated() {
      let store = try await SliverStore.open(
        disk: disks[position], index: indexes[position], clusterID: cluster.clusterID,
        node: signer.node, randomness: cluster.randomness)
      let node = StorageNode(
        configuration: configuration, signer: signer, cluster: cluster.clusterID,
        committee: cluster.committee, drives: [StorageDrive(name: "0", state: .ready(store))],
        transport: cluster.transport, missingIndex: missingIndexes[position],
        registry: cluster.registry,
        clock: cluster.clock, randomness: cluster.randomness,
        compute: InlineCompute(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      await node.loadSettings()
      cluster.transport.connect(signer.node, to: node)
      nodes.append(node)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for node in nodes {
        group.addTask { try await node.run() }
        group.addTask { await node.repairSlivers() }
      }
      defer { group.cancelAll() }
      try await body(nodes)
    }
  }

  /// An empty drive in the place of the node's.
  func wipe(_ position: Int) async throws {
    disks[position].wipe()
    indexes[position].wipe()
    try await SliverStore.initialise(
      disk: disks[position], clusterID: cluster.clusterID, node: cluster.signers[position].node,
      randomness: cluster.randomness)
  }

  /// The power goes and comes back everywhere; what was not synced is gone.
  func crash() {
    for disk in disks { disk.restart(.nothing) }
    for index in indexes { index.crash(losing: index.losableBatchCount) }
  }
}
