// LocalCluster+Administration.swift
//
// What the administration API may do to a local cluster: look, and take single nodes away and bring
// them back. Every action may be repeated; one node changes one step at a time.

import BlobClient
import Cluster
import ControlPlane
import Drivers
import Foundation
import Gateway
import RedStuff
import World

extension LocalCluster: ClusterAdministration {
  /// A node that answers its health slower than this is shown as failing.
  private static let healthDeadline = Duration.seconds(2)

  func info() async throws(GatewayFailure) -> ClusterInfo {
    let parameters = environment.committee.parameters
    let epoch: Epoch
    do {
      epoch = try await registry.currentEpoch()
    } catch {
      throw GatewayFailure(.unavailable, "REGISTRY_UNAVAILABLE", "\(error)")
    }
    let n = parameters.shardCount
    let k = parameters.primarySourceCount + parameters.secondarySourceCount
    return ClusterInfo(
      name: "local", clusterId: "\(description.clusterID)", epoch: epoch,
      epochSeconds: description.epochDuration.map { $0 / .seconds(1) }, shardCount: n,
      faultyShardCountMax: parameters.faultyShardCountMax,
      blobByteCountMax: parameters.blobByteCountMax, uploadByteCountMax: largestUpload(parameters),
      expansion: Double(n * k) / Double(parameters.sourceSymbolCount),
      tolerances: environment.committee.tolerances.map(ClusterInfo.Tolerance.init),
      nodes: description.members.map { member in
        ClusterInfo.Node(
          name: member.name, id: member.id.value, shardCount: member.shards.count,
          address: serverAddress(of: member.id), region: member.topology.region,
          zone: member.topology.zone, rack: member.topology.rack, host: member.topology.host)
      })
  }

  func health() async throws(GatewayFailure) -> ClusterHealth {
    let reports = await withTaskGroup(of: NodeReport.self) { group in
      for member in description.members { group.addTask { await self.report(member) } }
      var reports: [NodeReport] = []
      for await report in group { reports.append(report) }
      return reports.sorted { $0.id < $1.id }
    }
    let n = environment.committee.parameters.shardCount
    let f = environment.committee.parameters.faultyShardCountMax
    func count(_ states: Set<NodeHealth.ShardState>, _ nodes: Set<NodeReport.State>) -> Int {
      reports.filter { nodes.contains($0.state) }.flatMap(\.shards)
        .count { shard in states.contains { $0.rawValue == shard.state } }
    }
    return ClusterHealth(
      canRead: n - count([.ready, .readOnly], [.running, .failing]) <= 2 * f,
      canWrite: n - count([.ready], [.running]) <= f, nodes: reports)
  }

  func completeShardCount(of blob: BlobID) async throws(GatewayFailure) -> Int {
    let deadline = environment.clock.now + Self.healthDeadline
    return await withTaskGroup(of: Int.self) { group in
      for member in description.members {
        guard case .running = nodes[member.id] else { continue }
        let pairs = environment.committee.pairs(of: blob, keptBy: member.id)
        group.addTask { [transport = transport.transport] in
          var count = 0
          for pair in pairs {
            var isComplete = true
            for axis in SliverAxis.allCases where isComplete {
              let answer = try? await transport.send(
                .sliverStatus(blob, pair, axis), to: member.id, deadline: deadline)
              isComplete = answer == .storedStatus(.stored)
            }
            if isComplete { count += 1 }
          }
          return count
        }
      }
      var count = 0
      for await complete in group { count += complete }
      return count
    }
  }

  func stop(node name: String) async throws(GatewayFailure) -> NodeReport {
    let member = try member(name)
    switch nodes[member.id] {
    case .changing: throw busy(name)
    case .running, .failed, .stopped, nil: break
    }
    do {
      try directory.writeDurably(Data(), to: directory.stoppedMarker(of: name))
    } catch {
      throw internalFailure("\(name) was not stopped: \(error)")
    }
    await stopNode(member.id)
    if case .failed = nodes[member.id] { nodes[member.id] = .stopped }
    return await report(member)
  }

  func start(node name: String) async throws(GatewayFailure) -> NodeReport {
    let member = try member(name)
    switch nodes[member.id] {
    case .changing: throw busy(name)
    case .running: return await report(member)
    case .failed, .stopped, nil: break
    }
    do {
      let marker = directory.stoppedMarker(of: name)
      if directory.exists(marker) {
        try FileManager.default.removeItem(at: marker)
        try directory.syncDirectory(directory.node(name))
      }
    } catch {
      throw internalFailure("\(name) was not started: \(error)")
    }
    await startNode(member)
    return await report(member)
  }

