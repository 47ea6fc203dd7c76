// Nemesis+Seams.swift
//
// Trouble with drives, the network, the control store and clocks.

import Cluster
import Simulator
import Synchronization
import World

extension Nemesis {
  // Drives.

  /// Trouble that ends by itself, at one machine or more.
  func troubleDrives(_ kind: FaultKind, for duration: Duration) async {
    var disk = DiskTrouble()
    var index = IndexTrouble()
    switch kind {
    case .drivesSlow:
      disk.slowness = Double(dice.number(in: 5...2000))
      index.slowness = disk.slowness
    case .drivesStall:
      disk.stalledUntil = clock.now + duration
      index.stalledUntil = dice.chance(0.5) ? disk.stalledUntil : nil
    default:
      disk.isFull = true
      index.isFull = dice.chance(0.5)
    }
    await withMachines(dice.number(in: 1...machines.count)) { chosen in
      for machine in chosen { set(disk, index, of: machine) }
      _ = await rest(duration)
      for machine in chosen {
        set(DiskTrouble(), IndexTrouble(), of: machine)
        // A drive whose index failed takes no writes until the node starts again.
        if index.isFull { await reboot(machine) }
      }
    }
  }

  /// Trouble after which a node has to be started again to use its drives.
  func breakDrives(_ kind: FaultKind, for duration: Duration) async {
    var disk = DiskTrouble()
    var index = IndexTrouble()
    let rate = dice.pick([0.002, 0.02, 0.2]) ?? 0.02
    switch kind {
    case .driveErrors:
      disk.readFailureRate = rate
      disk.writeFailureRate = rate
      index.readFailureRate = rate
      index.writeFailureRate = rate
    case .failedSyncs: disk.syncFailureRate = rate
    default: disk.openFailureRate = max(rate, 0.05)
    }
    await withMachines { chosen in
      for machine in chosen {
        set(disk, index, of: machine)
        if kind == .errorsAtStart {
          await machine.crash(.killed)
          await machine.start()
        }
        _ = await rest(duration)
        // What a failed sync left in memory is gone after this.
        if dice.chance(0.5) { await machine.crash(.powerLost) }
        set(DiskTrouble(), IndexTrouble(), of: machine)
        await reboot(machine)
        // And what was stored again on top of it must not go with it.
        if dice.chance(0.5) {
          _ = await rest(duration)
          await machine.crash(.powerLost)
          await machine.start()
        }
      }
    }
  }

  private func reboot(_ machine: Machine) async {
    await machine.stop()
    await machine.start()
  }

  private func set(_ disk: DiskTrouble, _ index: IndexTrouble, of machine: Machine) {
    for drive in machine.drives {
      drive.disk.setTrouble(disk)
      drive.index.setTrouble(index)
    }
  }

  // The network.

  func troubleNetwork(_ kind: FaultKind, for duration: Duration) async {
    promise.sharedTroubleBegins()
    networkFaults.withLock { $0[kind, default: 0] += 1 }
    world.network.setTrouble(networkTrouble())
    _ = await rest(duration)
    networkFaults.withLock { $0[kind, default: 1] -= 1 }
    world.network.setTrouble(networkTrouble())
    promise.sharedTroubleEnds()
  }

  /// All that is wrong everywhere.
  private func networkTrouble() -> LinkTrouble? {
    let kinds = networkFaults.withLock {
      $0.filter { $0.value > 0 }.keys.sorted { $0.rawValue < $1.rawValue }
    }
    guard !kinds.isEmpty else { return nil }
    var trouble = LinkTrouble()
    for kind in kinds {
      let rate = dice.pick([0.01, 0.05, 0.3]) ?? 0.05
      switch kind {
      case .networkSlow:
        trouble.delayInsideZone = DelayDistribution(median: .milliseconds(5), tail: 0.3)
        trouble.delayAcrossZones = DelayDistribution(median: .milliseconds(40), tail: 0.4)
        trouble.reordering = 0.2
        if dice.chance(0.2) { trouble.cloggedUntil = clock.now + dice.wait(mean: .seconds(5)) }
      case .networkLoss:
        trouble.loss = rate
        trouble.resets = rate
      case .networkDuplicates: trouble.duplication = rate
      case .networkReplays:
        trouble.replays = rate
        trouble.replayDelay =
          dice.pick([.seconds(5), .seconds(60), .seconds(1200)]) ?? .seconds(60)
      case .networkCorruption:
        trouble.flips = rate
        trouble.truncation = rate
      case .networkRefusals: trouble.refusals = rate
      case .networkHalfOpen: trouble.halfOpen = rate
      default: break
      }
    }
    return trouble
  }

  /// Nobody reaches a machine, or nobody hears it, or both.
  func cutOff(_ kind: FaultKind, for duration: Duration) async {
    var lost = LinkTrouble()
    lost.loss = 1
    let cutsWayIn = kind == .partition || dice.chance(0.5)
    let cutsWayOut = kind == .partition || !cutsWayIn
    await withMachines { chosen in
      for machine in chosen {
        if cutsWayIn { world.network.setTrouble(lost, to: machine.place) }
        if cutsWayOut { world.network.setTrouble(lost, from: machine.place) }
        _ = await rest(duration)
        if cutsWayIn { world.network.setTrouble(nil, to: machine.place) }
        if cutsWayOut { world.network.setTrouble(nil, from: machine.place) }
      }
    }
  }

