// BoundedCache.swift
//
// Values that can be had again, at a price: kept within a number of bytes, the longest unused go
// first. Dropping any of them at any time changes no answer.

struct BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Slot {
    var value: Value
    var byteCount: Int
    var lastUse: UInt64
  }

  let byteCountMax: Int
  private(set) var byteCount = 0
  private var slots: [Key: Slot] = [:]
  private var useCount: UInt64 = 0

  init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

  var count: Int { slots.count }

  mutating func value(for key: Key) -> Value? {
    guard slots[key] != nil else { return nil }
    useCount += 1
    slots[key]?.lastUse = useCount
    return slots[key]?.value
  }

  /// A value too large for the whole cache is not kept.
  mutating func insert(_ value: Value, byteCount valueByteCount: Int, for key: Key) {
    remove(key)
    guard valueByteCount <= byteCountMax else { return }
    if valueByteCount > byteCountMax - byteCount { evict(toMakeRoomFor: valueByteCount) }
    useCount += 1
    slots[key] = Slot(value: value, byteCount: valueByteCount, lastUse: useCount)
    byteCount += valueByteCount
  }

  mutating func remove(_ key: Key) { _ = take(key) }

  /// Removes a value and gives it.
  mutating func take(_ key: Key) -> Value? {
    guard let slot = slots.removeValue(forKey: key) else { return nil }
    byteCount -= slot.byteCount
    return slot.value
  }

  mutating func removeAll(where isStale: (Key) -> Bool) {
    for key in slots.keys.filter(isStale) { remove(key) }
  }

  /// Goes down to half, so that the sort is paid for by many insertions.
  private mutating func evict(toMakeRoomFor needed: Int) {
    let target = min(byteCountMax / 2, byteCountMax - needed)
    for (key, _) in slots.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
      guard byteCount > target else { return }
      remove(key)
    }
  }
}
