// StorageNode+Missing.swift
//
// Finding out what is missing: from the events of the registry, from an inventory of everything that
// it says should be here, and from whoever asked in vain. Marking moves no byte over the network.

import Cluster
import ControlPlane
import CoreMetrics
import Logging
import RedStuff
import Repair
import SliverStore
import Synchronization
import World

extension StorageNode {
  /// A sliver that belongs here was looked for and is not here. Only if that was for a reader is it
  /// repaired before others.
  func noteAbsent(_ key: SliverKey, for purpose: ReadPurpose) {
    if PlantedBug.demandsNotNoted.isPlanted { return }
    if healing.withLock({ $0.lacks(key, for: purpose) }) { wakeRepair() }
  }

  /// Slivers, and metadata of blobs, that were found rotten and are missing now.
  func noteRotten(_ keys: [SliverKey], metadataOf blobs: [BlobID]) async {
    guard !keys.isEmpty || !blobs.isEmpty else { return }
    metrics.rottenSlivers.increment(by: keys.count)
    metrics.rottenMetadata.increment(by: blobs.count)
    logger.warning(
      "found rotten slivers",
      metadata: [
        "node": "\(id)", "slivers": "\(keys.count)", "metadata": "\(blobs.count)",
        "first": "\(keys.first.map { "\($0.blob) \($0.pair) \($0.axis)" } ?? "")",
      ])
    if PlantedBug.rotNotMarked.isPlanted { return }
    for group in Dictionary(grouping: keys, by: \.blob).sorted(by: { $0.key < $1.key }) {
      do {
        if try await isKept(group.key) { await markAbsent(group.value, .rotten) }
      } catch {
        // The registry does not answer: looked at again when it does.
        for key in group.value { noteAbsent(key, for: .repair) }
      }
    }
    for blob in blobs { noteMissingMetadata(of: blob) }
  }

  /// The node should be able to give the metadata of this blob.
  func noteMissingMetadata(of blob: BlobID) {
    if healing.withLock({ $0.lacksMetadata(of: blob) }) { wakeRepair() }
  }

  func wakeRepair() { healingSignal.advance(to: Revision(healingSignal.revision.value + 1)) }

  /// Marks what was asked for in vain, if it should be here, and restores metadata.
  func settleAbsent() async throws {
    let absent = healing.withLock { $0.takeAbsent() }
    do {
      try await settle(absent)
    } catch {
      // Whoever asked may not ask again.
      healing.withLock { healing in
        for (key, purpose) in absent { _ = healing.lacks(key, for: purpose) }
      }
      throw error
    }
    try await settleMetadata()
  }

