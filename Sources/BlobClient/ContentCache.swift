// ContentCache.swift
//
// What was read of the blobs read last: verified metadata, indexes of quilts. It never goes stale: the
// blob ID commits to it. Whether a blob exists is asked of the registry every time.

import RedStuff
import Synchronization

final class ContentCache<Value: Sendable>: Sendable {
  private struct Slot {
    var value: Value
    var byteCount: Int
    var lastUse: UInt64
  }
  private struct State {
    var slots: [BlobID: Slot] = [:]
    var byteCount = 0
    var useCount: UInt64 = 0
  }

  private let byteCountMax: Int
  private let byteCount: @Sendable (Value) -> Int
  private let state = Mutex(State())

  /// - Parameter byteCount: the memory that a value takes.
  init(byteCountMax: Int, byteCount: @escaping @Sendable (Value) -> Int) {
    self.byteCountMax = byteCountMax
    self.byteCount = byteCount
  }

  func value(of blob: BlobID) -> Value? {
    state.withLock { state in
      state.useCount += 1
      state.slots[blob]?.lastUse = state.useCount
      return state.slots[blob]?.value
    }
  }

  func insert(_ value: Value, of blob: BlobID) {
    let byteCount = byteCount(value)
    guard byteCount <= byteCountMax else { return }
    state.withLock { state in
      guard state.slots[blob] == nil else { return }
      if state.byteCount + byteCount > byteCountMax {
        Self.evict(&state, downTo: min(byteCountMax / 2, byteCountMax - byteCount))
      }
      state.useCount += 1
      state.slots[blob] = Slot(value: value, byteCount: byteCount, lastUse: state.useCount)
      state.byteCount += byteCount
    }
  }

  /// Half at once, so that the sort is paid for by many insertions.
  private static func evict(_ state: inout State, downTo target: Int) {
    for (blob, slot) in state.slots.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
      guard state.byteCount > target else { return }
      state.slots[blob] = nil
      state.byteCount -= slot.byteCount
    }
  }
}

extension ContentCache<VerifiedBlobMetadata> {
  /// Two enums of 33 bytes a pair, padded, and what the entry itself takes.
  convenience init(byteCountMax: Int) {
    self.init(byteCountMax: byteCountMax) { $0.metadata.hashes.count * 80 + 256 }
  }
}

extension ContentCache<QuiltIndex> {
  /// Texts, some of them apart from where they are listed, and what the entry itself takes.
  convenience init(byteCountMax: Int) {
    self.init(byteCountMax: byteCountMax) { index in
      index.entries.reduce(256) { sum, entry in
        sum + 128 + entry.identifier.text.utf8.count
          + entry.tags.tags.reduce(0) { $0 + 96 + $1.name.utf8.count + $1.value.utf8.count }
      }
    }
  }
}
