// SliverStore+Scrub.swift
//
// Reads everything that is needed on a drive and compares every byte with its checksum, a little at
// a time, so that rot is found while there is enough elsewhere to repair from.
//
//   headers, one after the other   SegmentScanner: each has its own checksum, so dead records cost
//                                  a header only
//   records that the index knows   read whole
//   at the end of a segment        if anything was no record, or fewer needed records were seen than
//                                  the index counts: what it knows there is looked up one by one
//
// A rotten record is forgotten as readers forget it. A rotten tombstone is written again at once with
// its old sequence number, since what it keeps down may lie elsewhere and would come back with the
// next index. A segment with damage is marked, so that compaction rewrites it.

internal import RedStuff
internal import World

extension SliverStore {
  /// Headers whose place in the index is looked up together.
  private static let headerCountMax = 256
  /// Passed over when the drive reads nothing any more around a place.
  static let unreadableSkipByteCount = 1 << 20

  /// Verifies about `byteCountMax` bytes from `position` on, at least one record; nil begins a new
  /// pass. Segments that went meanwhile are passed over: compaction has read what it copied.
  ///
  /// - Throws: only when it did nothing; what was found before an error is returned.
  package func scrub(from position: ScrubPosition?, byteCountMax: Int)
    async throws(SliverStoreError) -> ScrubStep
  {
    try state.requireOpen()
    var step = ScrubStep()
    guard var place = position ?? scrubStart else { return step }
    do throws(SliverStoreError) {
      step.next = try await walk(from: &place, byteCountMax: byteCountMax, &step) ? nil : place
    } catch {
      guard !step.isEmpty else { throw error }
      step.next = place
    }
    return step
  }

  /// What a pass still has before it: bytes of segments, and of the needed records in them.
  package func scrubAhead(of position: ScrubPosition?) -> (byteCount: Int, liveByteCount: Int) {
    guard let place = position ?? scrubStart else { return (0, 0) }
    return state.read { values in
      var ahead = (byteCount: 0, liveByteCount: 0)
      for (number, segment) in values.segments
      where (place.segment...max(place.segment, place.last)).contains(number) {
        let done = number == place.segment ? min(place.offset, segment.through) : 0
        ahead.byteCount += segment.through - done
        // As if what is needed were spread evenly.
        let share = Double(segment.through - done) / Double(max(1, segment.through))
        ahead.liveByteCount += Int(Double(segment.liveByteCount) * share)
      }
      return ahead
    }
  }

  private var scrubStart: ScrubPosition? {
    state.read { values in
      guard let first = values.segments.keys.min(), let last = values.segments.keys.max() else {
        return nil
      }
      return ScrubPosition(segment: first, last: last)
    }
  }

  /// - Returns: whether the pass is complete.
  private func walk(
    from place: inout ScrubPosition, byteCountMax: Int, _ step: inout ScrubStep
  ) async throws(SliverStoreError) -> Bool {
    while true {
      let (here, last) = (place.segment, place.last)
      let next = state.read { $0.segments.keys.filter { here <= $0 && $0 <= last }.min() }
      guard let next, let segment = state.segment(next) else { return true }
      if next != here { sometimes(.scrubbedSegmentVanished) }
      if PlantedBug.sealedSegmentsNotScrubbed.isPlanted, segment.isSealed, next < last {
        place.move(to: next + 1)
        continue
      }
      place.move(to: next)
      guard try await read(segment, &place, byteCountMax: byteCountMax, &step) else { return false }
      guard next < last else { return true }
      place.move(to: next + 1)
      if step.readByteCount >= byteCountMax || Task.isCancelled { return false }
    }
  }

