// ClientMachine.swift
//
// A simulated gateway: a blob client with a registry of its own, and the registry's maintenance. It
// crashes in the middle of uploads and comes back without memory of them.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulator
import World

final class ClientMachine: Sendable {
  struct Process: Sendable {
    let seams: ProcessSeams
    let endpoint: SimulatedEndpoint
    let client: BlobClient
    let registry: Registry
  }

  private static let maintenanceInterval = Duration.seconds(10)

  let position: Int
  let zone: String
  let spool: SimulatedDisk
  private let world: SharedWorld
  private let dice: SeededRandomness
  private let slot = ProcessSlot<Process>()

  init(position: Int, in world: SharedWorld) {
    self.position = position
    self.world = world
    dice = world.dice("client \(position)")
    zone = dice.pick(world.swarm.zones) ?? ""
    spool = SimulatedDisk(seed: dice.next(), clock: world.clock, trace: world.trace)
  }

  var name: String { "client-\(position)" }
  var process: Process? { slot.process }

  func start() async {
    guard let run = slot.beginStart() else { return }
    let seams = ProcessSeams(name, run: run, in: world)
    let registry = seams.registry()
    let endpoint = world.network.endpoint(
      of: seams.life, zone: zone, clock: seams.clock, executor: world.executor(name))
    let client = BlobClient(
      configuration: configuration(), registry: registry, cluster: world.clusterID,
      committee: world.committee,
      transport: endpoint, clock: seams.clock, randomness: seams.randomness,
      compute: ChargedCompute(clock: seams.clock, dice: dice),
      spool: FencedDisk(spool, life: seams.life), logger: world.logger(name))
    world.trace.record(.process, traceValue(5, UInt64(position)), "\(name) starts")
    do {
      try await client.removeSpoolLeftovers()
    } catch {
      world.trace.record(.process, 6, "\(name) cannot clear its spool: \(error)")
    }
    seams.tasks.start { await Self.maintain(registry, seams) }
    slot.settle(Process(seams: seams, endpoint: endpoint, client: client, registry: registry))
  }

  /// The process dies at once; its calls end without an answer.
  func crash() async {
    guard let process = slot.beginEnd() else { return }
    world.trace.record(.process, traceValue(7, UInt64(position)), "\(name) crashes")
    process.seams.life.end()
    spool.restart(.some)
    process.seams.tasks.close()
    await world.network.end(process.seams.life)
    await process.seams.tasks.end()
    await process.client.shutdown(.cancellingTails)
    slot.settle(nil)
  }

  /// Ends the process in order.
  func stop(_ mode: BlobClient.Shutdown) async {
    guard let process = slot.beginEnd() else { return }
    await process.client.shutdown(mode)
    await process.seams.tasks.end()
    await world.network.end(process.seams.life)
    process.seams.life.end()
    slot.settle(nil)
  }

  /// Small windows and batches, so that small blobs have many of each.
  private func configuration() -> BlobClientConfiguration {
    var configuration = BlobClientConfiguration()
    configuration.topology = Topology(zone: zone)
    configuration.windowByteCount = dice.pick([64, 1 << 10, 16 << 10, 8 << 20]) ?? 1 << 10
    configuration.sinkByteCountMax = dice.pick([100, 4 << 10, 1 << 20]) ?? 4 << 10
    configuration.batchByteCountTarget = dice.pick([256, 4 << 10, 8 << 20]) ?? 4 << 10
    configuration.requestsInFlightMax = dice.pick([1, 4, 64]) ?? 4
    configuration.uploadsInFlightMax = dice.pick([1, 4, 32]) ?? 4
    configuration.tailCountMax = dice.pick([1, 16]) ?? 16
    configuration.metadataCacheByteCountMax = dice.pick([0, 32 << 20]) ?? 0
    return configuration
  }

  private static func maintain(_ registry: Registry, _ seams: ProcessSeams) async {
    while !Task.isCancelled {
      do {
        if try await registry.maintain().hasMore { continue }
      } catch {
        // Tried again in the next round.
      }
      do { try await seams.clock.sleep(for: maintenanceInterval) } catch { return }
    }
  }
}
