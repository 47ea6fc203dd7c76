// MetadataCache.swift
//
// Verified metadata of the blobs read last. It never goes stale: the blob ID commits to it. Whether
// a blob exists is asked of the registry every time.

import RedStuff
import Synchronization

final class MetadataCache: Sendable {
  private struct Slot {
    var metadata: VerifiedBlobMetadata
    var lastUse: UInt64
  }
  private struct State {
    var slots: [BlobID: Slot] = [:]
    var byteCount = 0
    var useCount: UInt64 = 0
  }

  private let byteCountMax: Int
  private let state = Mutex(State())

  init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

  func metadata(of blob: BlobID) -> VerifiedBlobMetadata? {
    state.withLock { state in
      state.useCount += 1
      state.slots[blob]?.lastUse = state.useCount
      return state.slots[blob]?.metadata
    }
  }

  func insert(_ metadata: VerifiedBlobMetadata) {
    let byteCount = Self.byteCount(metadata)
    guard byteCount <= byteCountMax else { return }
    state.withLock { state in
      guard state.slots[metadata.blobID] == nil else { return }
      if state.byteCount + byteCount > byteCountMax {
        Self.evict(&state, downTo: min(byteCountMax / 2, byteCountMax - byteCount))
      }
      state.useCount += 1
      state.slots[metadata.blobID] = Slot(metadata: metadata, lastUse: state.useCount)
      state.byteCount += byteCount
    }
  }

  /// Half at once, so that the sort is paid for by many insertions.
  private static func evict(_ state: inout State, downTo target: Int) {
    for (blob, slot) in state.slots.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
      guard state.byteCount > target else { return }
      state.slots[blob] = nil
      state.byteCount -= byteCount(slot.metadata)
    }
  }

  /// Two enums of 33 bytes a pair, padded, and what the entry itself takes.
  private static func byteCount(_ metadata: VerifiedBlobMetadata) -> Int {
    metadata.metadata.hashes.count * 80 + 256
  }
}
