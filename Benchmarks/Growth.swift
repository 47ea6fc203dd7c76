// Growth.swift
//
// A shard per node, one node lost: what its repair moves while the cluster grows around it. And the
// way the reference repairs, beside ours.

import Cluster
import Drivers
import Foundation
import RedStuff
import World

extension RepairBenchmark {
  /// n = 1000 cuts it into symbols of exactly eight bytes.
  private static let growingBlobByteCount = 1_782_224

  func measureGrowth(_ report: inout BenchmarkReport) async throws {
    var table = BenchmarkTable(
      "One shard per node, one node lost, 16 blobs of \(Self.growingBlobByteCount) bytes",
      note: "symbols x n / blob: bytes of symbols that the node receives for a blob, times n.",
      columns: [
        .restored, .init("symbols", .bytes), .init("symbols x n / blob", .ratio), .moved,
        .init("metadata", .bytes), .requests, .init("requests per node", .ratio), .cpu, .time,
      ])
    let blobCount = 16
    var ratios: [Double] = []
    for n in [10, 31, 100, 316, 1000] {
      progress("repairing one node of \(n)")
      try await withCluster(BenchmarkShape(shardCount: n, nodeCount: n)) { cluster in
        _ = try await cluster.store(blobCount, byteCount: Self.growingBlobByteCount)
        let cost = try await cluster.heal(3)
        let ratio =
          Double(cost.payloadByteCount * n) / Double(blobCount * Self.growingBlobByteCount)
        ratios.append(ratio)
        table.add(
          "n = \(n)", Double(cost.restoredByteCount), Double(cost.payloadByteCount), ratio,
          Double(cost.receivedByteCount), Double(cost.metadataByteCount),
          Double(cost.requestCount), Double(cost.requestCount) / Double(n), cost.cpuSeconds,
          cost.seconds)
      }
    }
    report.tables.append(table)
    report.hold("symbols x n / blob, smallest", ratios.min() ?? 0, .atLeast, 3.5)
    report.hold("symbols x n / blob, largest", ratios.max() ?? 0, .atMost, 4.7)
  }
}
