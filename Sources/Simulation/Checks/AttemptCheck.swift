// AttemptCheck.swift
//
// While nothing goes wrong any more, no attempt to repair fails: the dead and the liars cost it time
// and bytes, not attempts. An attempt that fails is repeated later with other helpers, so at rest
// nothing would be left of a repair that never finds out who lies.

import Repair
import StorageNode

struct AttemptCheck: Sendable {
  private let swarm: Swarm
  private let machines: [Machine]
  private var before: [String: Int] = [:]

  /// From now on.
  init(_ machines: [Machine], _ swarm: Swarm) async {
    self.machines = machines
    self.swarm = swarm
    before = await failedAttemptCounts()
  }

  /// Until now.
  func end(_ findings: Findings) async {
    for (name, count) in await failedAttemptCounts().sorted(by: { $0.key < $1.key }) {
      guard let earlier = before[name], count > earlier else { continue }
      findings.add(.healed, "\(name) failed \(count - earlier) attempts to repair, all being calm")
    }
  }

  private func failedAttemptCounts() async -> [String: Int] {
    // What somebody encoded badly nobody repairs, and where there is no room nothing can be.
    guard !swarm.faults.contains(.lyingClient), swarm.driveCapacityByteCount == nil else {
      return [:]
    }
    var counts: [String: Int] = [:]
    for machine in machines where machine.heals {
      counts[machine.name] = try? await machine.wellProcess?.node.repairStatus().failedAttemptCount
    }
    return counts
  }
}
