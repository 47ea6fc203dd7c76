// TrafficCommand.swift
//
// traffic: bytes to and from nodes by purpose, and how much of that crosses zones.

import ArgumentParser
import Gateway
import NIOHTTP1
import Routing

struct TrafficCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "traffic",
    abstract: "Show what the gateway and the nodes have asked of nodes, since they started.",
    discussion: """
      Heads and bodies of messages, also where all nodes are in one process and none are made. With \
      --json one entry for each sender, node and purpose.
      """)

  @Flag(help: "A row for each node asked.") var byNode = false
  @OptionGroup var data: DataOption
  @OptionGroup var output: JSONOption

  func run() async throws {
    let traffic = try await GatewayCalls(data).json(ClusterTraffic.self, .GET, "/admin/traffic")
    if output.json { return try Output.json(traffic) }
    var rows = [["purpose", byNode ? "node" : "", "requests", "sent", "received", "across zones"]]
    for purpose in TrafficPurpose.allCases {
      let flows = traffic.flows.filter { $0.purpose == purpose.rawValue }
      let groups = byNode ? Dictionary(grouping: flows, by: \.to) : ["": flows]
      for (node, flows) in groups.sorted(by: { $0.key < $1.key }) where !flows.isEmpty {
        rows.append(
          [
            purpose.rawValue, node, "\(flows.reduce(0) { $0 + $1.requestCount })",
            humanByteCount(flows.reduce(0) { $0 + $1.requestByteCount }),
            humanByteCount(flows.reduce(0) { $0 + $1.answerByteCount }),
            humanByteCount(
              flows.filter(\.crossesZones)
                .reduce(0) { $0 + $1.requestByteCount + $1.answerByteCount }),
          ])
      }
    }
    Output.table(rows)
  }
}
