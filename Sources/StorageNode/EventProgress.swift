// EventProgress.swift
//
// What the event loop has to remember between its steps: how much of what it followed is not saved
// yet, which deletes have to be tried again, and how long to wait after a failure. Pure.

import RedStuff
import World

struct EventProgress: Sendable {
  enum Phase: Sendable {
    case stopped
    /// Finding out from where to follow.
    case starting
    case following
  }

  private(set) var phase = Phase.stopped
  private(set) var unsavedEventCount = 0
  /// Deletes that a drive could not take, to be tried again.
  private(set) var backlog: Set<BlobID> = []
  /// Deletes that failed and did not fit: only an inventory finds them again, or a replay from the
  /// saved cursor.
  private(set) var forgottenCount = 0
  /// Of those, the ones that an inventory has made up for.
  private var madeUpForCount = 0
  /// When to save the cursor and try the backlog again; nil if there is nothing to do.
  private(set) var choresDue: Instant?
  private var failureCount = 0
  private let backlogCountMax: Int

  init(backlogCountMax: Int) { self.backlogCountMax = backlogCountMax }

  /// - Returns: false if it runs already.
  mutating func start() -> Bool {
    guard phase == .stopped else { return false }
    phase = .starting
    return true
  }

  /// - Returns: whether it follows only from now on.
  mutating func begin() -> Bool {
    defer { phase = .following }
    return phase != .following
  }

  mutating func stop() { phase = .stopped }

  mutating func followed(eventCount: Int, choresAt due: Instant) {
    unsavedEventCount += eventCount
    failureCount = 0
    choresDue = choresDue ?? due
  }

  mutating func choresDone(isSaved: Bool, choresAt due: Instant) {
    if isSaved { unsavedEventCount = 0 }
    choresDue = backlog.isEmpty ? nil : due
  }

  mutating func deleteFailed(_ blob: BlobID) {
    guard backlog.contains(blob) || backlog.count < backlogCountMax else {
      sometimes(.deletesForgotten)
      forgottenCount += 1
      return
    }
    backlog.insert(blob)
  }

  mutating func deleteSucceeded(_ blob: BlobID) { backlog.remove(blob) }

  private var hasForgottenDeletes: Bool { forgottenCount > madeUpForCount }

  /// Deletes were forgotten, and there is room again for those that an inventory would find.
  var needsInventory: Bool { backlog.isEmpty && hasForgottenDeletes }

  /// An inventory is complete that began when `forgottenCountBefore` deletes had been forgotten.
  mutating func inventoryTaken(forgottenCountBefore: Int) {
    madeUpForCount = max(madeUpForCount, forgottenCountBefore)
  }

  /// The saved cursor must not pass a delete that is still to be done.
  var maySave: Bool {
    backlog.isEmpty && !hasForgottenDeletes
      || PlantedBug.cursorSavedDespiteFailedDelete.isPlanted
  }

  /// How long to wait after one more failure: twice as long each time.
  mutating func delayAfterFailure(min shortest: Duration, max longest: Duration) -> Duration {
    failureCount += 1
    var delay = shortest
    for _ in 1..<min(failureCount, 32) where delay < longest { delay = delay * 2 }
    return min(delay, longest)
  }
}
