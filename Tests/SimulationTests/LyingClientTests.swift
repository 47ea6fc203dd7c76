// LyingClientTests.swift
//
// Every lie of a client is refused by honest nodes and by the registry, for the right reason.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulation
import Simulator
import Testing
import World

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct LyingClientTests {
  @Test(arguments: LyingClient.Lie.allCases)
  func `a lying client gets nothing`(lie: LyingClient.Lie) async throws {
    for (n, nodeCount) in [(4, 4), (10, 4)] {
      let cluster = try await LiarCluster(shards: n, nodes: nodeCount)
      try await cluster.running { _ in
        for byteCount in [1, 500] {
          let outcomes = try await cluster.liar.tell(
            lie, byteCount: byteCount, honest: cluster.committee.members.map(\.id))
          #expect(!outcomes.isEmpty)
          for outcome in outcomes {
            #expect(outcome.isAsItShouldBe && outcome.isExact, "\(outcome)")
          }
        }
      }
    }
  }

  @Test func `what a lying client left behind is not readable`() async throws {
    let cluster = try await LiarCluster(shards: 7, nodes: 7)
    try await cluster.running { _ in
      let nodes = cluster.committee.members.map(\.id)
      for lie in [LyingClient.Lie.partialUpload, .wrongSize, .foreignSlivers] {
        _ = try await cluster.liar.tell(lie, byteCount: 300, honest: nodes)
      }
      let (statuses, _) = try await cluster.registry.allBlobs(after: nil, limit: 100)
      #expect(statuses.count == 3)
      for entry in try await cluster.registry.blobEvents(after: .start, limit: 100).0 {
        let got = await cluster.client().bytes(of: entry)
        #expect(got == .failure(.notFound(entry)))
      }
    }
  }

  // A message delayed for hours must not bring back what was deleted meanwhile.
  @Test func `old store requests after a delete store nothing`() async throws {
    let cluster = try await LiarCluster(shards: 4, nodes: 4)
    try await cluster.running { _ in
      var replaying = LiarCluster.prompt
      replaying.replays = 1
      replaying.replayDelay = .seconds(7200)
      cluster.network.setTrouble(replaying)
      let client = cluster.client()
      let receipt = try await client.store(content(400))
      await client.waitForTails()
      cluster.network.setTrouble(LiarCluster.prompt)
      let kept = cluster.network.carryingCount
      #expect(kept >= 4)
      _ = try await cluster.registry.delete(blob: receipt.blob, object: nil)
      let end = cluster.clock.now + .seconds(3 * 7200)
      try await cluster.passing { try await cluster.clock.sleep(until: end) }
      #expect(cluster.network.carryingCount == 0)
      for member in cluster.committee.members {
        for pair in cluster.committee.pairs(of: receipt.blob, keptBy: member.id) {
          let status = try await cluster.endpoint.send(
            .sliverStatus(receipt.blob, pair, .primary), to: member.id,
            deadline: cluster.clock.now + .seconds(10))
          #expect(status == .storedStatus(.nonexistent))
        }
      }
    }
  }
}
