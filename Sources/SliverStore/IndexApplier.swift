// IndexApplier.swift
//
// Tells the index what was appended to a segment. Writing and recovery both go through here, so the
// index after a crash is the one that would have been without.
//
// Each batch carries how far its segment has been told (`SegmentState.through`): an index that lost
// batches knows where to go on. Records may come in any order of age; sequence numbers decide:
//
//   newer than what stands there      takes its place; the old one gets a dead mark
//   older, or older than a tombstone  is dead on arrival and gets a dead mark
//   the same record once more         the copy that was told last counts

internal import Cluster
internal import RedStuff
internal import World

struct IndexApplier: Sendable {
  /// Large enough that a batch costs little per record, small enough for bounded memory.
  static let batchCountMax = 1024
  /// Entries of one blob that are looked at in one go.
  static let pageCount = 1024

  let index: any Index
  let state: StoreState

  /// Tells the index about `records` of one segment, in their order, and that the segment is told
  /// up to `through`. That it is sealed stands in the last batch only: what is sealed is not looked
  /// at again.
  func apply(
    _ records: [RecordHeader], segment number: UInt32, through: Int, isSealed: Bool = false
  ) async throws(IndexError) {
    var rest = records[...]
    repeat {
      let isTombstone = rest.first?.kind == .tombstone
      let run =
        isTombstone
        ? rest.prefix(1)
        : rest.prefix(Self.batchCountMax).prefix { $0.kind != .tombstone }
      rest = rest.dropFirst(run.count)
      var batch = IndexBatch(state: state)
      if isTombstone, let tombstone = run.first {
        try await bury(with: tombstone, segment: number, in: &batch)
      } else {
        try await enter(run, segment: number, in: &batch)
      }
      let isLast = rest.isEmpty
      batch.update(number) { segment in
        segment.through = isLast ? through : min(run.last?.end ?? through, through)
        if isLast, isSealed { segment.isSealed = true }
      }
      try await commit(batch)
    } while !rest.isEmpty
  }

  func commit(_ batch: IndexBatch) async throws(IndexError) {
    try await index.apply(batch.changes)
    batch.publish()
  }

  private func enter(
    _ records: ArraySlice<RecordHeader>, segment: UInt32, in batch: inout IndexBatch
  ) async throws(IndexError) {
    var keys: [[UInt8]] = []
    for record in records {
      guard let key = IndexKey.of(record) else { continue }
      keys.append(key)
      if let blob = record.blob { keys.append(IndexKey.tombstone(blob)) }
    }
    if !keys.isEmpty { batch.load(keys, try await index.values(for: keys)) }
    for record in records {
      guard let key = IndexKey.of(record) else { continue }
      let entry = RecordEntry(record, in: segment)
      if let blob = record.blob, let tombstone = batch.entry(IndexKey.tombstone(blob)),
        tombstone.sequence > entry.sequence
      {
        sometimes(.deadOnArrival)
        batch.mark(blob, segment: segment, isCovered: true)
      } else {
        batch.enter(entry, key: key, blob: record.blob)
      }
    }
  }

  /// Everything of the blob that is older than the tombstone ends.
  private func bury(
    with tombstone: RecordHeader, segment: UInt32, in batch: inout IndexBatch
  ) async throws(IndexError) {
    guard let blob = tombstone.blob else { return }
    let entry = RecordEntry(tombstone, in: segment)
    let key = IndexKey.tombstone(blob)
    batch.load([key], try await index.values(for: [key]))
    if let known = batch.entry(key), known.sequence > entry.sequence { return }
    batch.enter(entry, key: key, blob: nil)

    for found in try await all(of: blob, prefix: 2) {
      batch.load([found.key], [found.value])
      let old = RecordEntry(found.value)
      if let old, old.sequence >= entry.sequence { continue }
      batch.remove(found.key)
      if let old { batch.mark(blob, segment: old.segment, isCovered: true) }
    }
    for found in try await all(of: blob, prefix: 4) {
      guard let number = IndexKey.segmentNumber(in: found.key) else { continue }
      // Marks of records that came after this tombstone would need it no less: covering them too
      // early only means one tombstone more when the blob is deleted once more.
      batch.mark(blob, segment: number, isCovered: true)
    }
  }

