// StorageNode+Health.swift
//
// How a node is doing. Does not ask the registry, so that it answers when that does not; a drive
// that cannot say how full it is becomes a problem that is told.

import Cluster
import SliverStore
import Synchronization
import World

extension StorageNode {
  func health(isDetailed: Bool) async -> NodeHealth {
    NodeHealth(
      uptimeMilliseconds: UInt64(max(uptime.wholeNanoseconds, 0)) / 1_000_000,
      epoch: committee.epoch, publicKey: signer.publicKey, nodeStatus: statusText,
      cursor: cursor.revision, shards: drives.shardStates(),
      detail: isDetailed ? await detail() : nil)
  }

  /// In the reference's words.
  private var statusText: String {
    if shards.isEmpty { return "Standby" }
    return switch events.withLock({ $0.phase }) {
    case .stopped: "Standby"
    case .starting: "RecoveryCatchUp"
    case .following: "Active"
    }
  }

  private func detail() async -> NodeHealthDetail {
    var detail = NodeHealthDetail(
      sliverCount: 0, storedByteCount: 0, freeByteCount: 0, totalByteCount: 0, rottenCount: 0,
      driveProblems: drives.problems,
      liars: healing.withLock { $0.liars.values.sorted { $0.node < $1.node } })
    for (position, store) in drives.readable {
      let statistics: SliverStoreStatistics
      do throws(SliverStoreError) {
        statistics = try await store.statistics
      } catch {
        detail.driveProblems.append("\(drives.drives[position].name): \(error)")
        continue
      }
      detail.sliverCount += statistics.sliverCount
      detail.storedByteCount += statistics.liveByteCount
      detail.freeByteCount += statistics.freeByteCount
      detail.totalByteCount += statistics.totalByteCount
      detail.rottenCount += statistics.rottenCount
    }
    return detail
  }
}
