// PeerStatisticsTests.swift

import Cluster
import Routing
import Testing
import World

@Suite struct PeerStatisticsTests {
  static let start = Instant(nanoseconds: 1_000_000_000_000)
  let node = NodeID(3)

  @Test func `a failed node is suspected for a time that doubles up to a limit`() {
    var peers = PeerStatistics()
    var lengths: [Duration] = []
    for _ in 0..<12 {
      peers.began(node)
      peers.ended(node, .failed, at: Self.start)
      var seconds = 1
      while peers.isSuspected(node, at: Self.start + .seconds(seconds)) { seconds += 1 }
      lengths.append(.seconds(seconds))
    }
    #expect(
      lengths
        == ([1, 2, 4, 8, 16, 32] + Array(repeating: 60, count: 6)).map { .seconds($0) })
  }

  @Test func `an answer ends the suspicion`() {
    var peers = PeerStatistics()
    peers.ended(node, .failed, at: Self.start)
    #expect(peers.isSuspected(node, at: Self.start))
    peers.ended(node, .answered(after: .milliseconds(1)), at: Self.start)
    #expect(!peers.isSuspected(node, at: Self.start))
    #expect(peers.consecutiveFailureCount(of: node) == 0)
  }

  @Test func `latency is smoothed and hedging waits three times as long`() {
    var peers = PeerStatistics()
    let delay = { (peers: PeerStatistics) in
      peers.hedgeDelay(for: NodeID(3), min: .milliseconds(50), initial: .seconds(1))
    }
    #expect(delay(peers) == .seconds(1))
    peers.ended(node, .answered(after: .milliseconds(80)), at: Self.start)
    #expect(peers.smoothedLatency(of: node) == .milliseconds(80))
    peers.ended(node, .answered(after: .milliseconds(160)), at: Self.start)
    #expect(peers.smoothedLatency(of: node) == .milliseconds(90))
    #expect(delay(peers) == .milliseconds(270))
    for _ in 0..<100 { peers.ended(node, .answered(after: .zero), at: Self.start) }
    #expect(delay(peers) == .milliseconds(50))
  }

  @Test func `requests in flight are counted, and abandoning one is no failure`() {
    var peers = PeerStatistics()
    peers.began(node)
    peers.began(node)
    #expect(peers.inFlightCount(of: node) == 2)
    peers.ended(node, .abandoned, at: Self.start)
    #expect(peers.inFlightCount(of: node) == 1)
    #expect(!peers.isSuspected(node, at: Self.start))
  }

  @Test func `suspected nodes rank last, slow ones before them, busy ones before those`() {
    var peers = PeerStatistics()
    for (id, latency) in [(0, 1), (1, 1), (2, 500), (3, 1)] {
      peers.ended(NodeID(UInt16(id)), .answered(after: .milliseconds(latency)), at: Self.start)
    }
    peers.began(NodeID(1))
    peers.ended(NodeID(3), .failed, at: Self.start)
    let nodes = (0..<4).map { NodeID(UInt16($0)) }
    let ranks = peers.ranks(of: nodes, at: Self.start)
    #expect(ranks == ranks.sorted())
    #expect(Set(ranks).count == 4)
  }
}
