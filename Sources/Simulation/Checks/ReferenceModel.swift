// ReferenceModel.swift
//
// What each answer may be, from nothing but what the cluster has said so far. A registration is
// living once its store returned, until a delete of it begins; it has ended once that delete
// returned; in between, and after any call that failed half-way, both are possible.
//
// Invariant: it never looks into the system. So a bug there cannot talk it into agreeing.

import Cluster
import RedStuff
import Simulator
import Synchronization
import World

/// The bytes of a blob, as what they are made from.
package struct Content: Hashable, Sendable {
  package var seed: UInt64
  package var byteCount: Int

  package var bytes: [UInt8] { SeededRandomness(seed: seed).bytes(count: byteCount) }
}

package final class ReferenceModel: Sendable {
  enum Standing: Hashable {
    case living
    case ended
    /// A call that may have ended it is under way, or failed.
    case unknown
  }

  struct Entry {
    var persistence: Persistence
    var standing: Standing
    var endEpoch: Epoch
  }

  struct Blob {
    var content: Content
    var entries: [ObjectID: Entry] = [:]
    /// Stores under way, and stores that failed: each may have left a living registration.
    var openStoreCount = 0
    var failedStoreCount = 0
    /// Grows with every delete of all registrations that begins.
    var sweepCount = 0
    /// Extensions under way or failed: any registration may end later than is known.
    var openExtensionCount = 0
    /// Ends that extensions told of, also of registrations whose store has not returned yet.
    var extendedEnds: [ObjectID: Epoch] = [:]
  }

  /// What was known of a blob at one moment.
  struct View: Equatable {
    /// Registrations that certainly live.
    var living: Set<ObjectID> = []
    var isGone: Bool

    var isLiving: Bool { !living.isEmpty }

    /// Whether the blob has certainly lived from here to the later view, not ended and stored again.
    func lives(until later: View) -> Bool { !living.isDisjoint(with: later.living) }
  }

  private struct State {
    var blobs: [BlobID: Blob] = [:]
    /// In the order of their first store, for choosing.
    var order: [BlobID] = []
  }

  private let state = Mutex(State())

  package init() {}

  var blobs: [BlobID] { state.withLock { $0.order } }

  func blob(_ id: BlobID) -> Blob? { state.withLock { $0.blobs[id] } }

  /// Registrations that a caller could name.
  func objects(of blob: BlobID) -> [ObjectID] {
    state.withLock { ($0.blobs[blob]?.entries.keys).map { $0.sorted() } ?? [] }
  }

  /// What must hold of a blob in this epoch.
  func view(of id: BlobID, epoch: Epoch) -> View {
    state.withLock { state in
      guard let blob = state.blobs[id] else { return View(isGone: true) }
      let living = blob.entries.filter { $0.value.standing == .living && epoch < $0.value.endEpoch }
      let mayLive =
        blob.openStoreCount > 0 || blob.failedStoreCount > 0
        || blob.entries.values.contains {
          $0.standing != .ended && (epoch < $0.endEpoch || blob.openExtensionCount > 0)
        }
      return View(living: Set(living.keys), isGone: !mayLive)
    }
  }

  // Stores.

  /// - Returns: the number of sweeps so far, to be given back when the store ends.
  func storeBegins(_ id: BlobID, _ content: Content) -> Int {
    state.withLock { state in
      if state.blobs[id] == nil {
        state.blobs[id] = Blob(content: content)
        state.order.append(id)
      }
      state.blobs[id]?.openStoreCount += 1
      return state.blobs[id]?.sweepCount ?? 0
    }
  }

  func storeEnded(_ id: BlobID, with registration: Registration, sweepCountAtStart: Int) {
    change(id) { blob in
      blob.openStoreCount -= 1
      // A delete of everything may have met it between its certificate and its answer.
      let isSafe = blob.sweepCount == sweepCountAtStart || registration.persistence == .permanent
      let standing = blob.entries[registration.object]?.standing
      blob.entries[registration.object] = Entry(
        persistence: registration.persistence,
        standing: standing ?? (isSafe ? .living : .unknown),
        endEpoch: max(registration.endEpoch, blob.extendedEnds[registration.object] ?? 0))
    }
  }

  /// - Returns: whether a delete of everything may have met it.
  func storeFailed(_ id: BlobID, sweepCountAtStart: Int) -> Bool {
    var wasSwept = false
    change(id) { blob in
      blob.openStoreCount -= 1
      blob.failedStoreCount += 1
      wasSwept = blob.sweepCount != sweepCountAtStart
    }
    return wasSwept
  }

  // Deletes.

  /// - Returns: the registrations that have ended if the delete says so.
  func deleteBegins(_ id: BlobID, object: ObjectID?) -> [ObjectID] {
    var affected: [ObjectID] = []
    change(id) { blob in
      if object == nil { blob.sweepCount += 1 }
      for key in blob.entries.keys.sorted() where object == nil || key == object {
        guard blob.entries[key]?.persistence == .deletable else { continue }
        affected.append(key)
        if blob.entries[key]?.standing == .living { blob.entries[key]?.standing = .unknown }
      }
    }
    return affected
  }

  func deleteEnded(_ id: BlobID, _ affected: [ObjectID]) {
    change(id) { blob in
      for key in affected { blob.entries[key]?.standing = .ended }
    }
  }

  // Extensions.

  func extensionBegins(_ id: BlobID) { change(id) { $0.openExtensionCount += 1 } }

  /// Nothing was changed. One that failed in any other way stays open.
  func extensionRefused(_ id: BlobID) { change(id) { $0.openExtensionCount -= 1 } }

  func extensionEnded(_ id: BlobID, _ registration: Registration) {
    change(id) { blob in
      blob.openExtensionCount -= 1
      let object = registration.object
      let end = max(registration.endEpoch, blob.extendedEnds[object] ?? 0)
      blob.extendedEnds[object] = end
      if let known = blob.entries[object] {
        blob.entries[object]?.endEpoch = max(known.endEpoch, end)
      }
    }
  }

  private func change(_ id: BlobID, _ body: (inout Blob) -> Void) {
    state.withLock { state in
      guard var blob = state.blobs[id] else { return }
      body(&blob)
      state.blobs[id] = blob
    }
  }
}
