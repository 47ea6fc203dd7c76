// StorageNode+Repair.swift
//
// Refilling what is missing, in the order of the missing-set and within the byte budget. What it
// asks others for are bare symbols: exactly as many as the code needs, many slivers and blobs in one
// request. RepairBatch does that; here is the loop around it and what the operator can do.

import Cluster
import ControlPlane
import Logging
import RedStuff
package import Repair
import Synchronization
import World

extension StorageNode {
  /// Longest sleep of the loop; something that changes wakes it.
  private static let idleMax = Duration.seconds(60)

  private static let pauseAfterVain = Duration.seconds(1)

  /// Finds and repairs what is missing until the task is cancelled. Runs beside `run()`.
  package func repairSlivers() async {
    var reason = await drives.savedCursor() == nil ? MissingReason.driveLost : .neverReceived
    var inventoryDue = clock.now
    if PlantedBug.startInventorySkipped.isPlanted {
      inventoryDue = clock.now + configuration.inventoryInterval
    }
    while !Task.isCancelled {
      let seen = healingSignal.revision
      var sleepsUntil = clock.now + Self.idleMax
      do {
        if events.withLock({ $0.phase }) == .following {
          if clock.now >= inventoryDue {
            try await takeMissingInventory(reason)
            reason = .neverReceived
            inventoryDue = clock.now + configuration.inventoryInterval
          }
          sleepsUntil = min(sleepsUntil, inventoryDue)
          try await settleAbsent()
          if try await repairNextBatch() { continue }
        }
      } catch is CancellationError {
        return
      } catch {
        logger.warning("repair waits", metadata: ["node": "\(id)", "error": "\(error)"])
        sleepsUntil = clock.now + max(configuration.repairRetryDelayMin, .seconds(1))
      }
      do {
        try await healingSignal.wait(
          for: Revision(seen.value + 1), until: sleepsUntil, clock: clock)
      } catch is DeadlineExceeded {
        // Time to look again.
      } catch {
        return
      }
    }
  }

  /// - Returns: false if nothing is due, or nothing may be done.
  private func repairNextBatch() async throws -> Bool {
    let now = clock.now
    let (isPaused, pausedShards, wait, blobCount, isUrgent) = healing.withLock {
      ($0.isPaused, $0.pausedShards, $0.budget.wait(at: now), $0.batchBlobCount, $0.isUrgent)
    }
    guard !isPaused else { return false }
    if wait > .zero {
      try await clock.sleep(for: min(wait, .seconds(1)))
      return true
    }
    let delays = repairDelay(isUrgent: isUrgent)
    let due: [MissingBlob]
    do throws(IndexError) {
      due = try await missing.due(
        now: clock.wallTime, limit: blobCount, pausedShards: pausedShards, delay: delays.delay)
    } catch {
      throw NodeFailure(.unavailable, "what is missing cannot be read: \(error.message)")
    }
    // A shard was resumed meanwhile: its blobs may have been laid to rest after that.
    if healing.withLock({ $0.pausedShards }) != pausedShards { await retryRepairs() }
    guard !due.isEmpty else {
      healing.withLock { $0.isUrgent = false }
      return false
    }
    var batch = RepairBatch(node: self)
    do {
      healing.withLock { $0.recoveringBlobCount = due.count }
      defer { healing.withLock { $0.recoveringBlobCount = 0 } }
      try await batch.run(due)
    } catch {
      healing.withLock { $0.failedAttemptCount += 1 }
      throw error
    }
    let sawLiar = batch.sawLiar
    healing.withLock {
      $0.batchEnded(sawLiar: sawLiar, max: configuration.repairBatchBlobCountMax)
    }
    // If the failure could not even be noted, the same blobs are due again.
    if batch.restoredSliverCount == 0 { try await clock.sleep(for: Self.pauseAfterVain) }
    return true
  }

  /// Everything that is missing is due now, also what was tried in vain.
  package func runRepairNow() async {
    healing.withLock { $0.isUrgent = true }
    await retryRepairs()
  }

  /// What rests, after a failed attempt or because its shards were paused, is looked at now.
  func retryRepairs() async {
    await remember { set, _ throws(IndexError) in try await set.retryAll() }
    wakeRepair()
  }

  private func repairDelay(isUrgent: Bool) -> RepairDelay {
    RepairDelay(
      base: isUrgent ? .zero : configuration.repairDelay,
      faultyShardCountMax: parameters.faultyShardCountMax)
  }

  package func repairStatus() async throws -> RepairStatus {
    let counts: MissingCounts
    do throws(IndexError) {
      counts = try await missing.statistics
    } catch {
      throw NodeFailure(.unavailable, "what is missing cannot be read: \(error.message)")
    }
    var status = RepairStatus()
    status.missingBlobCount = counts.blobCount
    status.missingSliverCount = counts.sliverCount
    status.unrecoverableBlobCount = counts.unrecoverableBlobCount
    status.slivers = counts.slivers
    status.shards = counts.shards
    status.blobsByLostShardCount = counts.blobsByLostShardCount
    status.byteCountToRestore = counts.byteCount
    let delays = repairDelay(isUrgent: healing.withLock { $0.isUrgent })
    for lostShardCount in counts.blobsByLostShardCount.keys {
      status.delaysByLostShardCount[lostShardCount] = delays.delay(lostShardCount: lostShardCount)
    }
    healing.withLock { state in
      status.receivedByteCount = state.receivedByteCount
      status.restoredByteCount = state.restoredByteCount
      status.neededByteCount = state.neededByteCount
      status.failedAttemptCount = state.failedAttemptCount
      status.restoredSliverCount = state.restoredSliverCount
      status.requestCount = state.requestCount
      status.recoveringBlobCount = state.recoveringBlobCount
      status.liars = state.liars
      status.isPaused = state.isPaused
      status.pausedShards = state.pausedShards
      status.byteRateMax = state.budget.byteRate
      status.share = Double(state.budget.share) / Double(RepairPace.shareMax)
      status.inventoryAt = state.inventoryAt
    }
    return status
  }
}

/// How long after a loss repair begins: the whole delay while all other shards of the blob are
/// there, nothing once as many are lost as may be.
struct RepairDelay: Sendable {
  let base: Duration?
  let faultyShardCountMax: Int

  func delay(lostShardCount: Int) -> Duration? {
    guard let base else { return nil }
    let left = max(faultyShardCountMax - lostShardCount, 0)
    return base * left / max(faultyShardCountMax, 1)
  }
}