  /// All entries of a blob with this prefix.
  func all(of blob: BlobID, prefix: UInt8) async throws(IndexError) -> [IndexEntry] {
    let range = IndexKey.range(prefix, of: blob)
    var lower = range.lower
    var entries: [IndexEntry] = []
    while true {
      let page = try await index.entries(from: lower, below: range.upper, limit: Self.pageCount)
      entries += page
      guard page.count == Self.pageCount, let last = page.last else { return entries }
      lower = last.key + [0]
    }
  }
}

/// Changes of the index that happen together, and what they mean for the segments' counts.
struct IndexBatch {
  private let state: StoreState
  private var loaded: [[UInt8]: RecordEntry] = [:]
  /// Nil: removed.
  private var changed: [[UInt8]: [UInt8]?] = [:]
  private var segments: [UInt32: SegmentState] = [:]

  init(state: StoreState) { self.state = state }

  /// Sorted, so that the same changes are always the same batch.
  var changes: [IndexChange] {
    var changes = changed.sorted { $0.key.lexicographicallyPrecedes($1.key) }
      .map { key, value in
        value.map { IndexChange.set(key: key, value: $0) } ?? IndexChange.remove(key: key)
      }
    for (number, segment) in segments.sorted(by: { $0.key < $1.key }) {
      changes.append(.set(key: IndexKey.segment(number), value: segment.encoded))
    }
    return changes
  }

  /// Makes the counts visible; call it when the index has taken the changes.
  func publish() {
    state.update { values in
      for (number, segment) in segments { values.segments[number] = segment }
    }
  }

  mutating func load(_ keys: [[UInt8]], _ values: [[UInt8]?]) {
    for (key, value) in zip(keys, values) {
      if let value, let entry = RecordEntry(value) { loaded[key] = entry }
    }
  }

  /// What stands there after the changes so far; only keys that were loaded are known.
  func entry(_ key: [UInt8]) -> RecordEntry? {
    if let change = changed[key] { return change.flatMap { RecordEntry($0) } }
    return loaded[key]
  }

  mutating func enter(_ entry: RecordEntry, key: [UInt8], blob: BlobID?) {
    if let known = self.entry(key) {
      if known.sequence > entry.sequence {
        if let blob { mark(blob, segment: entry.segment, isCovered: false) }
        return
      }
      if known.segment == entry.segment, known.offset == entry.offset { return }
      count(known, key: key, sign: -1)
      if let blob { mark(blob, segment: known.segment, isCovered: false) }
    }
    changed[key] = .some(entry.encoded)
    count(entry, key: key, sign: 1)
  }

  mutating func remove(_ key: [UInt8]) {
    if let known = entry(key) { count(known, key: key, sign: -1) }
    changed[key] = .some(nil)
  }

  mutating func mark(_ blob: BlobID, segment: UInt32, isCovered: Bool) {
    guard self.segment(segment) != nil else { return }
    changed[IndexKey.mark(blob, segment: segment)] = .some([isCovered ? 1 : 0])
  }

  /// Changes that stand for themselves.
  mutating func set(_ value: [UInt8]?, for key: [UInt8]) { changed[key] = .some(value) }

  mutating func update(_ number: UInt32, _ body: (inout SegmentState) -> Void) {
    guard var segment = segment(number) else { return }
    body(&segment)
    segments[number] = segment
  }

  private func segment(_ number: UInt32) -> SegmentState? {
    segments[number] ?? state.segment(number)
  }

  private mutating func count(_ entry: RecordEntry, key: [UInt8], sign: Int) {
    update(entry.segment) { $0.count(entry, key: key, sign: sign) }
  }
}
