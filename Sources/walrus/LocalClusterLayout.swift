// LocalClusterLayout.swift
//
// Makes a new cluster in an empty data directory, or finds the one that is there. Safe to interrupt:
// the control store learns of the cluster last, and `creating` marks a layout that may be thrown
// away because nobody can have stored anything in it.

import Cluster
import ControlPlane
import Drivers
import Foundation
import RedStuff
import World

/// What `walrus up` was asked for; nil means "as it is", or the default for a new cluster.
struct ClusterShape: Sendable {
  static let nodeCountDefault = 10
  static let shardCountDefault = 100

  var nodeCount: Int?
  var shardCount: Int?
  var zoneCount: Int?
  var epochDuration: Duration?

  /// Refuses what no cluster can have, before anything is touched.
  func check() throws {
    let nodes = nodeCount ?? Self.nodeCountDefault
    let shards = shardCount ?? Self.shardCountDefault
    do {
      _ = try EncodingParameters(shardCount: shards)
    } catch {
      throw CommandFailure(
        "\(shards) shards are not possible: choose \(EncodingParameters.shardCountMin) to "
          + "\(EncodingParameters.shardCountMax).")
    }
    if let zoneCount, !(1...nodes).contains(zoneCount) {
      throw CommandFailure(
        "\(nodes) nodes cannot be in \(zoneCount) zones: choose 1 to \(nodes) for --zones.")
    }
    // Only one may be given, for a cluster that is there with a shape of its own.
    guard nodeCount != nil || shardCount != nil else { return }
    guard nodes >= 1, nodes <= shards else {
      throw CommandFailure(
        "\(nodes) nodes cannot keep \(shards) shards: each node needs at least one. "
          + "Give both --nodes and --shards.")
    }
  }
}

enum LocalClusterLayout {
  /// The control store of `directory`, which this process has locked.
  static func openControlStore(_ directory: DataDirectory) async throws -> SQLiteControlStore {
    if directory.exists(directory.controlStore) {
      return try await SQLiteControlStore.open(path: directory.controlStore.path)
    }
    try refuseOrphans(in: directory)
    try refuseStrangers(in: directory)
    return try await SQLiteControlStore.create(path: directory.controlStore.path)
  }

  /// The cluster of `directory`; a new one if there is none.
  static func open(
    _ directory: DataDirectory, shape: ClusterShape, store: any ControlStore, registry: Registry,
    clock: any Clock
  ) async throws -> ClusterDescription {
    if let description = try await registry.cluster() {
      try check(description, against: shape, in: directory)
      if directory.exists(directory.creatingFile) {
        try FileManager.default.removeItem(at: directory.creatingFile)
      }
      return description
    }
    try refuseOrphans(in: directory)
    return try await create(directory, shape: shape, store: store, clock: clock)
  }

  /// A new cluster does not move in with somebody else's files.
  private static func refuseStrangers(in directory: DataDirectory) throws {
    let ours: Set = ["lock", "creating", "nodes", "spool", "lost+found"]
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    guard
      let stranger = names.sorted().first(where: {
        !ours.contains($0) && !$0.hasPrefix(directory.controlStore.lastPathComponent)
      })
    else { return }
    throw CommandFailure(
      "\(directory.path) is not empty (it has \(stranger)) and holds no cluster; a new cluster needs "
        + "a directory of its own: choose another --data.")
  }

  /// Node directories without a cluster in the control store are somebody's data.
  private static func refuseOrphans(in directory: DataDirectory) throws {
    guard directory.exists(directory.nodes), !directory.exists(directory.creatingFile) else {
      return
    }
    throw CommandFailure(
      "\(directory.path) has node directories but its control store \(directory.controlStore.path) "
        + "knows no cluster. Nothing was changed. Restore control.sqlite from a backup, or use "
        + "another --data for a new cluster.")
  }

