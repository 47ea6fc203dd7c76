// FaultyNodeTests.swift
//
// Reading from nodes that lie, hang, come and go; and blobs that were encoded badly.

import BlobClient
import Cluster
import RedStuff
import Routing
import Simulator
import Synchronization
import Testing
import World

@Suite struct FaultyNodeTests {
  static let behaviours: [FakeNode.Behaviour] = [
    .lies, .liesWithoutPaths, .wrongLength, .noOutcomes,
    .refuses(NodeFailure(.internalError, "broken")), .refuses(NodeFailure(.sliverNotFound, "gone")),
  ]

  static func expectReadable(
    _ cluster: TestCluster, _ blob: BlobID, _ bytes: [UInt8], _ note: String
  ) async throws {
    for window in [1 << 20, 200] {
      let client = cluster.client { $0.windowByteCount = window }
      try await cluster.clock.autoAdvancing { () async throws -> Void in
        #expect(try await client.bytes(of: blob) == bytes, "\(note), window \(window)")
        let part = try await client.bytes(of: blob, range: 33..<297)
        #expect(part == Array(bytes[33..<297]), "\(note), window \(window)")
        let cell = try await client.bytes(of: blob, range: 0..<10)
        #expect(cell == Array(bytes[0..<10]), "\(note), window \(window)")
      }
    }
  }

  @Test(arguments: behaviours.indices)
  func `any f faulty nodes leave reads right`(behaviour: Int) async throws {
    for faulty in subsets(of: 7, count: 2) {
      let cluster = try await TestCluster(shards: 7)
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      for id in faulty { cluster.nodes[id].behave(Self.behaviours[behaviour]) }
      try await Self.expectReadable(cluster, blob, bytes, "nodes \(faulty)")
    }
  }

