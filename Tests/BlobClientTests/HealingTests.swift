// HealingTests.swift
//
// Nodes that lost a drive refill it from the others, with as few bytes as the code allows, when they
// should and not before.

import BlobClient
import Cluster
import RedStuff
import Repair
import Simulator
import StorageNode
import Testing
import World

@Suite struct HealingTests {
  private func configuration(
    delay: Duration?, batchByteCountMax: Int = 64 << 20
  ) -> StorageNodeConfiguration {
    var configuration = StorageNodeConfiguration()
    configuration.repairDelay = delay
    configuration.repairBatchByteCountMax = batchByteCountMax
    return configuration
  }

  private func store(
    _ count: Int, byteCount: Int, in nodes: RealNodes
  ) async throws -> [(blob: BlobID, bytes: [UInt8])] {
    let contents = (0..<count).map { content(byteCount, seed: UInt64($0 + 1)) }
    let box = ReceiptBox()
    try await nodes.running(configuration(delay: nil)) { _ in
      let client = nodes.cluster.client()
      try await nodes.cluster.clock.autoAdvancing {
        for bytes in contents { await box.add(try await client.store(bytes).blob) }
        await client.waitForTails()
      }
    }
    return zip(await box.blobs, contents).map { ($0, $1) }
  }

  /// Runs all nodes until `node` has looked for what it lacks and `isEnough` holds.
  private func heal(
    _ node: Int, in nodes: RealNodes, delay: Duration?, batchByteCountMax: Int = 64 << 20,
    _ body: @escaping @Sendable (StorageNode) async throws -> Void = { _ in },
    until isEnough: @escaping @Sendable (RepairStatus) -> Bool
  ) async throws -> RepairStatus {
    let box = StatusBox()
    let clock = nodes.cluster.clock
    let settings = configuration(delay: delay, batchByteCountMax: batchByteCountMax)
    try await nodes.running(settings) { running in
      try await clock.autoAdvancing {
        try await body(running[node])
        for _ in 0..<2000 {
          let status = try await running[node].repairStatus()
          await box.set(status)
          try await clock.sleep(for: .seconds(1))
          guard status.inventoryAt != nil, isEnough(status) else { continue }
          // What is here again is counted a moment later.
          await box.set(try await running[node].repairStatus())
          return
        }
      }
    }
    return await box.status
  }

  @Test(arguments: [(n: 10, nodes: 5), (n: 16, nodes: 16), (n: 16, nodes: 4), (n: 40, nodes: 10)])
  func `a lost drive comes back with as many symbols as the code needs`(
    _ shape: (n: Int, nodes: Int)
  ) async throws {
    let cluster = try await TestCluster(shards: shape.n, nodes: shape.nodes)
    let nodes = try await RealNodes(cluster)
    let (k1, k2) = (
      cluster.parameters.primarySourceCount, cluster.parameters.secondarySourceCount
    )
    let s = 100
    let stored = try await store(3, byteCount: k1 * k2 * s, in: nodes)
    try await nodes.wipe(1)
    let status = try await heal(1, in: nodes, delay: .zero) { $0.missingSliverCount == 0 }
    let t = cluster.committee.members[1].shards.count
    #expect(status.restoredSliverCount == 3 * 2 * t)
    #expect(status.restoredByteCount == 3 * t * (k1 + k2) * s)
    #expect(status.receivedByteCount == 3 * t * (k1 + k2 - t) * s)
    // With f others down, the blobs can be read only if all is there again.
    try await nodes.running {
      for node in 2..<2 + cluster.parameters.faultyShardCountMax / max(t, 1) {
        cluster.transport.setFault(.down, of: NodeID(UInt16(node % shape.nodes)))
      }
      let client = cluster.client()
      for (blob, bytes) in stored {
        let got = try await cluster.clock.autoAdvancing { try await client.bytes(of: blob) }
        #expect(got == bytes)
      }
    }
  }

