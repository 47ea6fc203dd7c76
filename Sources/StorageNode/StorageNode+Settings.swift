// StorageNode+Settings.swift
//
// What the operator may set of repair and scrub. It holds at once, and from then on: each setting is
// saved beside the missing-set.

import Cluster
import Logging
package import RedStuff
import Repair
import Synchronization
import World

extension StorageNode {
  /// Takes up what was set before a restart. To be called once, before `run()` and the other tasks.
  package func loadSettings() async {
    let settings: UpkeepSettings
    do throws(IndexError) {
      settings = try await missing.settings() ?? UpkeepSettings()
    } catch {
      logger.warning(
        "what was set of repair and scrub cannot be read; they run as configured",
        metadata: ["node": "\(id)", "error": "\(error.message)"])
      return
    }
    healing.withLock {
      $0.isPaused = settings.isRepairPaused
      $0.pausedShards = settings.pausedShards
      $0.budget.byteRate = byteRate(settings.repairRate)
    }
    scrubProgress.withLock { $0.isPaused = settings.isScrubPaused }
  }

  private func byteRate(_ rate: UpkeepSettings.Rate) -> Int? {
    switch rate {
    case .asConfigured: configuration.repairByteRateMax
    case .unlimited: nil
    case .limited(let bytesPerSecond): Int(clamping: bytesPerSecond)
    }
  }

  /// Throws `NodeFailure`, as the others do, if it could not be saved and ends with the node.
  package func pauseRepair() async throws {
    healing.withLock { $0.isPaused = true }
    try await save { $0.isRepairPaused = true }
  }

  /// Ends all pauses, also those of shards.
  package func resumeRepair() async throws {
    healing.withLock {
      $0.isPaused = false
      $0.pausedShards = []
    }
    await retryRepairs()
    try await save {
      $0.isRepairPaused = false
      $0.pausedShards = []
    }
  }

  /// Slivers of this shard stay missing from now on; reads go on around them.
  package func pauseRepair(of shard: ShardIndex) async throws {
    healing.withLock { _ = $0.pausedShards.insert(shard) }
    try await save { _ = $0.pausedShards.insert(shard) }
  }

  package func resumeRepair(of shard: ShardIndex) async throws {
    healing.withLock { _ = $0.pausedShards.remove(shard) }
    await retryRepairs()
    try await save { _ = $0.pausedShards.remove(shard) }
  }

  /// Bytes of symbols that repair may receive in a second; nil for as many as it can.
  package func setRepairRate(_ byteRate: Int?) async throws {
    healing.withLock { $0.budget.byteRate = byteRate }
    wakeRepair()
    try await save {
      $0.repairRate = byteRate.map { .limited(bytesPerSecond: UInt64(max($0, 0))) } ?? .unlimited
    }
  }

  /// Begins a full pass over all drives now, as fast as `scrubByteRateMax` allows; ends a pause.
  package func startScrub() async throws {
    let positions = drives.readable.map(\.position)
    scrubProgress.withLock { scrub in
      scrub.asked.formUnion(positions)
      scrub.isPaused = false
    }
    try await save { $0.isScrubPaused = false }
  }

  /// Stops reading until `resumeScrub()` or `startScrub()`.
  package func pauseScrub() async throws {
    scrubProgress.withLock { $0.isPaused = true }
    try await save { $0.isScrubPaused = true }
  }

  package func resumeScrub() async throws {
    scrubProgress.withLock { $0.isPaused = false }
    try await save { $0.isScrubPaused = false }
  }

  private func save(_ change: @Sendable (inout UpkeepSettings) -> Void) async throws {
    do throws(IndexError) {
      try await missing.change(change)
    } catch {
      throw NodeFailure(
        .unavailable, "it is done, but was not saved and ends with the node: \(error.message)")
    }
  }
}
