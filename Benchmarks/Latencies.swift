// Latencies.swift
//
// How long reads take over a network of a lognormal delay with a median of 5 ms: with all nodes well,
// one of them gone, repair running; and with one answer in a hundred a hundred times as late, hedged
// and not. Cases that are compared take turns.

import BlobClient
import Cluster
import Glibc
import RedStuff
import Routing
import Simulator
import StorageNode
import Synchronization
import World

/// One way of reading: so many requests to as many nodes.
private struct FanOut: Sendable {
  let name: String
  let requestCount: Int
  /// Reads under way at once: no more than leave the cores some rest, or it is their queue that is
  /// measured.
  let readerCount: Int
  let shape: BenchmarkShape
  let blobByteCount: Int
  /// Nil: all of a blob.
  let rangeByteCount: Int?
  /// Ranges lie within a symbol: another node has it as well, and one request is the other way. Where
  /// two symbols are touched it takes two, of which the budget allows fewer.
  var isWithinSymbol = false

  static let all = [
    FanOut(
      name: "fan-out 1", requestCount: 1, readerCount: 8,
      shape: BenchmarkShape(shardCount: 10, nodeCount: 10),
      blobByteCount: 64 << 10, rangeByteCount: 1024, isWithinSymbol: true),
    FanOut(
      name: "fan-out 1, ranges across symbols", requestCount: 1, readerCount: 8,
      shape: BenchmarkShape(shardCount: 10, nodeCount: 10), blobByteCount: 64 << 10,
      rangeByteCount: 1024),
    FanOut(
      name: "fan-out 4", requestCount: 4, readerCount: 8,
      shape: BenchmarkShape(shardCount: 10, nodeCount: 10),
      blobByteCount: 64 << 10, rangeByteCount: nil),
    FanOut(
      name: "fan-out 34", requestCount: 34, readerCount: 2,
      shape: BenchmarkShape(shardCount: 100, nodeCount: 100),
      blobByteCount: 64 << 10, rangeByteCount: nil),
  ]
}

extension FanOut {
  /// A hedge is one request.
  var hasBars: Bool { isWithinSymbol || rangeByteCount == nil }

  /// Where a range begins.
  func start(_ dice: SeededRandomness) throws -> Int {
    let length = rangeByteCount ?? blobByteCount
    guard isWithinSymbol else { return dice.number(below: blobByteCount - length) }
    let symbol = try EncodingParameters(shardCount: shape.shardCount)
      .symbolByteCount(forBlobOf: UInt64(blobByteCount))
    let first = dice.number(below: blobByteCount / symbol) * symbol
    return first + dice.number(below: symbol - length + 1)
  }
}

/// Milliseconds that reads took.
private struct Latencies {
  var samples: [Double] = []
  var requestCount = 0

  func quantile(_ share: Double) -> Double {
    guard !samples.isEmpty else { return 0 }
    let sorted = samples.sorted()
    return sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]
  }

  var requestsPerRead: Double { Double(requestCount) / Double(max(samples.count, 1)) }

  mutating func add(_ others: Latencies) {
    samples += others.samples
    requestCount += others.requestCount
  }
}

extension RepairBenchmark {
  /// Reads under way at once that mostly wait.
  private static let patientReaderCount = 8
  /// Cases take turns after so many reads.
  private static let turnCount = 10
  private static let blobCount = 64

  func measureLatencies(_ report: inout BenchmarkReport) async throws {
    var table = BenchmarkTable(
      "Reads over a network of 5 ms, lognormal, \(settings.readCount) of each kind",
      note: "slow: one answer in a hundred is a hundred times as late.",
      columns: [
        .init("p50", .milliseconds), .init("p99", .milliseconds), .init("p99.9", .milliseconds),
        .init("requests per read", .ratio),
      ])
    for fanOut in FanOut.all where settings.fanOuts.contains(fanOut.requestCount) {
      let healthy = try await measureTroubles(fanOut, &table)
      let slow = try await measureHedging(fanOut, &table)
      guard fanOut.hasBars else { continue }
      report.hold(
        "p99, one node down / healthy, \(fanOut.name)",
        healthy.down.quantile(0.99) / healthy.well.quantile(0.99), .atMost, 1.10)
      report.hold(
        "p99, repair running / healthy, \(fanOut.name)",
        healthy.repairing.quantile(0.99) / healthy.well.quantile(0.99), .atMost, 1.25)
      report.hold(
        "p99.9 without / with hedging, \(fanOut.name)",
        slow.unhedged.quantile(0.999) / slow.hedged.quantile(0.999), .atLeast, 30)
      report.hold(
        "extra requests of hedging, \(fanOut.name)",
        slow.hedged.requestsPerRead / slow.unhedged.requestsPerRead - 1, .atMost, 0.025)
    }
    report.tables.append(table)
  }

