// StoreTests.swift
//
// Taking and confirming slivers: what is durable, what is refused, and for which reason.

import Cluster
import RedStuff
import Simulator
import StorageNode
import Testing
import World

@Suite struct StoreTests {
  @Test(arguments: [4, 7, 10])
  func `a whole batch is stored, confirmed and served`(shardCount: Int) async throws {
    let bench = try await NodeBench(shardCount: shardCount)
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    #expect(
      await bench.ask(running.node, .metadata(blob.blobID))
        == .metadata(blob.blobID, blob.metadata.metadata))
    try await running.stop()
  }

  @Test(arguments: CrashSurvival.allCases)
  func `what was confirmed survives a crash, and the confirmation with it`(
    survival: CrashSurvival
  ) async throws {
    for seed in 1...8 as ClosedRange<UInt64> {
      let bench = try await NodeBench(seed: seed)
      let running = try await bench.start()
      let blobs = try (0..<3).map { try bench.encode(byteCount: 100 + 200 * $0) }
      var registrations: [Registration] = []
      for blob in blobs { registrations.append(try await bench.store(blob, on: running)) }
      await running.kill()
      bench.crash(survival)

      let again = try await bench.start()
      for (blob, registration) in zip(blobs, registrations) {
        let count = await bench.intactCount(of: blob, on: again.node)
        #expect(count == bench.ownCount(of: blob), "seed \(seed)")
        var entry = bench.entry(blob, for: registration)
        entry.slivers = []
        entry.metadata = nil
        try bench.expectConfirmed(await bench.ask(again.node, .storeBatch([entry])), registration)
      }
      try await again.stop()
    }
  }

  @Test func `nothing is acknowledged before the sync`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    bench.drives[0].gates.sync.close()
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let storing = Task { await bench.ask(running.node, request) }
    #expect(await eventually { bench.drives[0].gates.sync.heldCount > 0 })
    let status = NodeRequest.sliverStatus(
      blob.blobID, bench.pairs(of: blob.blobID)[0], .primary)
    #expect(await bench.ask(running.node, status) == .storedStatus(.nonexistent))
    bench.drives[0].gates.sync.open()
    try bench.expectConfirmed(await storing.value, registration)
    #expect(await bench.ask(running.node, status) == .storedStatus(.stored))
    try await running.stop()
  }

  @Test func `a sliver that does not match the metadata is refused and not written`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    for (position, sliver) in bench.slivers(of: blob).enumerated() {
      var bytes = sliver.bytes
      bytes[position % bytes.count] ^= 1
      let wrong = Sliver(
        axis: sliver.axis, index: sliver.index, symbolByteCount: sliver.symbolByteCount,
        bytes: bytes)
      let entry = StoreEntry(
        blob: blob.blobID, object: registration.object, metadata: blob.metadata.metadata,
        slivers: [wrong], wantsConfirmation: false)
      let answer = await bench.ask(running.node, .storeBatch([entry]))
      guard case .storeBatch(let outcomes) = answer else {
        Issue.record("no batch: \(answer)")
        return
      }
      #expect(outcomes.map(reason) == [.invalidSliver])
    }
    #expect(await bench.intactCount(of: blob, on: running.node) == 0)
    try await running.stop()
  }

  @Test func `metadata that belongs to another blob is refused`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let (blob, other) = (try bench.encode(), try bench.encode())
    let registration = try await bench.register(blob)
    let foreign = NodeRequest.storeMetadata(blob.blobID, other.metadata.metadata)
    #expect(reason(await bench.ask(running.node, foreign)) == .invalidMetadata)
    let short = BlobMetadata(
      blobByteCount: 300, hashes: Array(blob.metadata.metadata.hashes.dropLast()))
    var entry = bench.entry(blob, for: registration)
    entry.metadata = short
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, .storeBatch([entry]))
    else { throw DeadlineExceeded() }
    #expect(outcomes.map(reason) == [.invalidMetadata])
    let status = await bench.ask(running.node, .metadataStatus(blob.blobID))
    #expect(status == .storedStatus(.nonexistent))
    try await running.stop()
  }

  @Test func `the reference's calls store in their order`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let slivers = bench.slivers(of: blob)
    let n = bench.parameters.shardCount
    let pair = slivers[0].index.pair(slivers[0].axis, shardCount: n)
    let metadata = NodeRequest.storeMetadata(blob.blobID, blob.metadata.metadata)
    let sliver = NodeRequest.storeSliver(blob.blobID, pair, slivers[0])
    #expect(reason(await bench.ask(running.node, metadata)) == .notRegistered)
    #expect(reason(await bench.ask(running.node, sliver)) == .notRegistered)
    try await bench.register(blob)
    #expect(reason(await bench.ask(running.node, sliver)) == .metadataNotFound)
    #expect(await bench.ask(running.node, metadata) == .stored(isNew: true))
    #expect(await bench.ask(running.node, metadata) == .stored(isNew: false))
    #expect(await bench.ask(running.node, sliver) == .stored(isNew: true))
    #expect(await bench.ask(running.node, sliver) == .stored(isNew: false))
    try await running.stop()
  }

  @Test func `metadata without slivers is durable when it is called stored`() async throws {
    let bench = try await NodeBench(driveCount: 2)
    var running = try await bench.start()
    let blob = try bench.encode()
    var entry = bench.entry(blob, for: try await bench.register(blob))
    entry.slivers = []
    entry.wantsConfirmation = false
    #expect(await bench.ask(running.node, .storeBatch([entry])) == .storeBatch([.stored]))
    await running.kill()
    bench.crash(.nothing)
    running = try await bench.start()
    #expect(
      await bench.ask(running.node, .metadata(blob.blobID))
        == .metadata(blob.blobID, blob.metadata.metadata))
    try await running.stop()
  }

  @Test func `rotten metadata is written again when it is sent again`() async throws {
    let bench = try await NodeBench()
    var running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.store(blob, on: running)
    try await running.stop()
    let disk = bench.drives[0].disk
    let root = blob.metadata.metadata.bcsBytes
    for name in disk.names {
      let bytes = disk.contents(of: name) ?? []
      guard bytes.count > root.count else { continue }
      let offset = (0...bytes.count - root.count).first {
        bytes[$0..<$0 + root.count].elementsEqual(root)
      }
      if let offset { disk.rot(name, at: offset + 5) }
    }
    running = try await bench.start()
    var entry = bench.entry(blob, for: registration)
    entry.metadata = nil
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, .storeBatch([entry]))
    else { throw DeadlineExceeded() }
    #expect(outcomes.map(reason) == [.metadataNotFound])
    let again = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    try bench.expectConfirmed(await bench.ask(running.node, again), registration)
    try await running.stop()
    running = try await bench.start()
    guard case .metadata = await bench.ask(running.node, .metadata(blob.blobID)) else {
      throw DeadlineExceeded()
    }
    try await running.stop()
  }

  @Test func `slivers at the wrong place are refused`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let mine = bench.pairs(of: blob.blobID)
    let sliver = blob.pair(mine[0]).primary
    let foreign = try #require(
      (0..<7).map { SliverPairIndex(UInt16($0)) }.first { !mine.contains($0) })
    func put(_ pair: SliverPairIndex, _ sliver: Sliver) async -> NodeFailure.Reason? {
      reason(await bench.ask(running.node, .storeSliver(blob.blobID, pair, sliver)))
    }
    #expect(await put(SliverPairIndex(7), sliver) == .indexOutOfRange)
    #expect(await put(foreign, blob.pair(foreign).primary) == .shardNotAssigned)
    #expect(await put(mine[1], sliver) == .sliverIndexMismatch)
    let beyond = Sliver(
      axis: .primary, index: SliverIndex(7), symbolByteCount: 2, bytes: sliver.bytes)
    var entry = bench.entry(blob, for: registration)
    for (wrong, expected) in [
      (beyond, NodeFailure.Reason.indexOutOfRange),
      (blob.pair(foreign).secondary, .shardNotAssigned),
    ] {
      entry.slivers = [wrong]
      guard case .storeBatch(let outcomes) = await bench.ask(running.node, .storeBatch([entry]))
      else { throw DeadlineExceeded() }
      #expect(outcomes.map(reason) == [expected])
    }
    try await running.stop()
  }

  @Test func `each entry of a batch has its own outcome`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let (good, half, unknown, bare) = (
      try bench.encode(), try bench.encode(), try bench.encode(), try bench.encode()
    )
    let registrations = [
      try await bench.register(good), try await bench.register(half),
      try await bench.register(bare),
    ]
    var halfEntry = bench.entry(half, for: registrations[1])
    halfEntry.slivers.removeLast()
    var unknownEntry = bench.entry(unknown, for: registrations[0])
    unknownEntry.blob = unknown.blobID
    var bareEntry = bench.entry(bare, for: registrations[2])
    bareEntry.metadata = nil
    var quietEntry = halfEntry
    quietEntry.wantsConfirmation = false
    let request = NodeRequest.storeBatch([
      bench.entry(good, for: registrations[0]), halfEntry, unknownEntry, bareEntry, quietEntry,
    ])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(
      outcomes.map(reason) == [nil, .missingSlivers, .notRegistered, .metadataNotFound, nil])
    #expect(outcomes[4] == .stored)
    // What came with the refused confirmation is stored all the same.
    let count = await bench.intactCount(of: half, on: running.node)
    #expect(count == bench.ownCount(of: half) - 1)
    try await running.stop()
  }

  @Test func `a batch for several registrations of one blob confirms each`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let (first, second) = (try await bench.register(blob), try await bench.register(blob))
    let request = NodeRequest.storeBatch([
      bench.entry(blob, for: first), bench.entry(blob, for: second),
    ])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request),
      case .confirmed(let one) = outcomes[0], case .confirmed(let two) = outcomes[1]
    else { throw DeadlineExceeded() }
    #expect(one.object == first.object && two.object == second.object)
    try await running.stop()
  }

  @Test func `too large a batch is refused`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 1)
    let registration = try await bench.register(blob)
    var entry = bench.entry(blob, for: registration)
    entry.slivers = []
    let entries = [StoreEntry](
      repeating: entry, count: NodeMessageLimits.batchItemCountMax + 1)
    #expect(reason(await bench.ask(running.node, .storeBatch(entries))) == .requestTooLarge)
    let item = ReadItem(
      blob: blob.blobID, pair: SliverPairIndex(0), axis: .primary, symbols: 0..<1,
      wantsPaths: false)
    let items = [ReadItem](repeating: item, count: NodeMessageLimits.batchItemCountMax + 1)
    #expect(reason(await bench.ask(running.node, .readBatch(items))) == .requestTooLarge)
    try await running.stop()
  }
}
