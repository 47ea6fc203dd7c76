// SliverStore+Compaction.swift
//
// Frees the space of what is needed no more: copies what still is from mostly dead segments into the
// current one, and removes them. Every byte is checked before it is copied: compaction must not
// spread rot under fresh checksums.
//
// Safe to crash anywhere. A copy has the sequence number of its original, so both may stand for a
// while and neither can outlive a newer tombstone. Order: copies durable, index told, file removed,
// removal durable, index told. A tombstone goes only when no other segment holds anything that it
// keeps down (dead marks), nor anything unknown (damage).

internal import Cluster
internal import RedStuff
internal import World

extension SliverStore {
  /// Copies are handed to the writer in portions of this size, between those of other callers.
  private static let portionByteCount = 4 << 20

  /// Compacts the segments worth it, the deadest first. A second call at the same time does nothing.
  package func compact() async throws(SliverStoreError) -> CompactionReport {
    try state.requireWritable()
    var report = CompactionReport()
    let isFirst = state.update { values in
      defer { values.isCompacting = true }
      return !values.isCompacting
    }
    guard isFirst else { return report }
    defer { state.update { $0.isCompacting = false } }

    let tombstonesMayGo = try await noTombstoneIsNeeded()
    if let active = await writer.active?.number, let segment = state.segment(active),
      isWorthIt(segment, tombstonesMayGo)
    {
      try await submit(.seal)
    }
    let active = await writer.active?.number
    let candidates = state.read { values in
      values.segments.filter { number, segment in
        number != active && segment.through == segment.fileByteCount
      }
    }
    .filter { isWorthIt($0.value, tombstonesMayGo) }
    .sorted { ($0.value.liveByteCount, $0.key) < ($1.value.liveByteCount, $1.key) }
    for (number, segment) in candidates where !Task.isCancelled {
      guard report.copiedByteCount < options.compactionByteCountMax else { break }
      do throws(SliverStoreError) {
        try await compact(number, segment, &report)
      } catch {
        // What was found rotten has to be told; the error comes back with the next call.
        guard report.rotten.recordCount > 0 else { throw error }
        break
      }
    }
    return report
  }

  private func isWorthIt(_ segment: SegmentState, _ tombstonesMayGo: Bool) -> Bool {
    guard segment.fileByteCount > 0 else { return segment.isSealed }
    let needed =
      segment.liveByteCount
      - (tombstonesMayGo ? segment.tombstoneCount * RecordHeader.byteCount : 0)
    return segment.isDamaged
      || Double(needed) <= Double(segment.fileByteCount) * options.compactionLiveShareMax
  }

  /// Whether no segment holds anything that a tombstone keeps down.
  private func noTombstoneIsNeeded() async throws(SliverStoreError) -> Bool {
    var lower = IndexKey.marks.lower
    while true {
      let start = lower
      let page = try await fromIndex { () throws(IndexError) in
        try await self.index.entries(from: start, below: IndexKey.marks.upper, limit: 64)
      }
      for mark in page {
        if let number = IndexKey.segmentNumber(in: mark.key), state.segment(number) != nil {
          return false
        }
      }
      guard page.count == 64, let last = page.last else { break }
      lower = last.key + [0]
    }
    return !index.isRotten
      && state.read { values in
        values.unsecured.isEmpty && values.segments.values.allSatisfy { !$0.isDamaged }
      }
  }

