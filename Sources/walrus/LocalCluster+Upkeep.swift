// LocalCluster+Upkeep.swift
//
// Traffic, repair and scrub of a local cluster's nodes, for the administration API.

import BlobClient
import Cluster
import ControlPlane
import Gateway
import RedStuff
import Repair
import Routing
import StorageNode
import World

extension LocalCluster {
  func traffic() async -> ClusterTraffic {
    var flows = flows(of: client.traffic, from: "gateway", at: client.configuration.topology)
    for member in description.members {
      guard case .running(let local, _) = nodes[member.id] else { continue }
      flows += self.flows(of: local.node.traffic, from: member.name, at: member.topology)
    }
    return ClusterTraffic(flows: flows)
  }

  private func flows(
    of traffic: Traffic, from sender: String, at place: Topology
  ) -> [ClusterTraffic.Flow] {
    description.members.flatMap { peer in
      TrafficPurpose.allCases.compactMap { purpose in
        guard let count = traffic.peers[peer.id]?[purpose] else { return nil }
        return ClusterTraffic.Flow(
          from: sender, to: peer.name, purpose: purpose,
          crossesZones: place.distance(to: peer.topology) > 0, count)
      }
    }
  }

  func repair() async throws(GatewayFailure) -> ClusterRepair {
    var reports: [NodeRepair] = []
    for member in description.members { reports.append(await repairReport(member)) }
    return ClusterRepair(nodes: reports)
  }

  func change(repair action: RepairAction, node name: String?)
    async throws(GatewayFailure) -> ClusterRepair
  {
    for node in try runningNodes(try keeper(of: action, name)) {
      try await changing {
        switch action {
        case .run: await node.runRepairNow()
        case .pause(nil): try await node.pauseRepair()
        case .resume(nil): try await node.resumeRepair()
        case .pause(let shard?): try await node.pauseRepair(of: shard)
        case .resume(let shard?): try await node.resumeRepair(of: shard)
        case .limit(let byteRate): try await node.setRepairRate(byteRate)
        }
      }
    }
    return try await repair()
  }

  func scrub() async throws(GatewayFailure) -> ClusterScrub {
    var reports: [NodeScrub] = []
    for member in description.members { reports.append(await scrubReport(member)) }
    return ClusterScrub(nodes: reports)
  }

  func change(scrub action: ScrubAction, node name: String?)
    async throws(GatewayFailure) -> ClusterScrub
  {
    for node in try runningNodes(name) {
      try await changing {
        switch action {
        case .run: try await node.startScrub()
        case .pause: try await node.pauseScrub()
        case .resume: try await node.resumeScrub()
        }
      }
    }
    return try await scrub()
  }

  private func changing(
    _ change: () async throws -> Void
  ) async throws(GatewayFailure) {
    do {
      try await change()
    } catch let failure as NodeFailure {
      throw GatewayFailure(.internalError, "SETTING_NOT_SAVED", failure.message)
    } catch {
      throw GatewayFailure(.internalError, "SETTING_NOT_SAVED", "\(error)")
    }
  }

  /// Of an action on a shard the node that keeps it, else `name`.
  private func keeper(
    of action: RepairAction, _ name: String?
  ) throws(GatewayFailure) -> String? {
    let shard: ShardIndex
    switch action {
    case .pause(let it?), .resume(let it?): shard = it
    case .run, .pause(nil), .resume(nil), .limit: return name
    }
    guard
      let keeper = description.members.first(where: { $0.shards.contains(Int(shard.value)) })?.name
    else {
      throw GatewayFailure(
        .invalidArgument, "NO_SUCH_SHARD",
        "there is no shard \(shard.value): they are 0 to \(description.shardCount - 1)")
    }
    guard name == nil || name == keeper else {
      throw GatewayFailure(
        .invalidArgument, "NOT_THE_NODE_OF_THE_SHARD",
        "shard \(shard.value) is kept by \(keeper), not by \(name ?? "")")
    }
    return keeper
  }

  /// The node of this name, or all that run.
  private func runningNodes(_ name: String?) throws(GatewayFailure) -> [StorageNode] {
    guard let name else {
      return description.members.compactMap { member in
        if case .running(let local, _) = nodes[member.id] { local.node } else { nil }
      }
    }
    let member = try member(name)
    guard case .running(let local, _) = nodes[member.id] else {
      throw GatewayFailure(
        .failedPrecondition, "NODE_NOT_RUNNING",
        "\(name) does not run; start it with `walrus cluster start \(name)`")
    }
    return [local.node]
  }

  /// Why nothing can be asked of a node.
  private func problem(_ member: CommitteeMember) -> String {
    switch nodes[member.id] {
    case .failed(let reason): "did not start: \(reason)"
    case .changing: "being started, stopped or wiped"
    case .running, .stopped, nil: "stopped"
    }
  }

  private func repairReport(_ member: CommitteeMember) async -> NodeRepair {
    var report = NodeRepair(name: member.name, id: member.id.value)
    guard case .running(let local, _) = nodes[member.id] else {
      report.problem = problem(member)
      return report
    }
    let status: RepairStatus
    do {
      status = try await local.node.repairStatus()
    } catch {
      report.problem = "\(error)"
      return report
    }
    report.missingSliverCount = status.missingSliverCount
    report.missingBlobCount = status.missingBlobCount
    report.unrecoverableBlobCount = status.unrecoverableBlobCount
    report.recoveringBlobCount = status.recoveringBlobCount
    for (reason, count) in status.slivers where count > 0 { report.reasons["\(reason)"] = count }
    report.shards = status.shards.filter { $0.value > 0 }
      .map { .init(shard: Int($0.key.value), missingSliverCount: $0.value) }
      .sorted { $0.shard < $1.shard }
    report.shortfalls = status.blobsByLostShardCount.filter { $0.value > 0 }
      .map { lostShardCount, blobCount in
        .init(
          lostShardCount: lostShardCount, blobCount: blobCount,
          delaySeconds: status.delaysByLostShardCount[lostShardCount].map { $0 / .seconds(1) })
      }
      .sorted { $0.lostShardCount > $1.lostShardCount }
    report.byteCountToRestore = status.byteCountToRestore
    report.receivedByteCount = status.receivedByteCount
    report.restoredByteCount = status.restoredByteCount
    report.restoredSliverCount = status.restoredSliverCount
    report.requestCount = status.requestCount
    report.liars = status.liars.values.map { Liar($0, name: memberName($0.node)) }
      .sorted { $0.node < $1.node }
    report.isPaused = status.isPaused
    report.pausedShards = status.pausedShards.map { Int($0.value) }.sorted()
    report.byteRateMax = status.byteRateMax
    report.share = status.share
    report.inventoryAt = status.inventoryAt?.milliseconds
    return report
  }

  private func scrubReport(_ member: CommitteeMember) async -> NodeScrub {
    var report = NodeScrub(name: member.name, id: member.id.value)
    guard case .running(let local, _) = nodes[member.id] else {
      report.problem = problem(member)
      return report
    }
    let status = await local.node.scrubStatus()
    report.verifiedByteCount = status.verifiedByteCount
    report.totalByteCount = status.totalByteCount
    report.rottenRecordCount = status.rottenRecordCount
    report.unreadableRecordCount = status.unreadableRecordCount
    report.passStartedAt = status.passStartedAt?.milliseconds
    report.lastPassEndedAt = status.lastPassEndedAt?.milliseconds
    report.lastPassRottenCount = status.lastPassRottenCount
    report.isPaused = status.isPaused
    report.periodSeconds = status.period / .seconds(1)
    return report
  }
}