  /// A zone goes on by itself; nothing comes in or out.
  func cutOffZone(for duration: Duration) async {
    guard let name = dice.pick(Set(world.swarm.zones).sorted()) else { return }
    promise.sharedTroubleBegins()
    var lost = LinkTrouble()
    lost.loss = 1
    let zone = NetworkPlace.zone(name)
    world.network.setTrouble(LinkTrouble(), from: zone, to: zone)
    world.network.setTrouble(lost, from: zone)
    world.network.setTrouble(lost, to: zone)
    _ = await rest(duration)
    world.network.setTrouble(nil, from: zone)
    world.network.setTrouble(nil, to: zone)
    world.network.setTrouble(nil, from: zone, to: zone)
    promise.sharedTroubleEnds()
  }

  // The control store.

  func troubleControl(_ kind: FaultKind, for duration: Duration) async {
    promise.sharedTroubleBegins()
    var trouble = ControlTrouble()
    switch kind {
    case .controlOutage: trouble.refusals = dice.pick([0.1, 0.5, 1]) ?? 1
    case .controlLostAnswers: trouble.lostAnswers = dice.pick([0.1, 0.5, 1]) ?? 1
    default:
      trouble.newsDelay = DelayDistribution(median: .seconds(dice.number(in: 1...8)), tail: 0.2)
      trouble.repetitions = 0.3
      trouble.splits = 0.3
    }
    let all = machines.compactMap { $0.process?.seams } + clients.compactMap { $0.process?.seams }
    let affected = dice.pick(dice.number(in: 1...max(all.count, 1)), of: all)
    for seams in affected { seams.control.setTrouble(trouble) }
    _ = await rest(duration)
    for seams in affected { seams.control.setTrouble(ControlTrouble()) }
    promise.sharedTroubleEnds()
  }

  // Clocks.

  /// Clocks of some processes go wrong, and are set right later as a time server would.
  func jumpClock(for duration: Duration) async {
    let all = machines.compactMap { $0.process?.seams } + clients.compactMap { $0.process?.seams }
    let affected = dice.pick(dice.number(in: 1...max(all.count, 1)), of: all)
    promise.sharedTroubleBegins()
    for seams in affected {
      switch dice.number(below: 4) {
      case 0:
        let drift = ProcessClock.driftMax
        seams.clock.setDrift(dice.chance(0.5) ? drift : -drift)
      case 1: seams.clock.setWallFrozen(true)
      default:
        // Past the deadlines of uploads, and past grace periods, too.
        let hours = dice.pick([1, 2, 30]) ?? 1
        let size = dice.duration(in: .seconds(1) ... .seconds(hours * 60 * 60))
        seams.clock.jumpWallTime(by: dice.chance(0.5) ? size : .zero - size)
      }
    }
    _ = await rest(duration)
    for seams in affected {
      seams.clock.setWallFrozen(false)
      seams.clock.setDrift(0)
      seams.clock.setWallSkew(.zero)
    }
    promise.sharedTroubleEnds()
  }

  // Loss, on frail nodes.

  func damage(_ kind: FaultKind, for duration: Duration) async {
    await withMachines(where: \.isFrail) { chosen in
      for machine in chosen {
        guard let number = dice.pick(Array(machine.drives.indices)) else { continue }
        let drive = machine.drives[number]
        switch kind {
        case .rot:
          drive.disk.rot(bitCount: dice.number(in: 1...100))
          guard dice.chance(0.3) else { continue }
          drive.index.rot(count: dice.number(in: 1...5))
          machine.noteLossUnnoticed()
        case .lostDrive: await replace(drive, of: machine, after: duration)
        case .oldDrive: await putBack(number, of: machine, after: duration)
        default: await mistrust(drive, of: machine, for: duration)
        }
      }
    }
  }

  private func replace(
    _ drive: Machine.Drive, of machine: Machine, after duration: Duration
  ) async {
    await machine.crash(.powerLost)
    drive.disk.wipe()
    drive.index.wipe()
    // For a while the new drive has no marker, and must not be taken for the old one.
    if dice.chance(0.5) { await machine.start() }
    _ = await rest(duration)
    await machine.stop()
    do {
      try await machine.initialise(drive)
    } catch {
      world.findings.add(.nodesStart, "\(machine.name): a new drive cannot be set up: \(error)")
    }
    await machine.start()
  }

  /// The drive goes back to what it was some time ago.
  private func putBack(_ number: Int, of machine: Machine, after duration: Duration) async {
    let drive = machine.drives[number]
    let (disk, index) = (drive.disk.snapshot(), drive.index.snapshot())
    _ = await rest(duration * 2)
    await machine.crash(.powerLost)
    drive.disk.restore(disk)
    switch dice.number(below: 3) {
    case 0: drive.index.restore(index)
    case 1: drive.index.wipe()
    default: break
    }
    await machine.start()
  }

  /// The drive says that it wrote what it did not.
  private func mistrust(
    _ drive: Machine.Drive, of machine: Machine, for duration: Duration
  ) async {
    machine.noteLossUnnoticed()
    var trouble = DiskTrouble()
    trouble.lostWriteRate = 0.05
    trouble.misdirectedWriteRate = 0.05
    trouble.staleReadRate = 0.05
    drive.disk.setTrouble(trouble)
    _ = await rest(duration)
    drive.disk.setTrouble(DiskTrouble())
    await machine.crash(.killed)
    await machine.start()
  }
}
