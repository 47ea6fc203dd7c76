// DriveSet+Write.swift
//
// Putting slivers on drives and removing blobs from them.

import Cluster
import RedStuff
import SliverStore
import World

/// A sliver that was verified, on its way to a drive.
struct VerifiedSliver: Sendable {
  let shard: ShardIndex
  let key: SliverKey
  let symbolByteCount: Int
  let bytes: [UInt8]
  /// Of its blob, as the store keeps it.
  let metadataBytes: [UInt8]
}

extension DriveSet {
  /// Puts each sliver on the best drive that takes it; durable when this returns. One sync per drive.
  ///
  /// - Returns: by sliver, nil or why no drive took it.
  func put(_ slivers: [VerifiedSliver]) async throws -> [NodeFailure?] {
    var failures = [NodeFailure?](repeating: nil, count: slivers.count)
    var tried = [Set<Int>](repeating: [], count: slivers.count)
    var remaining = Array(slivers.indices)
    while !remaining.isEmpty {
      var groups: [Int: [Int]] = [:]
      for index in remaining {
        let candidates = writable(for: slivers[index].shard)
        if let best = candidates.first(where: { !tried[index].contains($0.position) }) {
          groups[best.position, default: []].append(index)
        } else if failures[index] == nil {
          failures[index] = NodeFailure(.unavailable, "no drive of the node takes writes")
        }
      }
      let positions = groups.keys.sorted()
      let batches = positions.map { position in (groups[position] ?? []).map { slivers[$0] } }
      let errors = try await fanOut(count: positions.count, width: positions.count) { [self] in
        await put(batches[$0], onDriveAt: positions[$0])
      }
      if errors.contains(.cancelled) { throw CancellationError() }
      remaining = []
      for (position, error) in zip(positions, errors) {
        for index in groups[position] ?? [] {
          failures[index] = error.map(failure)
          guard error != nil else { continue }
          sometimes(.nextDriveTried)
          tried[index].insert(position)
          remaining.append(index)
        }
      }
    }
    return failures
  }

  /// Puts metadata without slivers on the best drive of `shard`; durable when this returns.
  func put(metadata bytes: [UInt8], of blob: BlobID, for shard: ShardIndex) async -> NodeFailure? {
    var last = NodeFailure(.unavailable, "no drive of the node takes writes")
    for (position, store) in writable(for: shard) {
      do throws(SliverStoreError) {
        try await store.put([.metadata(blob, bytes)])
        return nil
      } catch {
        note(error, at: position, writing: true)
        last = failure(error)
      }
    }
    return last
  }

  /// Removes a blob from all drives that take writes; durable when this returns.
  ///
  /// - Returns: whether all of them did. A drive that takes no writes does not count: it removes the
  ///   blob when it is back.
  func delete(_ blob: BlobID) async -> Bool {
    var isDone = true
    for (position, store) in readable where isWritable(position) {
      do throws(SliverStoreError) {
        try await store.delete(blob)
        if PlantedBug.deletedOnFirstDriveOnly.isPlanted { break }
      } catch {
        note(error, at: position, writing: true)
        isDone = isDone && !isWritable(position)
      }
    }
    return isDone
  }

  private func put(
    _ slivers: [VerifiedSliver], onDriveAt position: Int
  ) async -> SliverStoreError? {
    guard let store = drives[position].store else { return .closed }
    var records: [StoreRecord] = []
    var blobs: Set<BlobID> = []
    for sliver in slivers {
      // Metadata first: a crash in the middle leaves no sliver without it.
      if blobs.insert(sliver.key.blob).inserted {
        records.append(.metadata(sliver.key.blob, sliver.metadataBytes))
      }
      records.append(
        .sliver(sliver.key, symbolByteCount: sliver.symbolByteCount, bytes: sliver.bytes))
    }
    do throws(SliverStoreError) {
      try await store.put(records)
      return nil
    } catch {
      note(error, at: position, writing: true)
      return error
    }
  }

  private func failure(_ error: SliverStoreError) -> NodeFailure {
    Self.isFull(error)
      ? NodeFailure(.storageFull, "the drives are full; free or add space: \(error)")
      : NodeFailure(.unavailable, "the drive failed: \(error)")
  }
}
