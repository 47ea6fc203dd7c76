// PeerRankTests.swift
//
// Whom to ask first.

import Cluster
import RedStuff
import Routing
import RunSeed
import Simulator
import Testing
import World

@Suite struct PeerRankTests {
  static let now = Instant(nanoseconds: 1_000_000_000_000)
  static let two = [(id: NodeID(0), distance: 0), (id: NodeID(1), distance: 0)]
  /// Both have answered in 4 ms.
  static var equalPeers: PeerStatistics {
    var peers = PeerStatistics()
    for node in two {
      peers.ended(
        node.id, .read(byteCount: 0), .answered(after: .milliseconds(4)), at: now)
    }
    return peers
  }

  @Test func `health comes before distance, and each class has its own turns`() {
    let seed = RunSeed.current.seed()
    let dice = SeededRandomness(seed: seed)
    for _ in 0..<200 {
      var peers = PeerStatistics()
      let count = 1 + dice.number(below: 12)
      let nodes = (0..<count).map { (id: NodeID(UInt16($0)), distance: dice.number(below: 3)) }
      for node in nodes {
        let latency = [1, 1, 500][dice.number(below: 3)]
        peers.ended(
          node.id, .read(byteCount: 0), .answered(after: .milliseconds(latency)), at: Self.now)
        if dice.number(below: 4) == 0 { peers.distrust(node.id, at: Self.now) }
      }
      let ranks = peers.ranks(of: nodes, at: Self.now, randomness: dice)
      for rank in ranks {
        let equals = ranks.filter {
          $0.isSuspected == rank.isSuspected && $0.distance == rank.distance
            && (rank.isSuspected || $0.isSlow == rank.isSlow)
        }
        #expect(equals.map(\.turn).sorted() == Array(0..<equals.count), "\(RunSeed.current)")
      }
      #expect(ranks.map(\.distance) == nodes.map(\.distance))
    }
  }

  @Test func `of two nodes the one that will be done sooner comes first three times of four`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var peers = Self.equalPeers
    peers.began(NodeID(0))
    let first = (0..<4000).count { _ in
      peers.ranks(of: Self.two, at: Self.now, randomness: dice)[1].turn == 0
    }
    #expect((2850...3150).contains(first), "\(RunSeed.current)")
  }

  @Test func `what a node says of its work counts as much, and for a second only`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var peers = Self.equalPeers
    for node in Self.two { peers.began(node.id) }
    peers.noteLoad(of: NodeID(0), 7, at: Self.now)
    // What it works on for us is part of what it says.
    peers.noteLoad(of: NodeID(1), 1, at: Self.now)
    func firstCount(after duration: Duration) -> Int {
      (0..<4000).count { _ in
        peers.ranks(of: Self.two, at: Self.now + duration, randomness: dice)[1].turn == 0
      }
    }
    #expect((2850...3150).contains(firstCount(after: .milliseconds(999))), "\(RunSeed.current)")
    #expect((1850...2150).contains(firstCount(after: .seconds(1))), "\(RunSeed.current)")
  }

  // Each of many readers asks three of ten equal nodes, one after the other's requests are under
  // way. The best three for everybody would get all; with two draws no node gets much more than its part.
  @Test func `no node becomes a hot spot, and a slow one gets less`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var peers = PeerStatistics()
    let nodes = (0..<10).map { (id: NodeID(UInt16($0)), distance: 0) }
    for node in nodes {
      let latency = node.id == NodeID(9) ? 9 : node.id == NodeID(0) ? 3 : 4
      peers.ended(
        node.id, .read(byteCount: 0), .answered(after: .milliseconds(latency)), at: Self.now)
    }
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<1000 {
      let ranks = peers.ranks(of: nodes, at: Self.now, randomness: dice)
      let chosen = zip(ranks, nodes).sorted { $0.0 < $1.0 }.prefix(3).map(\.1.id)
      for node in chosen {
        counts[Int(node.value)] += 1
        peers.began(node)
      }
    }
    #expect(counts.reduce(0, +) == 3000)
    for node in 1..<9 {
      #expect((250...350).contains(counts[node]), "\(counts), \(RunSeed.current)")
    }
    #expect(
      counts[0] < 450 && counts[0] > counts[9] && counts[9] > 0, "\(counts), \(RunSeed.current)")
  }

  @Test func `a table asks near nodes first`() throws {
    let clock = VirtualClock()
    let table = PeerTable(
      parameters: try EncodingParameters(shardCount: 10), clock: clock,
      randomness: SeededRandomness(seed: RunSeed.current.seed()),
      here: Topology(region: "r", zone: "b"))
    let places = [("q", "b"), ("r", "a"), ("r", "b"), ("r", "c"), ("r", "b")]
    let members = places.enumerated().map { number, place in
      CommitteeMember(
        id: NodeID(UInt16(number)), name: "", publicKey: [], address: "",
        topology: Topology(region: place.0, zone: place.1), shards: 0..<0)
    }
    for _ in 0..<20 {
      let distances = table.ordered(members).map {
        Topology(region: "r", zone: "b").distance(to: $0.topology)
      }
      #expect(distances == [0, 0, 1, 1, 2])
    }
    table.distrust(NodeID(2))
    #expect(table.ordered(members).last?.id == NodeID(2))
  }
}
