// ReadTrafficTests.swift
//
// What a client says its requests were for.

import BlobClient
import Cluster
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
}
