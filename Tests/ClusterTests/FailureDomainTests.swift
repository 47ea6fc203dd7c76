// FailureDomainTests.swift
//
// How shards are spread over what fails together, and what a cluster says it survives.

import Cluster
import RedStuff
import Testing

@Suite struct FailureDomainTests {
  private func committee(_ n: Int, zones: [String], runs: [Range<Int>]? = nil) throws -> Committee {
    let parameters = try EncodingParameters(shardCount: n)
    let runs = runs ?? Committee.runs(parameters: parameters, domains: zones)
    let members = zip(zones, runs).enumerated().map { number, member in
      CommitteeMember(
        id: NodeID(UInt16(number)), name: "node-\(number)",
        publicKey: [UInt8](repeating: UInt8(number), count: 32), address: "",
        topology: Topology(zone: member.0), shards: member.1)
    }
    return try Committee(epoch: 1, parameters: parameters, members: members)
  }

  @Test func `losses are counted for reads and writes apart, by node and by zone`() throws {
    let zones = ["a", "a", "a", "a", "b", "b", "b", "c", "c", "c"]
    // 40, 30 and 30 shards of 100: 66 may be lost for reads, 33 for writes.
    #expect(
      try committee(100, zones: zones).tolerances == [
        DomainTolerance(level: .node, domainCount: 10, readableLossMax: 6, writableLossMax: 3),
        DomainTolerance(level: .zone, domainCount: 3, readableLossMax: 1, writableLossMax: 0),
      ])
  }

  @Test func `zones that not every node names are no level`() throws {
    let committee = try committee(10, zones: ["a", "", "b", "b", "c"])
    #expect(committee.tolerances.map(\.level) == [.node])
  }

  @Test func `no domain keeps more than f shards where there are enough of them`() throws {
    // Evenly by node, zone a would keep 50 of 100.
    let zones = ["a", "a", "a", "a", "a", "b", "b", "c", "c", "d"]
    let committee = try committee(100, zones: zones)
    let kept = Dictionary(grouping: committee.members, by: \.topology.zone)
      .mapValues { $0.reduce(0) { $0 + $1.shards.count } }
    #expect(kept.values.reduce(0, +) == 100)
    #expect(kept.values.allSatisfy { $0 <= 33 }, "\(kept)")
    #expect(committee.tolerances.last?.writableLossMax == 1)
  }

  @Test func `every division is whole, and even where no domain can help`() throws {
    for n in [4, 7, 10, 31, 100] {
      let parameters = try EncodingParameters(shardCount: n)
      for nodeCount in 1...min(n, 12) {
        for zoneCount in 1...nodeCount {
          // The first zone takes what the others leave.
          let zones = (0..<nodeCount).map { "z\(max(0, $0 - (nodeCount - zoneCount)))" }
          let runs = Committee.runs(parameters: parameters, domains: zones)
          _ = try committee(n, zones: zones, runs: runs)
          #expect(runs.allSatisfy { !$0.isEmpty }, "\(n) \(zones)")
          let even = Committee.evenRuns(shardCount: n, nodeCount: nodeCount)
          let largest =
            Dictionary(grouping: zones.indices) { zones[$0] }.values
            .map { $0.reduce(0) { $0 + runs[$1].count } }.max() ?? 0
          if zoneCount * parameters.faultyShardCountMax < n {
            #expect(runs == even, "\(n) \(zones)")
          } else if runs != even {
            #expect(largest <= parameters.faultyShardCountMax, "\(n) \(zones)")
          }
        }
      }
    }
  }
}
