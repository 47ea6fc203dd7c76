// RegistrationTests.swift
//
// Which registrations a node takes slivers for and confirms, and how long it waits for them.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import Testing
import World

@testable import StorageNode

@Suite struct RegistrationTests {
  @Test func `a node that is behind the registry waits, then says so`() async throws {
    let bench = try await NodeBench()
    let node = try await bench.openNode()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let waiting = Task { await bench.ask(node, request) }
    // Two sleepers: the request's deadline and the limit of this wait.
    #expect(await eventually { bench.clock.sleeperCount == 2 })
    bench.clock.advance(by: StorageNodeConfiguration().registrationWaitMax)
    guard case .storeBatch(let outcomes) = await waiting.value else { throw DeadlineExceeded() }
    #expect(outcomes.map(reason) == [.unavailable])
    #expect(await bench.intactCount(of: blob, on: node) == 0)
    await node.close()
  }

  @Test func `a store that waits for the cursor goes on when it arrives`() async throws {
    let bench = try await NodeBench()
    let node = try await bench.openNode()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    let waiting = Task { await bench.ask(node, request) }
    #expect(await eventually { node.cursor.waitingCount == 1 })
    let loop = Task { try await node.run() }
    try bench.expectConfirmed(await waiting.value, registration)
    try await RunningNode(node: node, loop: loop).stop()
  }

  @Test func `a confirmation waits for a registration as long as asked`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    let object = try #require(ObjectID([UInt8](repeating: 9, count: 32)))
    func confirm(_ target: ConfirmationTarget, _ milliseconds: UInt64) async -> NodeResponse {
      await bench.ask(
        running.node, .confirmation(blob.blobID, target, waitMilliseconds: milliseconds))
    }
    #expect(reason(await confirm(.permanent, 0)) == .notRegistered)
    #expect(reason(await confirm(.deletable(object), 0)) == .notRegistered)

    let waiting = Task { await confirm(.permanent, 2000) }
    #expect(await eventually { running.node.cursor.waitingCount == 1 })
    // Others are told that the node has something to do.
    guard case .readBatch(_, load: 1) = await bench.ask(running.node, .readBatch([])) else {
      Issue.record("the waiting request is not counted")
      return
    }
    let registration = try await bench.register(blob, .permanent)
    guard case .confirmation(let answer) = await waiting.value else {
      Issue.record("not confirmed: \(await waiting.value)")
      return
    }
    let message = try SignableMessage<StorageConfirmationBody>(bcs: answer.message)
    #expect(message.body == StorageConfirmationBody(blobID: blob.blobID, persistence: .permanent))
    #expect(message.epoch == registration.registeredEpoch)
    #expect(
      NodeSigner.isValid(
        answer.signature, of: answer.message, publicKey: bench.signer.publicKey))

    let tooLong = Task { await confirm(.deletable(object), .max) }
    #expect(await eventually { running.node.cursor.waitingCount == 1 })
    bench.clock.advance(
      by: .milliseconds(NodeMessageLimits.registrationWaitMillisecondsMax))
    #expect(reason(await tooLong.value) == .notRegistered)
    try await running.stop()
  }

  @Test func `a confirmation names the deletable registration`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.store(blob, on: running)
    let request = NodeRequest.confirmation(
      blob.blobID, .deletable(registration.object), waitMilliseconds: 0)
    guard case .confirmation(let answer) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    let message = try SignableMessage<StorageConfirmationBody>(bcs: answer.message)
    let digest = try #require(Digest(bytes: registration.object.bytes))
    #expect(message.body.persistence == .deletable(objectID: digest))
    try await running.stop()
  }

  @Test func `nothing is confirmed before all slivers are there`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let request = NodeRequest.confirmation(
      blob.blobID, .deletable(registration.object), waitMilliseconds: 0)
    var entry = bench.entry(blob, for: registration)
    entry.wantsConfirmation = false
    let slivers = entry.slivers
    for (count, sliver) in slivers.enumerated() {
      #expect(
        reason(await bench.ask(running.node, request)) == .missingSlivers, "with \(count)")
      entry.slivers = [sliver]
      #expect(await bench.ask(running.node, .storeBatch([entry])) == .storeBatch([.stored]))
    }
    guard case .confirmation = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    try await running.stop()
  }

  @Test func `a registration past its deadline is not served`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    bench.clock.setWallTime(WallTime(milliseconds: registration.certifyByMilliseconds))
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(outcomes.map(reason) == [.notRegistered])
    try await running.stop()
  }

  @Test func `an ended registration is not confirmed`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let (first, second) = (try await bench.register(blob), try await bench.register(blob))
    #expect(try await bench.registry.delete(blob: blob.blobID, object: first.object) == 1)
    let request = NodeRequest.storeBatch([
      bench.entry(blob, for: first), bench.entry(blob, for: second),
    ])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(outcomes.map(reason) == [.notRegistered, nil])
    try await running.stop()
  }

  @Test func `a registry that does not answer makes the node unavailable`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let registration = try await bench.store(blob, on: running)
    bench.memory.setOutage(.refusing)
    let request = NodeRequest.storeBatch([bench.entry(blob, for: registration)])
    guard case .storeBatch(let outcomes) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(outcomes.map(reason) == [.unavailable])
    #expect(reason(await bench.ask(running.node, .blobStatus(blob.blobID))) == .unavailable)
    // Reads need no registry.
    #expect(await bench.intactCount(of: blob, on: running.node) == bench.ownCount(of: blob))
    await running.kill()
  }

  @Test func `the blob status is the registry's`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let request = NodeRequest.blobStatus(blob.blobID)
    #expect(await bench.ask(running.node, request) == .blobStatus(.nonexistent))
    try await bench.register(blob)
    #expect(
      await bench.ask(running.node, request)
        == .blobStatus(
          .deletable(initialCertifiedEpoch: nil, DeletableCounts(total: 1, certified: 0))))
    try await running.stop()
  }
}
