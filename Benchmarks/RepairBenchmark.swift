// RepairBenchmark.swift
//
// What self-healing costs, measured: the parts in order, and the figures they share. Each part makes
// clusters of its own in this process and compares what it counts with the bars.

import BlobClient
import Cluster
package import Foundation
package import Logging
import RedStuff
import World

package struct RepairBenchmark: Sendable {
  package enum Part: String, CaseIterable, Sendable {
    /// One node of ten lost, beside replication and a plain code.
    case node
    /// Ranges of lost slivers, and whole blobs.
    case ranges
    /// Nodes that lie while one is lost.
    case liars
    /// Bytes that cross zones.
    case zones
    /// One shard per node, clusters of growing size.
    case growth
    /// The way the reference repairs: sliver by sliver, each symbol with its path.
    case reference
    /// How long reads take, with trouble and without.
    case latency
  }

  package struct Settings: Sendable {
    package var parts = Set(Part.allCases)
    /// Of 1 MiB, for the node that is lost.
    package var blobCount = 1000
    /// For each case of the latencies.
    package var readCount = 50_000
    /// Requests of a read: 1, 4, 34.
    package var fanOuts = Set([1, 4, 34])
    /// Where clusters on files are made.
    package var directory: URL

    package init(directory: URL) { self.directory = directory }
  }

  let settings: Settings
  let logger: Logger
  /// Told what is being done now.
  let progress: @Sendable (String) -> Void

  package init(
    _ settings: Settings, logger: Logger, progress: @escaping @Sendable (String) -> Void
  ) {
    self.settings = settings
    self.logger = logger
    self.progress = progress
  }

  package func run() async throws -> BenchmarkReport {
    var report = BenchmarkReport()
    let isWanted = settings.parts.contains
    if isWanted(.node) || isWanted(.liars) { try await measureNode(&report) }
    if isWanted(.ranges) { try await measureRanges(&report) }
    if isWanted(.zones) { try await measureZones(&report) }
    if isWanted(.growth) { try await measureGrowth(&report) }
    if isWanted(.reference) { try await measureReference(&report) }
    if isWanted(.latency) { try await measureLatencies(&report) }
    return report
  }

  /// Runs `body` with a cluster, which is closed afterwards whatever happens.
  func withCluster<Value: Sendable>(
    _ shape: BenchmarkShape, on drives: BenchmarkDrives = .memory,
    _ body: (BenchmarkCluster) async throws -> Value
  ) async throws -> Value {
    let cluster = try await BenchmarkCluster(shape, on: drives, logger: logger)
    do {
      let value = try await body(cluster)
      await cluster.close()
      return value
    } catch {
      await cluster.close()
      throw error
    }
  }

  /// A directory that is gone afterwards.
  func withDirectory<Value: Sendable>(_ body: (URL) async throws -> Value) async throws -> Value {
    let directory = settings.directory.appending(path: "walrus-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer {
      do { try FileManager.default.removeItem(at: directory) } catch {
        logger.warning("\(directory.path) cannot be removed: \(error)")
      }
    }
    return try await body(directory)
  }
}

extension BenchmarkTable.Column {
  static let restored = Self("restored", .bytes)
  static let moved = Self("moved", .bytes)
  static let movedRatio = Self("moved/restored", .ratio)
  static let readRatio = Self("read/restored", .ratio)
  static let requests = Self("requests", .count)
  static let cpu = Self("CPU", .seconds)
  static let time = Self("time", .seconds)
}
