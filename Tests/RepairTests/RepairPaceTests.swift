// RepairPaceTests.swift
//
// Repair yields to what the node is asked for, and comes back.

import Repair
import RunSeed
import Simulator
import Testing
import World

/// A node that serves and repairs, on a clock of its own.
private struct PacedNode {
  var pace = RepairPace()
  var now = Instant(nanoseconds: 1_000_000_000)
  let dice: SeededRandomness

  init(seed: UInt64) { dice = SeededRandomness(seed: seed) }

  /// About half as much or half as much again.
  func latency(_ milliseconds: Int) -> Duration {
    .microseconds(milliseconds * (500 + dice.number(below: 1000)))
  }

  mutating func serve(
    _ count: Int, milliseconds: Int, _ work: ForegroundLoad.Work = .read(byteCount: 1000)
  ) {
    for _ in 0..<count {
      let start = now
      now = now + latency(milliseconds)
      pace.served(work, from: start, to: now)
    }
  }

  /// A round of repair, during which others are served.
  ///
  /// - Returns: how long to rest after it.
  @discardableResult
  mutating func round(serving count: Int, milliseconds: Int) -> Duration {
    let start = now
    pace.roundBegan()
    serve(count, milliseconds: milliseconds)
    if count == 0 { now = now + .seconds(1) }
    return pace.roundEnded(from: start, at: now)
  }
}

@Suite struct RepairPaceTests {
  @Test func `repair takes its whole rate while nobody is slowed down by it`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    var restCount = 0
    for _ in 0..<200 where node.round(serving: 100, milliseconds: 20) > .zero { restCount += 1 }
    // By chance a few dozen answers in a row may look slow.
    #expect(restCount < 40, "\(RunSeed.current)")
    #expect(node.pace.share > RepairPace.shareMax / 2, "\(RunSeed.current)")
  }

  @Test func `the rate is halved each second while others take longer, down to a floor`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    var shares: [Int] = []
    for _ in 0..<12 {
      let start = node.now
      let rest = node.round(serving: 50, milliseconds: 60)
      shares.append(node.pace.share)
      let work = node.now - start
      // So much of the time is work as the share says.
      let expected = work * (RepairPace.shareMax - node.pace.share) / node.pace.share
      #expect(rest == min(expected, RepairPace.pauseMax))
      node.now = node.now + rest
    }
    #expect(
      shares == [512, 256, 128, 64, 32] + Array(repeating: 16, count: 7), "\(RunSeed.current)")
  }

  @Test func `the rate comes back when others are served as before`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    for _ in 0..<10 { node.round(serving: 50, milliseconds: 60) }
    #expect(node.pace.share == RepairPace.shareMin, "\(RunSeed.current)")
    let start = node.now
    while node.pace.share < RepairPace.shareMax * 9 / 10, node.now - start < .seconds(120) {
      let rest = node.round(serving: 10, milliseconds: 20)
      node.now = node.now + rest
      node.serve(20, milliseconds: 20)
    }
    #expect(node.now - start < .seconds(60), "\(RunSeed.current)")
  }

  // A node with more to do than before is not repaired slowly for ever: what is usual is learnt anew
  // in the rests that repair takes.
  @Test func `what became usual without repair is not held against it`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    for _ in 0..<100 {
      let rest = node.round(serving: 20, milliseconds: 60)
      let end = node.now + rest
      while node.now < end { node.serve(1, milliseconds: 60) }
    }
    #expect(node.pace.share > RepairPace.shareMax / 2, "\(RunSeed.current)")
  }

  @Test func `what repair does to the others does not pass for usual`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    for _ in 0..<300 { node.round(serving: 100, milliseconds: 60) }
    #expect(node.pace.share == RepairPace.shareMin, "\(RunSeed.current)")
  }

  @Test func `with nobody there repair takes all`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    node.serve(500, milliseconds: 20)
    for _ in 0..<10 { node.round(serving: 50, milliseconds: 60) }
    #expect(node.pace.share == RepairPace.shareMin, "\(RunSeed.current)")
    node.now = node.now + .seconds(6)
    for _ in 0..<20 { node.round(serving: 0, milliseconds: 0) }
    #expect(node.pace.share == RepairPace.shareMax)
  }

  // MARK: The load

  @Test func `short answers are never slow`() {
    var node = PacedNode(seed: RunSeed.current.seed())
    for _ in 0..<500 { node.serve(1, milliseconds: 1) }
    for _ in 0..<10 { node.round(serving: 400, milliseconds: 3) }
    #expect(node.pace.share == RepairPace.shareMax, "\(RunSeed.current)")
  }

  @Test func `another mixture of sizes and kinds is no load`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var load = ForegroundLoad()
    let now = Instant(nanoseconds: 1_000_000_000)
    let works: [(ForegroundLoad.Work, Int)] = [
      (.read(byteCount: 100), 10), (.read(byteCount: 8 << 20), 200),
      (.store(byteCount: 100), 40), (.store(byteCount: 8 << 20), 900),
    ]
    func serve(_ work: (ForegroundLoad.Work, Int), factor: Int = 1) {
      load.served(
        work.0, after: .microseconds(work.1 * factor * (900 + dice.number(below: 200))),
        isUndisturbed: factor == 1, at: now)
    }
    for _ in 0..<200 { works.forEach { serve($0) } }
    for work in works {
      for _ in 0..<100 { serve(work) }
      let before = load.isSlow(at: now)
      for _ in 0..<100 { serve(work, factor: 2) }
      let after = load.isSlow(at: now)
      #expect(!before && after, "\(work.0)")
    }
  }

  @Test func `a node that begins with repair learns what is usual first`() {
    var load = ForegroundLoad()
    let now = Instant(nanoseconds: 1_000_000_000)
    for _ in 0..<500 {
      load.served(
        .read(byteCount: 1), after: .milliseconds(100), isUndisturbed: false, at: now)
    }
    let isSlow = load.isSlow(at: now)
    #expect(!isSlow)
  }

  @Test func `a budget moves the bytes of its share`() {
    var budget = ByteBudget(byteRate: 1000)
    var now = Instant(nanoseconds: 1_000_000_000)
    budget.share = RepairPace.shareMax / 4
    let start = now
    for _ in 0..<50 {
      let wait = budget.wait(at: now)
      now = now + wait
      budget.spend(100, at: now)
    }
    let seconds = Double((now - start).wholeNanoseconds) / 1e9
    #expect(seconds > 19 && seconds < 21, "\(seconds)")
  }
}
