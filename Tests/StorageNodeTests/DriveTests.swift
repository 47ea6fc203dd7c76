// DriveTests.swift
//
// Several drives: where slivers go, and what is left when a drive is full, dies, or was not there.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import SliverStore
import Testing
import World

@testable import StorageNode

@Suite struct DriveTests {
  @Test func `shards spread over the drives, and losing one moves few of them`() throws {
    let names = (0..<5).map { "drive-\($0)" }
    let all = DrivePlacement(
      shards: 10..<110, driveNames: names, isWritable: [true, true, true, true, true])
    let homes = (10..<110).map { all.ranking(of: ShardIndex(UInt16($0)))[0] }
    for drive in 0..<5 { #expect(homes.count { $0 == drive } == 20) }
    let less = DrivePlacement(
      shards: 10..<110, driveNames: names, isWritable: [true, true, false, true, true])
    var movedCount = 0
    for (number, home) in zip(10..<110, homes) {
      let ranking = less.ranking(of: ShardIndex(UInt16(number)))
      #expect(Set(ranking) == Set(0..<5) && ranking.last == 2)
      if home != 2 && ranking[0] != home { movedCount += 1 }
    }
    #expect(movedCount <= 20)
    let none = DrivePlacement(
      shards: 10..<110, driveNames: names, isWritable: [false, false, false, false, false])
    #expect(none.ranking(of: ShardIndex(10)).count == 5)
  }

  @Test func `losing a drive loses its slivers and not the node`() async throws {
    let bench = try await NodeBench(shardCount: 31, driveCount: 3)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 2000)
    let registration = try await bench.store(blob, on: running)
    let metadata = blob.metadata.metadata.bcsBytes
    for drive in bench.drives {
      let files = drive.disk.names.compactMap { drive.disk.contents(of: $0) }
      #expect(files.contains { position(of: metadata, in: $0) != nil })
    }
    try await running.stop()

    let again = try await bench.start(absent: [1])
    let left = await bench.intactCount(of: blob, on: again.node)
    #expect(left > 0 && left < bench.ownCount(of: blob))
    guard case .metadata = await bench.ask(again.node, .metadata(blob.blobID)) else {
      throw DeadlineExceeded()
    }
    guard case .health(let health) = await bench.ask(again.node, .health(detailed: true)) else {
      throw DeadlineExceeded()
    }
    let lost = health.shards.filter { $0.state == .inRecovery }
    #expect(2 * lost.count == bench.ownCount(of: blob) - left)
    #expect(health.detail?.driveProblems == ["drive-1: not mounted"])

    // Repair sends what is missing; it goes to the other drives, and then all is there.
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    try bench.expectConfirmed(await bench.ask(again.node, request), registration)
    #expect(await bench.intactCount(of: blob, on: again.node) == bench.ownCount(of: blob))
    try await again.stop()
  }

  @Test func `a drive that cannot sync takes no more, and the others do`() async throws {
    let bench = try await NodeBench(shardCount: 31, driveCount: 2)
    let running = try await bench.start()
    let old = try bench.encode()
    try await bench.store(old, on: running)
    bench.drives[0].disk.setSyncsFail(true)
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    #expect(await bench.intactCount(of: old, on: running.node) == bench.ownCount(of: old))
    guard case .health(let health) = await bench.ask(running.node, .health(detailed: true))
    else { throw DeadlineExceeded() }
    #expect(health.detail?.driveProblems.count == 1)
    #expect(health.shards.contains { $0.state == .readOnly })
    #expect(health.shards.contains { $0.state == .ready })
    await running.kill()
    bench.crash(.nothing)
    let again = try await bench.start(absent: [0])
    #expect(await bench.intactCount(of: blob, on: again.node) == bench.ownCount(of: blob))
    try await again.stop()
  }

