// RestChecks.swift
//
// What must hold when everything is healed and quiet: what the registry says is what was promised,
// everything certified can be read, everything confirmed is on its drives byte for byte, and nothing
// is left of what has ended.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulator
import StorageNode
import Synchronization
import World

struct RestChecks: Sendable {
  let world: SharedWorld
  let machines: [Machine]
  let workload: Workload
  let confirmations: ConfirmationLog

  private var model: ReferenceModel { workload.model }
  var findings: Findings { world.findings }

  struct Truth {
    var living: Set<ObjectID> = []
    var isCertified = false
  }

  func run(reader: ClientMachine.Process) async {
    var ended: [BlobID] = []
    // First, since whoever reads makes nodes repair what they lack.
    var certified: [BlobID] = []
    for blob in model.blobs {
      if let truth = await truth(of: blob), truth.isCertified { certified.append(blob) }
    }
    await checkHealing(certified)
    for blob in model.blobs {
      guard let truth = await truth(of: blob) else { continue }
      let view = model.view(of: blob, epoch: await workload.epoch())
      if view.isLiving, !truth.isCertified {
        findings.add(.registryTruthful, "\(blob) was certified, and the registry says otherwise")
      }
      if view.isGone, truth.isCertified, await isStillCertified(blob) {
        findings.add(.registryTruthful, "\(blob) was deleted, and the registry has it certified")
      }
      await read(blob, exists: truth.isCertified, reader)
      if let accuser = world.accusations.accuser(of: blob) {
        findings.add(.readersAgree, "\(accuser) said that \(blob) was encoded badly")
      }
      await checkConfirmations(of: blob, truth)
      if truth.living.isEmpty { ended.append(blob) }
    }
    for blob in workload.badBlobs.withLock({ $0 }) {
      await workload.readBad(blob, check: .strict, reader.client)
      await workload.readBad(blob, check: .default, reader.client)
    }
    await checkOpenUploads()
    for machine in machines {
      await checkLeftovers(ended, on: machine)
      checkCapacity(of: machine)
    }
  }

  /// An upload that nobody finished is over an hour after it began.
  private func checkOpenUploads() async {
    // Of a clock that jumps, an hour may be any time.
    guard !world.swarm.faults.contains(.clockJumps) else { return }
    let latest = world.clock.wallTime.milliseconds - 10 * 60 * 1000
    var last: (BlobID, ObjectID)?
    do throws(RegistryError) {
      while case let page = try await world.truth.list(after: last, limit: 256),
        let end = page.last
      {
        for registration in page
        where registration.state == .registered && registration.certifyByMilliseconds < latest {
          findings.add(
            .workEnds, "\(registration.object) of \(registration.blob) was never certified or ended"
          )
        }
        last = (end.blob, end.object)
      }
    } catch {
      findings.add(.registryTruthful, "the registrations cannot be listed: \(error)")
    }
  }

  func truth(of blob: BlobID) async -> Truth? {
    do throws(RegistryError) {
      var truth = Truth()
      for (registration, _) in try await world.truth.registrations(of: blob)
      where !registration.hasEnded {
        truth.living.insert(registration.object)
        if registration.isCertified { truth.isCertified = true }
      }
      return truth
    } catch {
      findings.add(.registryTruthful, "the registrations of \(blob) cannot be read: \(error)")
      return nil
    }
  }

  /// Its epochs may end while the checks run: whoever misses something of a blob asks afterwards.
  func isStillCertified(_ blob: BlobID) async -> Bool { await truth(of: blob)?.isCertified == true }

  private func read(_ blob: BlobID, exists: Bool, _ reader: ClientMachine.Process) async {
    guard let content = model.blob(blob)?.content else { return }
    let receiver = Receiver(expecting: content.bytes)
    do throws(BlobClientError) {
      try await reader.client.read(blob, into: receiver.sink)
      if let position = receiver.wrongAt {
        findings.add(.noWrongByte, "at rest, \(blob) gave a wrong byte at \(position)")
      } else if receiver.count != content.byteCount {
        findings.add(
          .noWrongByte, "at rest, \(blob) gave \(receiver.count) of \(content.byteCount) bytes")
      } else if !exists {
        findings.add(.registryTruthful, "at rest, \(blob) has ended and was read")
      }
    } catch {
      if exists {
        guard await isStillCertified(blob) else { return }
        findings.add(.readable, "at rest, certified \(blob) cannot be read: \(error)")
      } else if error != .notFound(blob) {
        findings.add(.registryTruthful, "at rest, \(blob) has ended and its read says: \(error)")
      }
    }
  }

  private func checkConfirmations(of blob: BlobID, _ truth: Truth) async {
    let promises = confirmations.all.filter {
      $0.blob == blob && truth.living.contains($0.object)
    }
    guard !promises.isEmpty, let content = model.blob(blob)?.content,
      let encoded = workload.encoded(content.bytes)
    else { return }
    for node in Set(promises.map(\.node)).sorted() {
      guard let machine = machines.first(where: { $0.member.id == node }), !machine.isFrail,
        let process = machine.process
      else { continue }
      for pair in world.committee.pairs(of: blob, keptBy: node) {
        for axis in SliverAxis.allCases {
          let index = pair.sliver(axis, shardCount: world.swarm.shardCount)
          let answer = await process.answer(.sliver(blob, pair, axis))
          guard answer != .sliver(encoded.sliver(axis, index)),
            let now = await self.truth(of: blob),
            !now.living.isDisjoint(with: promises.map(\.object))
          else { continue }
          findings.add(
            .confirmationsHold,
            "\(machine.name) confirmed \(blob) and has not \(axis) \(pair): \(answer)".prefixed(400)
          )
        }
      }
    }
  }

  private func checkLeftovers(_ ended: [BlobID], on machine: Machine) async {
    // A drive that acknowledged a tombstone and never wrote it keeps what it should have ended.
    if machine.isFrail, world.swarm.faults.contains(.lyingDrive) { return }
    guard let process = machine.process, await process.drivesAreWell else { return }
    for blob in ended {
      var requests: [NodeRequest] = [.metadataStatus(blob)]
      for pair in world.committee.pairs(of: blob, keptBy: machine.member.id) {
        requests += SliverAxis.allCases.map { .sliverStatus(blob, pair, $0) }
      }
      for request in requests {
        let answer = await process.answer(request)
        guard answer != .storedStatus(.nonexistent) else { continue }
        findings.add(.nothingLeftOver, "\(machine.name) has something of ended \(blob): \(answer)")
        break
      }
    }
  }

  private func checkCapacity(of machine: Machine) {
    guard let capacity = world.swarm.driveCapacityByteCount else { return }
    for (number, drive) in machine.drives.enumerated() {
      let used = drive.disk.names.filter { $0.hasPrefix("segment-") }
        .reduce(0) { $0 + (drive.disk.contents(of: $1)?.count ?? 0) }
      if used > capacity {
        findings.add(
          .limitsHold, "drive \(number) of \(machine.name) holds \(used) of \(capacity) bytes")
      }
    }
  }
}

extension String {
  /// At most `count` characters.
  func prefixed(_ count: Int) -> String {
    self.count <= count ? self : String(prefix(count)) + "..."
  }
}
