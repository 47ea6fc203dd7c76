// DriveSet+Read.swift
//
// Looking for slivers, metadata and the cursor on all drives. An error of a drive is no answer about
// what it holds; whether that makes a sliver missing or the answer unknown is decided here.

import Cluster
import RedStuff
import SliverStore
import World

/// What became of a look for something that may be on any drive.
enum Found<Value: Sendable>: Sendable {
  case value(Value)
  /// All drives that can be read say that they do not have it, or cannot read it any more.
  case missing
  /// A drive could not say; ask again.
  case unknown(String)

  func map<Other>(_ transform: (Value) -> Other) -> Found<Other> {
    switch self {
    case .value(let value): .value(transform(value))
    case .missing: .missing
    case .unknown(let reason): .unknown(reason)
    }
  }
}

extension DriveSet {
  func metadata(of blob: BlobID) async -> Found<[UInt8]> {
    await first(readable) { store throws(SliverStoreError) in
      try await store.metadata(of: blob)
    }
  }

  func sliver(
    _ key: SliverKey, in shard: ShardIndex
  ) async -> Found<(symbolByteCount: Int, bytes: [UInt8])> {
    await first(readable(for: shard)) { store throws(SliverStoreError) in
      try await store.sliver(key)
    }
  }

  /// The same; what is not right is dropped from its drive.
  func sliver(
    _ key: SliverKey, in shard: ShardIndex,
    where isRight: (_ symbolByteCount: Int, _ bytes: [UInt8]) async -> Bool
  ) async -> Found<(symbolByteCount: Int, bytes: [UInt8])> {
    await first(readable(for: shard)) { store throws(SliverStoreError) in
      try await store.sliver(key, where: isRight)
    }
  }

  func symbols(
    _ range: Range<Int>, of key: SliverKey, in shard: ShardIndex
  ) async -> Found<[UInt8]> {
    await first(readable(for: shard)) { store throws(SliverStoreError) in
      try await store.symbols(range, of: key)
    }
  }

  /// Which of the slivers are durable here; those of drives that cannot say are not.
  func contains(_ keys: [SliverKey]) async -> [Bool] {
    var isFound = [Bool](repeating: false, count: keys.count)
    for (position, store) in readable {
      let open = keys.indices.filter { !isFound[$0] }
      guard !open.isEmpty else { break }
      do throws(SliverStoreError) {
        let answers = try await store.contains(open.map { keys[$0] })
        for (index, answer) in zip(open, answers) where answer { isFound[index] = true }
      } catch {
        note(error, at: position, writing: false)
      }
    }
    return isFound
  }

  /// Up to `limit` blobs of which a drive has anything, ascending; none after the last. Nil if the
  /// drive cannot say: it then counts as lagging behind the registry until the node starts again.
  func blobs(onDriveAt position: Int, after blob: BlobID?, limit: Int) async -> [BlobID]? {
    guard let store = drives[position].store else { return [] }
    do throws(SliverStoreError) {
      return try await store.blobs(after: blob, limit: limit)
    } catch {
      note(error, at: position, writing: false)
      markLagging(position)
      return nil
    }
  }

  private func first<Value: Sendable>(
    _ stores: [(position: Int, store: SliverStore)],
    _ look: (SliverStore) async throws(SliverStoreError) -> Value?
  ) async -> Found<Value> {
    var doubt: String?
    for (position, store) in stores {
      do throws(SliverStoreError) {
        if let value = try await look(store) { return .value(value) }
      } catch {
        note(error, at: position, writing: false)
        switch error {
        // What a drive cannot read is as good as lost.
        case .disk, .symbolsOutOfRange:
          sometimes(.driveUnreadable)
          continue
        // An index or a store that is closing may still have it.
        default: break
        }
        doubt = "\(drives[position].name): \(error)"
      }
    }
    return doubt.map(Found.unknown) ?? .missing
  }
}

extension DriveSet {
  private static let cursorName = "event-cursor"
  private static let cursorByteCount = 8

  /// The oldest cursor of all drives that hold anything: what each of them has followed the registry
  /// to. Nil: some drive's cursor was never saved, or its deletes may have rotted, so its blobs have
  /// to be checked one by one.
  func savedCursor() async -> Revision? {
    var oldest: Revision?
    for (position, store) in readable {
      if store.mayHaveForgottenDeletes { return nil }
      do throws(SliverStoreError) {
        if let saved = try await store.value(for: Self.cursorName).flatMap(revision) {
          oldest =
            PlantedBug.newestCursorFollowed.isPlanted
            ? max(oldest ?? saved, saved) : min(oldest ?? saved, saved)
          continue
        }
      } catch {
        note(error, at: position, writing: false)
        markLagging(position)
        continue
      }
      guard await blobs(onDriveAt: position, after: nil, limit: 1)?.isEmpty ?? true else {
        return nil
      }
    }
    return oldest
  }

  /// Saves the cursor on every drive that has kept up; the others stay behind on purpose, and are
  /// caught up when the node starts again.
  func saveCursor(_ cursor: Revision) async {
    let bytes = (0..<Self.cursorByteCount).map {
      UInt8(truncatingIfNeeded: cursor.value >> (8 * UInt64($0)))
    }
    for (position, store) in readable where isWritable(position) && !isLagging(position) {
      do throws(SliverStoreError) {
        try await store.setValue(bytes, for: Self.cursorName)
      } catch {
        note(error, at: position, writing: true)
      }
    }
  }

  private func revision(_ bytes: [UInt8]) -> Revision? {
    guard bytes.count == Self.cursorByteCount else { return nil }
    return Revision(bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
  }
}
