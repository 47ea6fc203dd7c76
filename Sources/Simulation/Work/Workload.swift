// Workload.swift
//
// What applications do: store, read whole and by range, look up, delete and extend, at random and
// many at once. Every answer goes past the reference model.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import World

/// What was done, for the line of a run.
package struct WorkCounts: Sendable, Equatable {
  package var storeCount = 0
  package var failedStoreCount = 0
  package var readCount = 0
  package var failedReadCount = 0
  package var deleteCount = 0
  package var extensionCount = 0
  package var readByteCount = 0

  package init() {}
}

final class Workload: Sendable {
  /// No call may take longer on the clock of its process: a store has five minutes and gives up its
  /// registration then, a read retries a few times with request deadlines of ten seconds.
  static let callDurationMax = Duration.seconds(900)
  /// Blobs of a run; beyond it old ones are stored again.
  static let blobCountMax = 60

  let world: SharedWorld
  let clients: [ClientMachine]
  let model: ReferenceModel
  let promise: PromiseWatch
  let counts = Mutex(WorkCounts())
  /// Blobs that somebody encoded badly, certified.
  let badBlobs = Mutex([InconsistentBlob]())

  init(
    world: SharedWorld, clients: [ClientMachine], model: ReferenceModel, promise: PromiseWatch
  ) {
    self.world = world
    self.clients = clients
    self.model = model
    self.promise = promise
  }

