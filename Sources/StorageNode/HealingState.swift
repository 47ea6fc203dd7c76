// HealingState.swift
//
// What repair remembers in memory: its settings, what it has moved, what readers asked for and did
// not get. Pure.

import Cluster
import RedStuff
import Repair
import SliverStore
import World

struct HealingState: Sendable {
  /// Slivers that were asked for and are missing, to be looked at; beyond this, the next request for
  /// one of the others brings it up again.
  private static let demandCountMax = 1024
  /// Blobs of a batch while nobody is known to lie: a lie costs the batch its symbols twice.
  private static let firstBatchBlobCount = 4

  var isPaused = false
  var budget: ByteBudget
  var receivedByteCount = 0
  var restoredByteCount = 0
  var neededByteCount = 0
  var failedAttemptCount = 0
  var restoredSliverCount = 0
  var requestCount = 0
  var liars: [NodeID: Int] = [:]
  /// The first signed lie of each; one is enough, and takes little.
  var evidence: [NodeID: SymbolStatement] = [:]
  var inventoryAt: WallTime?
  /// Everything missing is due now.
  var isUrgent = false
  private(set) var batchBlobCount = firstBatchBlobCount
  private var demands: Set<SliverKey> = []
  private var withoutMetadata: Set<BlobID> = []

  init(byteRateMax: Int?) { budget = ByteBudget(byteRate: byteRateMax) }

  mutating func demanded(_ key: SliverKey) -> Bool {
    guard demands.count < Self.demandCountMax else { return false }
    return demands.insert(key).inserted
  }

  mutating func lacksMetadata(of blob: BlobID) -> Bool {
    guard withoutMetadata.count < Self.demandCountMax else { return false }
    return withoutMetadata.insert(blob).inserted
  }

  mutating func takeLackingMetadata() -> [BlobID] {
    defer { withoutMetadata = [] }
    return withoutMetadata.sorted()
  }

  mutating func takeDemands() -> [SliverKey] {
    defer { demands = [] }
    return demands.sorted {
      ($0.blob, $0.pair.value, $0.axis.rawValue) < ($1.blob, $1.pair.value, $1.axis.rawValue)
    }
  }

  mutating func batchEnded(sawLiar: Bool, max: Int) {
    batchBlobCount = sawLiar ? Self.firstBatchBlobCount : min(batchBlobCount * 2, max)
  }
}
