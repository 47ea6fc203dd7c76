// HealingChecks.swift
//
// At rest repair has ended: every honest node has every sliver of every certified blob, byte for
// byte, wiped drives, rot and missed writes or not; its missing-set is empty; and no more bytes came
// for that than the code needs. Nodes that repair only what readers ask for are asked.

import Cluster
import RedStuff
import Repair
import Simulator
import StorageNode
import Synchronization
import World

extension RestChecks {
  /// Longer than what was asked for takes to come back, failed attempts included.
  private static let demandTime = Duration.seconds(15 * 60)

  /// A sliver that was asked for and was not there.
  private struct Demand {
    let machine: Machine
    let blob: BlobID
    let request: NodeRequest
    let wanted: NodeResponse
  }

  /// `certified`: blobs of the model.
  func checkHealing(_ certified: [BlobID]) async {
    // Paused, nodes keep what they lost, and where there is no room slivers stay missing.
    guard world.swarm.heals, world.swarm.driveCapacityByteCount == nil else { return }
    for machine in machines { await checkByteCount(of: machine) }
    var demands: [Demand] = []
    for blob in certified { await look(for: blob, &demands) }
    for machine in machines { await checkMissingSet(of: machine) }
    await checkDemands(demands)
  }

  private func look(for blob: BlobID, _ demands: inout [Demand]) async {
    // Of a badly encoded blob some slivers do not exist.
    guard !workload.badBlobs.withLock({ $0.contains { $0.blob == blob } }),
      let content = workload.model.blob(blob)?.content,
      let encoded = workload.encoded(content.bytes)
    else { return }
    for machine in machines {
      guard let process = await machine.wellProcess else { continue }
      for pair in world.committee.pairs(of: blob, keptBy: machine.member.id) {
        for axis in SliverAxis.allCases {
          let request = NodeRequest.sliver(blob, pair, axis)
          let index = pair.sliver(axis, shardCount: world.swarm.shardCount)
          let wanted = NodeResponse.sliver(encoded.sliver(axis, index))
          let answer = await process.answer(request)
          guard answer != wanted else { continue }
          guard await isStillCertified(blob) else { return }
          guard machine.heals else {
            demands.append(Demand(machine: machine, blob: blob, request: request, wanted: wanted))
            continue
          }
          let status = try? await process.node.repairStatus()
          findings.add(
            .healed,
            "\(machine.name) still lacks \(axis) \(pair) of \(blob): \(answer)".prefixed(300)
              + "; \(String(describing: status))")
          return
        }
      }
    }
  }

  /// What was asked for in vain is repaired soon.
  private func checkDemands(_ demands: [Demand]) async {
    guard !demands.isEmpty else { return }
    do { try await world.clock.sleep(for: Self.demandTime) } catch { return }
    for demand in demands {
      guard let process = await demand.machine.wellProcess else { continue }
      let answer = await process.answer(demand.request)
      guard answer != demand.wanted, await isStillCertified(demand.blob) else { continue }
      findings.add(
        .healed,
        "\(demand.machine.name) lacks what was asked for, \(demand.request): \(answer)"
          .prefixed(400))
    }
  }

  /// Nothing is left to be repaired but what nobody can, and that is said.
  private func checkMissingSet(of machine: Machine) async {
    guard machine.heals, let process = await machine.wellProcess else { return }
    let missing = MissingSet(
      index: FencedIndex(machine.missingIndex, life: process.seams.life),
      parameters: world.committee.parameters)
    var last: BlobID?
    do throws(IndexError) {
      while case let page = try await missing.page(after: last, limit: 64), let end = page.last {
        for entry in page {
          let isOurs = workload.model.blob(entry.blob) != nil
          guard isOurs || !entry.isUnrecoverable || entry.problem.isEmpty else { continue }
          findings.add(
            .healed,
            "\(machine.name) did not end the repair of \(entry.blob), "
              + "\(entry.failedAttemptCount) attempts: \(entry.problem)".prefixed(300))
        }
        last = end.blob
      }
    } catch {
      findings.add(.healed, "\(machine.name): its missing-set cannot be read: \(error)")
    }
  }

  /// Without lies and failed attempts repair receives what the code needs, and hardly more.
  private func checkByteCount(of machine: Machine) async {
    var disturbing: Set<FaultKind> = [.lyingNode, .networkCorruption]
    if machine.isFrail { disturbing.formUnion([.rot, .lyingDrive, .oldDrive]) }
    guard world.swarm.faults.isDisjoint(with: disturbing), let process = machine.process,
      let status = try? await process.node.repairStatus(), status.failedAttemptCount == 0,
      status.receivedByteCount * 4 > status.neededByteCount * 5
    else { return }
    findings.add(
      .healed,
      "\(machine.name) received \(status.receivedByteCount) bytes for repair that takes "
        + "\(status.neededByteCount): \(status)")
  }
}
