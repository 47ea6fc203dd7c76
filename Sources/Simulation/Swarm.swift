// Swarm.swift
//
// Everything about a run that its seed decides before it starts: the size of the cluster, which
// faults there are and how often, how tasks are scheduled. Each seed leaves most faults out: bugs
// hide where one trouble covers up another.

import Cluster
import RedStuff
import Simulator
import World

/// How the next task is chosen among those that can run.
package enum SchedulingPolicy: String, Sendable, CaseIterable {
  /// Any of them.
  case random
  /// In the order in which they became ready.
  case fifo
  /// Mostly the newest: old ones wait long.
  case lifo
  /// One process hardly gets to run; which one changes now and then.
  case starving
  /// Processes have priorities, which change now and then.
  case priorities
}

/// What may go wrong.
package enum FaultKind: String, Sendable, CaseIterable {
  case nodeCrash, nodeStop, clientCrash, powerCut, cancelledCalls
  case drivesSlow, drivesStall, driveErrors, failedSyncs, drivesFull, errorsAtStart
  case networkSlow, networkLoss, networkDuplicates, networkReplays, networkCorruption
  case networkRefusals, networkHalfOpen, partition, oneWayPartition, zonePartition
  case controlOutage, controlLostAnswers, controlLag, controlCompaction
  case clockSkew, clockJumps
  /// These lose data, and happen to frail nodes only.
  case rot, lostDrive, oldDrive, lyingDrive, lyingNode
  case lyingClient
}

package struct Swarm: Sendable {
  package let seed: UInt64
  package var shardCount: Int
  package var shardRuns: [Range<Int>]
  package var zones: [String]
  package var driveCount: Int
  package var clientCount: Int
  package var workersPerClient: Int
  package var epochDuration: Duration?
  package var segmentByteCountMax: Int
  package var driveCapacityByteCount: Int?
  /// Whether nodes repair what they lack. In runs without it, whatever a node loses stays lost, and is
  /// seen at rest.
  package var heals: Bool
  /// Whether some blobs are deleted as soon as their stores return.
  package var deletesAtOnce: Bool
  package var policy: SchedulingPolicy
  /// What one step of a task costs in virtual time at most; zero: computing takes no time.
  package var stepCostMax: Duration
  package var faults: Set<FaultKind>
  /// Positions of the nodes that may lose data or lie; their shards are f at most.
  package var frailNodes: Set<Int>
  /// Between two faults, on average.
  package var faultInterval: Duration
  package var thinkTime: Duration
  package var safetyDuration: Duration

  package var nodeCount: Int { shardRuns.count }
  package var faultyShardCountMax: Int { (shardCount - 1) / 3 }

  package init(seed: UInt64, safetyDuration: Duration = .seconds(300)) {
    let dice = SeededRandomness(seed: seed, label: "swarm")
    self.seed = seed
    self.safetyDuration = safetyDuration
    let healing = SeededRandomness(seed: seed, label: "healing")
    heals = healing.chance(0.6)
    deletesAtOnce = SeededRandomness(seed: seed, label: "haste").chance(0.3)
    shardCount = dice.chance(0.5) ? dice.number(in: 4...13) : dice.number(in: 4...40)
    let nodeCount = dice.number(in: 4...min(13, shardCount))
    shardRuns =
      dice.chance(0.7)
      ? Committee.evenRuns(shardCount: shardCount, nodeCount: nodeCount)
      : Self.unevenRuns(shardCount: shardCount, nodeCount: nodeCount, dice)
    let zoneCount = dice.number(in: 1...4)
    zones = (0..<nodeCount).map { "zone-\($0 * zoneCount / nodeCount)" }
    driveCount = dice.pick([1, 1, 2, 3]) ?? 1
    clientCount = dice.number(in: 1...3)
    workersPerClient = dice.number(in: 1...4)
    epochDuration = dice.chance(0.5) ? .seconds(dice.number(in: 30...600)) : nil
    segmentByteCountMax = dice.pick([4 << 10, 16 << 10, 64 << 10, 1 << 20]) ?? 16 << 10
    driveCapacityByteCount = dice.chance(0.15) ? dice.number(in: 256...1024) << 10 : nil
    if let capacity = driveCapacityByteCount {
      segmentByteCountMax = min(segmentByteCountMax, capacity / 16)
    }
    policy = dice.pick(SchedulingPolicy.allCases) ?? .random
    stepCostMax =
      dice.pick([.zero, .microseconds(1), .microseconds(20), .microseconds(200)]) ?? .zero
    faultInterval = dice.duration(in: .seconds(2) ... .seconds(30))
    thinkTime = dice.duration(in: .milliseconds(200) ... .seconds(8))
    faults = []
    frailNodes = []
    // One run in ten is calm: then everything must work, and soon.
    guard !dice.chance(0.1) else { return }
    let share = dice.pick([0.15, 0.3, 0.5]) ?? 0.3
    faults = Set(FaultKind.allCases.filter { _ in dice.chance(share) })
    var left = faultyShardCountMax
    for node in dice.pick(nodeCount, of: Array(0..<nodeCount)) where shardRuns[node].count <= left {
      guard dice.chance(0.7) else { continue }
      frailNodes.insert(node)
      left -= shardRuns[node].count
    }
    // What makes repair work, and what makes it hard.
    for kind in [FaultKind.lostDrive, .lyingNode, .drivesFull] where healing.chance(0.4) && heals {
      faults.insert(kind)
    }
    if healing.chance(0.2), heals { faults.insert(.rot) }
  }

  private static func unevenRuns(shardCount: Int, nodeCount: Int, _ dice: SeededRandomness)
    -> [Range<Int>]
  {
    let borders = dice.pick(nodeCount - 1, of: Array(1..<shardCount)).sorted()
    return zip([0] + borders, borders + [shardCount]).map { $0..<$1 }
  }
}

extension Swarm: CustomStringConvertible {
  package var description: String {
    let faultNames = faults.map(\.rawValue).sorted().joined(separator: " ")
    let frail = frailNodes.sorted().map(String.init).joined(separator: ",")
    return "\(shardCount) shards on \(nodeCount) nodes in \(Set(zones).count) zones, "
      + "\(driveCount) drives each, \(clientCount)x\(workersPerClient) workers, "
      + "epochs \(epochDuration.map { "of \($0)" } ?? "without end"), \(policy.rawValue), "
      + (faults.isEmpty ? "calm" : "frail nodes [\(frail)], faults: \(faultNames)")
  }
}
