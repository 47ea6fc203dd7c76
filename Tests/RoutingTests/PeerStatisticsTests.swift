// PeerStatisticsTests.swift

import Cluster
import Routing
import RunSeed
import Simulator
import Testing
import World

extension PeerStatistics.Request {
  static let small = PeerStatistics.Request.read(byteCount: 100)
}

@Suite struct PeerStatisticsTests {
  static let start = Instant(nanoseconds: 1_000_000_000_000)
  let node = NodeID(3)

  @Test func `a failed node is probed after a time that doubles up to a limit`() {
    var peers = PeerStatistics()
    var lengths: [Duration] = []
    for _ in 0..<12 {
      peers.began(node)
      peers.ended(node, .small, .failed, at: Self.start)
      var seconds = 1
      while peers.takeProbes(at: Self.start + .seconds(seconds)).isEmpty { seconds += 1 }
      lengths.append(.seconds(seconds))
    }
    #expect(
      lengths
        == ([1, 2, 4, 8, 16, 32] + Array(repeating: 60, count: 6)).map { .seconds($0) })
  }

  @Test func `a failed node is suspected until it answers, and probed by one at a time`() {
    var peers = PeerStatistics()
    peers.ended(node, .small, .failed, at: Self.start)
    #expect(peers.takeProbes(at: Self.start) == [])
    let later = Self.start + .seconds(5)
    #expect(peers.isSuspected(node, at: later))
    #expect(peers.takeProbes(at: later) == [node])
    #expect(peers.takeProbes(at: later) == [])
    peers.ended(node, .probe, .abandoned(after: .milliseconds(1)), at: later)
    #expect(peers.isSuspected(node, at: later))
    peers.ended(node, .probe, .answered(after: .milliseconds(1)), at: later)
    #expect(!peers.isSuspected(node, at: later))
    // Whether it gives what it is asked for is still open.
    #expect(peers.consecutiveFailureCount(of: node) == 1)
    #expect(peers.smoothedLatency(of: node) == nil)
  }

  @Test func `a node that is not trusted gets its chance after its time`() {
    var peers = PeerStatistics()
    peers.distrust(node, at: Self.start)
    #expect(peers.isSuspected(node, at: Self.start))
    #expect(!peers.isSuspected(node, at: Self.start + .seconds(1)))
    #expect(peers.takeProbes(at: Self.start + .seconds(1)) == [])
  }

  private func isLacking(_ peers: PeerStatistics, after seconds: Int) -> Bool {
    let ranks = peers.ranks(
      of: [(id: node, distance: 0)], at: Self.start + .seconds(seconds),
      randomness: SeededRandomness(seed: 1))
    return ranks[0].isLacking
  }

  @Test func `a node that lacks what it is asked for is asked after the others for a while`() {
    var peers = PeerStatistics()
    peers.noteHoldings(of: node, presentCount: 40, missingCount: 0, at: Self.start)
    peers.noteHoldings(of: node, presentCount: 0, missingCount: 1, at: Self.start)
    #expect(!isLacking(peers, after: 0))
    peers.noteHoldings(of: node, presentCount: 0, missingCount: 3, at: Self.start)
    #expect(isLacking(peers, after: 0))
    #expect(!isLacking(peers, after: 1))
  }

  @Test func `one that still lacks it gets longer pauses, and none once it has it`() {
    var peers = PeerStatistics()
    var (second, lengths) = (0, [Int]())
    for _ in 0..<8 {
      // Several readers ask at once.
      for _ in 0..<5 {
        peers.noteHoldings(
          of: node, presentCount: 0, missingCount: 1, at: Self.start + .seconds(second))
      }
      let begin = second
      while isLacking(peers, after: second) { second += 1 }
      lengths.append(second - begin)
    }
    #expect(lengths == [1, 2, 4, 8, 16, 32, 60, 60])
    peers.noteHoldings(
      of: node, presentCount: 30, missingCount: 0, at: Self.start + .seconds(second))
    peers.noteHoldings(
      of: node, presentCount: 0, missingCount: 4, at: Self.start + .seconds(second))
    #expect(isLacking(peers, after: second) && !isLacking(peers, after: second + 1))
  }

  // A popular sliver that rotted says nothing about the others.
  @Test func `a node that lacks one sliver of ten is asked like any other`() {
    var peers = PeerStatistics()
    for _ in 0..<1000 {
      peers.noteHoldings(of: node, presentCount: 9, missingCount: 0, at: Self.start)
      peers.noteHoldings(of: node, presentCount: 0, missingCount: 1, at: Self.start)
      #expect(!isLacking(peers, after: 0))
    }
  }

  @Test func `an answer ends the suspicion`() {
    var peers = PeerStatistics()
    peers.ended(node, .small, .failed, at: Self.start)
    #expect(peers.isSuspected(node, at: Self.start))
    peers.ended(node, .small, .answered(after: .milliseconds(1)), at: Self.start)
    #expect(!peers.isSuspected(node, at: Self.start))
    #expect(peers.consecutiveFailureCount(of: node) == 0)
  }

  @Test func `latency is smoothed, and one outlier does not make a node slow`() {
    var peers = PeerStatistics()
    peers.ended(node, .small, .answered(after: .milliseconds(80)), at: Self.start)
    #expect(peers.smoothedLatency(of: node) == .milliseconds(80))
    peers.ended(node, .small, .answered(after: .milliseconds(160)), at: Self.start)
    #expect(peers.smoothedLatency(of: node) == .milliseconds(90))
    peers.ended(node, .small, .answered(after: .seconds(9)), at: Self.start)
    #expect(peers.smoothedLatency(of: node) == .microseconds(90_000 + 3 * 90_000 / 8))
  }

  @Test func `requests in flight are counted, and abandoning one is no failure`() {
    var peers = PeerStatistics()
    peers.began(node)
    peers.began(node)
    #expect(peers.inFlightCount(of: node) == 2)
    peers.ended(node, .small, .abandoned(after: .milliseconds(1)), at: Self.start)
    #expect(peers.inFlightCount(of: node) == 1)
    #expect(!peers.isSuspected(node, at: Self.start))
  }

  @Test func `a node that is given up three times without an answer is suspected`() {
    var peers = PeerStatistics()
    var now = Self.start
    func giveUp() {
      now = now + .seconds(2)
      peers.ended(node, .small, .abandoned(after: .seconds(2)), at: now)
    }
    giveUp()
    giveUp()
    peers.ended(node, .small, .answered(after: .milliseconds(1)), at: now)
    giveUp()
    giveUp()
    // Two that waited at the same time say what one says.
    peers.ended(node, .small, .abandoned(after: .seconds(2)), at: now)
    #expect(!peers.isSuspected(node, at: now))
    giveUp()
    #expect(peers.isSuspected(node, at: now))
  }

  // MARK: Lateness

  static func delay(
    _ peers: PeerStatistics, _ node: NodeID, byteCount: Int = 100,
    min shortest: Duration = .milliseconds(5)
  ) -> Duration {
    peers.hedgeDelay(for: node, byteCount: byteCount, min: shortest, initial: .seconds(1))
  }

  @Test func `a hedge waits the initial time until enough is known, of others or of the node`() {
    var peers = PeerStatistics()
    func answer(_ node: NodeID, _ latency: Duration, count: Int) {
      for _ in 0..<count {
        peers.ended(node, .small, .answered(after: latency), at: Self.start)
      }
    }
    answer(NodeID(1), .milliseconds(20), count: PeerStatistics.sampleCountMin - 1)
    #expect(Self.delay(peers, node) == .seconds(1))
    answer(NodeID(1), .milliseconds(20), count: 1)
    #expect((18...22).contains(Self.delay(peers, node).wholeNanoseconds / 1_000_000))
    #expect(Self.delay(peers, NodeID(2), min: .milliseconds(50)) == .milliseconds(50))
    // It is far away: what others need does not count against it.
    answer(node, .milliseconds(100), count: 1)
    #expect(Self.delay(peers, node) == .milliseconds(200))
    answer(node, .milliseconds(100), count: PeerStatistics.ownSampleCountMin - 1)
    #expect((90...112).contains(Self.delay(peers, node).wholeNanoseconds / 1_000_000))
  }

  // Most answers quick, one in a hundred a hundred times slower: the delay is beyond nearly all of
  // the quick ones and far below the slow ones, so that about 2 % are late, also when what is late is
  // given up, and so never seen to its end.
  @Test(arguments: [true, false])
  func `about as many requests are late as hedges are budgeted for`(givesUp: Bool) {
    let seed = RunSeed.current.seed()
    let dice = SeededRandomness(seed: seed)
    var peers = PeerStatistics()
    var lateCount = 0
    let count = 20_000
    for round in 0..<count + 1000 {
      let quick = 2_000_000 + dice.number(below: 1000) * dice.number(below: 1000) * 10
      let latency = Duration.nanoseconds(dice.number(below: 100) == 0 ? quick * 100 : quick)
      let delay = Self.delay(peers, node)
      let isLate = latency > delay
      if isLate, round >= 1000 { lateCount += 1 }
      peers.ended(
        node, .small,
        isLate && givesUp
          ? .abandoned(after: delay + .milliseconds(3)) : .answered(after: latency),
        at: Self.start + .seconds(round))
    }
    let perThousand = lateCount * 1000 / count
    #expect((14...25).contains(perThousand), "\(RunSeed.current)")
  }

  @Test func `a large answer is given the time that large answers take`() {
    let seed = RunSeed.current.seed()
    let dice = SeededRandomness(seed: seed)
    var peers = PeerStatistics()
    // 5 ms and 100 MB/s, some tenths more or less.
    func latency(_ byteCount: Int) -> Duration {
      .nanoseconds((5_000_000 + byteCount * 10) * (900 + dice.number(below: 200)) / 1000)
    }
    var lateCounts: [Int: Int] = [:]
    for round in 0..<6000 {
      let byteCount = [1000, 1 << 20, 8 << 20][dice.number(below: 3)]
      let latency = latency(byteCount)
      if round >= 2000, latency > Self.delay(peers, node, byteCount: byteCount) {
        lateCounts[byteCount, default: 0] += 1
      }
      peers.ended(
        node, .read(byteCount: byteCount), .answered(after: latency), at: Self.start)
    }
    for (byteCount, count) in lateCounts {
      #expect(count < 1333 * 8 / 100, "\(byteCount) bytes, \(RunSeed.current)")
    }
    let large = Self.delay(peers, node, byteCount: 8 << 20)
    #expect(large > .milliseconds(80) && large < .milliseconds(200), "\(RunSeed.current)")
    #expect(Self.delay(peers, node) < .milliseconds(15), "\(RunSeed.current)")
  }

  @Test func `what storing takes does not count as what a read may take`() {
    var peers = PeerStatistics()
    for _ in 0..<200 {
      peers.ended(node, .small, .answered(after: .milliseconds(10)), at: Self.start)
      peers.ended(
        node, .store(byteCount: 100), .answered(after: .milliseconds(900)), at: Self.start)
    }
    #expect(Self.delay(peers, node) < .milliseconds(15))
  }
}
