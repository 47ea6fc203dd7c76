// UpkeepSwitch.swift
//
// What the subcommands of repair and scrub that change something share: which nodes, the call, and
// showing how it stands then.

import ArgumentParser
import Gateway
import NIOHTTP1

/// How repair or the scrub stands on every node.
protocol UpkeepState: Decodable {
  func show(_ output: JSONOption) throws
}

struct NodeOption: ParsableArguments {
  @Option(help: ArgumentHelp("Only this node; without it all that run.", valueName: "name"))
  var node: String?

  /// To be put behind a path that has no query yet, or one.
  func query(after path: String) -> String {
    guard let node else { return path }
    return path + (path.contains("?") ? "&" : "?") + "node=\(urlEscaped(node))"
  }
}

struct UpkeepSwitch<State: UpkeepState>: ParsableArguments {
  @OptionGroup var target: NodeOption
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  /// Changes something, and shows what came of it, after `then`.
  func post(
    _ path: String,
    then: (GatewayCalls, State) async throws -> State = { _, state in state }
  ) async throws {
    let calls = try GatewayCalls(data)
    let state = try await calls.json(State.self, .POST, target.query(after: path))
    try await then(calls, state).show(output)
  }
}