  /// Reads on in one segment, as far as it is durable and known.
  ///
  /// - Returns: whether its end was reached.
  private func read(
    _ segment: SegmentState, _ place: inout ScrubPosition, byteCountMax: Int,
    _ step: inout ScrubStep
  ) async throws(SliverStoreError) -> Bool {
    let file: any DiskFile
    let byteCount: Int
    do throws(DiskError) {
      file = try await files.file(SegmentName(number: place.segment, tag: segment.tag))
      byteCount = try await file.byteCount()
    } catch {
      // Gone since, or the drive cannot even say how long it is.
      guard state.segment(place.segment) != nil else { return true }
      step.unreadableByteCount += segment.through - min(place.offset, segment.through)
      return true
    }
    // What stood behind the end of a file that became shorter is lost.
    if byteCount < segment.through { place.hasDamage = true }
    let reader = RecordReader(file: file, tag: segment.tag, seed: seed)
    var scanner = SegmentScanner(
      file: file, byteCount: min(byteCount, segment.through), tag: segment.tag, seed: seed,
      from: place.offset)
    while true {
      let batch = await gather(&scanner, byteCountMax: byteCountMax - step.readByteCount)
      try await verify(batch.headers, reader, &place, &step)
      if let damage = batch.damage { note(damage, &place, &step) }
      if batch.isUnreadable {
        let end = min(scanner.byteCount, scanner.offset + Self.unreadableSkipByteCount)
        note(.init(range: scanner.offset..<end, isUnreadable: true), &place, &step)
        scanner = SegmentScanner(
          file: file, byteCount: scanner.byteCount, tag: segment.tag, seed: seed, from: end)
      }
      if batch.isAtEnd { break }
      if step.readByteCount >= byteCountMax || Task.isCancelled { return false }
    }
    place.offset = max(place.offset, segment.through)
    try await lookUpWhatIsLeft(reader, &place, &step)
    return true
  }

  private func note(
    _ damage: SegmentScanner.Damage, _ place: inout ScrubPosition, _ step: inout ScrubStep
  ) {
    step.walkedByteCount += damage.range.count
    step.readByteCount += damage.range.count
    place.offset = damage.range.upperBound
    if damage.isUnreadable {
      sometimes(.scrubMetUnreadable)
      step.unreadableByteCount += damage.range.count
    } else if !damage.isBlank {
      place.hasDamage = true
    }
  }

  /// Headers up to the first damage, or as many as make the wanted bytes.
  private func gather(_ scanner: inout SegmentScanner, byteCountMax: Int) async -> ScrubBatch {
    var batch = ScrubBatch()
    var byteCount = 0
    while batch.headers.count < Self.headerCountMax {
      do throws(DiskError) {
        switch try await scanner.next() {
        case .record(let header):
          batch.headers.append(header)
          byteCount += header.recordByteCount
          if byteCount >= byteCountMax { return batch }
        case .damage(let damage):
          batch.damage = damage
          return batch
        case nil:
          batch.isAtEnd = true
          return batch
        }
      } catch {
        batch.isUnreadable = true
        return batch
      }
    }
    return batch
  }

  private func verify(
    _ headers: [RecordHeader], _ reader: RecordReader, _ place: inout ScrubPosition,
    _ step: inout ScrubStep
  ) async throws(SliverStoreError) {
    let keys = headers.map { IndexKey.of($0) }
    let values = try await fromIndex { () throws(IndexError) in
      try await self.index.values(for: keys.compactMap(\.self))
    }
    var rest = values[...]
    for (header, key) in zip(headers, keys) {
      let known = key == nil ? nil : rest.popFirst()?.flatMap { RecordEntry($0) }
      let entry = RecordEntry(header, in: place.segment)
      if let key, known == entry {
        try await check(key, entry, &place, &step) { () throws(DiskError) in
          try await reader.record(entry) != nil
        }
        place.seenCount += 1
        step.verifiedByteCount += header.recordByteCount
        step.readByteCount += header.recordByteCount
      } else {
        step.readByteCount += min(
          header.recordByteCount, SegmentScanner.headerWindowByteCount)
      }
      step.walkedByteCount += header.end - place.offset
      place.offset = header.end
    }
  }

