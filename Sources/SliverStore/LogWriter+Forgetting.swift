// LogWriter+Forgetting.swift
//
// What the writer does to the index alone, and closing.

internal import Cluster
internal import RedStuff
internal import World

extension LogWriter {
  /// Forgets a rotten record unless another stands in its place by now.
  func drop(key: [UInt8], entry: RecordEntry) async throws(SliverStoreError) {
    try await onIndex { () throws(IndexError) in
      var batch = IndexBatch(state: self.state)
      batch.load([key], try await self.index.values(for: [key]))
      guard batch.entry(key) == entry else { return }
      batch.remove(key)
      // Its bytes may read well again one day, and a deleted blob must stay deleted then.
      if key.first == 2, let blob = IndexKey.blob(in: key) {
        batch.mark(blob, segment: entry.segment, isCovered: false)
      }
      try await self.applier.commit(batch)
    }
  }

  func flagDamage(_ number: UInt32) async throws(SliverStoreError) {
    try await onIndex { () throws(IndexError) in
      var batch = IndexBatch(state: self.state)
      batch.update(number) { $0.isDamaged = true }
      try await self.applier.commit(batch)
    }
  }

  /// Removes a segment's file, durably before anything is forgotten: a file that comes back after a
  /// crash must find the tombstones of what is in it.
  func remove(_ number: UInt32) async throws(SliverStoreError) {
    guard let segment = state.segment(number), number != active?.number else { return }
    do throws(DiskError) {
      do throws(DiskError) {
        try await disk.remove(SegmentName(number: number, tag: segment.tag).fileName)
      } catch .notFound {
        // An earlier attempt failed between removing and syncing.
      } catch {
        throw error
      }
      if !PlantedBug.removalNotSynced.isPlanted { try await disk.syncDirectory() }
    } catch {
      throw .disk(error)
    }
    files.remove(number)
    state.update { $0.segments[number] = nil }
    let nextNumber = nextNumber
    try await onIndex { () throws(IndexError) in
      var batch = IndexBatch(state: self.state)
      batch.set(nil, for: IndexKey.segment(number))
      batch.set(self.marker.indexHeader(nextNumber: nextNumber), for: IndexKey.store)
      try await self.applier.commit(batch)
    }
  }

  /// Forgets what only a removed segment was remembered for.
  func forget(_ number: UInt32, marked: [BlobID], tombstones: [BlobID])
    async throws(SliverStoreError)
  {
    try await onIndex { () throws(IndexError) in
      var batch = IndexBatch(state: self.state)
      let keys = tombstones.map { IndexKey.tombstone($0) }
      batch.load(keys, try await self.index.values(for: keys))
      for key in keys where batch.entry(key)?.segment == number { batch.set(nil, for: key) }
      for blob in marked { batch.set(nil, for: IndexKey.mark(blob, segment: number)) }
      try await self.applier.commit(batch)
    }
  }

  /// Seals what can be sealed; nothing is written or read afterwards.
  func close() async throws(SliverStoreError) {
    guard !state.read({ $0.isClosed }) else { return }
    defer {
      state.update { $0.isClosed = true }
      files.removeAll()
    }
    if state.read({ $0.readOnlyReason == nil }) { try await sealActive() }
    active = nil
  }
}

extension DriveMarker {
  /// The first entry of the index: what it is an index of.
  func indexHeader(nextNumber: UInt32) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: Self.version)
    bytes += driveID
    bytes.append(littleEndian: nextNumber)
    return bytes
  }

  /// The number for the next segment if the index belongs to this drive and version.
  func nextNumber(inIndexHeader bytes: [UInt8]) -> UInt32? {
    guard bytes.count == 24, bytes.littleEndian(UInt32.self, at: 0) == Self.version,
      Array(bytes[4..<20]) == driveID
    else { return nil }
    return bytes.littleEndian(at: 20)
  }
}