  private func compact(_ number: UInt32, _ segment: SegmentState, _ report: inout CompactionReport)
    async throws(SliverStoreError)
  {
    let file = try await onDisk { () throws(DiskError) in
      try await self.files.file(SegmentName(number: number, tag: segment.tag))
    }
    // Shorter than it was: what stood behind the end is lost, and must not look like unread.
    let byteCount = min(
      segment.fileByteCount,
      try await onDisk { () throws(DiskError) in try await file.byteCount() })
    let reader = RecordReader(file: file, tag: segment.tag, seed: seed)
    var scanner = SegmentScanner(file: file, byteCount: byteCount, tag: segment.tag, seed: seed)
    var pass = CompactionPass(number: number)
    pass.hasDamage = byteCount < segment.fileByteCount
    var isAtEnd = false
    while !isAtEnd {
      var headers: [RecordHeader] = []
      while headers.count < IndexApplier.batchCountMax {
        let step: SegmentScanner.Step?
        do { step = try await scanner.next() } catch { throw .disk(error) }
        switch step {
        case .record(let header): headers.append(header)
        case .damage(let damage):
          pass.hasDamage = true
          // What the drive refuses to read may be readable tomorrow: nothing is thrown away for it.
          guard !damage.isUnreadable else {
            throw .disk(.failed(file: file.name, operation: "read", code: 5))
          }
        case nil: isAtEnd = true
        }
        if isAtEnd { break }
      }
      try await copyNeeded(headers, reader, &pass, &report)
    }
    if pass.hasDamage { try await renewTombstones(&pass) }
    try await submitCopies(&pass)

    // Verify before destroying: what is still counted as needed can only be behind the damage.
    let left = (state.segment(number)?.liveRecordCount ?? 0) - pass.tombstones.count
    guard left <= 0 || pass.hasDamage else { return }
    let lost = left > 0 ? try await records(in: number) : []
    try await submit(.remove(segment: number))
    if left > 0 { sometimes(.damagedSegmentRemoved) }
    for key in lost { report.rotten.add(key) }
    state.countRotten(max(0, left))
    let marked = pass.marked.sorted()
    for start in stride(from: 0, to: marked.count, by: IndexApplier.batchCountMax) {
      let part = Array(marked[start..<min(start + IndexApplier.batchCountMax, marked.count)])
      try await submit(
        .forget(segment: number, marked: part, tombstones: part.filter(pass.tombstones.contains)))
    }
    report.removedSegmentCount += 1
    report.copiedByteCount += pass.copiedByteCount
    report.freedByteCount += segment.fileByteCount - pass.copiedByteCount
    report.droppedTombstoneCount += pass.tombstones.count
  }

  /// Copies what of these records is still needed.
  private func copyNeeded(
    _ headers: [RecordHeader], _ reader: RecordReader, _ pass: inout CompactionPass,
    _ report: inout CompactionReport
  ) async throws(SliverStoreError) {
    var candidates: [(header: RecordHeader, key: [UInt8])] = []
    for header in headers {
      if let blob = header.blob { pass.marked.insert(blob) }
      guard let key = IndexKey.of(header) else { continue }
      candidates.append((header, key))
    }
    let keys = candidates.map(\.key)
    let values = try await fromIndex { () throws(IndexError) in
      try await self.index.values(for: keys)
    }
    for (candidate, value) in zip(candidates, values) {
      let entry = RecordEntry(candidate.header, in: pass.number)
      guard value.flatMap({ RecordEntry($0) }) == entry else { continue }
      if candidate.header.kind == .tombstone, let blob = candidate.header.blob {
        if try await mayGo(tombstoneOf: blob, in: pass.number) {
          sometimes(.tombstoneDropped)
          pass.tombstones.insert(blob)
          continue
        }
        sometimes(.tombstoneKept)
      }
      let record = try await onDisk { () throws(DiskError) in try await reader.record(entry) }
      let isTakenForRotten =
        PlantedBug.compactionDropsNewest.isPlanted && candidate.key == keys.last
      guard let record, !isTakenForRotten else {
        try await submit(.drop(key: candidate.key, entry: entry))
        report.rotten.add(candidate.key)
        state.countRotten()
        continue
      }
      pass.add(record, key: candidate.key, entry: entry)
      if pass.portionByteCount >= Self.portionByteCount { try await submitCopies(&pass) }
    }
  }

