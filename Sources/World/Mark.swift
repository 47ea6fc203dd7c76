// Mark.swift
//
// Rare branches that a simulated run should reach. A run that never does checks less than it seems
// to; the report over many seeds names the marks that none of them reached.
//
// Invariant: marks change nothing but their counts. They stand where errors and retries are handled
// already, so that a lock and a dictionary cost nothing that counts.

internal import Synchronization

package enum Mark: String, CaseIterable, Sendable {
  // SliverStore: opening
  case tornTailCut
  case gapBlanked
  case lastGroupWrittenAgain
  case openedWithoutSpace
  case indexBehind
  case indexOfAnotherPast
  case repairFailed
  case sliversRestored
  case repairYielded
  case indexLost
  case indexReplaced
  case indexValueRotten
  // SliverStore: writing
  case fullGroupCutOff
  case deleteOnFullDrive
  case writesStopped
  case waitedForRoom
  // SliverStore: reading and compacting
  case rottenRecordFound
  case recordMovedWhileRead
  case deadOnArrival
  case compactionCopied
  case damagedSegmentRemoved
  case tombstoneDropped
  case tombstoneKept
  case tombstoneDoubted
  case rottenTombstoneRenewed
  // SliverStore: scrubbing
  case scrubFoundRot
  case scrubMetUnreadable
  case scrubbedSegmentVanished

  // StorageNode
  case cursorWaited
  case registrationAwaited
  case deleteRetried
  case deletesForgotten
  case eventsCompacted
  case inventoryTaken
  case laneWaited
  case admissionRefused
  case requestCutAtDeadline
  case deleteCameBetween
  case missingSliversAtConfirmation
  case rottenSliversAtConfirmation
  case uploadedSliverRefused
  case nextDriveTried
  case driveStoppedWriting
  case driveLagging
  case driveUnreadable

  // ControlPlane
  case conflictRetried
  case registrationAbandoned
  case registrationExpired
  case registrationGivenUp
  case endedRemovedAfterGrace
  case endedRemovedForRoom
  case outstandingScanned
  case batchSplit
  case epochAdvanced
  case clockRanAhead
  case certificateRefused

  // BlobClient
  case readHedged
  case hedgeWon
  case readRetried
  case readSpooled
  case liarFound
  case symbolsWithPaths
  case rowFromSpares
  case rowFromSymbols
  case columnFromSymbols
  case lineProvenByPaths
  case inconsistencyFound
  case metadataRefused
  case uploadRetried
  case uploadRefused
  case probedNodeIncomplete
  case quorumOutOfReach
  case tailCutOff
}

/// How often each mark was reached.
package final class MarkCounts: Sendable {
  /// Of this process.
  package static let shared = MarkCounts()

  private let counts = Mutex<[Mark: Int]>([:])

  package init() {}

  package func count(_ mark: Mark) { counts.withLock { $0[mark, default: 0] += 1 } }

  package subscript(mark: Mark) -> Int { counts.withLock { $0[mark] ?? 0 } }

  /// In the order of the marks, those that were never reached too.
  package var all: [(mark: Mark, count: Int)] {
    counts.withLock { counts in Mark.allCases.map { ($0, counts[$0] ?? 0) } }
  }

  package func reset() { counts.withLock { $0 = [:] } }
}

extension Mark {
  /// Of this process, those that were never reached too.
  package static var counts: [(mark: Mark, count: Int)] { MarkCounts.shared.all }

  /// Begins counting anew.
  package static func reset() { MarkCounts.shared.reset() }
}

/// Counts that a rare branch was reached.
package func sometimes(_ mark: Mark) { MarkCounts.shared.count(mark) }