  private func measureTroubles(
    _ fanOut: FanOut, _ table: inout BenchmarkTable
  ) async throws -> (well: Latencies, down: Latencies, repairing: Latencies) {
    let name = fanOut.name
    progress("reading with trouble, \(name)")
    var (well, down, repairing) = (Latencies(), Latencies(), Latencies())
    try await withCluster(fanOut.shape) { cluster in
      let blobs = try await cluster.store(Self.blobCount, byteCount: fanOut.blobByteCount)
      cluster.world.transport.setDelay(Self.delays(slowShare: 0, seed: 1))
      let count = max(settings.readCount / Self.turnCount, 1)
      _ = try await read(count / 10 + 100, of: blobs, fanOut, cluster, seed: 0)
      for turn in 0..<Self.turnCount {
        let seed = UInt64(turn + 1) * 3
        well.add(try await read(count, of: blobs, fanOut, cluster, seed: seed))
        let gone = cluster.nodes[turn % cluster.nodes.count]
        gone.setReachable(false)
        down.add(try await read(count, of: blobs, fanOut, cluster, seed: seed + 1))
        gone.setReachable(true)
        // Forgets its suspicion, as after a while.
        try await cluster.world.clock.sleep(for: .seconds(2))
        let healing = Task {
          while !Task.isCancelled {
            _ = try await cluster.heal((turn + 1) % cluster.nodes.count)
          }
        }
        do {
          repairing.add(try await read(count, of: blobs, fanOut, cluster, seed: seed + 2))
        } catch {
          healing.cancel()
          throw error
        }
        healing.cancel()
        switch await healing.result {
        case .failure(let error) where !(error is CancellationError): throw error
        case .failure, .success: break
        }
      }
    }
    table.add("\(name), all well", well)
    table.add("\(name), one node down", down)
    table.add("\(name), repair running", repairing)
    return (well, down, repairing)
  }

  private func measureHedging(
    _ fanOut: FanOut, _ table: inout BenchmarkTable
  ) async throws -> (unhedged: Latencies, hedged: Latencies) {
    let name = fanOut.name
    progress("reading with slow answers, \(name)")
    var (unhedged, hedged) = (Latencies(), Latencies())
    try await withCluster(fanOut.shape) { cluster in
      let blobs = try await cluster.store(Self.blobCount, byteCount: fanOut.blobByteCount)
      cluster.world.transport.setDelay(Self.delays(slowShare: 0.01, seed: 2))
      let patient = cluster.world.unhedgedClient()
      let count = max(settings.readCount / Self.turnCount, 1)
      _ = try await read(count / 10 + 100, of: blobs, fanOut, cluster, seed: 0)
      _ = try await read(100, of: blobs, fanOut, cluster, by: patient, seed: 0)
      for turn in 0..<Self.turnCount {
        let seed = UInt64(turn + 1) * 2
        unhedged.add(
          try await read(count, of: blobs, fanOut, cluster, by: patient, seed: seed))
        hedged.add(try await read(count, of: blobs, fanOut, cluster, seed: seed + 1))
      }
    }
    table.add("\(name), slow, not hedged", unhedged)
    table.add("\(name), slow, hedged", hedged)
    return (unhedged, hedged)
  }

  private func read(
    _ count: Int, of blobs: [BlobID], _ fanOut: FanOut, _ cluster: BenchmarkCluster,
    by client: BlobClient? = nil, seed: UInt64
  ) async throws -> Latencies {
    let readerCount = client == nil ? fanOut.readerCount : Self.patientReaderCount
    let client = client ?? cluster.client
    let before = client.traffic
    var all = Latencies()
    try await withThrowingTaskGroup(of: [Double].self) { group in
      for reader in 0..<readerCount {
        group.addTask {
          let dice = SeededRandomness(seed: seed << 8 | UInt64(reader))
          var samples: [Double] = []
          for _ in 0..<count / readerCount + 1 {
            let blob = blobs[dice.number(below: blobs.count)]
            var range: Range<UInt64>?
            if let length = fanOut.rangeByteCount {
              let start = try fanOut.start(dice)
              range = UInt64(start)..<UInt64(start + length)
            }
            let start = cluster.world.clock.now
            try await client.read(blob, range: range) { _ in }
            let taken = (cluster.world.clock.now - start).wholeNanoseconds
            samples.append(Double(taken) / 1e6)
          }
          return samples
        }
      }
      for try await samples in group { all.samples += samples }
    }
    for (node, counts) in client.traffic.peers {
      for purpose in [TrafficPurpose.read, .degradedRead] {
        let earlier = before.peers[node]?[purpose]?.requestCount ?? 0
        all.requestCount += (counts[purpose]?.requestCount ?? 0) - earlier
      }
    }
    return all
  }

  /// Median 5 ms, one in a hundred above 13 ms.
  private static func delays(slowShare: Double, seed: UInt64) -> BenchmarkTransport.Delay {
    let dice = SeededRandomness(seed: seed)
    return { _ in
      func uniform() -> Double { (Double(dice.next() >> 11) + 0.5) / Double(1 << 53) }
      let normal = (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform())
      let milliseconds = 5 * exp(0.4 * normal) * (uniform() < slowShare ? 100 : 1)
      return .microseconds(Int(milliseconds * 1000))
    }
  }
}

extension BenchmarkTable {
  fileprivate mutating func add(_ name: String, _ latencies: Latencies) {
    add(
      name, latencies.quantile(0.5), latencies.quantile(0.99), latencies.quantile(0.999),
      latencies.requestsPerRead)
  }
}
