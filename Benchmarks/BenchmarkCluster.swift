// BenchmarkCluster.swift
//
// A whole cluster in this process: the registry in memory, storage nodes as production has them,
// direct calls between them, and a client.

import BlobClient
import Cluster
import ControlPlane
import Drivers
import Foundation
import Glibc
import Logging
import RedStuff
import Repair
import Routing
import Simulator
import StorageNode
import Synchronization
import World

/// Why a benchmark has no figures.
package struct BenchmarkFailure: Error, CustomStringConvertible {
  package let description: String
}

struct BenchmarkShape: Sendable {
  var shardCount: Int
  var nodeCount: Int
  /// By node; none: nodes do not know of zones.
  var zones: [String] = []
  var seed: UInt64 = 1
}

/// What the repair of one node took.
struct HealingCost: Sendable {
  var restoredByteCount = 0
  /// Answers with symbols, as they are on the wire.
  var receivedByteCount = 0
  /// Answers with symbols without framing.
  var payloadByteCount = 0
  var metadataByteCount = 0
  var requestCount = 0
  /// Read from the drives of all nodes.
  var readByteCount = 0
  var cpuSeconds = 0.0
  var seconds = 0.0
  var liars: [NodeID: Int] = [:]
  /// By node, what came from there for repair.
  var sources: [NodeID: Int] = [:]

  var receivedPerRestored: Double { perRestored(receivedByteCount) }
  var metadataPerRestored: Double { perRestored(metadataByteCount) }
  var readPerRestored: Double { perRestored(readByteCount) }

  private func perRestored(_ byteCount: Int) -> Double {
    Double(byteCount) / Double(max(restoredByteCount, 1))
  }
}

extension BenchmarkWorld {
  func client(_ change: (inout BlobClientConfiguration) -> Void = { _ in }) -> BlobClient {
    var configuration = BlobClientConfiguration()
    change(&configuration)
    return BlobClient(
      configuration: configuration, registry: registry, cluster: clusterID, committee: committee,
      transport: transport, clock: clock, randomness: randomness, compute: compute,
      spool: SimulatedDisk(seed: 7), logger: logger)
  }
}

extension BenchmarkWorld {
  /// One that waits for what is late.
  func unhedgedClient() -> BlobClient {
    client {
      $0.hedgesPerThousand = 0
      $0.hedgeBurstMax = 0
    }
  }
}

final class BenchmarkCluster: Sendable {
  let shape: BenchmarkShape
  let world: BenchmarkWorld
  let nodes: [BenchmarkNode]
  let client: BlobClient

  var parameters: EncodingParameters { world.committee.parameters }
  var k1: Int { parameters.primarySourceCount }
  var k2: Int { parameters.secondarySourceCount }

