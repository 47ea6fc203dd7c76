// CheckedIndex.swift
//
// The index with a checksum behind every value, over key and value. A flipped bit in a tombstone's
// sequence number could bring a deleted blob back or hide a stored one, so nothing is believed that
// does not check out.
//
// A rotten value is given out as one without bytes, which no reader takes for an entry. From then on
// the index is only good for finding what still stands in it: no tombstone goes, and its header is
// taken out, so that the next opening makes a new one from the segments.

internal import Synchronization
internal import World

final class CheckedIndex: Index {
  private static let checksumByteCount = 4

  private let index: any Index
  private let foundRot = Mutex(false)

  init(_ index: any Index) { self.index = index }

  /// Whether a rotten value was seen since the index was last emptied.
  var isRotten: Bool { foundRot.withLock { $0 } }

  func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?] {
    zip(keys, try await index.values(for: keys)).map { key, value in
      value.map { checked($0, key: key) }
    }
  }

  func entries(from lower: [UInt8], below upper: [UInt8], limit: Int) async throws(IndexError)
    -> [IndexEntry]
  {
    try await index.entries(from: lower, below: upper, limit: limit).map {
      IndexEntry(key: $0.key, value: checked($0.value, key: $0.key))
    }
  }

  func apply(_ changes: [IndexChange]) async throws(IndexError) {
    var sealed = changes.map { change in
      guard case .set(let key, var value) = change else { return change }
      value.append(littleEndian: Self.checksum(value, key: key))
      return .set(key: key, value: value)
    }
    if isRotten {
      sealed.removeAll { if case .set(IndexKey.store, _) = $0 { true } else { false } }
      sealed.append(.remove(key: IndexKey.store))
    }
    try await index.apply(sealed)
  }

  func removeAll() async throws(IndexError) {
    try await index.removeAll()
    foundRot.withLock { $0 = false }
  }

  private func checked(_ sealed: [UInt8], key: [UInt8]) -> [UInt8] {
    let byteCount = sealed.count - Self.checksumByteCount
    if byteCount >= 0 {
      let value = Array(sealed[..<byteCount])
      if PlantedBug.indexChecksumsSkipped.isPlanted { return value }
      if sealed.littleEndian(at: byteCount) == Self.checksum(value, key: key) { return value }
    }
    sometimes(.indexValueRotten)
    foundRot.withLock { $0 = true }
    return []
  }

  private static func checksum(_ value: [UInt8], key: [UInt8]) -> UInt32 {
    Checksum.crc32c(value, 0..<value.count, from: Checksum.crc32c(key))
  }
}
