// ScrubCommands.swift
//
// scrub: how far the reading of all stored bytes is, what it found, and the switches.

import ArgumentParser
import Foundation
import Gateway
import NIOHTTP1

struct ScrubCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub", abstract: "See and steer the verification of all stored bytes.",
    subcommands: [
      ScrubStatusCommand.self, ScrubRun.self, ScrubPause.self, ScrubResume.self,
    ], defaultSubcommand: ScrubStatusCommand.self)
}

struct ScrubStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how far the pass is on every node, and what it found.")
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    try await GatewayCalls(data).json(ClusterScrub.self, .GET, "/admin/scrub").show(output)
  }
}

struct ScrubRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Read everything once now, as fast as the scrub may.",
    discussion: "Ends a pause. What is found rotten is repaired.")
  @OptionGroup var upkeep: UpkeepSwitch<ClusterScrub>

  func run() async throws { try await upkeep.post("/admin/scrub/run") }
}

struct ScrubPause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Read nothing until it is resumed.",
    discussion: "Holds also over a restart.")
  @OptionGroup var upkeep: UpkeepSwitch<ClusterScrub>

  func run() async throws { try await upkeep.post("/admin/scrub/pause") }
}

struct ScrubResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on after a pause.")
  @OptionGroup var upkeep: UpkeepSwitch<ClusterScrub>

  func run() async throws { try await upkeep.post("/admin/scrub/resume") }
}

extension ClusterScrub: UpkeepState {
  func show(_ output: JSONOption) throws {
    if output.json { return try Output.json(self) }
    Output.table(
      [["node", "verified", "of", "", "rotten", "unreadable", "began", "last pass", "found", ""]]
        + nodes.map { node in
          if let problem = node.problem { return [node.name, problem] }
          let share =
            node.totalByteCount > 0 ? 100 * node.verifiedByteCount / node.totalByteCount : 0
          return [
            node.name, humanByteCount(node.verifiedByteCount), humanByteCount(node.totalByteCount),
            "\(share) %", "\(node.rottenRecordCount)", "\(node.unreadableRecordCount)",
            node.passStartedAt.map(agoText) ?? "", node.lastPassEndedAt.map(agoText) ?? "none yet",
            node.lastPassEndedAt == nil ? "" : "\(node.lastPassRottenCount)",
            node.isPaused ? "paused" : "",
          ]
        })
    guard let longest = nodes.map(\.periodSeconds).max(), longest > 0 else { return }
    let period =
      longest >= 2 * 86_400
      ? "\(Int(longest / 86_400)) days" : humanDuration(.milliseconds(Int(longest * 1000)))
    Output.line("every byte is verified once in \(period)")
  }
}
