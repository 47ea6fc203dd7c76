// HealingChecks.swift
//
// At rest nothing is missing any more: every honest node has every sliver of every certified blob,
// wiped drives and missed writes or not.

import Cluster
import RedStuff
import StorageNode
import Synchronization
import World

extension RestChecks {
  func checkHealed(_ blob: BlobID) async {
    // Where there is no room, slivers stay missing; of a badly encoded blob some do not exist.
    guard world.swarm.driveCapacityByteCount == nil,
      !workload.badBlobs.withLock({ $0.contains { $0.blob == blob } })
    else { return }
    for machine in machines where machine.lies == nil {
      guard let process = machine.process, process.heals,
        case .health(let health) = await ask(process, .health(detailed: true)),
        health.detail?.driveProblems == []
      else { continue }
      for pair in world.committee.pairs(of: blob, keptBy: machine.member.id) {
        for axis in SliverAxis.allCases {
          let answer = await ask(process, .sliverStatus(blob, pair, axis))
          guard answer != .storedStatus(.stored) else { continue }
          findings.add(
            .healed,
            "\(machine.name) still lacks \(axis) \(pair) of \(blob): \(answer); "
              + "\(String(describing: try? await process.node.repairStatus()))")
          return
        }
      }
    }
  }
}
