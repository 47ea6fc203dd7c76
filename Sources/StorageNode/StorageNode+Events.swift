// StorageNode+Events.swift
//
// Following the registry: which blobs changed, and whether their slivers may go. An event says only
// that something changed; what holds is read from the registry, again under the blob's lane before
// anything is deleted. So replaying events is harmless, and the cursor is saved now and then.
//
// Nothing is deleted because of an error, because a blob was not asked for, or because a registry of
// another cluster, or an old copy of ours, does not know it.

package import Cluster
import ControlPlane
import CoreMetrics
import Logging
import RedStuff
import Repair
import SliverStore
import Synchronization
import World

/// Why a node cannot follow the registry. The first two need the operator; nothing was deleted.
package enum StorageNodeError: Error, Equatable, Sendable {
  /// The control store is another cluster's, or holds none: connect the node to its own.
  case foreignRegistry(ClusterID?, own: ClusterID)
  /// The control store is older than what this node has already followed, as after restoring a
  /// backup. Following it would delete what was stored since.
  case registryBehind(Revision, cursor: Revision)
  case alreadyRunning
}

extension StorageNodeError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .foreignRegistry(let found, let own):
      "the control store is of cluster \(found.map { "\($0)" } ?? "none"), this node of \(own); connect "
        + "it to its own"
    case .registryBehind(let revision, let cursor):
      "the control store is at \(revision), this node has followed it to \(cursor); was an old backup "
        + "restored? Nothing was deleted"
    case .alreadyRunning: "the node follows the registry already"
    }
  }
}

extension StorageNode {
  /// Follows the registry from the saved cursor until the task is cancelled. Failures of the
  /// registry and of drives are waited out.
  ///
  /// - Throws: `StorageNodeError` where waiting does not help.
  package func run() async throws {
    guard events.withLock({ $0.start() }) else { throw StorageNodeError.alreadyRunning }
    defer { events.withLock { $0.stop() } }
    var needsBegin = true
    var needsInventory = false
    while !Task.isCancelled {
      do {
        if needsBegin {
          needsInventory = try await begin() == .needsInventory
          needsBegin = false
        }
        if needsInventory || events.withLock({ $0.needsInventory }) {
          try await takeInventory()
          needsInventory = false
        }
        if events.withLock({ $0.begin() }) { wakeRepair() }
        try await step()
      } catch let error as StorageNodeError {
        throw error
      } catch RegistryError.compacted(let oldest) {
        logger.notice(
          "events were compacted; checking all blobs",
          metadata: ["node": "\(id)", "cursor": "\(cursor.revision)", "oldest": "\(oldest)"])
        sometimes(.eventsCompacted)
        needsInventory = true
        if PlantedBug.compactedEventsSkipped.isPlanted {
          cursor.advance(to: oldest)
          needsInventory = false
        }
      } catch {
        await wait(after: error)
      }
    }
  }

  /// Saves how far the registry was followed, unless a delete before it is still to be done.
  @discardableResult
  func saveCursor() async -> Bool {
    guard events.withLock({ $0.maySave }), cursor.revision > .start else { return false }
    await drives.saveCursor(cursor.revision)
    return true
  }

  private enum Beginning {
    case ready
    case needsInventory
  }

  private func begin() async throws -> Beginning {
    let found = try await registry.cluster()?.clusterID
    guard found == cluster else { throw StorageNodeError.foreignRegistry(found, own: cluster) }
    guard let saved = await drives.savedCursor() else { return .needsInventory }
    _ = try await registryRevision(notBefore: saved)
    cursor.advance(to: saved)
    return .ready
  }

  /// Follows what happened since the cursor; waits if nothing did.
  private func step() async throws {
    let due = events.withLock { $0.choresDue }
    if let due, clock.now >= due { return await doChores() }
    let from = cursor.revision
    let limit = configuration.eventBatchCountMax
    let (blobs, through): ([BlobID], Revision)
    do {
      // Without chores there is nothing to wake up for but events.
      (blobs, through) =
        if let due {
          try await withDeadline(due, clock: clock) { [registry] in
            try await registry.blobEvents(after: from, limit: limit)
          }
        } else {
          try await registry.blobEvents(after: from, limit: limit)
        }
    } catch is DeadlineExceeded {
      return
    }
    try Task.checkCancellation()
    if PlantedBug.cursorAdvancedTooEarly.isPlanted { cursor.advance(to: through) }
    _ = try await fanOut(count: blobs.count, width: configuration.lookUpCountMax) { [self] in
      try await settle(blobs[$0])
    }
    cursor.advance(to: through)
    let choresAt = clock.now + configuration.choresDelay
    let unsavedEventCount = events.withLock { events in
      events.followed(eventCount: blobs.count, choresAt: choresAt)
      return events.unsavedEventCount
    }
    if unsavedEventCount >= configuration.eventCountBetweenSaves { await doChores() }
  }

