// UpkeepCallTests.swift
//
// Repair and scrub over the administration API.

import Foundation
import NIOHTTP1
import Synchronization
import Testing

@testable import Gateway

extension AdministrationTests {
  @Test func `repair and scrub are described`() async throws {
    try await withAdministration { admin in
      let repair = try await admin.send(.GET, "/admin/repair").json(ClusterRepair.self)
      #expect(repair == FakeAdministration.repair && !repair.isHealed)
      #expect(
        try await admin.send(.GET, "/admin/scrub").json(ClusterScrub.self)
          == FakeAdministration.scrub)
      #expect(try await admin.send(.POST, "/admin/repair").status == 405)
      #expect(try await admin.send(.POST, "/admin/scrub").status == 405)
    }
  }

  @Test func `traffic is described`() async throws {
    try await withAdministration { admin in
      let answer = try await admin.send(.GET, "/admin/traffic")
      #expect(try answer.json(ClusterTraffic.self) == FakeAdministration.traffic)
      #expect(try await admin.send(.POST, "/admin/traffic").status == 405)
    }
  }

  @Test func `repair and scrub are steered, on all nodes or one`() async throws {
    try await withAdministration { admin in
      for path in [
        "repair/run", "repair/pause?node=node-1", "repair/resume", "repair/rate?bytes=5000",
        "repair/rate?bytes=off&node=node-1", "repair/pause?shard=7", "repair/resume?shard=7",
      ] {
        let answer = try await admin.send(.POST, "/admin/" + path)
        #expect(try answer.json(ClusterRepair.self) == FakeAdministration.repair)
      }
      for path in ["scrub/run", "scrub/pause?node=node-1", "scrub/resume"] {
        let answer = try await admin.send(.POST, "/admin/" + path)
        #expect(try answer.json(ClusterScrub.self) == FakeAdministration.scrub)
      }
      #expect(
        admin.administration.calls.withLock { $0 } == [
          "run all", "pause(shard: nil) node-1", "resume(shard: nil) all",
          "limit(Optional(5000)) all", "limit(nil) node-1",
          "pause(shard: Optional(shard 7)) all", "resume(shard: Optional(shard 7)) all",
          "scrub run all", "scrub pause node-1", "scrub resume all",
        ])
    }
  }

  // A misspelt parameter would steer all nodes instead of one, or lift a limit.
  @Test(arguments: [
    ("repair/rate", 400), ("repair/rate?bytes=", 400), ("repair/rate?bytes=0", 400),
    ("repair/rate?bytes=-1", 400), ("repair/rate?bytes=fast", 400),
    ("repair/run?nodes=node-1", 400),
    ("repair/run?shard=1", 400), ("repair/pause?shard=x", 400), ("repair/pause?shard=-1", 400),
    ("repair/resume?shard=65536", 400), ("repair/run?bytes=1", 400), ("repair/stop", 404),
    ("repair/run/now", 404),
    ("repair/run?node=node-9", 404), ("scrub/rate", 404), ("scrub/run?x=1", 400),
    ("scrub/run?node=node-9", 404),
  ])
  func `calls that are not understood change nothing`(path: String, status: Int) async throws {
    try await withAdministration { admin in
      let answer = try await admin.send(.POST, "/admin/" + path)
      #expect(answer.status == status)
      #expect(try await admin.send(.GET, "/admin/repair/run").status == 405)
    }
  }

  @Test func `healed is said only when every node has looked everything up`() {
    var healed = NodeRepair(name: "a", id: 0)
    healed.inventoryAt = 5
    #expect(ClusterRepair(nodes: [healed, healed]).isHealed)
    var unknown = healed
    unknown.inventoryAt = nil
    #expect(!ClusterRepair(nodes: [healed, unknown]).isHealed)
    var short = healed
    short.missingSliverCount = 1
    #expect(!ClusterRepair(nodes: [short, healed]).isHealed)
    var silent = healed
    silent.problem = "stopped"
    #expect(!ClusterRepair(nodes: [healed, silent]).isHealed)
  }
}