  /// Until the task is cancelled; calls under way are then let end.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for client in clients {
        for worker in 0..<world.swarm.workersPerClient {
          group.addTask {
            await self.work(client, self.world.dice("worker \(client.position) \(worker)"))
          }
        }
      }
      await group.waitForAll()
    }
  }

  private func work(_ client: ClientMachine, _ dice: SeededRandomness) async {
    while !Task.isCancelled {
      do { try await world.clock.sleep(for: dice.wait(mean: world.swarm.thinkTime)) } catch {
        return
      }
      guard let process = client.process else { continue }
      // In a task of the client's process: it dies with it, and does not end with this phase.
      await inProcess(process, dice) { await self.act(process, dice) }
    }
  }

  /// Runs a call as a task of the process, and gives it up at times.
  private func inProcess(
    _ process: ClientMachine.Process, _ dice: SeededRandomness,
    _ call: @escaping @Sendable () async -> Void
  ) async {
    let patience: Duration? =
      world.swarm.faults.contains(.cancelledCalls) && dice.chance(0.2)
      ? dice.wait(mean: .seconds(1)) : nil
    let start = world.clock.now
    let clock = world.clock
    await withCheckedContinuation { continuation in
      let isStarted = process.seams.tasks.start {
        if let patience {
          await withTaskGroup(of: Void.self) { group in
            group.addTask { await call() }
            group.addTask { do { try await clock.sleep(for: patience) } catch {} }
            await group.next()
            group.cancelAll()
          }
        } else {
          await call()
        }
        continuation.resume()
      }
      if !isStarted { continuation.resume() }
    }
    let duration = world.clock.now - start
    if duration > Self.callDurationMax {
      world.findings.add(.callsEnd, "a call of \(process.seams.life.name) took \(duration)")
    }
  }

  private func act(_ process: ClientMachine.Process, _ dice: SeededRandomness) async {
    if world.swarm.faults.contains(.lyingClient), dice.chance(0.1) {
      return dice.chance(0.4) ? await lie(process, dice) : await readBadly(process, dice)
    }
    let known = model.blobs
    switch dice.number(below: 100) {
    case ..<30: await store(process, content(dice), dice)
    case ..<75:
      // Mostly the newest: they are the ones under way.
      guard let blob = dice.chance(0.5) ? known.last : dice.pick(known) else { return }
      await read(blob, process, dice)
    case ..<88:
      guard let blob = dice.pick(known) else { return }
      let object = dice.chance(0.6) ? dice.pick(model.objects(of: blob)) : nil
      await delete(blob, object: object, process)
    case ..<96:
      guard let blob = dice.pick(known) else { return }
      await extend(
        blob, object: dice.chance(0.5) ? dice.pick(model.objects(of: blob)) : nil, process, dice)
    default:
      // One of them must win, and the other see that it did.
      guard let blob = dice.pick(known), let object = dice.pick(model.objects(of: blob)) else {
        return
      }
      async let deleted: Void = delete(blob, object: object, process)
      async let extended: Void = extend(blob, object: object, process, dice)
      _ = await (deleted, extended)
    }
  }

  /// New, or one that was stored before.
  private func content(_ dice: SeededRandomness) -> Content {
    let known = model.blobs
    if known.count >= Self.blobCountMax || dice.chance(0.2), let blob = dice.pick(known),
      let content = model.blob(blob)?.content
    {
      return content
    }
    return Content(seed: dice.next(), byteCount: Self.byteCount(world.parameters, dice))
  }

  /// Around every border: nothing, one symbol, one row, the whole matrix.
  static func byteCount(_ parameters: EncodingParameters, _ dice: SeededRandomness) -> Int {
    let symbol = 2 * dice.number(in: 1...(dice.chance(0.8) ? 16 : 600))
    let row = parameters.secondarySourceCount * symbol
    let whole = parameters.sourceSymbolCount * symbol
    let base = dice.pick([0, 1, symbol, row, 2 * row, whole / 2, whole, whole]) ?? 0
    return dice.chance(0.4)
      ? min(max(0, base + dice.number(in: -2...2)), Int(parameters.blobByteCountMax))
      : dice.number(in: 0...max(whole, 1))
  }

  // Stores.

  private func store(
    _ process: ClientMachine.Process, _ content: Content, _ dice: SeededRandomness
  ) async {
    let bytes = content.bytes
    guard let encoded = encoded(bytes) else { return }
    let blob = encoded.blobID
    let permanence: Persistence =
      world.swarm.epochDuration != nil && dice.chance(0.3) ? .permanent : .deletable
    let epochs: UInt32? =
      permanence == .permanent || (world.swarm.epochDuration != nil && dice.chance(0.3))
      ? UInt32(dice.number(in: 1...5)) : nil
    let sweeps = model.storeBegins(blob, content)
    let start = world.clock.now
    note(1, "store \(blob) of \(bytes.count) bytes, \(permanence), epochs \(epochs ?? 0)")
    do throws(BlobClientError) {
      let receipt = try await process.client.store(bytes, persistence: permanence, epochs: epochs)
      counts.withLock { $0.storeCount += 1 }
      note(2, "stored \(blob) as \(receipt.registration.object)")
      if receipt.registration.blob != blob || receipt.registration.byteCount != UInt64(bytes.count)
      {
        world.findings.add(.registryTruthful, "\(blob) was stored as \(receipt.registration)")
      }
      model.storeEnded(blob, with: receipt.registration, sweepCountAtStart: sweeps)
      // While the last of its slivers are still under way.
      if world.swarm.deletesAtOnce, dice.chance(0.3) {
        await delete(blob, object: receipt.registration.object, process)
      }
    } catch {
      counts.withLock { $0.failedStoreCount += 1 }
      let wasSwept = model.storeFailed(blob, sweepCountAtStart: sweeps)
      note(3, "store of \(blob) failed: \(error)")
      // It may have been deleted or expired before it was certified.
      if mustWork(process, since: start), !wasSwept, epochs == nil, Self.isLetDown(error) {
        world.findings.add(.readable, "a store of \(blob) within the promise failed: \(error)")
      }
    }
  }

  func encoded(_ bytes: [UInt8]) -> EncodedBlob? {
    do {
      return try BlobEncoder.encodeSerially(bytes, parameters: world.parameters)
    } catch {
      // Above what the shards can hold: sizes are drawn below that.
      world.findings.add(.limitsHold, "\(bytes.count) bytes cannot be encoded: \(error)")
      return nil
    }
  }

  // Deletes and extensions.

  private func delete(_ blob: BlobID, object: ObjectID?, _ process: ClientMachine.Process) async {
    let affected = model.deleteBegins(blob, object: object)
    note(4, "delete \(blob) \(object.map { "\($0)" } ?? "all")")
    do throws(RegistryError) {
      _ = try await process.registry.delete(blob: blob, object: object)
      counts.withLock { $0.deleteCount += 1 }
      note(5, "deleted \(blob)")
      model.deleteEnded(blob, affected)
    } catch {
      note(6, "delete of \(blob) failed: \(error)")
    }
  }

  private func extend(
    _ blob: BlobID, object: ObjectID?, _ process: ClientMachine.Process, _ dice: SeededRandomness
  ) async {
    model.extensionBegins(blob)
    do throws(RegistryError) {
      let registration = try await process.registry.extend(
        blob: blob, object: object, byEpochs: UInt32(dice.number(in: 1...3)))
      counts.withLock { $0.extensionCount += 1 }
      note(7, "extended \(blob) to epoch \(registration.endEpoch)")
      model.extensionEnded(blob, registration)
    } catch {
      if case .unavailable = error { return }
      // Refused: nothing was changed.
      model.extensionRefused(blob)
    }
  }

  func note(_ kind: UInt64, _ text: @autoclosure () -> String) {
    world.trace.record(.work, kind, text())
  }

  /// Whether nothing excuses a failure of a call that began at `start`.
  func mustWork(_ process: ClientMachine.Process, since start: Instant) -> Bool {
    !Task.isCancelled && process.seams.life.isAlive && promise.hasHeld(since: start)
      && world.swarm.driveCapacityByteCount == nil
  }

  /// Whether the error says that the cluster could not, as opposed to would not.
  static func isLetDown(_ error: BlobClientError) -> Bool {
    switch error {
    case .registry(.ended), .registry(.abandoned), .registry(.notFound), .notFound, .cancelled,
      .shuttingDown, .tooLarge:
      false
    default: true
    }
  }
}
