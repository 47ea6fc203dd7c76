// SwarmTests.swift
//
// What seeds draw stays within what the system promises to bear, and is the same every time.

import Simulator
import Testing
import World

@testable import Simulation

@Suite struct SwarmTests {
  private static let swarms = (0..<2000).map { Swarm(seed: UInt64($0)) }

  @Test func `sizes are within their limits`() {
    for swarm in Self.swarms {
      #expect((4...40).contains(swarm.shardCount))
      #expect((4...13).contains(swarm.nodeCount))
      #expect((1...4).contains(Set(swarm.zones).count))
      #expect(swarm.shardRuns.flatMap { Array($0) } == Array(0..<swarm.shardCount))
      #expect(swarm.shardRuns.allSatisfy { !$0.isEmpty })
    }
  }

  @Test func `frail nodes hold at most f shards`() {
    for swarm in Self.swarms {
      let frail = swarm.frailNodes.reduce(0) { $0 + swarm.shardRuns[$1].count }
      #expect(frail <= swarm.faultyShardCountMax, "seed \(swarm.seed)")
    }
  }

  @Test func `every fault, policy and size is drawn by some seed`() {
    #expect(
      Self.swarms.reduce(into: Set<FaultKind>()) { $0.formUnion($1.faults) }
        == Set(FaultKind.allCases))
    #expect(Set(Self.swarms.map(\.policy)) == Set(SchedulingPolicy.allCases))
    #expect(Set(Self.swarms.map(\.shardCount)) == Set(4...40))
    #expect(Self.swarms.contains { $0.faults.isEmpty })
  }

  @Test func `a seed draws the same every time`() {
    for swarm in Self.swarms.prefix(100) {
      #expect(Swarm(seed: swarm.seed).description == swarm.description)
    }
  }

  @Test func `the promise is broken by more than f shards in trouble, and for a while after`()
    throws
  {
    let clock = VirtualClock()
    var swarm = Swarm(seed: 1)
    (swarm.shardCount, swarm.shardRuns, swarm.frailNodes) = (7, [0..<2, 2..<4, 4..<6, 6..<7], [])
    let promise = PromiseWatch(swarm: swarm, clock: clock)
    let start = clock.now
    promise.machineInTrouble(0)
    #expect(promise.hasHeld(since: start))
    promise.machineInTrouble(1)
    #expect(!promise.hasHeld(since: start))
    promise.machineWell(1)
    #expect(!promise.hasHeld(since: clock.now))
    clock.advance(by: PromiseWatch.recoveryTime + .seconds(1))
    #expect(promise.hasHeld(since: clock.now))
    promise.sharedTroubleBegins()
    #expect(!promise.hasHeld(since: clock.now))
  }

  @Test func `frail nodes count as lost`() {
    let clock = VirtualClock()
    var swarm = Swarm(seed: 1)
    (swarm.shardCount, swarm.shardRuns, swarm.frailNodes) = (7, [0..<2, 2..<4, 4..<6, 6..<7], [1])
    let promise = PromiseWatch(swarm: swarm, clock: clock)
    promise.machineInTrouble(3)
    #expect(!promise.hasHeld(since: clock.now))
  }
}
