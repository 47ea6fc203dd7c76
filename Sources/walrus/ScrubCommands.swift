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
    try show(try await GatewayCalls(data).json(ClusterScrub.self, .GET, "/admin/scrub"), output)
  }
}

struct ScrubRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Read everything once now, as fast as the scrub may.",
    discussion: "Ends a pause. What is found rotten is repaired.")
  @OptionGroup var target: NodeOption
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let path = target.query(after: "/admin/scrub/run")
    try show(try await GatewayCalls(data).json(ClusterScrub.self, .POST, path), output)
  }
}

struct ScrubPause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Read nothing until it is resumed or the node restarts.")
  @OptionGroup var target: NodeOption
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let path = target.query(after: "/admin/scrub/pause")
    try show(try await GatewayCalls(data).json(ClusterScrub.self, .POST, path), output)
  }
}

struct ScrubResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on after a pause.")
  @OptionGroup var target: NodeOption
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let path = target.query(after: "/admin/scrub/resume")
    try show(try await GatewayCalls(data).json(ClusterScrub.self, .POST, path), output)
  }
}

private func show(_ scrub: ClusterScrub, _ output: JSONOption) throws {
  if output.json {
    try Output.json(scrub)
    return
  }
  Output.table(
    [["node", "verified", "of", "", "rotten", "unreadable", "began", "last pass", "found", ""]]
      + scrub.nodes.map { node in
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
  guard let longest = scrub.nodes.map(\.periodSeconds).max(), longest > 0 else { return }
  let period =
    longest >= 2 * 86_400
    ? "\(Int(longest / 86_400)) days" : humanDuration(.milliseconds(Int(longest * 1000)))
  Output.line("every byte is verified once in \(period)")
}
