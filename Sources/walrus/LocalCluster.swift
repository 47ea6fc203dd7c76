// LocalCluster.swift
//
// A whole cluster in this process: control store, nodes, client, gateway and administration, wired
// together. Opening and closing are here; stopping and starting single nodes and reports are in
// LocalCluster+Administration.
//
// Invariants: the data directory's lock is held from before the first file is opened until after the
// last is closed. A node that cannot start leaves the others running.

import BlobClient
import Cluster
import ControlPlane
import CoreMetrics
import Drivers
import Foundation
import Gateway
import Logging
import RedStuff
import SliverStore
import World

struct LocalClusterConfiguration: Sendable {
  var directory: DataDirectory
  var shape = ClusterShape()
  /// Nil: near to every node.
  var gatewayZone: String?
  /// Nil: no gateway, for programs that use the client directly.
  var listen: ListenAddress?
  /// Nodes are reached over HTTP on loopback instead of by direct calls.
  var usesSockets = false
  var driveCapacityByteCount: Int?
  var uploadMemoryByteCount: Int?
  var hostNames: Set<String> = []
  /// Pages of other sites may also store and delete.
  var isOpenToAllSites = false
  var sendsAllPatchTags = false
  var bearerToken: String?

  init(directory: DataDirectory) { self.directory = directory }
}

