// StoreTests.swift
//
// Storing into fake nodes: what is sent, what makes a certificate, and what happens after it.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Routing
import Simulator
import Synchronization
import Testing
import World

/// Counts calls.
private final class Counter: Sendable {
  private let value = Mutex(0)
  var count: Int { value.withLock { $0 } }
  var increment: @Sendable () -> Void { { self.value.withLock { $0 += 1 } } }
}

extension BlobClient {
  func store(_ bytes: [UInt8]) async throws(BlobClientError) -> StoreReceipt {
    try await store(bytes, persistence: .deletable, epochs: nil)
  }
}

extension BlobClientError {
  fileprivate var confirmedShards: Int? {
    if case .insufficientConfirmations(let shards, _, _) = self { shards } else { nil }
  }
}

@Suite struct StoreTests {
  @Test(arguments: [4, 7, 10, 13])
  func `what is stored is certified and comes back`(n: Int) async throws {
    let cluster = try await TestCluster(shards: n, nodes: (n + 1) / 2)
    let client = cluster.client()
    for size in ReadTests.sizes(cluster.parameters) {
      let bytes = content(size)
      let finished = Counter()
      let receipt = try await client.store(
        bytes, persistence: .deletable, epochs: nil, onFinished: finished.increment)
      await client.waitForTails()
      #expect(finished.count == 1)
      #expect(receipt.registration.isCertified)
      let expected = try cluster.encode(bytes).blobID
      #expect(receipt.blob == expected)
      #expect(receipt.report.confirmedShardCount >= n - cluster.f)
      #expect(try await client.bytes(of: receipt.blob) == bytes)
    }
  }

