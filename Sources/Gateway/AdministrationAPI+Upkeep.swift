// AdministrationAPI+Upkeep.swift
//
// GET    /admin/repair
// POST   /admin/repair/run?node=
// POST   /admin/repair/{pause|resume}?node=&shard=    a shard: on the node that keeps it
// POST   /admin/repair/rate?bytes=&node=         `bytes` a second for each node, or `off`
// GET    /admin/scrub
// POST   /admin/scrub/{run|pause|resume}?node=
//
// Each answers how every node is doing then. Without `node` all nodes that run are meant.

import Cluster
import HTTPTypes
import RedStuff

extension AdministrationAPI {
  /// Answers a call below `/admin/repair`.
  func repair(_ call: Call, action name: String?) async throws -> Answer {
    guard let name else {
      try allow([.get], call)
      return try Answer(json: try await administration.repair())
    }
    guard ["run", "pause", "resume", "rate"].contains(name) else { throw Gateway.unknownPath }
    try allow([.post], call)
    let own = ["rate": ["bytes"], "pause": ["shard"], "resume": ["shard"]][name] ?? []
    let query = try QueryFields(call.query, known: Set(own + ["node"]))
    let action: RepairAction =
      switch name {
      case "run": .run
      case "pause": .pause(shard: try shard(query))
      case "resume": .resume(shard: try shard(query))
      default: .limit(try byteRate(query))
      }
    return try Answer(
      json: try await administration.change(repair: action, node: query.text("node")))
  }

  /// Answers a call below `/admin/scrub`.
  func scrub(_ call: Call, action name: String?) async throws -> Answer {
    guard let name else {
      try allow([.get], call)
      return try Answer(json: try await administration.scrub())
    }
    guard let action = ScrubAction(rawValue: name) else { throw Gateway.unknownPath }
    try allow([.post], call)
    let query = try QueryFields(call.query, known: ["node"])
    return try Answer(
      json: try await administration.change(scrub: action, node: query.text("node")))
  }

  private func shard(_ query: QueryFields) throws(GatewayFailure) -> ShardIndex? {
    try query.number("shard", as: UInt16.self).map { ShardIndex($0) }
  }

  private func byteRate(_ query: QueryFields) throws(GatewayFailure) -> Int? {
    if query.text("bytes") == "off" { return nil }
    guard let bytes = try query.number("bytes", as: Int.self), bytes > 0 else {
      throw .malformed(
        "`bytes` is how much repair may receive a second, at least 1, or `off` for no limit;"
          + " to stop it, pause it")
    }
    return bytes
  }
}
