// PromiseWatch.swift
//
// Whether the faults of the moment are within what the system promises: at most f shards in trouble,
// and nothing wrong that all of them share. While that holds, and has held for a while, no call may
// fail; beyond it a call may fail, but cleanly.

import Simulator
import Synchronization
import World

final class PromiseWatch: Sendable {
  /// After trouble, clients still avoid nodes that failed them, and nodes catch up.
  static let recoveryTime = Duration.seconds(60)

  private struct State {
    var troubledMachines: [Int: Int] = [:]
    var sharedTroubleCount = 0
    /// When it was last broken; nil: never.
    var brokenAt: Instant?
    var isBroken = false
  }

  private let swarm: Swarm
  private let clock: any Clock
  private let state = Mutex(State())

  init(swarm: Swarm, clock: any Clock) {
    self.swarm = swarm
    self.clock = clock
  }

  func machineInTrouble(_ position: Int) {
    change { $0.troubledMachines[position, default: 0] += 1 }
  }

  func machineWell(_ position: Int) {
    change { state in
      let left = (state.troubledMachines[position] ?? 1) - 1
      state.troubledMachines[position] = left > 0 ? left : nil
    }
  }

  /// Something that everybody notices: the network, the control store.
  func sharedTroubleBegins() { change { $0.sharedTroubleCount += 1 } }

  func sharedTroubleEnds() { change { $0.sharedTroubleCount -= 1 } }

  /// Whether the promise has held since `start`, and for the recovery time before it.
  func hasHeld(since start: Instant) -> Bool {
    state.withLock { state in
      if state.isBroken { return false }
      guard let brokenAt = state.brokenAt else { return true }
      return brokenAt + Self.recoveryTime < start
    }
  }

  private func change(_ body: (inout State) -> Void) {
    let now = clock.now
    state.withLock { state in
      body(&state)
      let lost = swarm.frailNodes.union(state.troubledMachines.keys)
        .reduce(0) { $0 + swarm.shardRuns[$1].count }
      let isBroken = lost > swarm.faultyShardCountMax || state.sharedTroubleCount > 0
      if state.isBroken || isBroken { state.brokenAt = now }
      state.isBroken = isBroken
    }
  }
}