  func wipe(node name: String) async throws(GatewayFailure) -> NodeReport {
    let member = try member(name)
    switch nodes[member.id] {
    case .changing: throw busy(name)
    case .running:
      throw GatewayFailure(
        .failedPrecondition, "NODE_RUNNING",
        "\(name) runs; stop it first with `walrus cluster stop \(name)`, then wipe it")
    case .failed, .stopped, nil: break
    }
    let before = nodes[member.id] ?? .stopped
    nodes[member.id] = .changing
    defer { nodes[member.id] = before }
    do {
      let drive = directory.drive(0, of: name)
      if directory.exists(drive) { try FileManager.default.removeItem(at: drive) }
      try await LocalNode.initialiseDrive(
        0, of: name, node: member.id, cluster: description.clusterID, in: directory)
    } catch {
      throw internalFailure("\(name) was wiped in part: \(error); wipe it again")
    }
    nodes[member.id] = before
    return await report(member)
  }

  /// The largest blob that fits into the memory for uploads.
  private nonisolated func largestUpload(_ parameters: EncodingParameters) -> UInt64 {
    let memory = UInt64(uploadMemoryByteCount)
    var (fits, tooLarge) = (UInt64(0), parameters.blobByteCountMax + 1)
    while tooLarge - fits > 1 {
      let middle = fits + (tooLarge - fits) / 2
      let needed = try? BlobClient.storeByteCount(forBlobOf: middle, parameters: parameters)
      if let needed, needed <= memory { fits = middle } else { tooLarge = middle }
    }
    return fits
  }

  nonisolated func member(_ name: String) throws(GatewayFailure) -> CommitteeMember {
    if let member = description.members.first(where: { $0.name == name }) { return member }
    throw GatewayFailure(
      .notFound, "NODE_NOT_FOUND",
      "there is no node `\(name)`; the nodes are \(description.members.map(\.name).joined(separator: ", "))"
    )
  }

  nonisolated func memberName(_ id: NodeID) -> String {
    description.members.first { $0.id == id }?.name ?? "\(id)"
  }

  private nonisolated func busy(_ name: String) -> GatewayFailure {
    GatewayFailure(
      .unavailable, "NODE_BUSY", "\(name) is being started, stopped or wiped; try again in a moment"
    )
  }

  private nonisolated func internalFailure(_ message: String) -> GatewayFailure {
    GatewayFailure(.internalError, "INTERNAL_ERROR", message)
  }

  private func serverAddress(of id: NodeID) -> String {
    if case .running(_, let server?) = nodes[id] { server.address } else { "" }
  }

  private func report(_ member: CommitteeMember) async -> NodeReport {
    var report = NodeReport(
      name: member.name, id: member.id.value, state: .stopped, shardCount: member.shards.count)
    switch nodes[member.id] {
    case .running: break
    case .failed(let reason):
      report.state = .failing
      report.problems = ["\(member.name) did not start: \(reason)"]
      return report
    case .changing:
      report.problems = ["\(member.name) is being started, stopped or wiped"]
      return report
    case .stopped, nil: return report
    }
    let answer: NodeResponse
    do {
      answer = try await transport.transport.send(
        .health(detailed: true), to: member.id,
        deadline: environment.clock.now + Self.healthDeadline)
    } catch {
      report.state = .failing
      report.problems = ["\(member.name) does not answer: \(error)"]
      return report
    }
    guard case .health(let health) = answer, let detail = health.detail else {
      report.state = .failing
      report.problems = ["\(member.name) answered its health with something else: \(answer)"]
      return report
    }
    report.state = .running
    report.shards = health.shards.map {
      NodeReport.Shard(shard: Int($0.shard.value), state: $0.state.rawValue)
    }
    report.sliverCount = detail.sliverCount
    report.storedByteCount = detail.storedByteCount
    report.freeByteCount = detail.freeByteCount
    report.totalByteCount = detail.totalByteCount
    report.rottenCount = detail.rottenCount
    report.problems = detail.driveProblems
    report.liars = detail.liars.map { Liar($0, name: memberName($0.node)) }
    if health.nodeStatus != "Active" {
      report.state = .failing
      report.problems.append(
        "\(member.name) does not follow the registry (\(health.nodeStatus)); its log says why")
    } else if !health.shards.allSatisfy({ $0.state == .ready }) {
      report.state = .failing
    }
    return report
  }
}