  @Test func `blobs larger than a batch are repaired part by part`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 16, nodes: 4))
    _ = try await store(3, byteCount: 66 * 100, in: nodes)
    try await nodes.wipe(2)
    // Two lines of a blob at a time, of eight.
    let status = try await heal(2, in: nodes, delay: .zero, batchByteCountMax: 2300) {
      $0.missingSliverCount == 0
    }
    #expect(status.missingSliverCount == 0 && status.restoredSliverCount == 3 * 8)
  }

  @Test func `a shard whose repair is paused stays as it is, the others come back`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    _ = try await store(3, byteCount: 28 * 50, in: nodes)
    try await nodes.wipe(3)
    let shards = nodes.cluster.committee.members[3].shards.map { ShardIndex(UInt16($0)) }
    let paused = try await heal(
      3, in: nodes, delay: .zero, { try await $0.pauseRepair(of: shards[0]) }
    ) { $0.restoredSliverCount == 6 }
    #expect(paused.shards == [shards[0]: 6] && paused.pausedShards == [shards[0]])
    #expect(paused.restoredSliverCount == 6 && paused.failedAttemptCount == 0)
    // A restart keeps to it.
    let still = try await heal(3, in: nodes, delay: .zero) { _ in false }
    #expect(still.shards == [shards[0]: 6] && still.receivedByteCount == 0)
    let healed = try await heal(
      3, in: nodes, delay: .zero, { try await $0.resumeRepair(of: shards[0]) }
    ) { $0.missingSliverCount == 0 }
    #expect(healed.missingSliverCount == 0 && healed.pausedShards.isEmpty)
  }

  @Test func `nothing moves before the delay, or while repair is paused`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    _ = try await store(2, byteCount: 28 * 50, in: nodes)
    try await nodes.wipe(3)
    let early = try await heal(3, in: nodes, delay: nil) { $0.missingSliverCount > 0 }
    #expect(early.missingBlobCount == 2 && early.receivedByteCount == 0)
    #expect(early.slivers == [.driveLost: 8])
    let paused = try await heal(3, in: nodes, delay: .zero) {
      try await $0.pauseRepair()
      await $0.runRepairNow()
      try await nodes.cluster.clock.sleep(for: .seconds(300))
    } until: { _ in
      true
    }
    #expect(paused.missingBlobCount == 2 && paused.receivedByteCount == 0 && paused.isPaused)
  }

  @Test func `the operator can ask for everything at once`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    _ = try await store(2, byteCount: 28 * 50, in: nodes)
    try await nodes.wipe(3)
    let status = try await heal(3, in: nodes, delay: nil) { node in
      try await nodes.cluster.clock.sleep(for: .seconds(5))
      await node.runRepairNow()
    } until: {
      $0.missingSliverCount == 0
    }
    #expect(status.missingSliverCount == 0 && status.restoredSliverCount == 8)
  }

  @Test func `what another node's repair asks for in vain does not come before its turn`()
    async throws
  {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    let stored = try await store(2, byteCount: 28 * 50, in: nodes)
    try await nodes.wipe(3)
    let member = nodes.cluster.committee.members[3].id
    let (clock, committee) = (nodes.cluster.clock, nodes.cluster.committee)
    /// All forms of a request: bare, computed, with paths.
    @Sendable func ask(_ node: StorageNode, _ blob: BlobID, for purpose: ReadPurpose) async throws {
      let pairs = committee.pairs(of: blob, keptBy: member)
      let items = [(0..<1, false), (9..<10, false), (0..<1, true)].map { symbols, wantsPaths in
        ReadItem(
          blob: blob, pair: pairs[0], axis: .primary, symbols: symbols, wantsPaths: wantsPaths)
      }
      for item in items {
        let answer = await node.answer(
          .readBatch([item], for: purpose), deadline: clock.now + .seconds(5))
        guard case .readBatch([.missing], _) = answer else { throw Unexpected() }
      }
    }
    let status = try await heal(3, in: nodes, delay: nil) { node in
      try await clock.sleep(for: .seconds(5))
      try await ask(node, stored[0].blob, for: .repair)
      try await clock.sleep(for: .seconds(300))
      #expect(try await node.repairStatus().missingBlobCount == 2)
      try await ask(node, stored[1].blob, for: .read)
    } until: {
      $0.missingBlobCount == 1
    }
    #expect(status.missingBlobCount == 1 && status.restoredSliverCount == 4)
  }

  @Test func `what a reader asks for in vain is repaired, and nothing else`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    let stored = try await store(3, byteCount: 28 * 50, in: nodes)
    try await nodes.wipe(3)
    let wanted = stored[1].blob
    let member = nodes.cluster.committee.members[3].id
    let status = try await heal(3, in: nodes, delay: nil) { node in
      try await nodes.cluster.clock.sleep(for: .seconds(5))
      let pair = nodes.cluster.committee.pairs(of: wanted, keptBy: member)[0]
      let answer = await node.answer(
        .sliver(wanted, pair, .primary), deadline: nodes.cluster.clock.now + .seconds(5))
      guard case .failure(let failure) = answer, failure.reason == .sliverNotFound else {
        throw Unexpected()
      }
    } until: {
      $0.missingBlobCount == 2
    }
    #expect(status.missingBlobCount == 2 && status.restoredSliverCount == 4)
  }

  // With L shards in the zone, the bytes that must enter it are those of k1 - L and k2 - 1 - L symbols.
  @Test func `no more crosses a zone than has to`() async throws {
    let cluster = try await TestCluster(shards: 31, nodes: 31, zones: 3)
    let nodes = try await RealNodes(cluster)
    let (k1, k2) = (11, 21)
    let s = 2000
    _ = try await store(2, byteCount: k1 * k2 * s, in: nodes)
    try await nodes.wipe(4)
    let others = cluster.committee.members.filter { $0.id != NodeID(4) }
    let before = others.map { cluster.transport.traffic(of: $0.id).answerByteCount }
    _ = try await heal(4, in: nodes, delay: .zero) { $0.missingSliverCount == 0 }
    var near = 0
    var far = 0
    for (member, before) in zip(others, before) {
      let moved = cluster.transport.traffic(of: member.id).answerByteCount - before
      if member.topology.zone == cluster.committee.members[4].topology.zone {
        near += moved
      } else {
        far += moved
      }
    }
    let local = others.count { $0.topology.zone == cluster.committee.members[4].topology.zone }
    let mustCross = (max(0, k1 - local) + max(0, k2 - 1 - local)) * 2 * s
    // Metadata and heads come on top; with helpers drawn at random it would be 1.6 times as much.
    #expect(far >= mustCross && far < mustCross + 12_000, "\(far) of \(mustCross)")
    #expect(near > 0)
  }

  @Test func `a budget is kept`() async throws {
    let nodes = try await RealNodes(try await TestCluster(shards: 10, nodes: 5))
    _ = try await store(20, byteCount: 28 * 500, in: nodes)
    try await nodes.wipe(3)
    let start = nodes.cluster.clock.now
    let status = try await heal(3, in: nodes, delay: .zero) {
      try await $0.setRepairRate(1000)
    } until: {
      $0.missingSliverCount == 0
    }
    let seconds = Double((nodes.cluster.clock.now - start).wholeNanoseconds) / 1e9
    // A batch may overdraw, and is paid for by the next.
    #expect(Double(status.receivedByteCount) <= 1000 * seconds + 64 * 9000)
    #expect(status.missingSliverCount == 0 && seconds > 60)
  }
}

private struct Unexpected: Error {}

private actor ReceiptBox {
  var blobs: [BlobID] = []
  func add(_ blob: BlobID) { blobs.append(blob) }
}

private actor StatusBox {
  var status = RepairStatus()
  func set(_ status: RepairStatus) { self.status = status }
}
