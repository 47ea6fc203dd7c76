// StorageNode+Scrub.swift
//
// Reads every byte of every drive within a settable period, each drive at its own pace, and tells
// what does not match its checksum. How far it came is kept on the drive, so that restarts do not
// keep it from ever coming to the end; after a crash a little is read again.

import Cluster
import CoreMetrics
import Logging
import RedStuff
package import Repair
import SliverStore
import Synchronization
import World

extension StorageNode {
  private static let scrubName = "scrub-position"

  /// Scrubs all drives until the task is cancelled. Runs beside `run()`, and does not need it.
  package func scrubDrives() async {
    await withTaskGroup(of: Void.self) { group in
      for (position, store) in drives.readable {
        group.addTask { [self] in await scrub(store, at: position) }
      }
      await group.waitForAll()
    }
  }

  package func scrubStatus() async -> ScrubStatus {
    let progress = scrubProgress.withLock { $0 }
    let ahead = drives.readable.reduce(0) { sum, drive in
      sum + drive.store.scrubAhead(of: progress.drives[drive.position]?.position).liveByteCount
    }
    return progress.status(period: configuration.scrubPeriod, aheadByteCount: ahead)
  }

  /// Saves how far the scrub is, on every drive that takes writes.
  func saveScrub() async {
    for (position, store) in drives.readable { await saveScrub(of: store, at: position) }
  }

  private func scrub(_ store: SliverStore, at position: Int) async {
    await loadScrub(of: store, at: position)
    while (try? await clock.sleep(for: configuration.scrubInterval)) != nil {
      let now = clock.now
      let wallTime = clock.wallTime
      let isPaused = scrubProgress.withLock { scrub in
        if scrub.asked.remove(position) != nil {
          scrub.drives[position]?.begin(now: now, wallTime: wallTime, isHurried: true)
        }
        scrub.drives[position]?.refill(now: now, byteRateMax: configuration.scrubByteRateMax)
        return scrub.isPaused
      }
      if isPaused { continue }
      do throws(SliverStoreError) {
        try await scrubWhatIsDue(store, at: position)
      } catch {
        guard error != .closed else { return }
        drives.note(error, at: position, writing: false)
        let later = clock.now + configuration.retryDelayMax
        scrubProgress.withLock { $0.drives[position]?.notBefore = later }
      }
    }
  }

  private func scrubWhatIsDue(_ store: SliverStore, at position: Int)
    async throws(SliverStoreError)
  {
    while !Task.isCancelled {
      guard let drive = scrubProgress.withLock({ $0.isPaused ? nil : $0.drives[position] }) else {
        return
      }
      let ahead = store.scrubAhead(of: drive.position).byteCount
      guard
        let byteCount = drive.due(
          now: clock.now, period: configuration.scrubPeriod, aheadByteCount: ahead)
      else { break }
      let step = try await store.scrub(from: drive.position, byteCountMax: byteCount)
      let (now, wallTime) = (clock.now, clock.wallTime)
      let isEnd = scrubProgress.withLock {
        $0.drives[position]?.took(step, now: now, wallTime: wallTime) ?? false
      }
      await tell(step, ofDriveAt: position)
      if isEnd {
        logger.info(
          "scrubbed a drive",
          metadata: ["node": "\(id)", "drive": "\(drives.drives[position].name)"])
        await saveScrub(of: store, at: position)
      }
    }
    let savedAt = scrubProgress.withLock { $0.drives[position]?.savedAt }
    let delay = min(configuration.scrubSaveDelayMax, configuration.scrubPeriod / 32)
    if let savedAt, clock.now >= savedAt + delay { await saveScrub(of: store, at: position) }
  }

  private func tell(_ step: ScrubStep, ofDriveAt position: Int) async {
    metrics.scrubbedBytes.increment(by: step.verifiedByteCount)
    metrics.rottenRecords.increment(by: step.rotten.recordCount)
    await noteRotten(step.rotten.slivers, metadataOf: step.rotten.metadata)
    guard step.unreadable.recordCount > 0 || step.unreadableByteCount > 0 else { return }
    metrics.unreadableRecords.increment(by: step.unreadable.recordCount)
    drives.note(
      .disk(
        .failed(
          file: "\(step.unreadable.recordCount) records", operation: "read", code: 5)),
      at: position, writing: false)
  }

  private func loadScrub(of store: SliverStore, at position: Int) async {
    var saved: [UInt8]?
    do throws(SliverStoreError) {
      saved = try await store.value(for: Self.scrubName)
    } catch {
      // The pass begins anew.
      drives.note(error, at: position, writing: false)
    }
    let (now, wallTime) = (clock.now, clock.wallTime)
    let drive =
      saved.flatMap { DriveScrub($0, now: now, wallTime: wallTime) }
      ?? DriveScrub(now: now, wallTime: wallTime)
    scrubProgress.withLock { $0.drives[position] = drive }
  }

  private func saveScrub(of store: SliverStore, at position: Int) async {
    let now = clock.now
    let bytes: [UInt8]? = scrubProgress.withLock { scrub in
      guard let drive = scrub.drives[position], drive.isUnsaved else { return nil }
      scrub.drives[position]?.saved(now: now)
      return drive.encoded
    }
    guard let bytes, drives.isWritable(position) else { return }
    do throws(SliverStoreError) {
      try await store.setValue(bytes, for: Self.scrubName)
    } catch {
      drives.note(error, at: position, writing: true)
    }
  }
}
