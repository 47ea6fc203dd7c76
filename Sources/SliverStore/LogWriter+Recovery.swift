// LogWriter+Recovery.swift
//
// Opening: what the segments say and the index does not know yet is told to it.
//
// A segment that ends with its seal was closed in order, and its headers suffice. Any other was
// being written when the process ended. Everything before the largest `syncedThrough` of its headers
// was durable; what follows is the last group, of which any part may be missing, and what can be
// read of it may stand in memory only. So the last group is checked byte by byte, its whole records
// are written once more where they are, the rest is blanked or cut off, and then the seal is set:
// from there on every header in the segment can be trusted again.

internal import Cluster
internal import RedStuff
internal import World

extension LogWriter {
  /// Brings the index up to the segments. Nothing is written before this has returned.
  func recover() async throws(SliverStoreError) {
    let names: [SegmentName]
    do throws(DiskError) {
      names = try await disk.files().compactMap { SegmentName(fileName: $0) }.sorted()
      // A name that was not durable yet could vanish after we have told that its records are safe.
      try await disk.syncDirectory()
    } catch {
      throw .disk(error)
    }
    do throws(SliverStoreError) {
      try await replay(names)
    } catch {
      guard case .index = error else { throw error }
      // The index is a cache: an unusable one is replaced. What comes now must work.
      sometimes(.indexReplaced)
      do throws(IndexError) { try await index.removeAll() } catch { throw .index(error) }
      state.update { $0 = StoreState.Values() }
      try await replay(names)
    }
  }

  private func replay(_ names: [SegmentName]) async throws(SliverStoreError) {
    try await onIndex { () throws(IndexError) in try await self.loadIndex(names) }
    var previous: UInt32?
    for name in names where name.number != previous {
      previous = name.number
      if let known = state.segment(name.number), known.isSealed { continue }
      try await recover(name)
    }
  }

  /// Takes over what the index knows of these segments; forgets everything if it is another's.
  private func loadIndex(_ names: [SegmentName]) async throws(IndexError) {
    let header = try await index.values(for: [IndexKey.store]).first ?? nil
    var knownNext = header.flatMap { marker.nextNumber(inIndexHeader: $0) }
    var known: [UInt32: SegmentState] = [:]
    if knownNext != nil {
      var lower = IndexKey.segments.lower
      while true {
        let page = try await index.entries(
          from: lower, below: IndexKey.segments.upper, limit: IndexApplier.pageCount)
        for entry in page {
          guard let number = IndexKey.segmentNumber(in: entry.key) else { continue }
          known[number] = SegmentState(entry.value)
        }
        guard page.count == IndexApplier.pageCount, let last = page.last else { break }
        lower = last.key + [0]
      }
    }
    // Another segment under a known number: the index tells of a past that this drive never had.
    if names.contains(where: { name in known[name.number].map { $0.tag != name.tag } ?? false }) {
      sometimes(.indexOfAnotherPast)
      knownNext = nil
    }
    if knownNext == nil || index.isRotten {
      if !names.isEmpty { sometimes(.indexLost) }
      known = [:]
      try await index.removeAll()
    }
    let highest = max(names.last?.number ?? 0, known.keys.max() ?? 0)
    nextNumber = max(knownNext ?? 1, highest == .max ? .max : highest + 1)

    let present = Dictionary(
      names.map { ($0.number, $0.tag) }, uniquingKeysWith: { first, _ in first })
    var changes: [IndexChange] = [
      .set(key: IndexKey.store, value: marker.indexHeader(nextNumber: nextNumber))
    ]
    for number in known.keys.sorted() where present[number] == nil {
      changes.append(.remove(key: IndexKey.segment(number)))
    }
    try await index.apply(changes)
    let segments = present.reduce(into: [UInt32: SegmentState]()) { segments, name in
      segments[name.key] = known[name.key] ?? SegmentState(tag: name.value)
    }
    state.update { $0.segments = segments }
  }

  /// Tells the index about the rest of one segment.
  private func recover(_ name: SegmentName) async throws(SliverStoreError) {
    let number = name.number
    let file: any DiskFile
    let byteCount: Int
    do throws(DiskError) {
      file = try await files.file(name)
      byteCount = try await file.byteCount()
    } catch .notFound {
      // Listed a moment ago: someone else removes files here. Its records are missing, no more.
      state.update { $0.segments[number] = nil }
      return
    } catch {
      throw .disk(error)
    }
    state.update { $0.segments[number]?.fileByteCount = byteCount }
    let through = state.segment(number)?.through ?? 0
    let reader = RecordReader(file: file, tag: name.tag, seed: seed)
    // A file that is shorter than it was lost what the index believes: look at all of it again.
    var scan = SegmentScan(
      scanner: SegmentScanner(
        file: file, byteCount: byteCount, tag: name.tag, seed: seed,
        from: through <= byteCount ? through : 0))
    while true {
      let isAtEnd: Bool
      do { isAtEnd = try await scan.advance() } catch { throw .disk(error) }
      if isAtEnd { break }
      let headers = scan.takeDurable()
      try await tell(headers, of: number, through: headers.last?.end ?? through)
    }
    var isSecured = scan.isSealed
    if !isSecured {
      do {
        isSecured = try await secureLastGroup(of: &scan, file: file, reader: reader)
      } catch {
        throw .disk(error)
      }
    }
    note(scan, of: number)
    for header in scan.unsecured { state.update { $0.unsecured.insert(header) } }
    // What is not secured is looked at again by the next opening.
    try await tell(
      scan.headers, of: number, through: isSecured ? scan.end : scan.durable,
      isSealed: scan.isSealed)
    if isSecured, !scan.isSealed {
      do throws(SliverStoreError) {
        try await seal(number, file, tag: name.tag, at: scan.end)
      } catch {
        // On a full drive the next opening looks at this group once more.
        guard case .full = error else { throw error }
      }
    }
  }

