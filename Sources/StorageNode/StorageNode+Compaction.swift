// StorageNode+Compaction.swift
//
// Gives the space of deleted slivers back. A drive is compacted only where segments are mostly dead,
// one drive at a time, so readers keep the others, and only while the node follows the registry.

import Logging
import SliverStore
import Synchronization
import World

extension StorageNode {
  /// Compacts drives now and then until the task is cancelled. Runs beside `run()`.
  package func compactDrives() async {
    while (try? await clock.sleep(for: configuration.compactionInterval)) != nil {
      // What tells that a drive needs an inventory is a damaged segment, which compaction removes.
      guard events.withLock({ $0.phase }) == .following else { continue }
      for drive in drives.drives where !Task.isCancelled {
        guard let store = drive.store else { continue }
        do {
          let report = try await store.compact()
          guard report != CompactionReport() else { continue }
          await noteRotten(report.rotten.slivers, metadataOf: report.rotten.metadata)
          logger.info(
            "compacted a drive",
            metadata: [
              "node": "\(id)", "drive": "\(drive.name)", "freed": "\(report.freedByteCount)",
              "copied": "\(report.copiedByteCount)", "rotten": "\(report.rotten.recordCount)",
            ])
        } catch .closed {
          return
        } catch {
          // Nothing is lost: the old segments stay until a later try.
          logger.warning(
            "a drive was not compacted",
            metadata: ["node": "\(id)", "drive": "\(drive.name)", "error": "\(error)"])
        }
      }
    }
  }
}
