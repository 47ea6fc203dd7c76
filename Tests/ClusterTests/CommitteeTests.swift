// CommitteeTests.swift
//
// Every shard has one keeper, and every pair of a blob finds it.

import Cluster
import RedStuff
import Testing

@Suite struct CommitteeTests {
  @Test(arguments: [4, 7, 10, 100, 1000], [1, 2, 3, 4, 7, 10, 33, 100])
  func `even runs divide the shards and differ by at most one`(shardCount: Int, nodeCount: Int) {
    let runs = Committee.evenRuns(shardCount: shardCount, nodeCount: nodeCount)
    #expect(runs.count == nodeCount)
    #expect(runs.flatMap { Array($0) } == Array(0..<shardCount))
    let lengths = runs.map(\.count)
    #expect((lengths.max() ?? 0) - (lengths.min() ?? 0) <= 1)
  }

  @Test func `every pair is kept by the node of its shard, and by no other`() throws {
    let committee = try committee(runs: [0..<3, 3..<4, 4..<9, 9..<10])
    for seed in UInt64(0)..<50 {
      var dice = Dice(seed: seed)
      let blob = dice.blob()
      var keepers: [SliverPairIndex: [NodeID]] = [:]
      for member in committee.members {
        let pairs = committee.pairs(of: blob, keptBy: member.id)
        #expect(pairs.count == member.shards.count)
        #expect(
          pairs.map { Int($0.shard(of: blob, shardCount: 10).value) } == Array(member.shards))
        for pair in pairs { keepers[pair, default: []].append(member.id) }
      }
      for pair in (0..<10).map({ SliverPairIndex(UInt16($0)) }) {
        #expect(keepers[pair] == [committee.node(keeping: pair, of: blob)], "seed \(seed)")
      }
    }
  }

  @Test func `members are found by number and by shard`() throws {
    let committee = try committee(runs: [5..<10, 0..<5])
    #expect(committee.members.map(\.shards) == [0..<5, 5..<10])
    #expect(committee.member(NodeID(0))?.shards == 5..<10)
    #expect(committee.member(NodeID(2)) == nil)
    #expect(committee.member(keeping: ShardIndex(4)).id == NodeID(1))
    #expect(committee.member(keeping: ShardIndex(5)).id == NodeID(0))
    #expect(committee.pairs(of: BlobID(.zero), keptBy: NodeID(2)).isEmpty)
  }

  @Test func `a node may keep nothing`() throws {
    for runs in [
      [0..<5, 5..<5, 5..<10], [5..<5, 5..<10, 0..<5], [0..<10, 10..<10], [0..<0, 0..<10],
    ] {
      let committee = try committee(runs: runs)
      #expect(committee.members.count == runs.count)
      #expect(committee.member(keeping: ShardIndex(9)).shards.upperBound == 10)
    }
  }

  @Test(arguments: [
    [0..<5, 6..<10], [0..<5, 4..<10], [0..<5, 5..<9], [0..<5, 5..<11], [1..<10], [0..<5, 0..<5],
    [-1..<10], [0..<10, 11..<11],
  ])
  func `shards without a keeper or with two are refused`(runs: [Range<Int>]) {
    do throws(CommitteeError) {
      _ = try committee(runs: runs)
      Issue.record("taken")
    } catch .shardsNotCovered {
    } catch {
      Issue.record(error)
    }
  }

  @Test func `other faults of a committee are named`() throws {
    #expect(throws: CommitteeError.noNodes) { try committee(runs: []) }
    let tooMany = Committee.evenRuns(shardCount: 10, nodeCount: 11)
    #expect(throws: CommitteeError.moreNodesThanShards(nodes: 11, shards: 10)) {
      try committee(runs: tooMany)
    }
    var members = try committee(runs: [0..<5, 5..<10]).members
    members[1].publicKey.removeLast()
    #expect(throws: CommitteeError.invalidPublicKey(NodeID(1), byteCount: 31)) {
      try committee(members)
    }
    members[1] = members[0]
    members[1].shards = 5..<10
    #expect(throws: CommitteeError.repeatedNode(NodeID(0))) { try committee(members) }
  }

  private func committee(runs: [Range<Int>]) throws(CommitteeError) -> Committee {
    try committee(
      runs.enumerated().map { number, shards in
        CommitteeMember(
          id: NodeID(UInt16(number)), name: "node-\(number)",
          publicKey: [UInt8](repeating: 1, count: 32), address: "", topology: Topology(),
          shards: shards)
      })
  }

  private func committee(_ members: [CommitteeMember]) throws(CommitteeError) -> Committee {
    let parameters: EncodingParameters
    do {
      parameters = try EncodingParameters(shardCount: 10)
    } catch {
      throw .invalidParameters("\(error)")
    }
    return try Committee(epoch: 1, parameters: parameters, members: members)
  }
}