  private static func check(
    _ description: ClusterDescription, against shape: ClusterShape, in directory: DataDirectory
  ) throws {
    let nodeCount = description.members.count
    let asked: [(String, Bool)] = [
      ("--nodes", shape.nodeCount.map { $0 != nodeCount } ?? false),
      ("--shards", shape.shardCount.map { $0 != description.shardCount } ?? false),
      ("--zones", shape.zoneCount.map { $0 != zoneCount(of: description) } ?? false),
      ("--epoch-duration", shape.epochDuration.map { $0 != description.epochDuration } ?? false),
    ]
    let wrong = asked.filter(\.1).map(\.0)
    guard wrong.isEmpty else {
      let epochs = description.epochDuration.map { "epochs of \(humanDuration($0))" }
      throw CommandFailure(
        "\(directory.path) holds a cluster of \(nodeCount) nodes and \(description.shardCount) shards "
          + "with \(epochs ?? "epochs without end"), which cannot be changed; leave out "
          + "\(wrong.joined(separator: " and ")), or use another --data for a new cluster.")
    }
  }

  /// Throws if no node is in the zone: all of them would count as far.
  static func topology(
    ofGatewayIn zone: String?, _ description: ClusterDescription
  ) throws -> Topology {
    guard let zone else { return Topology() }
    let zones = Set(description.members.map(\.topology.zone)).subtracting([""]).sorted()
    guard zones.contains(zone) else {
      throw CommandFailure(
        zones.isEmpty
          ? "--zone \(zone): the nodes of this cluster are in no zones; leave it out."
          : "--zone \(zone): no node is there; the zones are \(zones.joined(separator: ", ")).")
    }
    return Topology(zone: zone)
  }

  private static func zoneCount(of description: ClusterDescription) -> Int {
    Set(description.members.map(\.topology.zone)).count
  }

  private static func create(
    _ directory: DataDirectory, shape: ClusterShape, store: any ControlStore, clock: any Clock
  ) async throws -> ClusterDescription {
    let nodeCount = shape.nodeCount ?? ClusterShape.nodeCountDefault
    let shardCount = shape.shardCount ?? ClusterShape.shardCountDefault
    try directory.writeDurably(Data(), to: directory.creatingFile)
    if directory.exists(directory.nodes) {
      try FileManager.default.removeItem(at: directory.nodes)
    }
    // Identities and the cluster's name come from the system's randomness, like every key.
    var generator = SystemRandomNumberGenerator()
    guard let clusterID = ClusterID((0..<32).map { _ in generator.next() }) else {
      throw CommandFailure("making a cluster ID failed.")
    }
    var members: [CommitteeMember] = []
    let zones = (0..<nodeCount).map { number in
      shape.zoneCount.map { "zone-\(number * $0 / nodeCount)" } ?? ""
    }
    let runs = Committee.runs(
      parameters: try EncodingParameters(shardCount: shardCount), domains: zones)
    for (number, shards) in runs.enumerated() {
      let name = "node-\(number)"
      let id = NodeID(UInt16(number))
      try directory.makeDirectory(directory.node(name))
      let identity = NodeIdentity(clusterID: clusterID, node: id)
      try directory.writeDurably(
        try JSONEncoder().encode(identity), to: directory.identity(of: name))
      try await LocalNode.initialiseDrive(
        0, of: name, node: id, cluster: clusterID, in: directory)
      let signer = try NodeSigner(node: id, privateKey: hexDecoded(identity.privateKey) ?? [])
      members.append(
        CommitteeMember(
          id: id, name: name, publicKey: signer.publicKey, address: "",
          topology: Topology(zone: zones[number]), shards: shards))
    }
    try directory.syncDirectory(directory.nodes)
    try directory.syncDirectory(directory.root)
    let description = try ClusterDescription(
      clusterID: clusterID, shardCount: shardCount, epochDuration: shape.epochDuration,
      members: members)
    try await Registry.createCluster(description, store: store, clock: clock)
    try FileManager.default.removeItem(at: directory.creatingFile)
    return description
  }
}
