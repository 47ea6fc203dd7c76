// Workload+Liars.swift
//
// What clients do that mean harm, and what must come of it: nothing that should not be granted, and
// for a badly encoded blob the same answer for every reader.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import World

extension Workload {
  func lie(_ process: ClientMachine.Process, _ dice: SeededRandomness) async {
    let liar = LyingClient(
      registry: process.registry, transport: process.endpoint, cluster: world.clusterID,
      committee: world.committee, clock: process.seams.clock, randomness: dice)
    do {
      if dice.chance(0.4) {
        try await storeInconsistently(liar, dice)
      } else {
        try await tellOne(liar, dice)
      }
    } catch {
      // Out of reach or refused: the lie was not heard.
      note(9, "a lie was not heard: \(error)")
    }
  }

  private func tellOne(_ liar: LyingClient, _ dice: SeededRandomness) async throws {
    guard let lie = dice.pick(LyingClient.Lie.allCases) else { return }
    // Lying nodes may grant anything.
    let honest = world.committee.members.enumerated()
      .filter { !world.swarm.frailNodes.contains($0.offset) }.map(\.element.id)
    let asked = dice.pick(dice.number(in: 1...max(honest.count, 1)), of: honest)
    note(10, "a client lies: \(lie)")
    // Long enough that nobody has stored the same by chance.
    let byteCount = max(16, Self.byteCount(world.parameters, dice))
    for outcome in try await liar.tell(lie, byteCount: byteCount, honest: asked)
    where !outcome.isAsItShouldBe {
      world.findings.add(.liesRefused, "\(outcome)".prefixed(400))
    }
  }

  private func storeInconsistently(_ liar: LyingClient, _ dice: SeededRandomness) async throws {
    let bytes = dice.bytes(count: max(1, Self.byteCount(world.parameters, dice)))
    let damage = InconsistentBlob.Damage.random(dice, parameters: world.parameters)
    let blob = try InconsistentBlob(bytes, damage: damage, parameters: world.parameters)
    note(11, "\(blob.blob) is stored badly encoded: \(damage)")
    guard try await liar.store(blob) != nil else { return }
    badBlobs.withLock { $0.append(blob) }
  }

  /// A read of a blob that somebody encoded badly.
  func readBadly(_ process: ClientMachine.Process, _ dice: SeededRandomness) async {
    guard let blob = dice.pick(badBlobs.withLock { $0 }) else { return }
    await readBad(blob, check: dice.chance(0.5) ? .strict : .default, process.client)
  }

  /// Strictly read it is inconsistent for everybody; else it is what its rows say, or nothing.
  func readBad(_ blob: InconsistentBlob, check: ConsistencyCheck, _ client: BlobClient) async {
    let receiver = Receiver(expecting: blob.leadingBytes)
    do throws(BlobClientError) {
      try await client.read(blob.blob, check: check, into: receiver.sink)
    } catch {
      note(12, "badly encoded \(blob.blob), \(check): \(error)")
      if receiver.count == 0 { return }
    }
    if check == .strict {
      world.findings.add(
        .readersAgree, "a strict read of badly encoded \(blob.blob) (\(blob.damage)) gave bytes")
    } else if let position = receiver.wrongAt {
      world.findings.add(
        .readersAgree,
        "badly encoded \(blob.blob) (\(blob.damage)) gave what its rows do not say, at \(position)")
    }
  }
}