  @Test(arguments: [0, 1, 2])
  func `a lost and a lying shard together leave reads right`(behaviour: Int) async throws {
    for pair in subsets(of: 7, count: 2) {
      for (lost, lying) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        let cluster = try await TestCluster(shards: 7)
        let bytes = content(15 * 40)
        let blob = try await cluster.plant(bytes)
        cluster.lose(pairs: [lost], of: blob)
        cluster.node(lying, of: blob).behave(Self.behaviours[behaviour])
        try await Self.expectReadable(cluster, blob, bytes, "\(lost) lost, \(lying) lies")
      }
    }
  }

  @Test func `with too many liars a read is right or a clean error`() async throws {
    for faulty in subsets(of: 7, count: 4) {
      let cluster = try await TestCluster(shards: 7)
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      for id in faulty { cluster.nodes[id].behave(.lies) }
      let client = cluster.client { $0.windowByteCount = 200 }
      let collector = Collector()
      let error = await clientError { try await client.read(blob, into: collector.sink) }
      let got = collector.bytes
      #expect(bytes.starts(with: got) == true, "\(faulty)")
      #expect(
        error == nil ? got == bytes : error?.isUnavailable == true, "\(faulty): \(error as Any)")
    }
  }

  @Test(arguments: [SimulatedTransport.Fault.answerFlipped, .answerTruncated])
  func `answers mangled on the way leave reads right`(fault: SimulatedTransport.Fault) async throws
  {
    for faulty in subsets(of: 7, count: 2) {
      let cluster = try await TestCluster(shards: 7, seed: UInt64(faulty[0] * 7 + faulty[1]))
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      for id in faulty { cluster.transport.setFault(fault, of: NodeID(UInt16(id))) }
      try await Self.expectReadable(cluster, blob, bytes, "nodes \(faulty)")
    }
  }

  @Test func `wrong metadata is refused and fetched elsewhere`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(600)
    let blob = try await cluster.plant(bytes)
    for id in 0..<6 { cluster.nodes[id].behave(.wrongMetadata) }
    #expect(try await cluster.client().head(blob).byteCount == 600)
    cluster.nodes[6].behave(.wrongMetadata)
    let error = await clientError { _ = try await cluster.client().head(blob) }
    #expect(error?.isUnavailable == true)
  }

  // MARK: Time

  @Test func `a hanging node is hedged long before its deadline`() async throws {
    for hanging in 0..<7 {
      let cluster = try await TestCluster(shards: 7)
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      let client = cluster.client()
      _ = try await client.head(blob)
      cluster.transport.setFault(.hanging, of: NodeID(UInt16(hanging)))
      let start = cluster.clock.now
      try await cluster.clock.autoAdvancing { () async throws -> Void in
        let got = try await client.bytes(of: blob)
        #expect(got == bytes)
      }
      #expect(cluster.clock.now - start <= .seconds(1), "node \(hanging)")
    }
  }

  @Test func `a slow node is waited for when nobody else has its cells`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    let blob = try await cluster.plant(bytes)
    let client = cluster.client { $0.windowByteCount = 200 }
    _ = try await client.head(blob)
    cluster.lose(pairs: [0, 3, 4, 6], of: blob)
    let slow = cluster.node(2, of: blob).id
    cluster.transport.setFault(.delayed(.seconds(6)), of: slow)
    try await cluster.clock.autoAdvancing { () async throws -> Void in
      let got = try await client.bytes(of: blob)
      #expect(got == bytes)
    }
  }

  @Test func `a hung cluster ends in an error after its deadlines`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let blob = try await cluster.plant(content(15 * 40))
    let client = cluster.client()
    _ = try await client.head(blob)
    for id in 0..<7 { cluster.transport.setFault(.hanging, of: NodeID(UInt16(id))) }
    let start = cluster.clock.now
    let error = try await cluster.clock.autoAdvancing {
      await clientError { _ = try await client.bytes(of: blob) }
    }
    #expect(error?.isUnavailable == true)
    #expect(cluster.clock.now - start < .seconds(60))
  }

  @Test func `nodes that come back in time serve the read`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    let blob = try await cluster.plant(bytes)
    let client = cluster.client()
    _ = try await client.head(blob)
    let count = Mutex(0)
    cluster.transport.setInterceptor { _, _ in
      count.withLock { count in
        count += 1
        return count <= 14 ? .down : nil
      }
    }
    try await cluster.clock.autoAdvancing { () async throws -> Void in
      let got = try await client.bytes(of: blob)
      #expect(got == bytes)
    }
  }

  @Test func `a cancelled read ends`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let blob = try await cluster.plant(content(600))
    let client = cluster.client()
    _ = try await client.head(blob)
    for id in 0..<7 { cluster.transport.setFault(.hanging, of: NodeID(UInt16(id))) }
    let read = Task { await clientError { _ = try await client.bytes(of: blob) } }
    while cluster.clock.sleeperCount == 0 { await Task.yield() }
    read.cancel()
    #expect(await read.value == .cancelled)
  }

  // MARK: Badly encoded blobs

  /// Plants a blob whose metadata claims another hash for one sliver.
  static func plantInconsistent(
    _ cluster: TestCluster, _ bytes: [UInt8], axis: SliverAxis, index: Int
  ) async throws -> BlobID {
    let encoded = try cluster.encode(bytes)
    var hashes = encoded.metadata.metadata.hashes
    let wrong = MerkleNode.digest(try #require(Digest(bytes: Array(repeating: 1, count: 32))))
    let pair = Int(SliverIndex(UInt16(index)).pair(axis, shardCount: hashes.count).value)
    hashes[pair] =
      axis == .primary
      ? SliverPairHashes(primary: wrong, secondary: hashes[pair].secondary)
      : SliverPairHashes(primary: hashes[pair].primary, secondary: wrong)
    let metadata = BlobMetadata(blobByteCount: UInt64(bytes.count), hashes: hashes)
    let blob = metadata.computedBlobID
    try await cluster.plant(metadata, blob) { encoded.sliver($0, $1) }
    return blob
  }

  @Test(arguments: [1 << 20, 200])
  func `a row that its columns contradict makes a blob inconsistent`(window: Int) async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    let blob = try await Self.plantInconsistent(cluster, bytes, axis: .primary, index: 1)
    // Honest nodes refuse such a sliver.
    cluster.node(1, of: blob).lose(blob, [.row(1)])
    let client = cluster.client { $0.windowByteCount = window }
    for check in [ConsistencyCheck.default, .strict] {
      let error = await clientError { _ = try await client.bytes(of: blob, check: check) }
      #expect(error == .inconsistent(blob))
    }
    #expect(try await client.bytes(of: blob, check: .skip) == bytes)
  }

  @Test(arguments: [1 << 20, 200])
  func `beyond f lost shards a bad row is found after its columns`(window: Int) async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    let blob = try await Self.plantInconsistent(cluster, bytes, axis: .primary, index: 1)
    cluster.lose(pairs: [1, 2, 6], of: blob)
    let client = cluster.client { $0.windowByteCount = window }
    let error = await clientError { _ = try await client.bytes(of: blob) }
    #expect(error == .inconsistent(blob))
    #expect(try await client.bytes(of: blob, check: .skip) == bytes)
    #expect(cluster.spool.names.isEmpty)
  }

  @Test func `a wrong hash that reading does not touch is found by the strict check`() async throws
  {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    for (axis, index) in [(SliverAxis.secondary, 0), (.secondary, 6), (.primary, 5)] {
      let blob = try await Self.plantInconsistent(cluster, bytes, axis: axis, index: index)
      let client = cluster.client()
      #expect(try await client.bytes(of: blob) == bytes)
      let error = await clientError { _ = try await client.bytes(of: blob, check: .strict) }
      #expect(error == .inconsistent(blob), "\(axis) \(index)")
    }
  }

  @Test func `a padding row that is not zero makes a blob inconsistent`() async throws {
    let cluster = try await TestCluster(shards: 7)
    // One symbol of content; the hash of an empty row is wrong.
    let blob = try await Self.plantInconsistent(cluster, [1], axis: .primary, index: 2)
    let client = cluster.client()
    #expect(await clientError { _ = try await client.bytes(of: blob) } == .inconsistent(blob))
    #expect(try await client.bytes(of: blob, check: .skip) == [1])
  }

  @Test func `a strict read above its limit is refused`() async throws {
    let cluster = try await TestCluster(shards: 4)
    let blob = try await cluster.plant(content(1000))
    let client = cluster.client { $0.strictByteCountMax = 999 }
    let error = await clientError { _ = try await client.bytes(of: blob, check: .strict) }
    #expect(error == .tooLarge(limit: 999))
  }
}
