// ScrubTests.swift
//
// The scrub of a node's drives: its pace, its position over restarts, and what it tells.

import Cluster
import RedStuff
import Repair
import Simulator
import SliverStore
import Testing
import World

@testable import StorageNode

@Suite struct ScrubTests {
  private static let period = Duration.seconds(1000)

  private func configuration(byteRateMax: Int = 32 << 20) -> StorageNodeConfiguration {
    var configuration = StorageNodeConfiguration()
    configuration.scrubPeriod = Self.period
    configuration.scrubByteRateMax = byteRateMax
    return configuration
  }

  /// Lets time pass second by second until something is so; says how many seconds it took.
  private func seconds(
    _ bench: NodeBench, atMost limit: Int, until condition: () async -> Bool
  ) async -> Int? {
    for second in 0...limit {
      if await condition() { return second }
      let sleeperCount = bench.clock.sleeperCount
      bench.clock.advance(by: .seconds(1))
      // All have looked at their drives, and sleep again.
      guard await eventually({ bench.clock.sleeperCount >= sleeperCount }) else { return nil }
    }
    return nil
  }

  private func scrubbing(_ node: StorageNode, _ bench: NodeBench) async -> Task<Void, Never> {
    let count = bench.clock.sleeperCount + bench.drives.count
    let task = Task { await node.scrubDrives() }
    #expect(await eventually { bench.clock.sleeperCount >= count })
    return task
  }

