// RepairScenarioTests.swift
//
// What repair writes: exactly the slivers that were encoded, whoever lies and whatever rotted, in the
// space that they took before.

import Cluster
import RedStuff
import Repair
import Simulator
import SliverStore
import StorageNode
import Testing
import World

@testable import Simulation

@Suite(.serialized, .timeLimit(.minutes(5))) struct RepairScenarioTests {
  @Test(arguments: [(n: 4, nodes: 4), (n: 7, nodes: 7), (n: 10, nodes: 5), (n: 16, nodes: 6)])
  func `what is repaired is what was encoded, at every border of the sizes`(
    _ shape: (n: Int, nodes: Int)
  ) async throws {
    var plan = ScriptedCluster.Plan()
    (plan.shardCount, plan.nodeCount) = (shape.n, shape.nodes)
    try await ScriptedCluster.run(plan) { cluster in
      let parameters = cluster.parameters
      var sizes: Set<Int> = [0, 1, 2]
      for s in [2, 4, 34] {
        for border in [
          s, parameters.secondarySourceCount * s, cluster.byteCount(symbolByteCount: s),
        ] {
          sizes.formUnion(border - 1...border + 1)
        }
      }
      let blobs = try await cluster.store(sizes: sizes.sorted())
      for node in 0..<2 {
        await cluster.machines[node].replaceDrives()
        #expect(
          try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(node) })
        for blob in blobs {
          #expect(await cluster.lackingCount(blob, on: node) == 0, "\(blob.metadata.metadata)")
        }
      }
    }
  }

  // A sliver of another blob or an earlier answer is whole in itself; only the blob ID tells.
  @Test(arguments: [
    LyingNode.Lie.wrongBytes, .bareSymbols, .otherBlob, .otherSliver, .oldAnswer, .foreignPaths,
    .wrongMetadata, .falseStatus,
  ])
  func `f liars put nothing into what is repaired`(_ lie: LyingNode.Lie) async throws {
    for frequency in [LyingNode.Frequency.always, .oncePerBlob] {
      var plan = ScriptedCluster.Plan()
      plan.shardCount = 10
      plan.nodeCount = 10
      plan.lies = [1: .init([lie: frequency]), 2: .init([lie: frequency])]
      try await ScriptedCluster.run(plan) { cluster in
        let blobs = try await cluster.store(sizes: [1, 300, 1500, 2801])
        // With the third of f gone, hardly anybody else is left to ask.
        await cluster.machines[5].replaceDrives()
        #expect(
          try await cluster.waits(atMost: .seconds(3600)) { try await cluster.isHealed(5) })
        #expect(await cluster.lackingCount(blobs, on: 5) == 0)
      }
    }
  }

  @Test func `a liar that lies in every answer is named, and asked no more than once a blob`()
    async throws
  {
    var plan = ScriptedCluster.Plan()
    plan.lies = [1: .init([.bareSymbols: .always])]
    plan.configure = { $0.repairBatchBlobCountMax = 1 }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 900, count: 12))
      await cluster.machines[4].replaceDrives()
      #expect(try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(4) })
      #expect(await cluster.lackingCount(blobs, on: 4) == 0)
      let status = try await cluster.status(of: 4)
      let liar = cluster.machines[1].member.id
      #expect(Array(status.liars.keys) == [liar])
      #expect((1...2 * blobs.count).contains(status.liars[liar]?.count ?? 0))
    }
  }

  @Test func `a liar is convicted by an answer that it signed`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.lies = [1: .init([.wrongBytes: .always])]
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 900, count: 6))
      await cluster.machines[4].replaceDrives()
      #expect(try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(4) })
      let liar = cluster.machines[1].member
      let answer = await cluster.answer(.health(detailed: true), of: 4)
      guard case .health(let health) = answer, let report = health.detail?.liars.first else {
        Issue.record("\(String(describing: answer))")
        return
      }
      #expect(health.detail?.liars.count == 1 && report.node == liar.id && report.count > 0)
      let evidence = try #require(report.evidence)
      #expect(evidence.node == liar.id)
      #expect(evidence.verify(cluster: cluster.world.clusterID, publicKey: liar.publicKey))
      let blob = try #require(blobs.first { $0.blobID == evidence.blob })
      #expect(evidence.isRefuted(by: blob.metadata))
    }
  }

  @Test func `what rotted at a helper does not spread, and is repaired itself`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = {
      $0.scrubPeriod = .seconds(100)
      // Nothing but the scrub finds out.
      $0.inventoryInterval = .seconds(1_000_000)
    }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 2000, count: 6))
      for helper in [2, 3] { cluster.machines[helper].drives[0].disk.rot(bitCount: 40) }
      await cluster.machines[0].replaceDrives()
      let isWell = try await cluster.waits(atMost: .seconds(1200), every: .seconds(30)) {
        for node in 0..<7 where await cluster.lackingCount(blobs, on: node) > 0 { return false }
        return true
      }
      #expect(isWell)
      for blob in blobs {
        let bytes = try await cluster.bytes(of: blob)
        #expect(
          try BlobEncoder.encodeSerially(bytes, parameters: cluster.parameters).blobID
            == blob.blobID)
      }
    }
  }

  // Neither a read nor the scrub sees that: the checksum of the record is that of its wrong bytes.
  @Test(arguments: [true, false])
  func `own slivers that are not what the metadata says are found by repair, and repaired`(
    hasMetadata: Bool
  ) async throws {
    var plan = ScriptedCluster.Plan()
    (plan.shardCount, plan.nodeCount) = (10, 5)
    plan.configure = { $0.inventoryInterval = .seconds(1_000_000) }
    try await ScriptedCluster.run(plan) { cluster in
      let blob = try await cluster.store(sizes: [1800])[0]
      let machine = cluster.machines[2]
      await machine.stop()
      let (disk, index) = (machine.drives[0].disk, machine.drives[0].index)
      disk.wipe()
      index.wipe()
      try await machine.initialise(machine.drives[0])
      let store = try await SliverStore.open(
        disk: disk, index: index, clusterID: cluster.world.clusterID, node: machine.member.id,
        randomness: SeededRandomness(seed: 1))
      let pair = cluster.world.committee.pairs(of: blob.blobID, keptBy: machine.member.id)[1]
      var records =
        hasMetadata ? [StoreRecord.metadata(blob.blobID, blob.metadata.metadata.bcsBytes)] : []
      for axis in SliverAxis.allCases {
        let sliver = blob.sliver(axis, pair.sliver(axis, shardCount: 10))
        records.append(
          .sliver(
            SliverKey(blob: blob.blobID, pair: pair, axis: axis),
            symbolByteCount: sliver.symbolByteCount, bytes: sliver.bytes.map { $0 ^ 1 }))
      }
      try await store.put(records)
      try await store.close()
      await machine.start()
      #expect(
        try await cluster.waits(atMost: .seconds(600)) {
          try await cluster.status(of: 2).restoredSliverCount == 4
        })
      #expect(try await cluster.isHealed(2))
      #expect(await cluster.lackingCount(blob, on: 2) == 0)
      let status = try await cluster.status(of: 2)
      #expect(status.liars.isEmpty && status.failedAttemptCount == 0)
    }
  }

  @Test(arguments: ReadPurpose.allCases)
  func `what rotted is found by whoever asks for it, and repaired without an inventory`(
    purpose: ReadPurpose
  ) async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = {
      $0.scrubPeriod = .seconds(1_000_000)
      $0.inventoryInterval = .seconds(1_000_000)
    }
    try await ScriptedCluster.run(plan) { cluster in
      let blob = try await cluster.store(sizes: [1800])[0]
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(2) })
      cluster.machines[2].drives[0].disk.spoil(blob.blobID)
      let member = cluster.machines[2].member.id
      let pair = cluster.world.committee.pairs(of: blob.blobID, keptBy: member)[0]
      let items = SliverAxis.allCases.map {
        ReadItem(
          blob: blob.blobID, pair: pair, axis: $0, symbols: 0..<1, wantsPaths: false)
      }
      #expect(
        await cluster.answer(.readBatch(items, for: purpose), of: 2)
          == .readBatch([.missing, .missing]))
      #expect(
        try await cluster.waits(atMost: .seconds(300)) {
          try await cluster.status(of: 2).restoredSliverCount == 2
        })
      #expect(await cluster.lackingCount(blob, on: 2) == 0)
    }
  }

  // Nodes that repair only what is asked for know of each other's losses by that alone.
  @Test func `a repair that finds too few others makes them repair what they lack`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = { $0.repairDelay = nil }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: [1800, 1800])
      for node in 0..<4 { await cluster.machines[node].replaceDrives() }
      #expect(
        try await cluster.waits(atMost: .seconds(60)) {
          try await cluster.status(of: 0).missingSliverCount == 4
        })
      let pair = cluster.world.committee.pairs(
        of: blobs[0].blobID, keptBy: cluster.machines[0].member.id)[0]
      _ = await cluster.answer(.sliver(blobs[0].blobID, pair, .primary), of: 0)
      #expect(
        try await cluster.waits(atMost: .seconds(900)) {
          await cluster.lackingCount(blobs[0], on: 0) == 0
        })
      // Of the other blob, nobody needed anything.
      for node in 0..<4 { #expect(await cluster.lackingCount(blobs[1], on: node) == 2) }
    }
  }

  @Test func `what the scrub finds while the registry is away is repaired when it is back`()
    async throws
  {
    var plan = ScriptedCluster.Plan()
    plan.configure = {
      $0.scrubPeriod = .seconds(50)
      $0.inventoryInterval = .seconds(1_000_000)
    }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1800, count: 4))
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(2) })
      let control = try #require(cluster.machines[2].process?.seams.control)
      var outage = ControlTrouble()
      outage.refusals = 1
      control.setTrouble(outage)
      for blob in blobs { cluster.machines[2].drives[0].disk.spoil(blob.blobID) }
      try await cluster.rest(.seconds(200))
      for blob in blobs { #expect(await cluster.knownCount(blob, on: 2) == 0) }
      control.setTrouble(ControlTrouble())
      let isBack = try await cluster.waits(atMost: .seconds(300)) {
        for blob in blobs where await cluster.knownCount(blob, on: 2) < 2 { return false }
        return true
      }
      #expect(isBack)
      #expect(await cluster.lackingCount(blobs, on: 2) == 0)
    }
  }

  @Test func `what compaction drops is repaired without an inventory`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.segmentByteCountMax = 4 << 10
    plan.configure = {
      $0.compactionInterval = .seconds(20)
      $0.scrubPeriod = .seconds(1_000_000)
      $0.inventoryInterval = .seconds(1_000_000)
    }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1800, count: 5))
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(2) })
      cluster.machines[2].drives[0].disk.spoil(blobs[2].blobID)
      for blob in blobs where blob.blobID != blobs[2].blobID { try await cluster.delete(blob) }
      #expect(
        try await cluster.waits(atMost: .seconds(300)) {
          try await cluster.status(of: 2).restoredSliverCount == 2
        })
      #expect(await cluster.lackingCount(blobs[2], on: 2) == 0)
    }
  }

  @Test func `a lost drive is noticed and refilled without any reader`() async throws {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: [1, 500, 4000])
      await cluster.machines[3].replaceDrives()
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(3) })
      for blob in blobs { #expect(await cluster.knownCount(blob, on: 3) == 2) }
    }
  }

  @Test func `blobs that are being rebuilt are counted among the missing ones`() async throws {
    try await ScriptedCluster.run { cluster in
      _ = try await cluster.store(sizes: [500, 4000])
      await cluster.machines[3].replaceDrives()
      #expect(
        try await cluster.waits(atMost: .seconds(60), every: .milliseconds(1)) {
          let status = try await cluster.status(of: 3)
          return status.recoveringBlobCount == 2 && status.missingBlobCount == 2
        })
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(3) })
      #expect(try await cluster.status(of: 3).recoveringBlobCount == 0)
    }
  }

  // Where healing counted instead of looking, "finished" meant nothing.
  @Test func `the missing-set may be lost: what is there decides, not what was noted`()
    async throws
  {
    var plan = ScriptedCluster.Plan()
    plan.configure = { $0.repairDelay = nil }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: [10, 700, 2000])
      await cluster.machines[6].replaceDrives()
      #expect(
        try await cluster.waits(atMost: .seconds(60)) {
          try await cluster.status(of: 6).missingSliverCount == 6
        })
      await cluster.machines[6].crash(.killed)
      cluster.machines[6].missingIndex.wipe()
      await cluster.machines[6].start()
      #expect(
        try await cluster.waits(atMost: .seconds(60)) {
          try await cluster.status(of: 6).missingSliverCount == 6
        })
      await cluster.machines[6].process?.node.runRepairNow()
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(6) })
      #expect(await cluster.lackingCount(blobs, on: 6) == 0)
    }
  }

  @Test func `repair ends, and takes the space that was taken before`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = { $0.inventoryInterval = .seconds(300) }
    try await ScriptedCluster.run(plan) { cluster in
      // Almost all zero, as a sparse file is.
      let blobs = [
        try await cluster.store([UInt8](repeating: 0, count: 5000) + [1]),
        try await cluster.store([UInt8](repeating: 0, count: 3000)),
      ]
      func storedByteCount() -> Int {
        let disk = cluster.machines[2].drives[0].disk
        return disk.names.reduce(0) { $0 + (disk.contents(of: $1)?.count ?? 0) }
      }
      let before = storedByteCount()
      for _ in 0..<3 {
        await cluster.machines[2].replaceDrives()
        #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(2) })
        let status = try await cluster.status(of: 2)
        #expect(status.receivedByteCount == status.neededByteCount)
        try await cluster.rest(.seconds(1000))
        // Some inventories later nothing more has moved.
        #expect(try await cluster.status(of: 2).receivedByteCount == status.receivedByteCount)
        #expect(storedByteCount() <= before + 1000)
      }
      #expect(await cluster.lackingCount(blobs, on: 2) == 0)
    }
  }
}
