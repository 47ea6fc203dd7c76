// AdministrationCommands.swift
//
// list, status, extend, delete, info, health and cluster: over the administration socket of a data
// directory.

import ArgumentParser
import Foundation
import Gateway
import NIOHTTP1

struct List: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List blobs and their registrations.")

  @Flag(help: "Also registrations that ended or never finished.") var all = false
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let calls = try GatewayCalls(data)
    var rows: [[String]] = []
    var found: [RegistrationReport] = []
    var after: String?
    repeat {
      let path = "/admin/blobs?limit=1000" + (after.map { "&after=\(urlEscaped($0))" } ?? "")
      let page = try await calls.json(BlobListReply.self, .GET, path)
      found += page.blobs.filter { all || $0.state == .certified }
      after = page.next
    } while after != nil
    if output.json {
      try Output.json(found)
      return
    }
    for blob in found {
      rows.append([
        blob.blobId, humanByteCount(blob.size), blob.state.rawValue,
        blob.deletable ? "" : "permanent", endText(blob.endEpoch), all ? blob.objectId : "",
      ])
    }
    Output.table(rows)
    Output.note("\(found.count) registration\(found.count == 1 ? "" : "s")")
  }
}

private func endText(_ epoch: UInt32) -> String {
  epoch == .max ? "no end" : "until epoch \(epoch)"
}

/// What status, extend print.
private func printReport(_ report: BlobReport) {
  Output.line("\(report.blobId)  \(humanByteCount(report.size))")
  Output.line(report.isCertified ? "certified" : "not certified")
  Output.line("\(report.completeShardCount) of \(report.shardCount) shards hold both slivers")
  Output.table(
    report.registrations.map { registration in
      [
        "  " + registration.objectId, registration.state.rawValue,
        registration.deletable ? "deletable" : "permanent", endText(registration.endEpoch),
      ]
    })
}

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the state of a blob, its registrations, and how many shards hold it.")

  @Argument(help: "The blob ID.") var id: String
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let report = try await GatewayCalls(data).json(
      BlobReport.self, .GET, "/admin/blobs/\(urlEscaped(id))")
    if output.json { try Output.json(report) } else { printReport(report) }
  }
}

struct Extend: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Keep a blob for more epochs.")

  @Argument(help: "The blob ID.") var id: String
  @Option(help: "By how many epochs.") var epochs: UInt32
  @Option(help: ArgumentHelp("Only this registration (0x...).", valueName: "object"))
  var object: String?
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let path =
      "/admin/blobs/\(urlEscaped(id))/extend?epochs=\(epochs)"
      + (object.map { "&object=\(urlEscaped($0))" } ?? "")
    let report = try await GatewayCalls(data).json(BlobReport.self, .POST, path)
    if output.json { try Output.json(report) } else { printReport(report) }
  }
}

struct Delete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "End a blob's deletable registrations.",
    discussion: "Its slivers go once no registration is left. Repeating it does no harm.")

  @Argument(help: "The blob ID.") var id: String
  @Option(help: ArgumentHelp("Only this registration (0x...).", valueName: "object"))
  var object: String?
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let deleted: Int
  }

  func run() async throws {
    let path =
      "/admin/blobs/\(urlEscaped(id))" + (object.map { "?object=\(urlEscaped($0))" } ?? "")
    let result = try await GatewayCalls(data).json(Result.self, .DELETE, path)
    if output.json {
      try Output.json(result)
    } else {
      Output.line("\(result.deleted) registration\(result.deleted == 1 ? "" : "s") ended")
    }
  }
}