  @Test func `a drive that was away makes up for the deletes it missed`() async throws {
    let bench = try await NodeBench(shardCount: 31, driveCount: 2)
    var running = try await bench.start()
    let (gone, kept) = (try bench.encode(), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    try await running.stop()
    running = try await bench.start(absent: [0])
    #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    try await running.stop()
    running = try await bench.start()
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    #expect(await bench.intactCount(of: gone, on: running.node) == 0)
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test func `full drives refuse slivers and serve on, until there is space again`() async throws {
    let bench = try await NodeBench(driveCount: 2)
    let running = try await bench.start()
    let old = try bench.encode()
    try await bench.store(old, on: running)
    for drive in bench.drives { drive.disk.setFull(true) }
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(outcomes.map(reason) == [.storageFull])
    let put = NodeRequest.storeMetadata(blob.blobID, blob.metadata.metadata)
    #expect(reason(await bench.ask(running.node, put)) == .storageFull)
    #expect(await bench.intactCount(of: blob, on: running.node) == 0)
    #expect(await bench.intactCount(of: old, on: running.node) == bench.ownCount(of: old))
    for drive in bench.drives { drive.disk.setFull(false) }
    try bench.expectConfirmed(await bench.ask(running.node, request), registration)
    try await running.stop()
  }

  @Test func `one full drive is no reason to refuse`() async throws {
    let bench = try await NodeBench(shardCount: 31, driveCount: 2)
    let running = try await bench.start()
    bench.drives[0].disk.setFull(true)
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    try await running.stop()
  }

  @Test func `a rotten sliver is missing, and written again when it is sent again`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 3000)
    let registration = try await bench.store(blob, on: running)
    let wanted = bench.slivers(of: blob)[0]
    let disk = bench.drives[0].disk
    let (name, offset) = try #require(
      disk.names.lazy.compactMap { name in
        position(of: wanted.bytes, in: disk.contents(of: name) ?? []).map { (name, $0) }
      }.first)
    disk.rot(name, at: offset + 1)
    // Nobody has noticed the rot yet: neither who asks for a confirmation nor who stores again may
    // be fooled by the index.
    let question = StoreEntry(
      blob: blob.blobID, object: registration.object, metadata: nil, slivers: [],
      wantsConfirmation: true)
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, .storeBatch([question]))
    else { throw DeadlineExceeded() }
    #expect(outcomes.map(reason) == [.missingSlivers])
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    try bench.expectConfirmed(await bench.ask(running.node, request), registration)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    guard case .health(let health) = await bench.ask(running.node, .health(detailed: true))
    else { throw DeadlineExceeded() }
    #expect(health.detail?.rottenCount == 1)
    try await running.stop()
  }

  @Test func `what comes back because its tombstone rotted is deleted again`() async throws {
    let bench = try await NodeBench()
    var running = try await bench.start()
    let (gone, kept) = (try bench.encode(), try bench.encode())
    let registration = try await bench.store(gone, on: running)
    try await bench.store(kept, on: running)
    #expect(try await bench.registry.delete(blob: gone.blobID, object: registration.object) == 1)
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    try await running.stop()
    let disk = bench.drives[0].disk
    let tombstoneStart = Array("WSLR".utf8) + [1, 3]
    let (name, offset) = try #require(
      disk.names.lazy.compactMap { name in
        position(of: tombstoneStart, in: disk.contents(of: name) ?? []).map { (name, $0) }
      }.first)
    disk.rot(name, at: offset)
    try await bench.drives[0].index.removeAll()
    running = try await bench.start()
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    #expect(await bench.intactCount(of: gone, on: running.node) == 0)
    #expect(await bench.intactCount(of: kept, on: running.node) == bench.ownCount(of: kept))
    try await running.stop()
  }

  @Test func `a drive that cannot be read makes its slivers missing`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    bench.drives[0].disk.setReadsFail(true)
    let item = ReadItem(
      blob: blob.blobID, pair: bench.pairs(of: blob.blobID)[0], axis: .primary, symbols: 0..<2,
      wantsPaths: false)
    #expect(await bench.ask(running.node, .readBatch([item])) == .readBatch([.missing]))
    bench.drives[0].disk.setReadsFail(false)
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    try await running.stop()
  }

  private func position(of part: [UInt8], in whole: [UInt8]) -> Int? {
    guard whole.count >= part.count else { return nil }
    return (0...whole.count - part.count).first { whole[$0..<$0 + part.count].elementsEqual(part) }
  }
}