  @Test func `every node gets exactly its slivers`() async throws {
    let cluster = try await TestCluster(shards: 10, nodes: 4)
    let client = cluster.client { $0.batchByteCountTarget = 200 }
    let bytes = content(28 * 10)
    let encoded = try cluster.encode(bytes)
    _ = try await client.store(bytes)
    await client.waitForTails()
    for node in cluster.nodes {
      let kept = try #require(node.kept(encoded.blobID))
      let pairs = cluster.committee.pairs(of: encoded.blobID, keptBy: node.id)
      let expected = pairs.flatMap { pair in
        SliverAxis.allCases.map { encoded.sliver($0, pair.sliver($0, shardCount: 10)) }
      }
      #expect(Set(kept.slivers.values) == Set(expected))
      #expect(node.receivedByteCount == expected.reduce(0) { $0 + $1.bytes.count })
      let requests = node.storeRequests
      #expect(requests.count > 1)
      #expect(requests.map { $0.metadata != nil } == requests.indices.map { $0 == 0 })
      #expect(
        requests.map(\.wantsConfirmation) == requests.indices.map { $0 == requests.count - 1 })
      for request in requests {
        #expect(request.slivers.reduce(0) { $0 + $1.bytes.count } <= 200)
      }
    }
  }

  @Test func `any f nodes may be down`() async throws {
    for losses in subsets(of: 7, count: 2) {
      let cluster = try await TestCluster(shards: 7)
      cluster.nodesDown(losses)
      let bytes = content(700)
      let client = cluster.client { $0.windowByteCount = 200 }
      try await cluster.clock.autoAdvancing {
        let receipt = try await client.store(bytes)
        #expect(receipt.report.confirmedShardCount == 5)
        #expect(try await client.bytes(of: receipt.blob) == bytes)
        await client.waitForTails()
      }
    }
  }

  @Test func `with more than f nodes down nothing is certified, and the reasons are told`()
    async throws
  {
    let cluster = try await TestCluster(shards: 7)
    cluster.nodesDown([1, 3, 5])
    let client = cluster.client()
    let bytes = content(700)
    let finished = Counter()
    let error = try await cluster.clock.autoAdvancing {
      await clientError {
        _ = try await client.store(
          bytes, persistence: .deletable, epochs: nil, onFinished: finished.increment)
      }
    }
    guard case .insufficientConfirmations(4, 5, let reasons)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(Set(reasons.keys) == [NodeID(1), NodeID(3), NodeID(5)])
    #expect(finished.count == 1)
    let blob = try cluster.encode(bytes).blobID
    #expect(await clientError { _ = try await client.head(blob) } == .notFound(blob))
  }

  @Test func `a store gives up at once when enough nodes refuse for good`() async throws {
    let cluster = try await TestCluster(shards: 7)
    for id in [0, 1, 2] {
      cluster.nodes[id].behave(.refuses(NodeFailure(.storageFull, "no space")))
    }
    let start = cluster.clock.now
    let error = await clientError { _ = try await cluster.client().store(content(700)) }
    #expect(error?.confirmedShards != nil)
    #expect(cluster.clock.now == start)
  }

  @Test func `a store says soon that too many nodes are out of reach`() async throws {
    let cluster = try await TestCluster(shards: 7)
    cluster.nodesDown([1, 3, 5])
    let client = cluster.client()
    let start = cluster.clock.now
    let error = try await cluster.clock.autoAdvancing {
      await clientError { _ = try await client.store(content(700)) }
    }
    #expect(error?.confirmedShards == 4)
    #expect(cluster.clock.now - start < .seconds(10))
    // Its registration does not wait for the deadline.
    let blob = try cluster.encode(content(700)).blobID
    let registrations = try await cluster.registry.registrations(of: blob)
    #expect(registrations.map(\.0.state) == [.ended(.abandoned)])
  }

  @Test func `busy nodes are tried again`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let attempts = Mutex<[NodeID: Int]>([:])
    cluster.transport.setInterceptor { request, node in
      guard case .storeBatch = request else { return nil }
      let attempt = attempts.withLock { attempts in
        attempts[node, default: 0] += 1
        return attempts[node, default: 0]
      }
      return attempt <= 3 ? .down : nil
    }
    let client = cluster.client()
    let bytes = content(700)
    try await cluster.clock.autoAdvancing {
      let receipt = try await client.store(bytes)
      await client.waitForTails()
      #expect(try await client.bytes(of: receipt.blob) == bytes)
    }
    #expect(attempts.withLock { $0.values.allSatisfy { $0 == 4 } })
  }

  @Test func `forged confirmations do not count`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    for id in [0, 6] { cluster.nodes[id].behave(.forgesConfirmations) }
    let receipt = try await client.store(content(700))
    #expect(receipt.report.confirmedShardCount == 5)
    cluster.nodes[3].behave(.forgesConfirmations)
    let error = await clientError { _ = try await client.store(content(701)) }
    #expect(error?.confirmedShards != nil)
  }

  @Test func `the same content is not sent twice`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let bytes = content(700)
    let first = try await client.store(bytes)
    await client.waitForTails()
    let sent = cluster.nodes.map(\.receivedByteCount)
    let second = try await client.store(bytes)
    await client.waitForTails()
    #expect(cluster.nodes.map(\.receivedByteCount) == sent)
    #expect(!first.wasCertified && second.wasCertified)
    #expect(second.report.byteCount == 0)
    #expect(first.registration.object != second.registration.object)
    #expect(second.registration.isCertified)
  }

  @Test func `a node that lost a sliver gets its slivers again with the second store`() async throws
  {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let bytes = content(700)
    let blob = try await client.store(bytes).blob
    await client.waitForTails()
    cluster.lose(pairs: [2], of: blob)
    let before = cluster.nodes.map(\.receivedByteCount)
    _ = try await client.store(bytes)
    await client.waitForTails()
    let grown = cluster.nodes.indices.filter { cluster.nodes[$0].receivedByteCount > before[$0] }
    #expect(grown == [Int(cluster.node(2, of: blob).id.value)])
  }

  @Test func `a slow node gets its slivers after the store returned`() async throws {
    let cluster = try await TestCluster(shards: 7)
    cluster.transport.setFault(.delayed(.seconds(5)), of: NodeID(4))
    let client = cluster.client()
    let finished = Counter()
    let receipt = try await client.store(
      content(700), persistence: .deletable, epochs: nil, onFinished: finished.increment)
    #expect(cluster.nodes[4].receivedByteCount == 0)
    #expect(finished.count == 0)
    try await cluster.clock.autoAdvancing { await client.waitForTails() }
    #expect(cluster.nodes[4].kept(receipt.blob)?.slivers.count == 2)
    #expect(finished.count == 1)
  }

  @Test func `a tail ends after its time`() async throws {
    let cluster = try await TestCluster(shards: 7)
    cluster.transport.setFault(.hanging, of: NodeID(4))
    let client = cluster.client()
    let start = cluster.clock.now
    _ = try await client.store(content(700))
    #expect(cluster.clock.now == start)
    try await cluster.clock.autoAdvancing { await client.waitForTails() }
    let elapsed = cluster.clock.now - start
    #expect(elapsed >= .seconds(30) && elapsed < .seconds(31))
  }

  @Test func `above the limit of tails a store waits for its own`() async throws {
    let cluster = try await TestCluster(shards: 7)
    cluster.transport.setFault(.hanging, of: NodeID(4))
    let client = cluster.client { $0.tailCountMax = 1 }
    let start = cluster.clock.now
    _ = try await client.store(content(700))
    #expect(cluster.clock.now == start)
    _ = try await cluster.clock.autoAdvancing { try await client.store(content(701)) }
    #expect(cluster.clock.now - start >= .seconds(30))
  }

  @Test func `shutdown can stop tails, and then nothing is taken any more`() async throws {
    let cluster = try await TestCluster(shards: 7)
    cluster.transport.setFault(.hanging, of: NodeID(4))
    let client = cluster.client()
    let finished = Counter()
    let receipt = try await client.store(
      content(700), persistence: .deletable, epochs: nil, onFinished: finished.increment)
    let start = cluster.clock.now
    await client.shutdown(.cancellingTails)
    #expect(cluster.clock.now == start)
    #expect(finished.count == 1)
    #expect(await clientError { _ = try await client.store([1]) } == .shuttingDown)
    #expect(await clientError { _ = try await client.head(receipt.blob) } == .shuttingDown)
  }

  @Test func `a cancelled store ends, certifies nothing and frees its memory`() async throws {
    let cluster = try await TestCluster(shards: 7)
    for id in 0..<7 { cluster.transport.setFault(.hanging, of: NodeID(UInt16(id))) }
    let client = cluster.client()
    let finished = Counter()
    let store = Task {
      await clientError {
        _ = try await client.store(
          content(700), persistence: .deletable, epochs: nil, onFinished: finished.increment)
      }
    }
    while cluster.clock.sleeperCount == 0 { await Task.yield() }
    store.cancel()
    #expect(await store.value == .cancelled)
    #expect(finished.count == 1)
  }

  @Test func `too large a blob is refused with the limit`() async throws {
    let cluster = try await TestCluster(shards: 4)
    let limit = cluster.parameters.blobByteCountMax
    let bytes = [UInt8](repeating: 7, count: Int(limit) + 1)
    let finished = Counter()
    let error = await clientError {
      _ = try await cluster.client().store(
        bytes, persistence: .deletable, epochs: nil, onFinished: finished.increment)
    }
    #expect(error == .tooLarge(limit: limit))
    #expect(finished.count == 1)
    #expect(throws: BlobClientError.tooLarge(limit: limit)) {
      try BlobClient.storeByteCount(forBlobOf: limit + 1, parameters: cluster.parameters)
    }
    #expect(
      try BlobClient.storeByteCount(forBlobOf: limit, parameters: cluster.parameters) > limit)
  }

  @Test func `nodes that forbid a blob are not an outage`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let bytes = content(700)
    let blob = try cluster.encode(bytes).blobID
    for node in cluster.nodes { node.behave(.refuses(NodeFailure(.forbiddenBlob, "no"))) }
    #expect(await clientError { _ = try await client.store(bytes) } == .forbidden(blob))
    try await cluster.plant(bytes)
    #expect(await clientError { _ = try await client.bytes(of: blob) } == .forbidden(blob))
  }

  @Test func `what the registry refuses is told`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(700)
    let blob = try cluster.encode(bytes).blobID
    let error = await clientError {
      _ = try await cluster.client().store(bytes, persistence: .permanent, epochs: nil)
    }
    #expect(error == .registry(.epochsNeeded(blob)))
    cluster.store.setOutage(.refusing)
    let outage = await clientError { _ = try await cluster.client().head(blob) }
    guard case .registry(.unavailable)? = outage else {
      Issue.record("\(String(describing: outage))")
      return
    }
  }
}