  /// Deletes what the node has of a blob if all of its registrations have ended.
  func settle(_ blob: BlobID) async throws {
    do {
      let state = try await state(of: blob)
      if state == .certified { await look(for: blob, .neverReceived) }
      guard state == .ended else { return }
      try await lanes.withLane(.exclusive, of: blob) {
        // What was true before the lane was free need not be true now.
        guard try await self.state(of: blob) == .ended else { return }
        let isDone = await drives.delete(blob)
        forgetMetadata(ofDeleted: blob)
        events.withLock { isDone ? $0.deleteSucceeded(blob) : $0.deleteFailed(blob) }
        metrics.deletedBlobs.increment()
        await forgetMissing(blob)
      }
    } catch RegistryError.unreadable(let key, let reason) {
      // One poisoned record must not stop the node, and nothing may be deleted because of it.
      logger.error(
        "a registration cannot be read; its blob is kept",
        metadata: ["node": "\(id)", "key": "\(key)", "reason": "\(reason)"])
    }
  }

  private enum BlobState {
    /// Its slivers may go.
    case ended
    case registered
    case certified
  }

  private func state(of blob: BlobID) async throws -> BlobState {
    let registrations: [(Registration, Revision)]
    do {
      registrations = try await registry.registrations(of: blob)
    } catch {
      if PlantedBug.deletedOnRegistryError.isPlanted { return .ended }
      throw error
    }
    if RegistrationRule.mayDelete(registrations) { return .ended }
    events.withLock { $0.deleteSucceeded(blob) }
    return registrations.contains { $0.0.isCertified } ? .certified : .registered
  }

  /// Checks every blob that a drive has anything of, then follows from where that began.
  private func takeInventory() async throws {
    sometimes(.inventoryTaken)
    let forgottenCount = events.withLock { $0.forgottenCount }
    let revision = try await registryRevision(notBefore: cursor.revision)
    for (position, _) in drives.readable {
      var last: BlobID?
      while let page = await drives.blobs(
        onDriveAt: position, after: last, limit: configuration.eventBatchCountMax),
        let end = page.last
      {
        try Task.checkCancellation()
        _ = try await fanOut(count: page.count, width: configuration.lookUpCountMax) { [self] in
          try await settle(page[$0])
        }
        last = end
      }
    }
    events.withLock { $0.inventoryTaken(forgottenCountBefore: forgottenCount) }
    cursor.advance(to: revision)
    await saveCursor()
  }

  /// The registry's revision now. One that lies before what was followed already means that the
  /// registry is an old copy.
  private func registryRevision(notBefore followed: Revision) async throws -> Revision {
    let (_, revision) = try await registry.allBlobs(after: nil, limit: 1)
    guard revision >= followed else {
      throw StorageNodeError.registryBehind(revision, cursor: followed)
    }
    return revision
  }

  /// Tries failed deletes again and saves the cursor.
  private func doChores() async {
    let backlog = events.withLock { $0.backlog.sorted() }
    for blob in backlog {
      sometimes(.deleteRetried)
      do {
        try await settle(blob)
      } catch {
        logger.warning(
          "a delete waits for its next try",
          metadata: ["node": "\(id)", "blob": "\(blob)", "error": "\(error)"])
        break
      }
    }
    let isSaved = await saveCursor()
    let next = clock.now + configuration.choresDelay
    events.withLock { $0.choresDone(isSaved: isSaved, choresAt: next) }
  }

  private func wait(after error: any Error) async {
    guard !(error is CancellationError) else { return }
    metrics.registryErrors.increment()
    let delay = events.withLock {
      $0.delayAfterFailure(min: configuration.retryDelayMin, max: configuration.retryDelayMax)
    }
    logger.warning(
      "cannot follow the registry; trying again",
      metadata: ["node": "\(id)", "delay": "\(delay)", "error": "\(error)"])
    // Between half and all of it, lest all nodes come back at once.
    let half = Int(clamping: delay.wholeNanoseconds / 2)
    let jitter = Duration.nanoseconds(Int64(randomness.number(below: max(half, 1))))
    // Throws only when cancelled, which the loop looks at itself.
    try? await clock.sleep(for: delay / 2 + jitter)
  }
}