  private func note(_ scan: SegmentScan, of number: UInt32) {
    let damage = scan.damage.filter { !$0.isBlank }
    state.update { values in
      values.segments[number]?.fileByteCount = scan.end
      if !damage.isEmpty { values.segments[number]?.isDamaged = true }
      values.rottenCount += damage.count
    }
  }

  private func tell(
    _ headers: [RecordHeader], of number: UInt32, through: Int, isSealed: Bool = false
  ) async throws(SliverStoreError) {
    if !headers.isEmpty, state.segment(number)?.through ?? 0 > 0 { sometimes(.indexBehind) }
    let told =
      PlantedBug.tombstonesNotReplayed.isPlanted
      ? headers.filter { $0.kind != .tombstone } : headers
    try await onIndex { () throws(IndexError) in
      try await self.applier.apply(told, segment: number, through: through, isSealed: isSealed)
    }
  }

  /// Makes what is whole of the last group durable and leaves nothing else there.
  ///
  /// - Returns: false if the drive could not read or write all of it; then it gets no seal.
  private func secureLastGroup(
    of scan: inout SegmentScan, file: any DiskFile, reader: RecordReader
  ) async throws(DiskError) -> Bool {
    let headers = scan.headers
    scan.headers = headers.filter { $0.offset < scan.durable }
    var isReadable = !scan.damage.contains { $0.isUnreadable && $0.range.upperBound > scan.durable }
    do throws(DiskError) {
      var kept: [RecordHeader] = []
      for header in headers where header.offset >= scan.durable {
        do throws(DiskError) {
          guard let record = try await reader.record(header) else { continue }
          if !PlantedBug.lastGroupNotRewritten.isPlanted {
            try await file.write(
              [header.encoded(seed: seed) + record.table, record.body], at: header.offset)
          }
          sometimes(.lastGroupWrittenAgain)
          kept.append(header)
        } catch .failed(_, operation: "read", _) {
          isReadable = false
          scan.unsecured.append(header)
        }
      }
      if isReadable { try await blankGaps(between: kept, of: &scan, file: file) }
      try await file.sync()
      scan.headers += kept
      return isReadable
    } catch .full {
      sometimes(.openedWithoutSpace)
      // Without space nothing can be made sure of. What is not durable for sure is not told before
      // an opening finds space.
      scan.unsecured = headers.filter { $0.offset >= scan.durable }
      return false
    } catch {
      throw error
    }
  }

  private func blankGaps(
    between kept: [RecordHeader], of scan: inout SegmentScan, file: any DiskFile
  ) async throws(DiskError) {
    var position = scan.durable
    for header in kept {
      while position < header.offset {
        let count = min(header.offset - position, 1 << 20)
        sometimes(.gapBlanked)
        try await file.write([[UInt8](repeating: 0, count: count)], at: position)
        position += count
      }
      position = header.end
    }
    // What had been durable is never cut off, readable or not.
    if scan.end > position {
      sometimes(.tornTailCut)
      try await file.truncate(to: position)
    }
    scan.end = position
    // What was torn is gone; only damage to what had been durable is rot.
    let durable = scan.durable
    scan.damage.removeAll { $0.range.lowerBound >= durable }
  }
}

/// What is left to tell of a segment, as far as headers say.
struct SegmentScan {
  /// Headers held at most, apart from those of the last group.
  static let headerCountMax = 8192

  private var scanner: SegmentScanner
  /// Everything before it is known to have been durable.
  private(set) var durable: Int
  var headers: [RecordHeader] = []
  /// Of the last group: what could not be made sure of.
  var unsecured: [RecordHeader] = []
  var damage: [SegmentScanner.Damage] = []
  /// Where the segment ends.
  var end: Int

  /// Its last record is the seal.
  var isSealed: Bool { headers.last.map { $0.kind == .seal && $0.end == end } ?? false }

  /// Begins where the scanner does; everything before that is durable.
  init(scanner: SegmentScanner) {
    self.scanner = scanner
    durable = scanner.offset
    end = scanner.byteCount
  }

  /// Reads on.
  ///
  /// - Returns: false when enough was read to take some away, true at the end of the segment.
  mutating func advance() async throws(DiskError) -> Bool {
    while let step = try await scanner.next() {
      switch step {
      case .record(let header):
        durable = max(durable, header.syncedThrough)
        headers.append(header)
        if headers.count >= Self.headerCountMax, headers[0].offset < durable { return false }
      case .damage(let found):
        damage.append(found)
      }
    }
    return true
  }

  /// The headers read so far, as far as they are surely durable; they are handed out once.
  mutating func takeDurable() -> [RecordHeader] {
    let count = headers.firstIndex { $0.offset >= durable } ?? headers.count
    defer { headers.removeFirst(count) }
    return Array(headers[..<count])
  }
}