  /// Deals with a record that the index knows.
  private func check(
    _ key: [UInt8], _ entry: RecordEntry, _ place: inout ScrubPosition, _ step: inout ScrubStep,
    isIntact: () async throws(DiskError) -> Bool
  ) async throws(SliverStoreError) {
    do throws(DiskError) {
      if try await isIntact() { return }
    } catch {
      // No proof of anything; it stays where it is.
      sometimes(.scrubMetUnreadable)
      step.unreadable.add(key)
      return
    }
    // Deleted, written anew or moved since it was looked up?
    guard try await knownEntry(key) == entry else { return }
    sometimes(.scrubFoundRot)
    if key.first == 3, let blob = IndexKey.blob(in: key),
      !PlantedBug.rottenTombstoneDropped.isPlanted
    {
      try await renew(tombstoneOf: blob, entry)
    } else {
      let isDropped = try await unlessReadOnly { () throws(SliverStoreError) in
        try await self.submit(.drop(key: key, entry: entry))
      }
      // It counts among the needed ones no more.
      if isDropped { place.seenCount -= 1 }
    }
    place.hasDamage = place.hasDamage || key.first == 3
    state.countRotten()
    step.rotten.add(key)
  }

  /// Finds what the index knows in a segment and no header was read for.
  private func lookUpWhatIsLeft(
    _ reader: RecordReader, _ place: inout ScrubPosition, _ step: inout ScrubStep
  ) async throws(SliverStoreError) {
    guard let segment = state.segment(place.segment) else { return }
    let isLacking =
      segment.through == place.offset && segment.liveRecordCount > place.seenCount
    guard place.hasDamage || segment.isDamaged || isLacking else { return }
    // Behind the end of what was read is what was written meanwhile, or, in a segment that takes no
    // more, what an older copy of the drive does not have.
    let end = await writer.active?.number == place.segment ? place.offset : .max
    let foundBefore = step.rotten.recordCount
    for range in [IndexKey.records, IndexKey.tombstones, IndexKey.values] {
      var lower = range.lower
      while true {
        let start = lower
        let page = try await fromIndex { () throws(IndexError) in
          try await self.index.entries(
            from: start, below: range.upper, limit: IndexApplier.pageCount)
        }
        for found in page {
          guard let entry = RecordEntry(found.value), entry.segment == place.segment,
            entry.offset < end
          else { continue }
          try await check(found.key, entry, &place, &step) { () throws(DiskError) in
            try await reader.prefix(of: entry) != nil
          }
        }
        guard page.count == IndexApplier.pageCount, let last = page.last else { break }
        lower = last.key + [0]
      }
    }
    guard place.hasDamage || step.rotten.recordCount > foundBefore, !segment.isDamaged else {
      return
    }
    let number = place.segment
    _ = try await unlessReadOnly { () throws(SliverStoreError) in
      try await self.submit(.flagDamage(segment: number))
    }
  }

  /// Writes a tombstone again that cannot be read. Without space for it the segment is marked all the
  /// same, and compaction will write it, or the next opening ask the registry.
  private func renew(tombstoneOf blob: BlobID, _ entry: RecordEntry)
    async throws(SliverStoreError)
  {
    let copy = LogEntry(
      record: .tombstone(of: blob), indexKey: IndexKey.tombstone(blob),
      condition: .unchanged(entry), sequence: entry.sequence)
    let isRenewed = try await unlessReadOnly { () throws(SliverStoreError) in
      try await self.submit(.log([copy], .compaction))
    }
    if isRenewed { sometimes(.rottenTombstoneRenewed) }
  }

  /// Does without a write that this drive cannot take: what was found is told nevertheless.
  private func unlessReadOnly(_ body: () async throws(SliverStoreError) -> Void)
    async throws(SliverStoreError) -> Bool
  {
    do throws(SliverStoreError) {
      try await body()
      return true
    } catch {
      switch error {
      case .readOnly, .full: return false
      default: throw error
      }
    }
  }
}

/// What a look at the next headers brought.
private struct ScrubBatch {
  var headers: [RecordHeader] = []
  /// Behind the headers.
  var damage: SegmentScanner.Damage?
  /// The drive reads nothing any more behind the headers.
  var isUnreadable = false
  var isAtEnd = false
}
