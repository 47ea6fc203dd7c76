// PlainCode.swift
//
// What others do: a blob is cut into k chunks, m more are computed, each chunk lies on a node of its
// own. k = 1 is replication. Chunks lie in the same store on the same drives as slivers do, and
// travel over the same transport; a node that lost its drive reads k chunks of each blob and computes
// its own. Nothing is checked against a commitment: there is none.

import Cluster
import Drivers
import Foundation
import RedStuff
import ReedSolomon
import Routing
import Simulator
import SliverStore
import World

struct PlainCode: Sendable {
  let name: String
  let k: Int
  let m: Int

  static let replication = PlainCode(name: "replication, 3 copies, 10 nodes", k: 1, m: 2)
  static let reedSolomon = PlainCode(name: "Reed-Solomon (10, 6), 16 nodes", k: 10, m: 6)

  var nodeCount: Int { max(k + m, 10) }
  var chunkCount: Int { k + m }

  /// Chunk i of a blob lies on the node i after its first.
  func nodes(ofBlob number: Int) -> [Int] {
    (0..<chunkCount).map { (number + $0) % nodeCount }
  }
}

/// A node that keeps chunks.
private struct ChunkNode: NodeService {
  let store: SliverStore

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    guard case .readBatch(let items, _) = request else {
      return .failure(NodeFailure(.malformedRequest, "a chunk node reads batches only"))
    }
    var outcomes: [ReadOutcome] = []
    for item in items {
      do {
        let key = SliverKey(blob: item.blob, pair: item.pair, axis: item.axis)
        guard let chunk = try await store.sliver(key) else {
          outcomes.append(.missing)
          continue
        }
        outcomes.append(.symbols(bytes: chunk.bytes, paths: []))
      } catch {
        outcomes.append(.refused(NodeFailure(.unavailable, "\(error)")))
      }
    }
    return .readBatch(outcomes)
  }
}

extension RepairBenchmark {
  private static let lostNode = 3

  func measure(_ code: PlainCode, blobCount: Int) async throws -> HealingCost {
    try await withDirectory { directory in
      try await PlainCluster(code, in: directory).lose(Self.lostNode, blobCount: blobCount)
    }
  }
}

private struct PlainCluster {
  private static let blobByteCount = 1 << 20
  /// What one checksum covers.
  private static let runByteCount = 1024

  let code: PlainCode
  let directory: URL
  let clock = SystemClock()
  let randomness = SeededRandomness(seed: 5)
  let parameters: EncodingParameters
  let transport: BenchmarkTransport
  let peers: PeerTable
  let cluster: ClusterID
  /// Whole runs.
  let chunkByteCount: Int

  init(_ code: PlainCode, in directory: URL) throws {
    self.code = code
    self.directory = directory
    parameters = try EncodingParameters(shardCount: max(code.nodeCount, 10))
    transport = BenchmarkTransport(parameters: parameters, clock: clock)
    peers = PeerTable(parameters: parameters, clock: clock, randomness: randomness)
    guard let cluster = ClusterID(randomness.bytes(count: 32)) else {
      throw BenchmarkFailure(description: "no cluster ID")
    }
    self.cluster = cluster
    let runs = (Self.blobByteCount + code.k * Self.runByteCount - 1) / (code.k * Self.runByteCount)
    chunkByteCount = runs * Self.runByteCount
  }

  private func openStore(_ name: String, _ node: Int, _ reads: ReadCounter) async throws
    -> SliverStore
  {
    let drive = directory.appending(path: name)
    try FileManager.default.createDirectory(at: drive, withIntermediateDirectories: true)
    let disk = try FileDisk(directory: drive.path)
    let id = NodeID(UInt16(node))
    try await SliverStore.initialise(
      disk: disk, clusterID: cluster, node: id, randomness: randomness)
    return try await SliverStore.open(
      disk: CountingDisk(disk: disk, reads: reads),
      index: try await SQLiteIndex(path: drive.appending(path: "index.sqlite").path),
      clusterID: cluster, node: id, randomness: randomness)
  }

  private func chunks(ofBlob number: Int) throws -> (blob: BlobID, chunks: [[UInt8]]) {
    let content = SeededRandomness(seed: 1 << 32 | UInt64(number))
    var bytes = content.bytes(count: Self.blobByteCount)
    bytes += [UInt8](repeating: 0, count: code.k * chunkByteCount - bytes.count)
    guard let blob = BlobID(bytes: content.bytes(count: 32)) else {
      throw BenchmarkFailure(description: "no blob ID")
    }
    let sources = (0..<code.k).map { Array(bytes[$0 * chunkByteCount..<($0 + 1) * chunkByteCount]) }
    guard code.k > 1 else {
      return (blob, [[UInt8]](repeating: sources[0], count: code.chunkCount))
    }
    let rs = try ReedSolomonCode(sourceCount: code.k, repairCount: code.m)
    var repair = [[UInt8]](repeating: [], count: code.m)
    // Symbols of a run each: chunks are longer than symbols may be.
    for start in stride(from: 0, to: chunkByteCount, by: Self.runByteCount) {
      let column = sources.flatMap { $0[start..<start + Self.runByteCount] }
      let encoded = try rs.encode(column.span, symbolByteCount: Self.runByteCount)
      for index in repair.indices {
        repair[index] += encoded[index * Self.runByteCount..<(index + 1) * Self.runByteCount]
      }
    }
    return (blob, sources + repair)
  }

