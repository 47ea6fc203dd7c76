// SliverStore+Reading.swift
//
// Finding and reading. Nothing here is cached: the operating system caches pages, the index its own.
//
// A record that does not match its checksums is dropped from the index and answered as missing, so
// that repair stores it again. A drive that refuses to read proves nothing: that is an error.

internal import Cluster
package import RedStuff
internal import World

extension SliverStore {
  /// The encoded metadata of a blob; nil if it is missing.
  package func metadata(of blob: BlobID) async throws(SliverStoreError) -> [UInt8]? {
    try await found(IndexKey.metadata(blob)) { entry async throws(SliverStoreError) in
      try await self.record(entry)?.body
    }
  }

  /// A whole sliver; nil if it is missing.
  package func sliver(_ key: SliverKey) async throws(SliverStoreError) -> (
    symbolByteCount: Int, bytes: [UInt8]
  )? {
    try await sliver(key) { _, _ in true }
  }

  /// The same of a sliver whose bytes the caller checks as well: one that is not right is dropped like
  /// one that does not match its checksum.
  package func sliver(
    _ key: SliverKey, where isRight: (_ symbolByteCount: Int, _ bytes: [UInt8]) async -> Bool
  ) async throws(SliverStoreError) -> (symbolByteCount: Int, bytes: [UInt8])? {
    try await found(IndexKey.sliver(key)) { entry async throws(SliverStoreError) in
      guard let record = try await self.record(entry),
        await isRight(record.header.symbolByteCount, record.body)
      else { return nil }
      return (record.header.symbolByteCount, record.body)
    }
  }

  /// The bytes of some symbols of a sliver, and little more is read; nil if the sliver is missing.
  package func symbols(_ range: Range<Int>, of key: SliverKey) async throws(SliverStoreError)
    -> [UInt8]?
  {
    try await found(IndexKey.sliver(key)) { entry async throws(SliverStoreError) in
      let symbolCount = entry.bodyByteCount / max(1, entry.symbolByteCount)
      guard range.lowerBound >= 0, range.upperBound <= symbolCount else {
        throw SliverStoreError.symbolsOutOfRange(range, symbolCount: symbolCount)
      }
      guard !range.isEmpty else { return [] }
      return try await self.read(entry) { reader throws(DiskError) in
        try await reader.symbols(range, of: entry)
      }
    }
  }

  /// Whether slivers are stored, by the index: true only after the sync of their first writer.
  package func contains(_ keys: [SliverKey]) async throws(SliverStoreError) -> [Bool] {
    try state.requireOpen()
    let values = try await fromIndex { () throws(IndexError) in
      try await self.index.values(for: keys.map { IndexKey.sliver($0) })
    }
    return zip(keys, values).map { key, value in
      let entry = standing(value)
      return entry != nil && !isUncertain(IndexKey.sliver(key), besides: entry)
    }
  }

  /// Blobs with metadata or slivers here, in ascending order.
  package func blobs(after: BlobID?, limit: Int) async throws(SliverStoreError) -> [BlobID] {
    try state.requireOpen()
    var lower = after.map { IndexKey.after($0, prefix: 2) } ?? IndexKey.records.lower
    var blobs: [BlobID] = []
    while blobs.count < limit {
      let start = lower
      // Small pages: blobs with many entries are skipped over, those with few come several a page.
      let page = try await fromIndex { () throws(IndexError) in
        try await self.index.entries(from: start, below: IndexKey.records.upper, limit: 32)
      }
      for found in page where standing(found.value) != nil {
        guard blobs.count < limit, let blob = IndexKey.blob(in: found.key) else { continue }
        if blobs.last != blob { blobs.append(blob) }
      }
      guard page.count == 32, let last = page.last, let blob = IndexKey.blob(in: last.key) else {
        break
      }
      // Entries of the last blob that do not stand may hide others of it behind the page.
      lower = blobs.last == blob ? IndexKey.after(blob, prefix: 2) : last.key + [0]
    }
    return blobs
  }

  /// A value that `setValue` stored; nil if there is none or it is rotten.
  package func value(for name: String) async throws(SliverStoreError) -> [UInt8]? {
    try await found(IndexKey.value(hash: PreparedRecord.hash(ofName: name))) {
      entry async throws(SliverStoreError) in
      try await self.record(entry)?.body
    }
  }

