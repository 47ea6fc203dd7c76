// RepairProcessTests.swift
//
// Repair and scrub as an operator steers them: a real process that lost a drive.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct RepairProcessTests {
  private struct Node: Decodable {
    let name: String
    let problem: String?
    let missingSliverCount: Int
    let restoredSliverCount: Int
    let receivedByteCount: Int
    let isPaused: Bool
    let byteRateMax: Int?
    let reasons: [String: Int]
  }

  private struct Repair: Decodable {
    let nodes: [Node]
    let isHealed: Bool
    let missingSliverCount: Int
    let movedPerRestored: Double?
  }

  private struct Scrub: Decodable {
    struct Node: Decodable {
      let verifiedByteCount: Int
      let totalByteCount: Int
      let lastPassEndedAt: UInt64?
      let lastPassRottenCount: Int
      let isPaused: Bool
    }
    let nodes: [Node]
  }

  private func json<Value: Decodable>(
    _ type: Value.Type, _ cluster: RunningCluster, _ words: [String]
  ) async throws -> Value {
    let outcome = try await cluster.walrus(words + ["--json"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try JSONDecoder().decode(type, from: Data(outcome.output.utf8))
  }

  /// Asks until something is so.
  private func repair(
    _ cluster: RunningCluster, until condition: (Repair) -> Bool
  ) async throws -> Repair? {
    for _ in 0..<200 {
      let state = try await json(Repair.self, cluster, ["repair", "status"])
      if condition(state) { return state }
    }
    return nil
  }

  @Test func `a lost drive is told, and filled again when that is asked for`() async throws {
    let cluster = try await RunningCluster.start(["--nodes", "7", "--shards", "7"])
    let file = try cluster.folder.makeFile("f", byteCount: 70_000)
    let id = try await cluster.store(file)
    // A store returns before its slowest nodes have all: they get the rest first.
    for _ in 0..<100 {
      #expect(try await cluster.walrus("repair", "run", "--wait").status == 0)
      if try await cluster.walrus("status", id).output.contains("7 of 7 shards") { break }
    }
    #expect(try await cluster.walrus("cluster", "stop", "node-2").status == 0)
    #expect(try await cluster.walrus("repair").output.contains("stopped"))
    let stopped = try await cluster.walrus("repair", "pause", "--node", "node-2")
    #expect(stopped.status != 0 && stopped.errors.contains("cluster start node-2"))
    #expect(try await cluster.walrus("cluster", "wipe", "node-2").status == 0)
    #expect(try await cluster.walrus("cluster", "start", "node-2").status == 0)

    let lost = try #require(
      try await repair(cluster) { $0.nodes.map(\.missingSliverCount) == [0, 0, 2, 0, 0, 0, 0] })
    #expect(lost.nodes[2].reasons == ["driveLost": 2] && !lost.isHealed)
    let told = try await cluster.walrus("repair", "status").output
    #expect(told.contains("2 driveLost") && told.contains("2 slivers missing"))
    #expect(told.contains("node-2: 1 blob below target by 1 shard, due"))

    #expect(try await cluster.walrus("repair", "pause", "--shard", "2").status == 0)
    let waiting = try await cluster.walrus("repair", "run", "--wait")
    #expect(waiting.status != 0 && waiting.errors.contains("repair resume --shard 2"))
    #expect(
      try await cluster.walrus("repair", "status").output.contains(
        "node-2: shard 2 is paused, 2 slivers missing"))
    let wrong = try await cluster.walrus("repair", "pause", "--shard", "7")
    #expect(wrong.status != 0 && wrong.errors.contains("0 to 6"))
    let foreign = try await cluster.walrus("repair", "pause", "--shard", "2", "--node", "node-1")
    #expect(foreign.status != 0 && foreign.errors.contains("kept by node-2"))

    let paused = try await json(Repair.self, cluster, ["repair", "pause", "--node", "node-2"])
    #expect(paused.nodes.filter(\.isPaused).map(\.name) == ["node-2"])
    #expect(try await cluster.walrus("repair", "resume", "--shard", "2").status == 0)
    let refused = try await cluster.walrus("repair", "run", "--wait")
    #expect(refused.status != 0 && refused.errors.contains("paused"))
    #expect(try await cluster.walrus("status", id).output.contains("6 of 7 shards"))
    #expect(try await cluster.walrus("repair", "resume").status == 0)

    let healed = try await json(Repair.self, cluster, ["repair", "run", "--wait"])
    #expect(healed.missingSliverCount == 0 && healed.nodes[2].restoredSliverCount == 2)
    #expect(healed.movedPerRestored.map { (0.5...1.1).contains($0) } == true)
    #expect(try await repair(cluster) { $0.isHealed } != nil)
    #expect(
      try await cluster.walrus("repair", "status").output.contains("healed: nothing is missing"))
    #expect(try await cluster.walrus("status", id).output.contains("7 of 7 shards"))
  }

  @Test func `the rate of repair is limited and freed again, and outlasts a restart`() async throws
  {
    let cluster = try await RunningCluster.start()
    let limited = try await json(Repair.self, cluster, ["repair", "rate", "5MiB"])
    #expect(limited.nodes.allSatisfy { $0.byteRateMax == 5 << 20 })
    #expect(try await cluster.walrus("repair", "status").output.contains("5.00 MiB/s"))
    let one = try await json(
      Repair.self, cluster, ["repair", "rate", "off", "--node", "node-1"])
    #expect(one.nodes.filter { $0.byteRateMax == nil }.map(\.name) == ["node-1"])
    let paused = try await json(Repair.self, cluster, ["repair", "pause", "--node", "node-2"])
    #expect(paused.nodes.filter(\.isPaused).map(\.name) == ["node-2"])
    #expect(try await cluster.end(SIGTERM) == 0)
    try await cluster.start([])
    let restarted = try await json(Repair.self, cluster, ["repair", "status"])
    #expect(restarted.nodes.map(\.byteRateMax) == [5 << 20, nil, 5 << 20, 5 << 20])
    #expect(restarted.nodes.filter(\.isPaused).map(\.name) == ["node-2"])
    for nonsense in ["0", "fast", "5MiB/s"] {
      #expect(try await cluster.walrus("repair", "rate", nonsense).status != 0)
    }
  }

  @Test func `a scrub that is asked for reads everything`() async throws {
    let cluster = try await RunningCluster.start()
    _ = try await cluster.store(try cluster.folder.makeFile("f", byteCount: 50_000))
    #expect(try await cluster.walrus("scrub").output.contains("once in 14 days"))
    let paused = try await json(Scrub.self, cluster, ["scrub", "pause"])
    #expect(paused.nodes.allSatisfy { $0.isPaused && $0.lastPassEndedAt == nil })
    #expect(try await cluster.walrus("scrub", "run").status == 0)
    var last: Scrub?
    for _ in 0..<400 {
      let scrub = try await json(Scrub.self, cluster, ["scrub", "status"])
      last = scrub
      if scrub.nodes.allSatisfy({ $0.lastPassEndedAt != nil }) { break }
    }
    let scrub = try #require(last)
    #expect(
      scrub.nodes.allSatisfy {
        $0.lastPassEndedAt != nil && $0.lastPassRottenCount == 0 && !$0.isPaused
          && $0.totalByteCount > 10_000
      })
  }
}
