// EventTests.swift
//
// Following the registry: what is deleted, what never is, and what happens when a delete and a new
// upload of the same blob cross each other.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import SliverStore
import Testing
import World

@testable import StorageNode

@Suite struct EventTests {
  @Test func `slivers go when the last registration has ended`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let first = try await bench.store(blob, on: running)
    let second = try await bench.store(blob, on: running)
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    #expect(try await bench.registry.delete(blob: blob.blobID, object: second.object) == 1)
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: blob, on: running.node) == 0)
    let metadata = await bench.ask(running.node, .metadata(blob.blobID))
    #expect(reason(metadata) == .metadataNotFound)
    try await running.stop()
  }

  @Test func `the space of deleted slivers comes back`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let (gone, kept) = (try bench.encode(byteCount: 60_000), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    let store = try #require(running.node.drives.drives[0].store)
    let before = try await store.statistics.segmentByteCount
    #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
    #expect(await caughtUp(running, bench))
    let compacting = Task { await running.node.compactDrives() }
    #expect(
      await eventually {
        bench.clock.advance(by: running.node.configuration.compactionInterval)
        return ((try? await store.statistics)?.segmentByteCount ?? before) < before / 2
      })
    compacting.cancel()
    await compacting.value
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test func `an abandoned upload leaves nothing`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.store(blob, on: running)
    bench.clock.setWallTime(WallTime(milliseconds: registration.certifyByMilliseconds + 1))
    // The node's own clock is no reason to delete.
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    #expect(try await bench.registry.maintain().abandonedCount == 1)
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: blob, on: running.node) == 0)
    try await running.stop()
  }

  @Test func `deletes while the node was down are made up for`() async throws {
    let bench = try await NodeBench()
    var running = try await bench.start()
    let (gone, kept) = (try bench.encode(), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    try await running.stop()
    #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
    running = try await bench.start()
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: gone, on: running.node) == 0)
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test(arguments: CrashSurvival.allCases)
  func `replaying events after a crash harms nothing`(survival: CrashSurvival) async throws {
    for seed in 1...8 as ClosedRange<UInt64> {
      let bench = try await NodeBench(seed: seed)
      var running = try await bench.start()
      let (blob, other) = (try bench.encode(), try bench.encode())
      let first = try await bench.store(blob, on: running)
      try await bench.store(other, on: running)
      #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
      #expect(await caughtUp(running, bench))
      // Stored anew; the old events, the delete among them, are replayed after the crash.
      try await bench.store(blob, on: running)
      await running.kill()
      bench.crash(survival)
      running = try await bench.start()
      #expect(await caughtUp(running, bench))
      let count = await bench.intactCount(of: blob, on: running.node)
      #expect(count == bench.ownCount(of: blob), "seed \(seed)")
      #expect(await bench.intactCount(of: other, on: running.node) == bench.ownCount(of: other))
      try await running.stop()
    }
  }

  @Test(arguments: [false, true])
  func `compacted events are made up for by an inventory`(isRunning: Bool) async throws {
    let bench = try await NodeBench()
    var running = try await bench.start()
    let (gone, kept) = (try bench.encode(), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    if isRunning {
      // The loop is held in an answer while the history goes on without it.
      let gate = Gate()
      gate.close()
      bench.control.afterRange { _ in await gate.pass() }
      try await bench.register(try bench.encode())
      #expect(await eventually { gate.heldCount > 0 })
      bench.control.afterRange(nil)
      #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
      bench.memory.compact(through: bench.memory.revision)
      gate.open()
    } else {
      try await running.stop()
      #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
      bench.memory.compact(through: bench.memory.revision)
      running = try await bench.start()
    }
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: gone, on: running.node) == 0)
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test func `an error of the registry deletes nothing, and is waited out`() async throws {
    let bench = try await NodeBench()
    var running = try await bench.start()
    let (gone, kept) = (try bench.encode(), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    try await running.stop()
    #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
    bench.memory.setOutage(.refusing)
    let node = try await bench.openNode()
    running = RunningNode(node: node, loop: Task { try await node.run() })
    let configuration = StorageNodeConfiguration()
    for _ in 0..<5 {
      #expect(await eventually { bench.clock.sleeperCount > 0 })
      #expect(await bench.intactCount(of: gone, on: running.node) == bench.ownCount(of: gone))
      bench.clock.advance(by: configuration.retryDelayMax)
    }
    #expect(await eventually { bench.clock.sleeperCount > 0 })
    bench.memory.setOutage(nil)
    bench.clock.advance(by: configuration.retryDelayMax)
    #expect(await caughtUp(running, bench))
    #expect(await bench.intactCount(of: gone, on: running.node) == 0)
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test func `a registry that was put back to an old copy deletes nothing`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    try await running.stop()

    let old = MemoryControlStore()
    let description = try #require(try await bench.registry.cluster())
    try await Registry.createCluster(description, store: old, clock: bench.clock)
    let registry = Registry(store: old, clock: bench.clock, randomness: bench.randomness)
    let node = try await bench.openNode(registry: registry)
    await #expect {
      try await node.run()
    } throws: { error in
      if case .registryBehind? = error as? StorageNodeError { true } else { false }
    }
    #expect(await bench.intactCount(of: blob, on: node) == bench.ownCount(of: blob))
    await node.close()
  }

  @Test func `another cluster's registry deletes nothing`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    try await running.stop()
    let other = try await NodeBench(seed: 99)
    let node = try await bench.openNode(registry: other.registry)
    await #expect(
      throws: StorageNodeError.foreignRegistry(other.cluster, own: bench.cluster)
    ) { try await node.run() }
    #expect(await bench.intactCount(of: blob, on: node) == bench.ownCount(of: blob))
    await node.close()
  }

  @Test func `a second loop is refused`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    #expect(await caughtUp(running, bench))
    await #expect(throws: StorageNodeError.alreadyRunning) { try await running.node.run() }
    try await running.stop()
  }

  /// The node has followed everything that the registry says.
  private func caughtUp(_ running: RunningNode, _ bench: NodeBench) async -> Bool {
    await eventually { running.node.cursor.revision >= bench.memory.revision }
  }
}

