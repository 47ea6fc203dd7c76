// LogWriter+Segments.swift
//
// Writing to segment files: starting one, appending a group, sealing it.

internal import Cluster
internal import RedStuff
internal import World

extension LogWriter {
  /// Appends the records as one group and makes them durable and known.
  func write(_ entries: [LogEntry]) async throws(SliverStoreError) {
    guard !entries.isEmpty else { return }
    let byteCount = entries.reduce(0) { $0 + $1.record.byteCount }
    if let active, active.offset > 0, active.offset + byteCount > segmentByteCountMax {
      try await sealActive()
    }
    var segment = try await activeSegment()
    var logged: [RecordHeader] = []
    var buffers: [[UInt8]] = []
    var offset = segment.offset
    for entry in entries {
      let header = entry.record.header(
        at: RecordPlace(
          tag: segment.tag, offset: offset,
          sequence: entry.sequence ?? SequenceNumber(segment: segment.number, offset: offset),
          syncedThrough: segment.offset))
      buffers.append(header.encoded(seed: seed) + entry.record.table)
      if !entry.record.body.isEmpty { buffers.append(entry.record.body) }
      logged.append(header)
      offset = header.end
    }
    let (number, through, records) = (segment.number, offset, logged)
    if PlantedBug.indexToldBeforeSync.isPlanted {
      try await onIndex { () throws(IndexError) in
        try await self.applier.apply(records, segment: number, through: through)
      }
    }
    do throws(SliverStoreError) {
      try await appendDurably(buffers, byteCount: byteCount, to: segment)
    } catch {
      if state.read({ $0.readOnlyReason != nil }) { doubt(records) }
      throw error
    }
    segment.offset = offset
    active = segment
    state.update { $0.segments[number]?.fileByteCount = through }
    do throws(SliverStoreError) {
      try await onIndex { () throws(IndexError) in
        try await self.applier.apply(records, segment: number, through: through)
      }
    } catch {
      // They are durable, and the index that others ask does not know them.
      doubt(records)
      throw error
    }
    for record in records where record.kind == .tombstone {
      if let blob = record.blob { state.update { $0.unsecured.end(blob) } }
    }
  }

  /// A tombstone that may have reached the drive ends its blob at the next opening, whatever its delete
  /// was told. Until then nothing may count on what the blob has here.
  private func doubt(_ records: [RecordHeader]) {
    for record in records where record.kind == .tombstone {
      sometimes(.tombstoneDoubted)
      state.update { $0.unsecured.insert(record) }
    }
  }

  /// Closes the current segment in order; the next write starts another one.
  func sealActive() async throws(SliverStoreError) {
    guard let segment = active else { return }
    // Whatever happens, nothing is appended to it again.
    active = nil
    do throws(SliverStoreError) {
      try await seal(segment.number, segment.file, tag: segment.tag, at: segment.offset)
    } catch {
      // On a full drive it stays without its seal: opening then looks at its last group once more.
      guard case .full = error else { throw error }
    }
  }

  /// Ends a segment whose bytes before `offset` are all durable.
  func seal(_ number: UInt32, _ file: any DiskFile, tag: UInt64, at offset: Int)
    async throws(SliverStoreError)
  {
    let header = PreparedRecord.seal().header(
      at: RecordPlace(
        tag: tag, offset: offset, sequence: SequenceNumber(segment: number, offset: offset),
        syncedThrough: offset))
    try await appendDurably(
      [header.encoded(seed: seed)], byteCount: header.recordByteCount,
      to: ActiveSegment(number: number, tag: tag, file: file, offset: offset))
    state.update { $0.segments[number]?.fileByteCount = header.end }
    try await onIndex { () throws(IndexError) in
      try await self.applier.apply(
        [], segment: number, through: header.end, isSealed: true)
    }
  }

  /// Writes behind the end of a segment and syncs; on a full drive the tail is cut off again.
  private func appendDurably(_ buffers: [[UInt8]], byteCount: Int, to segment: ActiveSegment)
    async throws(SliverStoreError)
  {
    do throws(DiskError) {
      try await segment.file.write(buffers, at: segment.offset)
    } catch .full {
      if PlantedBug.halfRecordTakenForWhole.isPlanted { return }
      sometimes(.fullGroupCutOff)
      try await cutTail(of: segment)
      throw .full(
        freeByteCount: max(0, try await freeByteCount()), neededByteCount: byteCount)
    } catch {
      abandonActive("a write to \(segment.file.name) failed: \(error)")
      throw .disk(error)
    }
    if PlantedBug.logSyncForgotten.isPlanted { return }
    if PlantedBug.copiesNotSynced.isPlanted, state.read({ $0.isCompacting }) { return }
    do throws(DiskError) {
      try await segment.file.sync()
    } catch {
      if PlantedBug.failedSyncForgiven.isPlanted { return }
      abandonActive("a sync of \(segment.file.name) failed: \(error)")
      throw .disk(error)
    }
  }

  private func cutTail(of segment: ActiveSegment) async throws(SliverStoreError) {
    do throws(DiskError) {
      try await segment.file.truncate(to: segment.offset)
      try await segment.file.sync()
    } catch {
      abandonActive("cutting the tail of \(segment.file.name) failed: \(error)")
      throw .disk(error)
    }
  }

  private func abandonActive(_ reason: String) {
    active = nil
    stopWriting(reason)
  }

  /// Offsets in a segment take 32 bits, with room for one record of the largest size.
  private var segmentByteCountMax: Int { min(options.segmentByteCountMax, 1 << 31) }

  private func activeSegment() async throws(SliverStoreError) -> ActiveSegment {
    if let active { return active }
    guard nextNumber < .max else {
      throw .readOnly("all \(UInt32.max) segment numbers of this drive are used")
    }
    let name = SegmentName(number: nextNumber, tag: randomness.next())
    // Even a failed creation may have left the name behind.
    nextNumber += 1
    let file: any DiskFile
    do throws(DiskError) {
      file = try await disk.create(name.fileName)
      if !PlantedBug.directorySyncForgotten.isPlanted { try await disk.syncDirectory() }
    } catch .full {
      throw .full(freeByteCount: 0, neededByteCount: RecordHeader.byteCount)
    } catch {
      abandonActive("starting \(name.fileName) failed: \(error)")
      throw .disk(error)
    }
    files.insert(file, number: name.number)
    state.update { $0.segments[name.number] = SegmentState(tag: name.tag) }
    let segment = ActiveSegment(number: name.number, tag: name.tag, file: file, offset: 0)
    active = segment
    return segment
  }
}