  /// Metadata is restored at once: it is small, and nothing can be repaired or confirmed without it.
  private func settleMetadata() async throws {
    var unsettled = healing.withLock { $0.takeLackingMetadata() }
    var failed: [BlobID] = []
    var failure: (any Error)?
    // What could not be settled is looked at again.
    defer { healing.withLock { for blob in unsettled + failed { _ = $0.lacksMetadata(of: blob) } } }
    while let blob = unsettled.last {
      // A registry that does not answer ends the round, a drive that fails only this blob's turn.
      let isKept = try await isKept(blob)
      unsettled.removeLast()
      do {
        if isKept { try await restoreMetadata(of: blob) }
      } catch {
        failed.append(blob)
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func restoreMetadata(of blob: BlobID) async throws {
    // What is in memory says nothing about the drives, but saves asking others.
    let deletesSeen = lanes.deleteCount
    let remembered = metadataCache.withLock { $0.take(blob) }
    defer { if let remembered { remember(remembered, unlessDeletedSince: deletesSeen) } }
    guard try await metadata(of: blob) == nil else { return }
    if let remembered {
      try await restore(remembered)
    } else if let found = try await fetchMetadata(of: blob) {
      try await restore(found)
    }
  }

  private func settle(_ absent: [(key: SliverKey, purpose: ReadPurpose)]) async throws {
    for group in Dictionary(grouping: absent, by: \.key.blob).sorted(by: { $0.key < $1.key }) {
      guard try await isKept(group.key) else { continue }
      await markAbsent(group.value.map(\.key), .rotten)
      guard group.value.contains(where: { $0.purpose == .read }) else { continue }
      await remember { set, now throws(IndexError) in try await set.demand(group.key, now: now) }
    }
  }

  /// Compares what the registry says should be here with what is. The first after a start tells
  /// what a lost drive took.
  func takeMissingInventory(_ reason: MissingReason) async throws {
    var last: (BlobID, ObjectID)?
    var previous: BlobID?
    while case let page = try await registry.list(
      after: last, limit: configuration.eventBatchCountMax),
      let end = page.last
    {
      try Task.checkCancellation()
      let blobs = page.filter { $0.isCertified }.map(\.blob).filter { $0 != previous }.uniqued()
      for blob in blobs { await look(for: blob, reason) }
      previous = blobs.last ?? previous
      last = (end.blob, end.object)
    }
    let now = clock.wallTime
    healing.withLock { $0.inventoryAt = now }
    try await forgetEnded()
    let counts = try await missing.statistics
    logger.info(
      "looked for what should be here",
      metadata: [
        "node": "\(id)", "missing slivers": "\(counts.sliverCount)",
        "of blobs": "\(counts.blobCount)",
      ])
  }

  /// Marks the slivers of a certified blob that are not here.
  func look(for blob: BlobID, _ reason: MissingReason) async {
    await markAbsent(places(of: blob).map(\.key), reason)
  }

  /// Whether the registry says that the blob is to be kept.
  func isKept(_ blob: BlobID) async throws -> Bool {
    try await registrations(of: blob).contains { $0.0.isCertified }
  }

  /// What the blob lacked is no longer needed.
  func forgetMissing(_ blob: BlobID) async {
    await remember { set, _ throws(IndexError) in try await set.forget(blob) }
  }

  /// These were stored.
  func noteFound(_ keys: [SliverKey]) async {
    for group in Dictionary(grouping: keys, by: \.blob).sorted(by: { $0.key < $1.key }) {
      await remember { set, _ throws(IndexError) in
        try await set.found(group.value.map(\.missing), of: group.key)
      }
    }
  }

  private func markAbsent(_ keys: [SliverKey], _ reason: MissingReason) async {
    guard let blob = keys.first?.blob else { return }
    let isHere = await drives.contains(keys)
    let absent = zip(keys, isHere).filter { !$0.1 }.map(\.0.missing)
    let present = zip(keys, isHere).filter(\.1).map(\.0.missing)
    let byteCount = absent.isEmpty ? nil : await blobByteCount(of: blob)
    await remember { set, now throws(IndexError) in
      try await set.mark(absent, of: blob, reason, byteCount: byteCount, now: now)
      try await set.found(present, of: blob)
    }
    if !absent.isEmpty { wakeRepair() }
  }

  /// For the status alone: unknown while the registry does not answer.
  private func blobByteCount(of blob: BlobID) async -> UInt64? {
    do {
      return try await registrations(of: blob).first?.0.byteCount
    } catch {
      return nil
    }
  }

  /// Blobs of the set that have ended while this node was away.
  private func forgetEnded() async throws {
    var last: BlobID?
    while case let page = try await missing.page(after: last, limit: 256), let end = page.last {
      for entry in page where try await !isKept(entry.blob) { await forgetMissing(entry.blob) }
      last = end.blob
    }
  }

  /// Changes the set. It holds hints: what cannot be noted now is found by the next inventory.
  func remember(
    _ change: (MissingSet, WallTime) async throws(IndexError) -> Void
  ) async {
    do throws(IndexError) {
      try await change(missing, clock.wallTime)
      metrics.missingNow.record(try await missing.statistics.sliverCount)
    } catch {
      logger.error(
        "what is missing cannot be noted", metadata: ["node": "\(id)", "error": "\(error.message)"])
    }
  }
}

extension SliverKey {
  var missing: MissingSliver { MissingSliver(pair: pair, axis: axis) }
}

extension Array where Element: Hashable {
  /// Each element once, where it came first.
  func uniqued() -> [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
