// UpCommand.swift
//
// up: a whole cluster in this process, until it is told to end.

import ArgumentParser
import Cluster
import ControlPlane
import CoreMetrics
import Dispatch
import Drivers
import Foundation
import Gateway
import Logging

struct Up: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a whole cluster on this machine.",
    discussion: """
      Makes a new cluster in an empty data directory, or goes on with the one that is there; nodes \
      that were stopped stay stopped. Ends on Ctrl-C or SIGTERM, and may be killed at any time: what \
      was acknowledged is on disk.
      """)

  @Option(help: "Storage nodes of a new cluster (default: \(ClusterShape.nodeCountDefault)).")
  var nodes: Int?
  @Option(
    help: """
      Shards of a new cluster, spread evenly over its nodes (default: \(ClusterShape.shardCountDefault)). \
      A third of them may be lost while writes go on, two thirds while reads do.
      """)
  var shards: Int?
  @Option(
    help: """
      Zones of a new cluster, neighbouring nodes in one: what fails together, and what is near to \
      each other (default: not known).
      """)
  var zones: Int?
  @Option(
    help: ArgumentHelp(
      "The zone in which the gateway is: it reads there first (default: not known).",
      valueName: "name"))
  var zone: String?
  @Option(
    help: ArgumentHelp(
      "Seconds per epoch of a new cluster (default: epochs do not end).", valueName: "seconds"))
  var epochDuration: Int?
  @Option(help: ArgumentHelp("Where the gateway listens.", valueName: "host:port"))
  var listen = ListenAddress(host: "127.0.0.1", port: 31415)
  @Flag(help: "Nodes talk HTTP over loopback instead of direct calls.") var sockets = false
  @Flag(help: "Web pages of any site may also store and delete, not only read.")
  var openToAllSites = false
  @Flag(
    help: "Send every tag of a quilt's patch as a header, not only those that say how to show it.")
  var allowQuiltPatchTagsInResponse = false
  @Option(help: ArgumentHelp("Most bytes a node's drive may take, e.g. 10GiB.", valueName: "size"))
  var driveCapacity: ByteCountArgument?
  @Option(
    help: ArgumentHelp("Memory for uploads under way (default: 2GiB).", valueName: "size"))
  var uploadMemory: ByteCountArgument?
  @Option(help: ArgumentHelp("Another host name of this gateway; repeatable.", valueName: "name"))
  var hostName: [String] = []
  @Option(
    help: ArgumentHelp(
      "File with the bearer token that opens DELETE to other machines.", valueName: "file"))
  var tokenFile: String?
  @Option(help: "Least severe log lines to show: trace, debug, info, notice, warning, error.")
  var logLevel = "warning"
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  /// The one line of JSON that says the cluster is ready.
  struct Ready: Codable {
    let url: String
    let data: String
    let nodes: Int
    let shards: Int
    let clusterId: String
  }

  func validate() throws {
    guard Logger.Level(rawValue: logLevel) != nil else {
      throw ValidationError("--log-level is one of trace, debug, info, notice, warning, error.")
    }
    if let epochDuration, epochDuration < 10 {
      throw ValidationError("--epoch-duration is at least 10 seconds.")
    }
  }

  func run() async throws {
    let metrics = PrometheusMetrics()
    MetricsSystem.bootstrap(metrics)
    let level = Logger.Level(rawValue: logLevel) ?? .warning
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let ending = EndingSignals()
    let cluster = try await LocalCluster.start(
      try configuration(), metrics: metrics, logger: Logger(label: "walrus"))
    let url = await cluster.gatewayAddress ?? ""
    let description = cluster.description
    if output.json {
      try Output.json(
        Ready(
          url: url, data: data.directory, nodes: description.members.count,
          shards: description.shardCount, clusterId: "\(description.clusterID)"))
    } else {
      Output.line(
        "\(description.members.count) nodes, \(description.shardCount) shards in \(data.directory)")
      Output.line("gateway: \(url)   metrics: \(url)/metrics   end with Ctrl-C")
    }
    fflush(nil)
    await ending.wait()
    await cluster.stop()
  }

  private func configuration() throws -> LocalClusterConfiguration {
    var configuration = LocalClusterConfiguration(directory: DataDirectory(data.directory))
    configuration.shape = ClusterShape(
      nodeCount: nodes, shardCount: shards, zoneCount: zones,
      epochDuration: epochDuration.map { .seconds($0) })
    configuration.gatewayZone = zone
    configuration.listen = listen
    configuration.usesSockets = sockets
    configuration.driveCapacityByteCount = driveCapacity?.byteCount
    configuration.uploadMemoryByteCount = uploadMemory?.byteCount
    configuration.hostNames = Set(hostName)
    configuration.isOpenToAllSites = openToAllSites
    configuration.sendsAllPatchTags = allowQuiltPatchTagsInResponse
    if let tokenFile {
      guard let data = FileManager.default.contents(atPath: tokenFile) else {
        throw CommandFailure("cannot read the token file \(tokenFile).")
      }
      let token = String(decoding: data, as: UTF8.self).trimmingCharacters(
        in: .whitespacesAndNewlines)
      guard token.utf8.count >= 16 else {
        throw CommandFailure(
          "the token in \(tokenFile) is shorter than 16 characters; use a longer one.")
      }
      configuration.bearerToken = token
    }
    return configuration
  }
}

/// Ctrl-C and SIGTERM as something to wait for. A second one ends the process at once.
struct EndingSignals {
  private let stream: AsyncStream<Void>
  private let sources: [any DispatchSourceSignal]

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    self.stream = stream
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        continuation.yield()
        signal(number, SIG_DFL)
      }
      source.resume()
      return source
    }
  }

  func wait() async {
    for await _ in stream { return }
  }
}
