// ReadTrafficTests.swift
//
// What a client says its requests were for.

import BlobClient
import Cluster
import RedStuff
import Routing
import Simulator
import Testing

@Suite struct ReadTrafficTests {
  @Test(arguments: [nil, 100..<200])
  func `requests around a lost sliver count as degraded`(range: Range<UInt64>?) async throws {
    let cluster = try await TestCluster(shards: 10)
    let bytes = content(5000)
    let blob = try await cluster.plant(bytes)
    for lost in [false, true] {
      if lost { cluster.lose(pairs: [0], of: blob) }
      let client = cluster.client()
      let collector = Collector()
      try await cluster.clock.autoAdvancing {
        _ = try await client.read(blob, range: range, into: collector.sink)
      }
      let wanted = range.map { Array(bytes[Int($0.lowerBound)..<Int($0.upperBound)]) } ?? bytes
      #expect(collector.bytes == wanted)
      #expect(client.traffic.count(of: .read).requestCount > 0)
      #expect((client.traffic.count(of: .degradedRead).requestCount > 0) == lost)
      #expect(client.traffic.count(of: .metadata).requestCount == 1)
      #expect(client.traffic.count(of: .write).byteCount == 0)
    }
  }

  // A wiped node answers, and every read that asks it goes the way twice.
  @Test func `a node that lost everything is soon asked after the others`() async throws {
    let cluster = try await TestCluster(shards: 10, nodes: 10)
    let member = cluster.committee.members[3]
    var blobs: [BlobID] = []
    for number in 0..<60 {
      let blob = try await cluster.plant(content(3000 + number))
      cluster.lose(
        pairs: cluster.committee.pairs(of: blob, keptBy: member.id).map { Int($0.value) }, of: blob)
      blobs.append(blob)
    }
    let client = cluster.client()
    for blob in blobs {
      let collector = Collector()
      try await cluster.clock.autoAdvancing {
        _ = try await client.read(blob, range: nil, into: collector.sink)
      }
    }
    // By its turn it would be asked by two reads of five.
    let counts = try #require(client.traffic.peers[member.id])
    #expect((1...6).contains(counts[.read]?.requestCount ?? 0))
  }
}