@Suite struct DeleteRaceTests {
  // The loop has read that all registrations have ended, and has not the lane yet.
  @Test func `a delete that was decided before a new registration removes nothing`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let first = try await bench.store(blob, on: running)
    let gate = Gate()
    gate.close()
    let key = Array("registration/".utf8) + blob.blobID.bytes
    bench.control.afterRange { lower in if lower.starts(with: key) { await gate.pass() } }
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    #expect(await eventually { gate.heldCount > 0 })
    bench.control.afterRange(nil)
    let second = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: second)])
    let storing = Task { await bench.ask(running.node, request) }
    #expect(await eventually { running.node.cursor.waitingCount == 1 })
    gate.open()
    try bench.expectConfirmed(await storing.value, second)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    try await running.stop()
  }

  // A look at the registry that took very long, as of a loop that was cancelled and replaced.
  @Test func `a late delete looks again before it removes anything`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let first = try await bench.store(blob, on: running)
    await running.kill()
    let gate = Gate()
    gate.close()
    let key = Array("registration/".utf8) + blob.blobID.bytes
    bench.control.afterRange { lower in if lower.starts(with: key) { await gate.pass() } }
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    let late = Task { try await running.node.settle(blob.blobID) }
    #expect(await eventually { gate.heldCount == 1 })
    bench.control.afterRange(nil)

    let node = running.node
    let again = RunningNode(node: node, loop: Task { try await node.run() })
    try await bench.store(blob, on: again)
    gate.open()
    try await late.value
    #expect(await bench.intactCount(of: blob, on: node) == bench.ownCount(of: blob))
    try await again.stop()
  }

  // The tombstone is being written when the new registration comes.
  @Test func `a store after a delete under way comes after it`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let first = try await bench.store(blob, on: running)
    bench.drives[0].gates.sync.close()
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    #expect(await eventually { bench.drives[0].gates.sync.heldCount > 0 })
    let second = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: second)])
    let storing = Task { await bench.ask(running.node, request) }
    #expect(await eventually { running.node.cursor.waitingCount == 1 })
    bench.drives[0].gates.sync.open()
    try bench.expectConfirmed(await storing.value, second)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    try await running.stop()
  }

  // The store has passed all checks and is writing when its registration ends.
  @Test func `a delete waits for a store under way and leaves nothing over`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    bench.drives[0].gates.sync.close()
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let storing = Task { await bench.ask(running.node, request) }
    #expect(await eventually { bench.drives[0].gates.sync.heldCount > 0 })
    #expect(
      try await bench.registry.delete(blob: blob.blobID, object: registration.object) == 1)
    #expect(await eventually { running.node.lanes.waitingCount(of: blob.blobID) == 1 })
    bench.drives[0].gates.sync.open()
    _ = await storing.value
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    #expect(await bench.intactCount(of: blob, on: running.node) == 0)
    #expect(running.node.lanes.laneCount == 0)
    try await running.stop()
  }

  // The store found the sliver here, and a delete takes it before the store ends.
  @Test func `already stored is not said of what was just deleted`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let first = try await bench.store(blob, on: running)
    let pair = bench.pairs(of: blob.blobID)[0]
    let sliver = blob.pair(pair).primary
    bench.drives[0].gates.read.close()
    let put = NodeRequest.storeSliver(blob.blobID, pair, sliver)
    let storing = Task { await bench.ask(running.node, put) }
    #expect(await eventually { bench.drives[0].gates.read.heldCount > 0 })
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    try await bench.register(blob)
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    bench.drives[0].gates.read.open()
    let answer = await storing.value
    let count = await bench.intactCount(of: blob, on: running.node)
    // Either is right: refused and gone, or stored anew and there. A lie would be `stored` and gone.
    switch answer {
    case .stored: #expect(count == 1)
    default: #expect(reason(answer) == .unavailable && count == 0)
    }
    try await running.stop()
  }

  // A reader has found the metadata on the drive and verifies it when a delete takes it.
  @Test func `metadata read while it is deleted is not remembered`() async throws {
    let bench = try await NodeBench()
    let first = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.store(blob, on: first)
    try await first.stop()
    let running = try await bench.start()
    bench.compute.gate.close()
    let reading = Task { await bench.ask(running.node, .metadata(blob.blobID)) }
    #expect(await eventually { bench.compute.gate.heldCount > 0 })
    #expect(
      try await bench.registry.delete(blob: blob.blobID, object: registration.object) == 1)
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    bench.compute.gate.open()
    _ = await reading.value
    let status = await bench.ask(running.node, .metadataStatus(blob.blobID))
    #expect(status == .storedStatus(.nonexistent))
    try await running.stop()
  }
}