actor LocalCluster {
  enum NodeState {
    case running(LocalNode, NodeHTTPServer?)
    case stopped
    case failed(String)
    /// Being started, stopped or wiped.
    case changing
  }

  /// The registry's clean-up: abandoned and expired registrations, epochs.
  private static let maintenanceInterval = Duration.seconds(10)

  nonisolated let environment: LocalNodeEnvironment
  nonisolated let registry: Registry
  nonisolated let client: BlobClient
  nonisolated let transport: LocalTransport
  private let configuration: LocalClusterConfiguration
  nonisolated let uploadMemoryByteCount: Int
  private let lock: DataDirectoryLock
  private let controlStore: SQLiteControlStore
  private var maintenance: Task<Void, Never>?
  private var gateway: HTTPListener?
  private var administration: HTTPListener?
  var nodes: [NodeID: NodeState] = [:]

  nonisolated var directory: DataDirectory { environment.directory }
  nonisolated var description: ClusterDescription { environment.description }
  nonisolated var logger: Logger { environment.logger }
  /// Where the gateway listens, once it does.
  var gatewayAddress: String? { gateway.map { "http://\($0.address)" } }

  /// Opens or creates the cluster of a data directory and starts everything.
  static func start(
    _ configuration: LocalClusterConfiguration, metrics: PrometheusMetrics, logger: Logger
  )
    async throws -> LocalCluster
  {
    let cluster = try await LocalCluster(configuration, logger: logger)
    do {
      try await cluster.startNodes()
      try await cluster.startServing(metrics: metrics)
      return cluster
    } catch {
      await cluster.stop()
      throw error
    }
  }

  private init(_ configuration: LocalClusterConfiguration, logger: Logger) async throws {
    let directory = configuration.directory
    try configuration.shape.check()
    let clock = SystemClock()
    let randomness = SystemRandomness()
    let compute = ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount)
    lock = try directory.lock()
    let store = try await LocalClusterLayout.openControlStore(directory)
    let registry = Registry(store: store, clock: clock, randomness: randomness)
    do {
      let description = try await LocalClusterLayout.open(
        directory, shape: configuration.shape, store: store, registry: registry, clock: clock)
      let committee = try await registry.committee()
      let transport: LocalTransport =
        configuration.usesSockets
        ? .sockets(
          HTTPTransport(parameters: committee.parameters, clock: clock, logger: logger))
        : .direct(InProcessTransport(clock: clock))
      try directory.makeDirectory(directory.spool)
      let spool = try FileDisk(directory: directory.spool.path)
      var clientConfiguration = BlobClientConfiguration()
      clientConfiguration.topology = try LocalClusterLayout.topology(
        ofGatewayIn: configuration.gatewayZone, description)
      client = BlobClient(
        configuration: clientConfiguration, registry: registry,
        cluster: description.clusterID, committee: committee, transport: transport.transport,
        clock: clock, randomness: randomness, compute: compute, spool: spool, logger: logger)
      self.transport = transport
      environment = LocalNodeEnvironment(
        directory: directory, description: description, committee: committee, registry: registry,
        clock: clock, randomness: randomness, compute: compute, transport: transport.transport,
        storeOptions: SliverStoreOptions(capacityByteCount: configuration.driveCapacityByteCount),
        logger: logger)
    } catch {
      await store.close()
      throw error
    }
    self.configuration = configuration
    uploadMemoryByteCount =
      configuration.uploadMemoryByteCount ?? GatewayLimits().uploadByteCountMax
    self.registry = registry
    controlStore = store
  }

  private func startNodes() async throws {
    for member in description.members {
      if directory.exists(directory.stoppedMarker(of: member.name)) {
        nodes[member.id] = .stopped
      } else {
        await startNode(member)
      }
    }
  }

  private func startServing(metrics: PrometheusMetrics) async throws {
    try await client.removeSpoolLeftovers()
    maintenance = Task { [registry, clock = environment.clock, logger] in
      while !Task.isCancelled {
        do {
          let report = try await registry.maintain()
          for problem in report.problems { logger.error("the registry holds damage: \(problem)") }
          if report.hasMore { continue }
        } catch {
          logger.warning("registry maintenance failed and is tried again: \(error)")
        }
        PagePool.releaseIdle()
        guard (try? await clock.sleep(for: Self.maintenanceInterval)) != nil else { return }
      }
    }
    guard let listen = configuration.listen else { return }
    var settings = GatewayConfiguration(clusterName: "local")
    settings.hosts = HostRules(
      names: configuration.hostNames, bearerToken: configuration.bearerToken)
    settings.crossOrigin = configuration.isOpenToAllSites ? .everything : .reads
    settings.sendsAllPatchTags = configuration.sendsAllPatchTags
    settings.limits.uploadByteCountMax = uploadMemoryByteCount
    let service = ClusterBlobService(client: client, registry: registry)
    let gateway = Gateway(
      configuration: settings, service: service, metricsFactory: metrics,
      metricsText: { metrics.text() }, clock: environment.clock, logger: logger)
    self.gateway = try await HTTPListener.start(
      at: .tcp(host: listen.host, port: listen.port), clock: environment.clock, logger: logger,
      responder: { try await gateway.respond(to: $0, writer: $1, channel: $2) })
    let administration = AdministrationAPI(gateway: gateway, administration: self)
    self.administration = try await HTTPListener.start(
      at: .unixSocket(path: directory.adminSocket.path), clock: environment.clock, logger: logger,
      responder: { try await administration.respond(to: $0, writer: $1, channel: $2) })
  }

  /// Ends everything in the order that loses nothing: clients first, drives last.
  func stop() async {
    await administration?.stop(grace: .seconds(1))
    await gateway?.stop(grace: .seconds(5))
    await client.shutdown(.cancellingTails)
    maintenance?.cancel()
    await maintenance?.value
    for member in description.members { await stopNode(member.id) }
    await transport.shutdown()
    await controlStore.close()
  }

  /// Starts a node; its state says how that went.
  func startNode(_ member: CommitteeMember) async {
    nodes[member.id] = .changing
    do {
      let node = try await LocalNode.start(member, in: environment)
      do {
        let server = try await transport.connect(member.id, to: node.node, in: environment)
        nodes[member.id] = .running(node, server)
      } catch {
        await node.stop()
        throw error
      }
    } catch {
      logger.error("\(member.name) cannot start: \(error)")
      nodes[member.id] = .failed("\(error)")
    }
  }

  /// Stops a node if it runs: out of reach first, then its work, then its drive.
  func stopNode(_ id: NodeID) async {
    guard case .running(let node, let server) = nodes[id] else { return }
    nodes[id] = .changing
    await transport.disconnect(id, server)
    await node.stop()
    nodes[id] = .stopped
  }
}

/// How messages reach the nodes of this process.
enum LocalTransport: Sendable {
  case direct(InProcessTransport)
  case sockets(HTTPTransport)

  var transport: any Transport {
    switch self {
    case .direct(let transport): transport
    case .sockets(let transport): transport
    }
  }

  /// Makes a node reachable; the server is nil for direct calls.
  func connect(_ id: NodeID, to node: any NodeService, in environment: LocalNodeEnvironment)
    async throws -> NodeHTTPServer?
  {
    switch self {
    case .direct(let transport):
      transport.connect(id, to: node)
      return nil
    case .sockets(let transport):
      let server = try await NodeHTTPServer.start(
        node, parameters: environment.committee.parameters, port: 0, clock: environment.clock,
        logger: environment.logger)
      transport.setAddress(server.address, of: id)
      return server
    }
  }

  func disconnect(_ id: NodeID, _ server: NodeHTTPServer?) async {
    switch self {
    case .direct(let transport): transport.disconnect(id)
    case .sockets(let transport): transport.setAddress(nil, of: id)
    }
    await server?.stop(grace: .seconds(1))
  }

  func shutdown() async {
    if case .sockets(let transport) = self { await transport.shutdown() }
  }
}