struct Info: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what the cluster is, its limits, and what it survives.")

  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let info = try await GatewayCalls(data).json(ClusterInfo.self, .GET, "/admin/info")
    if output.json {
      try Output.json(info)
      return
    }
    let epoch = info.epochSeconds.map { "each \(humanDuration(.seconds($0)))" } ?? "without end"
    Output.table([
      ["cluster", info.clusterId],
      ["nodes", "\(info.nodes.count)"],
      ["shards", "\(info.shardCount), \(info.faultyShardCountMax) may be lost or lying"],
      ["epoch", "\(info.epoch), \(epoch)"],
      ["largest blob", humanByteCount(info.blobByteCountMax)],
      ["largest upload", "\(humanByteCount(info.uploadByteCountMax)) with the memory for uploads"],
      ["stored per byte", "\(Double(Int(info.expansion * 100)) / 100) bytes"],
      ["reads survive", survived(info.tolerances, \.readableLossMax)],
      ["writes survive", survived(info.tolerances, \.writableLossMax)],
    ])
  }
}

/// `any 6 of 10 nodes, any 1 of 3 zones`: each of it alone, not together.
private func survived(
  _ tolerances: [ClusterInfo.Tolerance], _ count: (ClusterInfo.Tolerance) -> Int
) -> String {
  tolerances.map { "any \(count($0)) of \($0.domainCount) \($0.level)s" }
    .joined(separator: ", or ")
}

/// `10 ready`, `3 ready, 7 readOnly`; the bare count of a node that does not answer.
private func shardText(_ node: NodeReport) -> String {
  guard !node.shards.isEmpty else { return "\(node.shardCount)" }
  let counts = Dictionary(grouping: node.shards, by: \.state).mapValues(\.count)
  return counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
}

/// The header and rows of a node table.
private func nodeRows(_ nodes: [NodeReport]) -> [[String]] {
  [["node", "state", "shards", "slivers", "stored", "free", "rotten", ""]]
    + nodes.map { node in
      [
        node.name, node.state.rawValue, shardText(node), "\(node.sliverCount)",
        humanByteCount(node.storedByteCount), humanByteCount(node.freeByteCount),
        "\(node.rottenCount)", node.problems.joined(separator: "; "),
      ]
    }
}

struct Health: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how every node is doing, and whether reads and writes go on.",
    discussion: "Exits with status 1 when reads or writes do not go on.")

  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let health = try await GatewayCalls(data).json(ClusterHealth.self, .GET, "/admin/health")
    if output.json {
      try Output.json(health)
    } else {
      Output.table(nodeRows(health.nodes))
      for node in health.nodes {
        for liar in node.liars {
          Output.line(
            "\(node.name): \(liar.node) gave wrong symbols, \(counted(liar.count, "time"))"
              + (liar.evidence == nil ? "" : "; signed: see `walrus health --json`"))
        }
      }
      Output.line(
        "reads \(health.canRead ? "go on" : "are not possible")"
          + ", writes \(health.canWrite ? "go on" : "are refused")")
    }
    if !health.canRead || !health.canWrite { throw ExitCode(1) }
  }
}

struct ClusterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "Take nodes of a running local cluster away, or back.",
    subcommands: [StopNode.self, StartNode.self, WipeNode.self])
}

struct NodeArgument: ParsableArguments {
  @Argument(help: "Names of nodes, such as node-3.") var nodes: [String]
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run(_ action: String) async throws {
    let calls = try GatewayCalls(data)
    var reports: [NodeReport] = []
    for node in nodes {
      reports.append(
        try await calls.json(
          NodeReport.self, .POST, "/admin/cluster/nodes/\(urlEscaped(node))/\(action)"))
    }
    if output.json { try Output.json(reports) } else { Output.table(nodeRows(reports)) }
  }
}

struct StopNode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop", abstract: "Stop nodes; they stay stopped over a restart.")
  @OptionGroup var target: NodeArgument

  func run() async throws { try await target.run("stop") }
}

struct StartNode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Start stopped nodes.")
  @OptionGroup var target: NodeArgument

  func run() async throws { try await target.run("start") }
}

struct WipeNode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wipe", abstract: "Lose the drives of stopped nodes and give them empty ones.",
    discussion: "Every sliver on these drives is gone for good; the nodes keep their identities.")
  @OptionGroup var target: NodeArgument

  func run() async throws { try await target.run("wipe") }
}