  private func record(_ blob: BlobID, _ chunk: Int, _ bytes: [UInt8]) -> StoreRecord {
    .sliver(key(blob, chunk), symbolByteCount: Self.runByteCount, bytes: bytes)
  }

  private func key(_ blob: BlobID, _ chunk: Int) -> SliverKey {
    SliverKey(blob: blob, pair: SliverPairIndex(UInt16(chunk)), axis: .primary)
  }

  func lose(_ lost: Int, blobCount: Int) async throws -> HealingCost {
    let reads = ReadCounter()
    var stores: [SliverStore] = []
    for node in 0..<code.nodeCount {
      stores.append(try await openStore("node-\(node)", node, reads))
      transport.connect(NodeID(UInt16(node)), to: ChunkNode(store: stores[node]))
    }
    var blobs: [BlobID] = []
    for number in 0..<blobCount {
      let (blob, chunks) = try chunks(ofBlob: number)
      blobs.append(blob)
      for (chunk, node) in code.nodes(ofBlob: number).enumerated() {
        try await stores[node].put([record(blob, chunk, chunks[chunk])])
      }
    }
    try await stores[lost].close()
    transport.disconnect(NodeID(UInt16(lost)))
    let replacement = try await openStore("node-\(lost)-again", lost, reads)
    var cost = HealingCost()
    let (readBefore, cpuBefore, start) = (reads.byteCount, processSeconds(), clock.now)
    let due = blobs.indices.filter { code.nodes(ofBlob: $0).contains(lost) }
    for batch in stride(from: 0, to: due.count, by: 32) {
      let numbers = Array(due[batch..<min(batch + 32, due.count)])
      cost.restoredByteCount += try await restore(numbers, blobs, lost, replacement)
    }
    cost.cpuSeconds = processSeconds() - cpuBefore
    cost.seconds = Double((clock.now - start).wholeNanoseconds) / 1e9
    cost.readByteCount = reads.byteCount - readBefore
    let moved = peers.traffic.count(of: .repair)
    cost.receivedByteCount = moved.answerByteCount
    cost.requestCount = moved.requestCount
    for store in stores where store !== stores[lost] { try await store.close() }
    try await replacement.close()
    return cost
  }

  /// Reads k chunks of each blob, one request to each node for all blobs, and stores what was lost.
  private func restore(
    _ numbers: [Int], _ blobs: [BlobID], _ lost: Int, _ store: SliverStore
  ) async throws -> Int {
    var requests: [Int: [(number: Int, chunk: Int)]] = [:]
    for number in numbers {
      let nodes = code.nodes(ofBlob: number)
      let helpers = nodes.indices.filter { nodes[$0] != lost }.prefix(code.k)
      for chunk in helpers { requests[nodes[chunk], default: []].append((number, chunk)) }
    }
    var received: [Int: [(chunk: Int, bytes: [UInt8])]] = [:]
    for (node, wanted) in requests.sorted(by: { $0.key < $1.key }) {
      // An answer holds eight megabytes.
      let perRequest = max(1, (8 << 20) / chunkByteCount)
      for start in stride(from: 0, to: wanted.count, by: perRequest) {
        let part = wanted[start..<min(start + perRequest, wanted.count)]
        let items = part.map {
          ReadItem(
            blob: blobs[$0.number], pair: SliverPairIndex(UInt16($0.chunk)), axis: .primary,
            symbols: 0..<1, wantsPaths: false)
        }
        let answer = try await peers.send(
          .readBatch(items, for: .repair), for: .repair, to: NodeID(UInt16(node)),
          deadline: clock.now + .seconds(60), over: transport
        ).get()
        guard case .readBatch(let outcomes, _) = answer else { continue }
        for ((number, chunk), outcome) in zip(part, outcomes) {
          if case .symbols(let bytes, _) = outcome {
            received[number, default: []].append((chunk, bytes))
          }
        }
      }
    }
    var restored = 0
    var records: [StoreRecord] = []
    for number in numbers {
      let chunks = (received[number] ?? []).sorted { $0.chunk < $1.chunk }
      guard chunks.count == code.k,
        let target = code.nodes(ofBlob: number).firstIndex(of: lost)
      else { throw BenchmarkFailure(description: "chunks of a blob are missing") }
      let bytes = code.k == 1 ? chunks[0].bytes : try decode(target, from: chunks)
      restored += bytes.count
      records.append(record(blobs[number], target, bytes))
    }
    try await store.put(records)
    return restored
  }

  private func decode(_ target: Int, from chunks: [(chunk: Int, bytes: [UInt8])]) throws -> [UInt8]
  {
    let rs = try ReedSolomonCode(sourceCount: code.k, repairCount: code.m)
    let pattern = try ErasurePattern(code: rs, present: chunks.map(\.chunk))
    let plan = try DecodePlan(pattern, targets: [target])
    var decoded: [UInt8] = []
    decoded.reserveCapacity(chunkByteCount)
    for start in stride(from: 0, to: chunkByteCount, by: Self.runByteCount) {
      let column = chunks.flatMap { $0.bytes[start..<start + Self.runByteCount] }
      decoded += try plan.decode(column.span, symbolByteCount: Self.runByteCount)
    }
    return decoded
  }
}
