// LogWriter.swift
//
// The only writer of a drive: appends groups of records to the current segment, syncs once per
// group, tells the index, and only then answers. Called by one leader of the queue at a time.
//
// Invariants: nothing is in the index that is not durable; a segment is never written again after a
// failed write or sync in it, and then nothing is until the store is reopened: what a failed sync
// left in memory and on the drive differ, and reading back would tell what memory says.

internal import Cluster
internal import RedStuff
internal import World

actor LogWriter {
  struct ActiveSegment {
    var number: UInt32
    var tag: UInt64
    var file: any DiskFile
    /// Where the next record goes. Everything before it is durable.
    var offset: Int
  }

  let disk: any Disk
  let index: CheckedIndex
  let marker: DriveMarker
  let seed: UInt32
  let state: StoreState
  let files: SegmentFiles
  let applier: IndexApplier
  let options: SliverStoreOptions
  let randomness: any Randomness
  var active: ActiveSegment?
  /// Above all numbers that this drive ever had, as far as anything still tells.
  var nextNumber: UInt32 = 1

  init(
    disk: any Disk, index: CheckedIndex, marker: DriveMarker, state: StoreState,
    files: SegmentFiles, options: SliverStoreOptions, randomness: any Randomness
  ) {
    self.disk = disk
    self.index = index
    self.marker = marker
    self.seed = marker.recordSeed
    self.state = state
    self.files = files
    self.options = options
    self.randomness = randomness
    applier = IndexApplier(index: index, state: state)
  }

  /// Carries out one group: logged operations together, any other alone.
  func commit(_ operations: [WriteOperation]) async -> [Result<Void, SliverStoreError>] {
    do throws(SliverStoreError) {
      if case .close? = operations.first {
        try await close()
        return [.success(())]
      }
      try state.requireWritable()
      switch operations.first {
      case .drop(let key, let entry): try await drop(key: key, entry: entry)
      case .forget(let segment, let marked, let tombstones):
        try await forget(segment, marked: marked, tombstones: tombstones)
      case .flagDamage(let segment): try await flagDamage(segment)
      case .remove(let segment): try await remove(segment)
      case .seal: try await sealActive()
      default: return try await append(operations)
      }
      return [.success(())]
    } catch {
      return operations.map { _ in .failure(error) }
    }
  }

  /// From now on nothing is written until the store is reopened.
  func stopWriting(_ reason: String) {
    state.update { values in
      if values.readOnlyReason == nil { values.readOnlyReason = reason }
    }
    sometimes(.writesStopped)
  }

  /// Runs a change of the index; a failure leaves it behind the log, so writing must stop.
  func onIndex<Value>(_ body: () async throws(IndexError) -> Value)
    async throws(SliverStoreError) -> Value
  {
    do throws(IndexError) {
      return try await body()
    } catch {
      stopWriting("the index failed: \(error.message)")
      throw .index(error)
    }
  }

  private func append(_ operations: [WriteOperation])
    async throws(SliverStoreError) -> [Result<Void, SliverStoreError>]
  {
    let plan = try await plan(operations)
    do throws(SliverStoreError) {
      try await write(plan.items.map(\.entry))
    } catch {
      guard case .full = error else { throw error }
      // The drive ran full earlier than it said. Deletes are small, and make space: try them alone.
      return await appendUrgent(of: operations, after: error)
    }
    return operations.indices.map { position in
      plan.refused[position].map { .failure($0) } ?? .success(())
    }
  }

  private func appendUrgent(
    of operations: [WriteOperation], after error: SliverStoreError
  ) async -> [Result<Void, SliverStoreError>] {
    var results: [Result<Void, SliverStoreError>] = operations.map { _ in .failure(error) }
    for (position, operation) in operations.enumerated() {
      guard case .log(_, .urgent) = operation else { continue }
      do throws(SliverStoreError) {
        try await write(try await plan([operation]).items.map(\.entry))
        sometimes(.deleteOnFullDrive)
        results[position] = .success(())
      } catch {
        results[position] = .failure(error)
      }
    }
    return results
  }

  private func plan(_ operations: [WriteOperation]) async throws(SliverStoreError) -> GroupPlan {
    var keys: [[UInt8]] = []
    var blobsToEnd: Set<BlobID> = []
    for case .log(let entries, _) in operations {
      for entry in entries {
        switch entry.condition {
        case .absent, .unchanged: keys.append(entry.indexKey)
        case .needsTombstone(let blob):
          if try await needsTombstone(blob) { blobsToEnd.insert(blob) }
        case .always: break
        }
      }
    }
    let lookUp = keys
    let values = try await reading { () throws(IndexError) in
      try await self.index.values(for: lookUp)
    }
    var known: [[UInt8]: RecordEntry] = [:]
    for (key, value) in zip(keys, values) {
      if let entry = value.flatMap({ RecordEntry($0) }), state.segment(entry.segment) != nil {
        known[key] = entry
      }
    }
    let free = try await freeByteCount()
    var plan = GroupPlan(entries: known, blobsToEnd: blobsToEnd)
    for (position, operation) in operations.enumerated() {
      guard case .log(let entries, let space) = operation else { continue }
      var reserve = options.reserveByteCount(keptBy: space)
      if PlantedBug.deletesNeedSpace.isPlanted { reserve = options.reserveByteCount }
      if PlantedBug.reserveIgnored.isPlanted { reserve = 0 }
      plan.add(position, entries, freeByteCount: free - reserve)
    }
    return plan
  }

  private func reading<Value>(_ body: () async throws(IndexError) -> Value)
    async throws(SliverStoreError) -> Value
  {
    do throws(IndexError) { return try await body() } catch { throw .index(error) }
  }

  /// Whether the blob has records here, or dead ones that no tombstone keeps down.
  private func needsTombstone(_ blob: BlobID) async throws(SliverStoreError) -> Bool {
    if state.read({ $0.unsecured.concern(blob) }) { return true }
    let records = IndexKey.range(2, of: blob)
    return try await reading { () throws(IndexError) in
      if try await !self.index.entries(from: records.lower, below: records.upper, limit: 1).isEmpty
      {
        return true
      }
      if try await self.applier.all(of: blob, prefix: 4).contains(where: { $0.value != [1] }) {
        return true
      }
      return try await self.isHiddenByDamage(blob)
    }
  }

  /// Whether a damaged segment may hold records of the blob that no tombstone keeps down: what cannot
  /// be read today may read well tomorrow.
  private func isHiddenByDamage(_ blob: BlobID) async throws(IndexError) -> Bool {
    let newest = state.read { values in
      values.segments.filter { $0.value.isDamaged }.keys.max()
    }
    guard let newest else { return false }
    let value = try await index.values(for: [IndexKey.tombstone(blob)]).first ?? nil
    guard let tombstone = value.flatMap({ RecordEntry($0) }) else { return true }
    return tombstone.sequence < SequenceNumber(segment: newest, offset: .max)
  }

  /// What may still be written, the reserve included.
  func freeByteCount() async throws(SliverStoreError) -> Int {
    let space: DiskSpace
    do { space = try await disk.space() } catch { throw .disk(error) }
    guard let capacity = options.capacityByteCount else { return space.freeByteCount }
    let used = state.read { $0.segments.values.reduce(0) { $0 + $1.fileByteCount } }
    return min(space.freeByteCount, capacity - used)
  }
}
