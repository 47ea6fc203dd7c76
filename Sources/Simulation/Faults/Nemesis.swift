// Nemesis.swift
//
// Lets things go wrong during the safety phase, as the swarm decided, several at once; and puts each
// right again after a while. What lies on drives and in messages goes wrong through rates at the
// seams; here they are turned up and down, and processes are stopped and killed.
//
// Invariant: when `run` returns, nothing is wrong any more but what was lost on frail nodes.

import Cluster
import Simulator
import Synchronization
import World

final class Nemesis: Sendable {
  let world: SharedWorld
  let machines: [Machine]
  let clients: [ClientMachine]
  let promise: PromiseWatch
  let dice: SeededRandomness
  /// Network faults that hold everywhere now, with how often each was turned on.
  let networkFaults = Mutex([FaultKind: Int]())
  /// Machines that something is being done to: one thing at a time.
  private let taken = Mutex(Set<Int>())

  init(
    world: SharedWorld, machines: [Machine], clients: [ClientMachine], promise: PromiseWatch
  ) {
    self.world = world
    self.machines = machines
    self.clients = clients
    self.promise = promise
    dice = world.dice("nemesis")
  }

  var clock: VirtualClock { world.clock }

  /// Until the task is cancelled; then puts everything right.
  func run() async {
    let kinds = world.swarm.faults.sorted { $0.rawValue < $1.rawValue }
    await withTaskGroup(of: Void.self) { group in
      while !Task.isCancelled {
        guard await rest(dice.wait(mean: world.swarm.faultInterval)) else { break }
        guard let kind = dice.pick(kinds) else { continue }
        let duration = dice.wait(mean: .seconds(20)) + .milliseconds(1)
        group.addTask { await self.inflict(kind, for: duration) }
      }
      await group.waitForAll()
    }
    world.network.heal()
  }

  /// False: the phase is over.
  func rest(_ duration: Duration) async -> Bool {
    do {
      try await clock.sleep(for: duration)
      return true
    } catch {
      return false
    }
  }

  private func inflict(_ kind: FaultKind, for duration: Duration) async {
    world.trace.record(
      .fault, traceValue(UInt64(duration.wholeNanoseconds)), "\(kind.rawValue) for \(duration)")
    switch kind {
    case .nodeCrash:
      let how: Machine.Crash = dice.chance(0.5) ? .killed : .powerLost
      await interrupt(for: duration) { await $0.crash(how) }
    case .nodeStop: await interrupt(for: duration) { await $0.stop() }
    case .powerCut: await cutPower(for: duration)
    case .clientCrash:
      guard let client = dice.pick(clients) else { return }
      await client.crash()
      _ = await rest(duration)
      await client.start()
    case .drivesSlow, .drivesStall, .drivesFull: await troubleDrives(kind, for: duration)
    case .driveErrors, .failedSyncs, .errorsAtStart: await breakDrives(kind, for: duration)
    case .networkSlow, .networkLoss, .networkDuplicates, .networkReplays, .networkCorruption,
      .networkRefusals, .networkHalfOpen:
      await troubleNetwork(kind, for: duration)
    case .partition, .oneWayPartition: await cutOff(kind, for: duration)
    case .zonePartition: await cutOffZone(for: duration)
    case .controlOutage, .controlLostAnswers, .controlLag: await troubleControl(kind, for: duration)
    case .controlCompaction: world.control.compact(through: world.control.revision)
    case .clockJumps: await jumpClock(for: duration)
    case .rot, .lostDrive, .oldDrive, .lyingDrive: await damage(kind, for: duration)
    // These are there all the time: in how processes are made, and in the work.
    case .clockSkew, .cancelledCalls, .lyingNode, .lyingClient: break
    }
  }

  // Processes.

  /// Takes up to `count` of the machines that are free and `isFit`; they are in trouble until `body`
  /// ends.
  func withMachines(
    _ count: Int = 1, where isFit: (Machine) -> Bool = { _ in true },
    _ body: ([Machine]) async -> Void
  ) async {
    let free = taken.withLock { taken in machines.filter { !taken.contains($0.position) } }
    let chosen = dice.pick(count, of: free.filter(isFit))
    guard !chosen.isEmpty else { return }
    taken.withLock { $0.formUnion(chosen.map(\.position)) }
    for machine in chosen { promise.machineInTrouble(machine.position) }
    await body(chosen)
    for machine in chosen { promise.machineWell(machine.position) }
    taken.withLock { $0.subtract(chosen.map(\.position)) }
  }

  private func interrupt(for duration: Duration, _ end: @Sendable (Machine) async -> Void) async {
    await withMachines(where: \.isRunning) { chosen in
      for machine in chosen {
        await end(machine)
        _ = await rest(duration)
        await machine.start()
      }
    }
  }

  /// All machines at once, and maybe the clients.
  private func cutPower(for duration: Duration) async {
    promise.sharedTroubleBegins()
    await withMachines(machines.count) { chosen in
      await withTaskGroup(of: Void.self) { group in
        for machine in chosen { group.addTask { await machine.crash(.powerLost) } }
        if dice.chance(0.5) {
          for client in clients { group.addTask { await client.crash() } }
        }
      }
      _ = await rest(duration)
      await withTaskGroup(of: Void.self) { group in
        for machine in chosen { group.addTask { await machine.start() } }
        for client in clients { group.addTask { await client.start() } }
      }
    }
    promise.sharedTroubleEnds()
  }
}
