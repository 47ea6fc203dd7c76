// StorageNode+Pace.swift
//
// What serving takes, and how much repair yields to it.

import Cluster
import CoreMetrics
import RedStuff
import Repair
import Synchronization
import World

extension StorageNode {
  /// Measures a request that was served. Refusals are quick and say nothing, and who asks for a
  /// confirmation may want to wait.
  func served(_ request: NodeRequest, _ response: NodeResponse, since start: Instant) {
    let work: ForegroundLoad.Work
    switch (request, response) {
    case (_, .failure): return
    case (.storeMetadata, _), (.storeSliver, _), (.storeBatch, _):
      work = .store(byteCount: Self.byteCount(of: request))
    case (.readBatch, .readBatch(let outcomes, _)):
      work = .read(byteCount: outcomes.reduce(0) { $0 + $1.symbolByteCount })
    case (.sliver, .sliver(let sliver)): work = .read(byteCount: sliver.bytes.count)
    case (.metadata, .metadata(_, let metadata)):
      work = .read(byteCount: Self.byteCount(of: metadata))
    default: return
    }
    let now = clock.now
    pace.withLock { $0.served(work, from: start, to: now) }
  }

  /// - Returns: how long repair is to rest.
  func roundEnded(from start: Instant) -> Duration {
    let now = clock.now
    let (rest, share) = pace.withLock { pace in
      let rest = pace.roundEnded(from: start, at: now)
      return (rest, pace.share)
    }
    healing.withLock { $0.budget.share = share }
    metrics.repairShare.record(Double(share) / Double(RepairPace.shareMax))
    return rest
  }
}