  /// Writes again the tombstones that the index knows in this segment and that cannot be read there:
  /// what they keep down may lie in another, and would come back with the next index.
  private func renewTombstones(_ pass: inout CompactionPass) async throws(SliverStoreError) {
    try await submitCopies(&pass)
    var lower = IndexKey.tombstones.lower
    while true {
      let start = lower
      let page = try await fromIndex { () throws(IndexError) in
        try await self.index.entries(
          from: start, below: IndexKey.tombstones.upper, limit: IndexApplier.pageCount)
      }
      for found in page {
        guard let entry = RecordEntry(found.value), entry.segment == pass.number,
          let blob = IndexKey.blob(in: found.key), !pass.tombstones.contains(blob)
        else { continue }
        pass.marked.insert(blob)
        sometimes(.rottenTombstoneRenewed)
        if try await mayGo(tombstoneOf: blob, in: pass.number) {
          pass.tombstones.insert(blob)
        } else {
          pass.add(.tombstone(of: blob), key: found.key, entry: entry)
        }
      }
      guard page.count == IndexApplier.pageCount, let last = page.last else { return }
      lower = last.key + [0]
    }
  }

  /// Slivers and metadata that the index knows in a segment.
  private func records(in number: UInt32) async throws(SliverStoreError) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var lower = IndexKey.records.lower
    while true {
      let start = lower
      let page = try await fromIndex { () throws(IndexError) in
        try await self.index.entries(
          from: start, below: IndexKey.records.upper, limit: IndexApplier.pageCount)
      }
      keys += page.filter { RecordEntry($0.value)?.segment == number }.map(\.key)
      guard page.count == IndexApplier.pageCount, let last = page.last else { return keys }
      lower = last.key + [0]
    }
  }

  private func submitCopies(_ pass: inout CompactionPass) async throws(SliverStoreError) {
    guard !pass.portion.isEmpty else { return }
    let portion = pass.portion
    pass.portion = []
    pass.copiedByteCount += pass.portionByteCount
    pass.portionByteCount = 0
    try await submit(.log(portion, .compaction))
    sometimes(.compactionCopied)
  }

  /// Whether no other segment holds records of the blob that this tombstone keeps down.
  private func mayGo(tombstoneOf blob: BlobID, in number: UInt32)
    async throws(SliverStoreError) -> Bool
  {
    if PlantedBug.tombstoneDroppedTooEarly.isPlanted { return true }
    let isUnknown = state.read { values in
      !values.unsecured.isEmpty
        || values.segments.contains { $0.key != number && $0.value.isDamaged }
    }
    let mayLack = index.isRotten && !PlantedBug.tombstonesDroppedByRottenIndex.isPlanted
    if isUnknown || mayLack { return false }
    let marks = try await fromIndex { () throws(IndexError) in
      try await self.writer.applier.all(of: blob, prefix: 4)
    }
    return marks.allSatisfy { mark in
      guard let marked = IndexKey.segmentNumber(in: mark.key) else { return false }
      return marked == number || state.segment(marked) == nil
    }
  }

  private func onDisk<Value>(_ body: () async throws(DiskError) -> Value)
    async throws(SliverStoreError) -> Value
  {
    do throws(DiskError) { return try await body() } catch { throw .disk(error) }
  }
}

/// What the compaction of one segment has come to so far.
private struct CompactionPass {
  let number: UInt32
  /// Copies that are not handed to the writer yet.
  var portion: [LogEntry] = []
  var portionByteCount = 0
  var copiedByteCount = 0
  /// All blobs with records in the segment: their dead marks end with it.
  var marked: Set<BlobID> = []
  /// Blobs whose tombstone ends with the segment.
  var tombstones: Set<BlobID> = []
  var hasDamage = false

  init(number: UInt32) { self.number = number }

  mutating func add(_ record: PreparedRecord, key: [UInt8], entry: RecordEntry) {
    portion.append(
      LogEntry(
        record: record, indexKey: key, condition: .unchanged(entry), sequence: entry.sequence))
    portionByteCount += record.byteCount
  }
}
