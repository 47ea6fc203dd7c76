// LimitTests.swift
//
// What a node does when it is asked for too much or too slowly, and its small bounded parts.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import StorageNode

@Suite struct LimitTests {
  @Test func `beyond its running requests a node is unavailable, but tells its health`()
    async throws
  {
    let bench = try await NodeBench()
    var configuration = StorageNodeConfiguration()
    configuration.runningRequestCountMax = 1
    let node = try await bench.openNode(configuration: configuration)
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let waiting = Task { await bench.ask(node, request) }
    #expect(await eventually { node.cursor.waitingCount == 1 })
    #expect(reason(await bench.ask(node, .metadataStatus(blob.blobID))) == .unavailable)
    guard case .health = await bench.ask(node, .health(detailed: false)) else {
      throw DeadlineExceeded()
    }
    let loop = Task { try await node.run() }
    try bench.expectConfirmed(await waiting.value, registration)
    #expect(
      await bench.ask(node, .metadataStatus(blob.blobID)) == .storedStatus(.stored))
    try await RunningNode(node: node, loop: loop).stop()
  }

  @Test func `requests are admitted by their bytes`() throws {
    let admission = Admission(requestCountMax: 10, byteCountMax: 100)
    let first = try admission.enter(byteCount: 60)
    #expect(throws: NodeFailure.self) { try admission.enter(byteCount: 41) }
    let second = try admission.enter(byteCount: 40)
    #expect(throws: NodeFailure.self) { try second.grow(by: 1) }
    first.end()
    try second.grow(by: 60)
    second.end()
    // A single request above the limit could otherwise never run.
    let large = try admission.enter(byteCount: 1000)
    #expect(throws: NodeFailure.self) { try admission.enter(byteCount: 1) }
    large.end()
    let answer = try admission.enter(byteCount: 0)
    #expect(throws: NodeFailure.self) {
      try answer.addAnswer(byteCount: NodeMessageLimits.bodyByteCountMax + 1)
    }
    answer.end()
  }

  @Test func `a request ends at its deadline`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let gate = Gate()
    gate.close()
    bench.control.afterRange { _ in await gate.pass() }
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let waiting = Task {
      await running.node.answer(request, deadline: bench.clock.now + .seconds(1))
    }
    #expect(await eventually { gate.heldCount > 0 && bench.clock.sleeperCount > 0 })
    bench.clock.advance(by: .seconds(1))
    bench.control.afterRange(nil)
    gate.open()
    #expect(reason(await waiting.value) == .unavailable)
    await running.kill()
  }

  @Test func `a cancelled request ends at once and leaves nothing behind`() async throws {
    let bench = try await NodeBench()
    let node = try await bench.openNode()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let waiting = Task { await bench.ask(node, request) }
    #expect(await eventually { node.cursor.waitingCount == 1 })
    waiting.cancel()
    #expect(reason(await waiting.value) == .unavailable)
    #expect(node.cursor.waitingCount == 0 && bench.clock.sleeperCount == 0)
    #expect(node.lanes.laneCount == 0)
    await node.close()
  }

  @Test func `a node that closes lets running requests end and takes no new ones`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    bench.drives[0].gates.sync.close()
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let storing = Task { await bench.ask(running.node, request) }
    #expect(await eventually { bench.drives[0].gates.sync.heldCount > 0 })
    let stopping = Task { try await running.stop() }
    #expect(await eventually { running.node.admission.isClosed })
    #expect(reason(await bench.ask(running.node, request)) == .unavailable)
    bench.drives[0].gates.sync.open()
    try bench.expectConfirmed(await storing.value, registration)
    try await stopping.value
  }

  @Test func `the cache drops the longest unused first and keeps its bound`() {
    var cache = BoundedCache<Int, String>(byteCountMax: 100)
    for key in 0..<10 { cache.insert("\(key)", byteCount: 10, for: key) }
    #expect(cache.value(for: 0) == "0")
    cache.insert("new", byteCount: 10, for: 10)
    #expect(cache.byteCount <= 100)
    #expect(cache.value(for: 0) == "0" && cache.value(for: 10) == "new")
    #expect(cache.value(for: 1) == nil)
    cache.insert("too large", byteCount: 101, for: 11)
    #expect(cache.value(for: 11) == nil && cache.value(for: 0) == "0")
    cache.insert("same", byteCount: 20, for: 0)
    #expect(cache.value(for: 0) == "same")
  }

  @Test func `lanes are shared by stores, exclusive to deletes, and fair`() async throws {
    let lanes = BlobLanes()
    let blob = try await NodeBench().encode().blobID
    let (first, second) = (Gate(), Gate())
    first.close()
    second.close()
    let order = Order()
    let stores = (0..<2).map { number in
      Task {
        try await lanes.withLane(.shared, of: blob) {
          await first.pass(); order.add(number)
        }
      }
    }
    #expect(await eventually { first.heldCount == 2 })
    let delete = Task {
      try await lanes.withLane(.exclusive, of: blob) {
        await second.pass(); order.add(2)
      }
    }
    #expect(await eventually { lanes.waitingCount(of: blob) == 1 })
    let late = Task { try await lanes.withSharedLanes(of: [blob]) { order.add(3) } }
    let cancelled = Task { try await lanes.withLane(.exclusive, of: blob) { order.add(4) } }
    #expect(await eventually { lanes.waitingCount(of: blob) == 3 })
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    first.open()
    #expect(await eventually { second.heldCount == 1 })
    #expect(lanes.waitingCount(of: blob) == 1)
    second.open()
    for task in stores + [delete, late] { try await task.value }
    #expect(order.values.prefix(2).sorted() == [0, 1] && order.values.suffix(2) == [2, 3])
    #expect(lanes.laneCount == 0)
  }

  @Test func `waits after failures grow up to their limit`() {
    var progress = EventProgress(backlogCountMax: 2)
    let delays = (0..<40).map { _ in
      progress.delayAfterFailure(min: .milliseconds(100), max: .seconds(1))
    }
    #expect(
      delays.prefix(5) == [
        .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .seconds(1),
      ])
    #expect(delays.last == .seconds(1))
  }

  @Test func `the cursor is not saved past a delete that is still to be done`() async throws {
    let bench = try await NodeBench()
    let blobs = try (0..<3).map { _ in try bench.encode().blobID }
    var progress = EventProgress(backlogCountMax: 2)
    #expect(progress.maySave)
    progress.deleteFailed(blobs[0])
    #expect(!progress.maySave)
    progress.deleteSucceeded(blobs[0])
    #expect(progress.maySave)
    for blob in blobs { progress.deleteFailed(blob) }
    for blob in blobs { progress.deleteSucceeded(blob) }
    // The third was forgotten: only an inventory finds it again.
    #expect(!progress.maySave)
    #expect(progress.needsInventory)
    let forgottenCount = progress.forgottenCount
    progress.inventoryTaken(forgottenCountBefore: forgottenCount)
    #expect(progress.maySave)
  }

  @Test func `deletes that did not fit the backlog are found once there is room`() async throws {
    let bench = try await NodeBench()
    var configuration = StorageNodeConfiguration()
    configuration.pendingDeleteCountMax = 1
    let node = try await bench.openNode(configuration: configuration)
    let running = RunningNode(node: node, loop: Task { try await node.run() })
    let blobs = try (0..<3).map { _ in try bench.encode() }
    for blob in blobs { try await bench.store(blob, on: running) }
    bench.drives[0].disk.setFull(true)
    for blob in blobs { _ = try await bench.registry.delete(blob: blob.blobID, object: nil) }
    #expect(await eventually { node.cursor.revision >= bench.memory.revision })
    #expect(node.events.withLock { $0.forgottenCount } == 2)
    bench.drives[0].disk.setFull(false)
    bench.clock.advance(by: configuration.choresDelay)
    #expect(await eventually { node.events.withLock { $0.maySave } })
    for blob in blobs { #expect(await bench.intactCount(of: blob, on: node) == 0) }
    try await running.stop()
  }

  @Test func `an inventory does not make up for what is forgotten meanwhile`() async throws {
    let bench = try await NodeBench()
    let blobs = try (0..<2).map { _ in try bench.encode().blobID }
    var progress = EventProgress(backlogCountMax: 1)
    for blob in blobs { progress.deleteFailed(blob) }
    let forgottenCount = progress.forgottenCount
    progress.deleteFailed(blobs[1])
    progress.inventoryTaken(forgottenCountBefore: forgottenCount)
    progress.deleteSucceeded(blobs[0])
    #expect(progress.needsInventory)
    #expect(!progress.maySave)
  }
}

private final class Order: Sendable {
  private let state = Mutex<[Int]>([])
  var values: [Int] { state.withLock { $0 } }
  func add(_ value: Int) { state.withLock { $0.append(value) } }
}
