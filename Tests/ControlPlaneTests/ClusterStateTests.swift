// ClusterStateTests.swift
//
// The description of the cluster, its members, and its epochs.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct ClusterStateTests {
  @Test func `a store holds one cluster`() async throws {
    let bench = try await RegistryBench()
    let id = bench.description.clusterID
    await #expect(throws: RegistryError.alreadyExists(id)) {
      try await Registry.createCluster(bench.description, store: bench.store, clock: bench.clock)
    }
    #expect(try await bench.registry.cluster() == bench.description)
    #expect(try await bench.anotherRegistry(over: MemoryControlStore()).cluster() == nil)
  }

  @Test func `the committee has the members and the current epoch`() async throws {
    let bench = try await RegistryBench()
    let committee = try await bench.registry.committee()
    #expect(committee.epoch == 1)
    #expect(committee.members == bench.description.members)
    #expect(committee.parameters.shardCount == 10)
    try await bench.pass(epochs: 1)
    #expect(try await bench.registry.committee().epoch == 2)
    #expect(try await bench.anotherRegistry().currentEpoch() == 2)
  }

  @Test func `a member's address can change, its key and shards cannot`() async throws {
    let bench = try await RegistryBench()
    let other = bench.anotherRegistry()
    _ = try await other.committee()
    let node = NodeID(2)
    try await bench.registry.updateMember(node, address: "http://10.0.0.9:1", topology: nil)
    let revision = bench.store.revision
    try await bench.registry.updateMember(node, address: "http://10.0.0.9:1", topology: nil)
    #expect(bench.store.revision == revision)
    let member = try #require(try await other.committee().member(node))
    #expect(member.address == "http://10.0.0.9:1")
    #expect(member.topology == Topology(rack: "r1"))
    #expect(member.publicKey == bench.signers[1].publicKey)
    await #expect(throws: RegistryError.unknownNode(NodeID(77))) {
      try await bench.registry.updateMember(NodeID(77), address: "", topology: nil)
    }
    await #expect(throws: RegistryError.self) {
      try await bench.registry.updateMember(
        node, address: String(repeating: "x", count: 513), topology: nil)
    }
  }

  @Test func `updates of two members at once both stay`() async throws {
    let bench = try await RegistryBench()
    let interposed = InterposedStore(bench.store)
    interposed.beforeNextTransaction {
      try await bench.registry.updateMember(NodeID(1), address: "http://a", topology: nil)
    }
    try await bench.anotherRegistry(over: interposed)
      .updateMember(NodeID(2), address: "http://b", topology: Topology(zone: "z"))
    let members = try await bench.registry.committee().members
    #expect(members.prefix(2).map(\.address) == ["http://a", "http://b"])
    #expect(members[1].topology == Topology(zone: "z"))
  }

  @Test func `a description that makes no committee is refused`() async throws {
    let bench = try await RegistryBench()
    let good = bench.description
    var twice = good.members
    twice[1].id = twice[0].id
    let cases: [(Int, Duration?, [CommitteeMember])] = [
      (3, nil, good.members), (11, nil, good.members), (10, nil, []), (10, nil, twice),
      (10, .seconds(9), good.members), (-1, nil, good.members), (10, .zero, good.members),
    ]
    for (shardCount, duration, members) in cases {
      #expect(throws: RegistryError.self, "\(shardCount), \(String(describing: duration))") {
        try ClusterDescription(
          clusterID: good.clusterID, shardCount: shardCount, epochDuration: duration,
          members: members)
      }
    }
  }

  @Test func `epochs without a duration never pass`() async throws {
    let bench = try await RegistryBench(epochs: .endless)
    try await bench.pass(epochs: 5)
    #expect(try await bench.registry.currentEpoch() == 1)
  }

  @Test func `epochs keep to the schedule of the first`() async throws {
    let bench = try await RegistryBench()
    let start = bench.clock.wallTime
    for number in 1...5 {
      bench.clock.setWallTime(
        start + RegistryBench.epochDuration * number + .seconds(60 * number))
      #expect(try await bench.registry.maintain().begunEpoch == Epoch(number) + 1)
    }
    bench.clock.setWallTime(start + RegistryBench.epochDuration * 6)
    #expect(try await bench.registry.maintain().begunEpoch == 7)
  }

  // (now relative to the start in tenths of an epoch, epoch, new start in tenths)
  @Test(arguments: [
    (now: 0, epoch: Epoch(1), start: 0), (9, 1, 0), (10, 2, 10), (19, 2, 10), (20, 2, 20),
    (1000, 2, 1000), (-1, 1, 0), (-10, 1, 0), (-11, 1, -11), (-90, 1, -90),
  ])
  func `an epoch lasts at least its duration, and a clock set right restarts it`(
    now: Int, epoch: Epoch, start: Int
  ) {
    let tenth = 100_000
    let origin = 1_000 * tenth
    let record = EpochRecord(epoch: 1, startMilliseconds: UInt64(origin))
    let next = EpochRules.next(
      after: record, duration: .milliseconds(10 * tenth),
      now: WallTime(milliseconds: UInt64(origin + now * tenth)))
    #expect(
      (next ?? record)
        == EpochRecord(epoch: epoch, startMilliseconds: UInt64(origin + start * tenth)))
  }

  @Test func `the last epoch that can be counted is the last`() {
    let record = EpochRecord(epoch: epochWithoutEnd - 1, startMilliseconds: 0)
    let next = EpochRules.next(
      after: record, duration: .seconds(10), now: WallTime(milliseconds: .max))
    #expect(next == nil)
  }
}