  /// A node with slivers on its drive that follows nothing; and their blob.
  private func filledNode(
    _ bench: NodeBench, byteCount: Int = 20_000, byteRateMax: Int = 32 << 20
  ) async throws -> (StorageNode, EncodedBlob) {
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: byteCount)
    try await bench.store(blob, on: running)
    try await running.stop()
    let node = try await bench.openNode(configuration: configuration(byteRateMax: byteRateMax))
    return (node, blob)
  }

  private func rot(_ bench: NodeBench, _ bytes: [UInt8]) throws {
    let disk = bench.drives[0].disk
    for name in disk.names {
      guard let content = disk.contents(of: name),
        let offset = content.indices.first(where: { content[$0...].starts(with: bytes) })
      else { continue }
      disk.rot(name, at: offset + 1)
      return
    }
    throw Unexpected()
  }

  @Test func `a pass ends within its period and finds what has rotted`() async throws {
    let bench = try await NodeBench()
    let (node, blob) = try await filledNode(bench)
    try rot(bench, bench.slivers(of: blob)[1].bytes)
    let task = await scrubbing(node, bench)
    let start = bench.clock.wallTime
    let taken = await seconds(bench, atMost: 1000) {
      await node.scrubStatus().lastPassEndedAt != nil
    }
    #expect(taken.map { (850...1000).contains($0) } == true)
    let status = await node.scrubStatus()
    #expect(status.lastPassRottenCount == 1 && status.rottenRecordCount == 0)
    #expect(status.passStartedAt.map { $0 > start } == true)
    #expect(await bench.intactCount(of: blob, on: node) == bench.ownCount(of: blob) - 1)
    task.cancel()
    await task.value
    await node.close()
  }

  @Test func `rotten metadata that the node still remembers is written again`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.certify(try await bench.store(blob, on: running))
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    try rot(bench, blob.metadata.metadata.bcsBytes)
    // As the scrub tells it; nobody else could give the metadata.
    await running.node.noteRotten([], metadataOf: [blob.blobID])
    try await running.node.settleAbsent()
    try await running.stop()
    let node = try await bench.openNode()
    let answer = await bench.ask(node, .metadata(blob.blobID))
    #expect(answer == .metadata(blob.blobID, blob.metadata.metadata))
    await node.close()
  }

  @Test func `rotten metadata is restored after the registry did not answer`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blobs = [try bench.encode(), try bench.encode()]
    for blob in blobs {
      try await bench.certify(try await bench.store(blob, on: running))
      try rot(bench, blob.metadata.metadata.bcsBytes)
    }
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    bench.memory.setOutage(.refusing)
    await running.node.noteRotten([], metadataOf: blobs.map(\.blobID))
    await #expect(throws: (any Error).self) { try await running.node.settleAbsent() }
    bench.memory.setOutage(nil)
    for blob in blobs {
      #expect(
        await eventually {
          // The node may have to catch up first.
          try? await running.node.settleAbsent()
          if case .value = await running.node.drives.metadata(of: blob.blobID) { return true }
          return false
        })
    }
    try await running.stop()
  }

  @Test func `a large drive is read evenly over the period`() async throws {
    let bench = try await NodeBench()
    let (node, _) = try await filledNode(bench, byteCount: 900_000)
    let store = try #require(node.drives.drives[0].store)
    for number in 0..<20 {
      let key = SliverKey(
        blob: try bench.encode(byteCount: 10 + number).blobID, pair: SliverPairIndex(1),
        axis: .primary)
      try await store.put([
        .sliver(key, symbolByteCount: 1000, bytes: bench.randomness.bytes(count: 1_000_000))
      ])
    }
    let task = await scrubbing(node, bench)
    var shares: [Double] = []
    for _ in 0..<3 {
      _ = await seconds(bench, atMost: 225) { false }
      let status = await node.scrubStatus()
      shares.append(Double(status.verifiedByteCount) / Double(status.totalByteCount))
    }
    for (share, planned) in zip(shares, [0.25, 0.5, 0.75]) {
      #expect(abs(share - planned) < 0.1, "\(share) of the pass instead of \(planned)")
    }
    task.cancel()
    await task.value
    await node.close()
  }

  @Test func `a pass that is asked for runs at once, within the rate`() async throws {
    let bench = try await NodeBench()
    let (node, _) = try await filledNode(bench, byteCount: 400_000, byteRateMax: 64 << 10)
    let byteCount = try #require(node.drives.drives[0].store).scrubAhead(of: nil).byteCount
    let task = await scrubbing(node, bench)
    try await node.startScrub()
    let taken = await seconds(bench, atMost: 200) {
      await node.scrubStatus().lastPassEndedAt != nil
    }
    let needed = byteCount / (64 << 10)
    #expect(needed > 3)
    #expect(taken.map { (needed - 1...2 * needed + 3).contains($0) } == true, "\(needed) s needed")
    task.cancel()
    await task.value
    await node.close()
  }

  @Test func `a pause stops the reading, and its end goes on`() async throws {
    let bench = try await NodeBench()
    let (node, _) = try await filledNode(bench, byteCount: 400_000, byteRateMax: 64 << 10)
    let task = await scrubbing(node, bench)
    try await node.startScrub()
    _ = await seconds(bench, atMost: 3) { false }
    try await node.pauseScrub()
    let before = await node.scrubStatus()
    #expect(before.isPaused && before.verifiedByteCount > 0)
    _ = await seconds(bench, atMost: 100) { false }
    #expect(await node.scrubStatus() == before)
    try await node.resumeScrub()
    #expect(
      await seconds(bench, atMost: 100) { await node.scrubStatus().lastPassEndedAt != nil } != nil)
    task.cancel()
    await task.value
    await node.close()
  }

  @Test(arguments: [true, false])
  func `a restart goes on with the pass`(inOrder: Bool) async throws {
    let bench = try await NodeBench()
    let (first, blob) = try await filledNode(bench, byteCount: 400_000, byteRateMax: 64 << 10)
    try rot(bench, bench.slivers(of: blob)[0].bytes)
    var task = await scrubbing(first, bench)
    try await first.startScrub()
    // Longer than the time between two saves.
    _ = await seconds(bench, atMost: 3) { false }
    try await first.pauseScrub()
    _ = await seconds(bench, atMost: 40) { false }
    let before = await first.scrubStatus()
    #expect(before.verifiedByteCount > 0 && before.lastPassEndedAt == nil)
    task.cancel()
    await task.value
    if inOrder { await first.close() } else { bench.crash(.everything) }

    let node = try await bench.openNode(configuration: configuration())
    task = await scrubbing(node, bench)
    let after = await node.scrubStatus()
    if inOrder {
      #expect(after.verifiedByteCount == before.verifiedByteCount)
      #expect(after.passStartedAt == before.passStartedAt)
    }
    let taken = await seconds(bench, atMost: 1000) {
      await node.scrubStatus().lastPassEndedAt != nil
    }
    #expect(taken != nil)
    #expect(await node.scrubStatus().lastPassRottenCount == 1)
    task.cancel()
    await task.value
    await node.close()
  }

  @Test func `a drive that cannot be read is a problem that is told, and nothing is lost`()
    async throws
  {
    let bench = try await NodeBench(driveCount: 2)
    let (node, blob) = try await filledNode(bench)
    let task = await scrubbing(node, bench)
    bench.drives[0].disk.setReadsFail(true)
    try await node.startScrub()
    #expect(
      await seconds(bench, atMost: 60) { await node.scrubStatus().lastPassEndedAt != nil } != nil)
    #expect(!node.drives.problems.isEmpty)
    bench.drives[0].disk.setReadsFail(false)
    #expect(await bench.intactCount(of: blob, on: node) == bench.ownCount(of: blob))
    task.cancel()
    await task.value
    await node.close()
  }

  @Test func `what was saved of a pass comes back, and anything else does not`() throws {
    let now = Instant(nanoseconds: 5_000_000_000)
    let started = WallTime(milliseconds: 1_000_000)
    var drive = DriveScrub(now: now, wallTime: started)
    var step = ScrubStep()
    step.walkedByteCount = 900
    step.verifiedByteCount = 500
    step.next = ScrubPosition(fields: [3, 77, 9, 2, 1])
    _ = drive.took(step, now: now, wallTime: started)
    let later = started + .seconds(450)
    var again = try #require(DriveScrub(drive.encoded, now: now, wallTime: later))
    #expect(again.position == step.next && again.startedAt == started)
    #expect(again.walkedByteCount == 900 && again.verifiedByteCount == 500)
    // Half of the planned time is over by the wall clock, and less than half of a large drive read.
    again.refill(now: now + .seconds(1), byteRateMax: 1 << 20)
    #expect(
      again.due(now: now, period: .seconds(1000), aheadByteCount: 100 << 20) == 1 << 20)
    var early = try #require(DriveScrub(drive.encoded, now: now, wallTime: started))
    early.refill(now: now + .seconds(1), byteRateMax: 1 << 20)
    #expect(early.due(now: now, period: .seconds(1000), aheadByteCount: 100 << 20) == nil)

    let dice = SeededRandomness(seed: 1)
    for count in 0..<200 {
      let bytes = dice.bytes(count: count)
      #expect(DriveScrub(bytes, now: now, wallTime: later) == nil)
      var changed = drive.encoded
      changed[8 + dice.number(below: changed.count - 8)] ^= UInt8(1 + dice.number(below: 255))
      _ = DriveScrub(changed, now: now, wallTime: later)?.encoded
    }
  }
}

private struct Unexpected: Error {}
