// HealingState.swift
//
// What repair remembers in memory: its settings, what it has moved, what was asked for in vain. Pure.

import Cluster
import RedStuff
import Repair
import SliverStore
import World

struct HealingState: Sendable {
  /// Slivers that were asked for and are missing, to be looked at; beyond this, the next request for
  /// one of the others brings it up again.
  private static let absentCountMax = 1024
  /// Blobs of a batch while nobody is known to lie: a lie costs the batch its symbols twice.
  private static let firstBatchBlobCount = 4

  var isPaused = false
  var pausedShards: Set<ShardIndex> = []
  var budget: ByteBudget
  var receivedByteCount = 0
  var restoredByteCount = 0
  var neededByteCount = 0
  var failedAttemptCount = 0
  var restoredSliverCount = 0
  var requestCount = 0
  /// Of the batch under way.
  var recoveringBlobCount = 0
  private(set) var liars: [NodeID: LiarReport] = [:]
  var inventoryAt: WallTime?
  /// Everything missing is due now.
  var isUrgent = false
  private(set) var batchBlobCount = firstBatchBlobCount
  private var absent: [SliverKey: ReadPurpose] = [:]
  private var withoutMetadata: Set<BlobID> = []

  init(byteRateMax: Int?) { budget = ByteBudget(byteRate: byteRateMax) }

  mutating func sawLie(of node: NodeID, evidence: SymbolStatement?) {
    var report = liars[node] ?? LiarReport(node: node, count: 0, evidence: nil)
    report.count += 1
    // The first signed lie: one is enough, and takes little.
    report.evidence = report.evidence ?? evidence
    liars[node] = report
  }

  /// - Returns: whether that is news.
  mutating func lacks(_ key: SliverKey, for purpose: ReadPurpose) -> Bool {
    let known = absent[key]
    guard known != nil || absent.count < Self.absentCountMax else { return false }
    // What a reader wants stays wanted.
    guard known == nil || known == .repair && purpose == .read else { return false }
    absent[key] = purpose
    return true
  }

  mutating func lacksMetadata(of blob: BlobID) -> Bool {
    guard withoutMetadata.count < Self.absentCountMax else { return false }
    return withoutMetadata.insert(blob).inserted
  }

  mutating func takeLackingMetadata() -> [BlobID] {
    defer { withoutMetadata = [] }
    return withoutMetadata.sorted()
  }

  mutating func takeAbsent() -> [(key: SliverKey, purpose: ReadPurpose)] {
    defer { absent = [:] }
    return absent.map { (key: $0.key, purpose: $0.value) }.sorted {
      ($0.key.blob, $0.key.pair.value, $0.key.axis.rawValue)
        < ($1.key.blob, $1.key.pair.value, $1.key.axis.rawValue)
    }
  }

  mutating func batchEnded(sawLiar: Bool, max: Int) {
    batchBlobCount = sawLiar ? Self.firstBatchBlobCount : min(batchBlobCount * 2, max)
  }
}