  init(
    _ shape: BenchmarkShape, on drives: BenchmarkDrives, logger: Logger
  ) async throws {
    self.shape = shape
    let randomness = SeededRandomness(seed: shape.seed)
    let clock = SystemClock()
    guard let clusterID = ClusterID(randomness.bytes(count: 32)) else {
      throw BenchmarkFailure(description: "no cluster ID")
    }
    let runs = Committee.evenRuns(shardCount: shape.shardCount, nodeCount: shape.nodeCount)
    var signers: [NodeSigner] = []
    var members: [CommitteeMember] = []
    for (number, shards) in runs.enumerated() {
      let signer = try NodeSigner(
        node: NodeID(UInt16(number)), privateKey: randomness.bytes(count: 32))
      signers.append(signer)
      members.append(
        CommitteeMember(
          id: signer.node, name: "node-\(number)", publicKey: signer.publicKey, address: "",
          topology: Topology(zone: shape.zones.isEmpty ? "" : shape.zones[number]),
          shards: shards))
    }
    let description = try ClusterDescription(
      clusterID: clusterID, shardCount: shape.shardCount, epochDuration: nil, members: members)
    let store = MemoryControlStore()
    try await Registry.createCluster(description, store: store, clock: clock)
    let registry = Registry(store: store, clock: clock, randomness: randomness)
    let committee = try await registry.committee()
    let transport = BenchmarkTransport(parameters: committee.parameters, clock: clock)
    let compute = ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount)
    let world = BenchmarkWorld(
      clusterID: clusterID, committee: committee, registry: registry, transport: transport,
      clock: clock, randomness: randomness, compute: compute, drives: drives, logger: logger)
    self.world = world
    nodes = zip(members, signers).map { BenchmarkNode(member: $0, signer: $1, world: world) }
    client = world.client()
    for node in nodes { try await node.startEmpty() }
  }

  func close() async {
    await client.shutdown(.cancellingTails)
    for node in nodes { await node.stop() }
  }

  func content(_ number: Int, byteCount: Int) -> [UInt8] {
    SeededRandomness(seed: shape.seed << 32 | UInt64(number)).bytes(count: byteCount)
  }

  /// Stores blobs, all slivers of each.
  func store(_ count: Int, byteCount: Int) async throws -> [BlobID] {
    let width = min(4, count)
    let stored = try await withThrowingTaskGroup(of: [Int: BlobID].self) { group in
      for worker in 0..<width {
        group.addTask { [self] in
          var stored: [Int: BlobID] = [:]
          for number in stride(from: worker, to: count, by: width) {
            let receipt = try await client.store(
              content(number, byteCount: byteCount), persistence: .deletable, epochs: nil)
            stored[number] = receipt.blob
          }
          return stored
        }
      }
      return try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }
    await client.waitForTails()
    return (0..<count).compactMap { stored[$0] }
  }

  /// Far longer than any repair here takes.
  private static let healingDurationMax = Duration.seconds(3600)

  /// The node's drive is lost, an empty one put in its place, and everything on it restored.
  func heal(_ position: Int) async throws -> HealingCost {
    let lost = nodes[position]
    try await lost.loseDrive()
    guard let node = lost.node else { throw BenchmarkFailure(description: "no node") }
    var cost = HealingCost()
    let readBefore = nodes.reduce(0) { $0 + $1.reads.byteCount }
    let answersBefore = world.transport.readAnswers
    let (start, cpuBefore) = (world.clock.now, processSeconds())
    lost.repair()
    await node.runRepairNow()
    var status = RepairStatus()
    while true {
      try await world.clock.sleep(for: .milliseconds(20))
      status = try await node.repairStatus()
      if status.inventoryAt != nil, status.missingSliverCount == 0 { break }
      guard world.clock.now - start < Self.healingDurationMax else {
        throw BenchmarkFailure(
          description: "\(status.missingSliverCount) slivers are still missing after an hour")
      }
      guard status.unrecoverableBlobCount == 0 else {
        throw BenchmarkFailure(
          description: "\(status.unrecoverableBlobCount) blobs could not be repaired")
      }
    }
    cost.cpuSeconds = processSeconds() - cpuBefore
    cost.seconds = Double((world.clock.now - start).wholeNanoseconds) / 1e9
    let moved = node.traffic.count(of: .repair)
    cost.restoredByteCount = status.restoredByteCount
    cost.receivedByteCount = moved.answerByteCount
    cost.requestCount = moved.requestCount
    cost.metadataByteCount = node.traffic.count(of: .metadata).answerByteCount
    let answers = world.transport.readAnswers - answersBefore
    cost.payloadByteCount = answers.payload + answers.paths
    cost.readByteCount = nodes.reduce(0) { $0 + $1.reads.byteCount } - readBefore
    cost.liars = status.liars.mapValues(\.count)
    for (peer, counts) in node.traffic.peers {
      cost.sources[peer] = counts[.repair]?.answerByteCount ?? 0
    }
    return cost
  }
}

/// CPU time of this process.
func processSeconds() -> Double {
  var usage = rusage()
  unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
  return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
