// Spool.swift
//
// A file for reads that get their blob column by column: columns do not come in reading order, and
// memory is bounded, so the cells wait on disk. Nothing in it outlives the read; it is never
// synced.

import RedStuff
import Synchronization
import World

/// Bytes of spool files that all reads of a client may use together.
final class SpoolBudget: Sendable {
  private let byteCountMax: Int
  private let used = Mutex(0)

  init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

  func take(_ byteCount: Int) -> Bool {
    used.withLock { used in
      guard byteCount <= byteCountMax - used else { return false }
      used += byteCount
      return true
    }
  }

  func giveBack(_ byteCount: Int) { used.withLock { $0 -= byteCount } }

  var usedByteCount: Int { used.withLock { $0 } }
}

/// One read's file.
struct Spool: Sendable {
  static let namePrefix = "read-"
  static let nameSuffix = ".spool"

  let file: any DiskFile
  private let disk: any Disk

  static func create(on disk: any Disk, randomness: any Randomness)
    async throws(DiskError) -> Spool
  {
    let name = namePrefix + randomness.bytes(count: 16).hex + nameSuffix
    return Spool(file: try await disk.create(name), disk: disk)
  }

  /// Frees the space; the file must not be used after.
  func remove() async throws(DiskError) {
    try await disk.remove(file.name)
  }

  /// Removes what reads left behind when the process ended in the middle of them.
  static func removeLeftovers(on disk: any Disk) async throws(DiskError) -> Int {
    let leftovers = try await disk.files()
      .filter { $0.hasPrefix(namePrefix) && $0.hasSuffix(nameSuffix) }
    for name in leftovers { try await disk.remove(name) }
    return leftovers.count
  }
}