  /// What stands on the drive, and how much more fits.
  package var statistics: SliverStoreStatistics {
    get async throws(SliverStoreError) {
      try state.requireOpen()
      var statistics = SliverStoreStatistics()
      state.read { values in
        for segment in values.segments.values {
          statistics.sliverCount += segment.liveSliverCount
          statistics.liveByteCount += segment.liveByteCount
          statistics.segmentByteCount += segment.fileByteCount
        }
        statistics.segmentCount = values.segments.count
        statistics.rottenCount = values.rottenCount
        statistics.readOnlyReason = values.readOnlyReason
      }
      let space: DiskSpace
      do { space = try await disk.space() } catch { throw .disk(error) }
      statistics.totalByteCount = min(
        space.totalByteCount, options.capacityByteCount ?? space.totalByteCount)
      statistics.freeByteCount = max(
        0, try await writer.freeByteCount() - options.reserveByteCount)
      return statistics
    }
  }

  /// Whether parts of a segment could not be read as records when it was scanned. A delete may have
  /// stood there; without the index, what it ended is back.
  package var mayHaveForgottenDeletes: Bool {
    state.read { $0.segments.values.contains(where: \.isDamaged) }
  }

  /// The entry under a key, if its segment is still there.
  ///
  /// - Throws: also if the opening could not read or secure what belongs there.
  func entry(_ key: [UInt8]) async throws(SliverStoreError) -> RecordEntry? {
    let entry = try await knownEntry(key)
    if isUncertain(key, besides: entry) {
      throw .disk(.failed(file: "the last group of a segment", operation: "read", code: 5))
    }
    return entry
  }

  /// Whether more than this entry, or its absence, may stand under the key.
  func isUncertain(_ key: [UInt8], besides entry: RecordEntry?) -> Bool {
    state.read { $0.unsecured.concern(key, besides: entry) }
  }

  /// What the index says of a key.
  func knownEntry(_ key: [UInt8]) async throws(SliverStoreError) -> RecordEntry? {
    try state.requireOpen()
    let values = try await fromIndex { () throws(IndexError) in
      try await self.index.values(for: [key])
    }
    return values.first.flatMap { standing($0) }
  }

  /// The whole record at an entry; nil if it is not there any more or rotten.
  func record(_ entry: RecordEntry) async throws(SliverStoreError) -> PreparedRecord? {
    try await read(entry) { reader throws(DiskError) in try await reader.record(entry) }
  }

  func fromIndex<Value>(_ body: () async throws(IndexError) -> Value)
    async throws(SliverStoreError) -> Value
  {
    do throws(IndexError) { return try await body() } catch { throw .index(error) }
  }

  /// Reads what stands under a key. A record that cannot be had is looked up once more, since
  /// compaction may have moved it, and then dropped.
  private func found<Value>(
    _ key: [UInt8], _ read: (RecordEntry) async throws(SliverStoreError) -> Value?
  ) async throws(SliverStoreError) -> Value? {
    guard var entry = try await entry(key) else { return nil }
    if let value = try await read(entry) { return value }
    guard let again = try await self.entry(key) else { return nil }
    if again != entry {
      sometimes(.recordMovedWhileRead)
      entry = again
      if let value = try await read(entry) { return value }
    }
    sometimes(.rottenRecordFound)
    state.countRotten()
    do throws(SliverStoreError) {
      try await submit(.drop(key: key, entry: entry))
    } catch {
      // It is missing all the same; whoever reads it next finds that out again.
      switch error {
      case .readOnly, .cancelled: break
      default: throw error
      }
    }
    return nil
  }

  private func standing(_ value: [UInt8]?) -> RecordEntry? {
    guard let entry = value.flatMap({ RecordEntry($0) }), state.segment(entry.segment) != nil
    else { return nil }
    return entry
  }

  private func read<Value>(
    _ entry: RecordEntry, _ body: (RecordReader) async throws(DiskError) -> Value?
  ) async throws(SliverStoreError) -> Value? {
    guard let segment = state.segment(entry.segment) else { return nil }
    do throws(DiskError) {
      let file = try await files.file(SegmentName(number: entry.segment, tag: segment.tag))
      return try await body(RecordReader(file: file, tag: segment.tag, seed: seed))
    } catch .notFound {
      return nil
    } catch {
      throw .disk(error)
    }
  }
}
