// RepairCommands.swift
//
// repair: what is missing and why, what it cost so far to bring it back, and the switches.

import ArgumentParser
import Foundation
import Gateway
import NIOHTTP1

struct RepairCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair", abstract: "See and steer how missing slivers are rebuilt.",
    subcommands: [
      RepairStatusCommand.self, RepairRun.self, RepairPause.self, RepairResume.self,
      RepairRate.self,
    ], defaultSubcommand: RepairStatusCommand.self)
}

struct RepairStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show what is missing, what waits and why, and what moved.",
    discussion: """
      "Healed" is said only when every node answers and has looked up every sliver that should be \
      on it. While something is missing this takes a second, to measure how fast it comes back.
      """)

  /// Long enough for a batch or two to come in.
  private static let sampleDuration = Duration.seconds(1)

  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let calls = try GatewayCalls(data)
    let start = ContinuousClock.now
    var report = RepairReport(try await calls.json(ClusterRepair.self, .GET, "/admin/repair"))
    if report.missingSliverCount > 0 {
      try await Task.sleep(for: Self.sampleDuration)
      let before = report
      report = RepairReport(try await calls.json(ClusterRepair.self, .GET, "/admin/repair"))
      report.measure(since: before, elapsed: ContinuousClock.now - start)
    }
    try report.show(output)
  }
}

struct RepairRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Rebuild everything that is missing now, without its delay.")

  @Flag(help: "Return when nothing is missing any more on the nodes that run.") var wait = false
  @OptionGroup var upkeep: UpkeepSwitch<ClusterRepair>

  func run() async throws {
    try await upkeep.post("/admin/repair/run") { calls, state in
      guard wait else { return state }
      return try await RepairWait(calls: calls, node: upkeep.target.node).run(from: state)
    }
  }
}

struct RepairPause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Rebuild nothing until it is resumed.",
    discussion: "Holds also over a restart. Reads go on around what is missing.")
  @OptionGroup var target: ShardOption
  @OptionGroup var upkeep: UpkeepSwitch<ClusterRepair>

  func run() async throws { try await upkeep.post(target.query(after: "/admin/repair/pause")) }
}

struct RepairResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on after a pause.",
    discussion: "Without --shard all pauses end, those of shards as well.")
  @OptionGroup var target: ShardOption
  @OptionGroup var upkeep: UpkeepSwitch<ClusterRepair>

  func run() async throws { try await upkeep.post(target.query(after: "/admin/repair/resume")) }
}

struct ShardOption: ParsableArguments {
  @Option(help: ArgumentHelp("Only this shard.", valueName: "number")) var shard: UInt16?

  func query(after path: String) -> String { shard.map { "\(path)?shard=\($0)" } ?? path }
}

struct RepairRate: AsyncParsableCommand {
  /// `off`, or a size of at least one byte.
  enum Limit: ExpressibleByArgument {
    case off
    case bytes(Int)

    init?(argument: String) {
      if argument == "off" {
        self = .off
        return
      }
      guard let size = ByteCountArgument(argument: argument), size.byteCount > 0 else { return nil }
      self = .bytes(size.byteCount)
    }
  }

  static let configuration = CommandConfiguration(
    commandName: "rate", abstract: "Limit what each node may receive for repair.",
    discussion: "Holds until it is set again, also over a restart.")

  @Argument(help: "Bytes a second, such as 20MiB, or `off` for no limit.") var limit: Limit
  @OptionGroup var upkeep: UpkeepSwitch<ClusterRepair>

  func run() async throws {
    let bytes =
      switch limit {
      case .off: "off"
      case .bytes(let count): "\(count)"
      }
    try await upkeep.post("/admin/repair/rate?bytes=\(bytes)")
  }
}

extension ClusterRepair: UpkeepState {
  func show(_ output: JSONOption) throws { try RepairReport(self).show(output) }
}

extension RepairReport {
  fileprivate func show(_ output: JSONOption) throws {
    if output.json { return try Output.json(self) }
    Output.table(rows)
    for line in lines { Output.line(line) }
  }
}
