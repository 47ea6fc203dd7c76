// TrafficMetricsTests.swift
//
// What PeerTable counts of traffic is in the text of `/metrics`, in few series.

import Cluster
import RedStuff
import Routing
import Simulator
import Testing
import World

@testable import Gateway

@Suite struct TrafficMetricsTests {
  let metrics = PrometheusMetrics()
  let clock = VirtualClock()

  /// Members in zones `a` and `b` by turns.
  private func members(_ count: Int) throws -> [CommitteeMember] {
    let key = try NodeSigner(node: NodeID(0), privateKey: [UInt8](repeating: 1, count: 32))
      .publicKey
    return (0..<count).map {
      CommitteeMember(
        id: NodeID(UInt16($0)), name: "node-\($0)", publicKey: key, address: "",
        topology: Topology(zone: $0 % 2 == 0 ? "a" : "b"), shards: 0..<0)
    }
  }

  private func table(_ members: [CommitteeMember], zone: String) throws -> PeerTable {
    let here = Topology(zone: zone)
    return PeerTable(
      parameters: try EncodingParameters(shardCount: 10), clock: clock,
      randomness: SeededRandomness(seed: 1), here: here,
      metrics: TrafficMetrics(from: here, to: members, factory: metrics))
  }

  private func send(
    _ purpose: TrafficPurpose, to node: Int, from table: PeerTable,
    over transport: any Transport = Answering()
  ) async {
    _ = await table.send(
      .blobStatus(BlobID(.zero)), for: purpose, to: NodeID(UInt16(node)),
      deadline: clock.now + .seconds(1), over: transport)
  }

  /// By name and labels.
  private func values() -> [String: Int] {
    var values: [String: Int] = [:]
    for line in metrics.text().split(separator: "\n") where line.hasPrefix("walrus_traffic_") {
      let sides = line.split(separator: " ")
      values[String(sides[0])] = Int(sides[1])
    }
    return values
  }

  @Test func `bytes are counted by purpose and zone crossing, and by node`() async throws {
    let members = try members(3)
    let tables = [try table(members, zone: "a"), try table(members, zone: "b")]
    for purpose in [TrafficPurpose.write, .read, .degradedRead, .repair, .metadata, .health] {
      for (node, table) in [(0, tables[0]), (1, tables[0]), (1, tables[1]), (2, tables[0])] {
        await send(purpose, to: node, from: table)
      }
    }
    await send(.repair, to: 1, from: tables[0], over: Silent())
    let (values, traffic) = (values(), tables.map(\.traffic))
    func count(_ purpose: TrafficPurpose, crossing: Bool) -> TrafficCount {
      var sum = traffic[0].count(of: purpose) { ($0 == NodeID(1)) == crossing }
      sum += traffic[1].count(of: purpose) { ($0 != NodeID(1)) == crossing }
      return sum
    }
    for purpose in TrafficPurpose.allCases {
      for crossing in [false, true] {
        let labels = "{purpose=\"\(purpose.rawValue)\",zones=\"\(crossing ? "crossed" : "same")\"}"
        let expected = count(purpose, crossing: crossing)
        #expect(expected.requestCount == (!crossing ? 3 : purpose == .repair ? 2 : 1))
        #expect(values["walrus_traffic_requests_total" + labels] == expected.requestCount)
        #expect(values["walrus_traffic_sent_bytes_total" + labels] == expected.requestByteCount)
        #expect(values["walrus_traffic_received_bytes_total" + labels] == expected.answerByteCount)
      }
    }
    for (node, member) in members.enumerated() {
      var expected = TrafficCount()
      for purpose in TrafficPurpose.allCases {
        for traffic in traffic {
          expected += traffic.count(of: purpose) { $0 == NodeID(UInt16(node)) }
        }
      }
      let labels = "{peer=\"\(member.name)\"}"
      #expect(values["walrus_traffic_peer_sent_bytes_total" + labels] == expected.requestByteCount)
      #expect(
        values["walrus_traffic_peer_received_bytes_total" + labels] == expected.answerByteCount)
    }
  }

  @Test func `a node that starts again counts on`() async throws {
    let members = try members(1)
    await send(.repair, to: 0, from: try table(members, zone: "a"))
    let before = values()
    await send(.repair, to: 0, from: try table(members, zone: "a"))
    #expect(values() == before.mapValues { 2 * $0 })
  }

  @Test func `however many nodes there are, the series are few`() async throws {
    let table = try table(try members(1100), zone: "a")
    for node in 0..<1200 {
      for purpose in TrafficPurpose.allCases { await send(purpose, to: node, from: table) }
    }
    let values = values()
    let peerCount = values.count { $0.key.contains("peer") }
    #expect(peerCount == 2002 && values.count == peerCount + 36)
    let one = try #require(values["walrus_traffic_peer_sent_bytes_total{peer=\"node-0\"}"])
    let others = try #require(values["walrus_traffic_peer_sent_bytes_total{peer=\"other\"}"])
    #expect(others == 200 * one)
  }
}

private struct Answering: Transport {
  func send(
    _ request: NodeRequest, to node: NodeID, deadline: Instant
  ) async throws(TransportError) -> NodeResponse { .blobStatus(.nonexistent) }
}

private struct Silent: Transport {
  func send(
    _ request: NodeRequest, to node: NodeID, deadline: Instant
  ) async throws(TransportError) -> NodeResponse { throw .deadlineExceeded(node) }
}
