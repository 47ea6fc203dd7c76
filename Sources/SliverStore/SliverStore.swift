// SliverStore.swift
//
// Slivers and metadata on one drive. Append-only segments are the truth; the index beside them is a
// cache that is rebuilt from them. What a caller was told is stored survives any later crash; what
// is read back is checked, and anything that does not check out is missing, never wrong.
//
//   put, delete, setValue   WriteQueue -> LogWriter: one write and one sync for a group -> index
//   symbols, sliver         index -> RecordReader: only the bytes that are needed
//   open                    LogWriter+Recovery: what the index does not know yet
//   compact                 SliverStore+Compaction: mostly dead segments go
//
// The formats stand in DriveMarker, RecordFormat, SegmentFiles (names) and IndexKey.

package import Cluster
package import RedStuff
package import World

package final class SliverStore: Sendable {
  let disk: any Disk
  let index: CheckedIndex
  let options: SliverStoreOptions
  let state: StoreState
  let files: SegmentFiles
  let writer: LogWriter
  let seed: UInt32
  private let queue: WriteQueue<WriteOperation>

  private init(disk: any Disk, index: CheckedIndex, writer: LogWriter) {
    self.disk = disk
    self.index = index
    self.writer = writer
    options = writer.options
    state = writer.state
    files = writer.files
    seed = writer.seed
    queue = WriteQueue(standsAlone: { !$0.isLogged }) { await writer.commit($0) }
  }

  /// Makes an empty drive one of this node's. Refuses a drive with a marker or segments on it.
  package static func initialise(
    disk: any Disk, clusterID: ClusterID, node: NodeID, randomness: any Randomness
  ) async throws(SliverStoreError) {
    do throws(DiskError) {
      let names = try await disk.files()
      if let taken = names.first(where: {
        $0 == DriveMarker.fileName || SegmentName(fileName: $0) != nil
      }) {
        throw DiskError.alreadyExists(file: taken)
      }
      // A crash during an earlier initialisation; it names no drive yet.
      if names.contains(DriveMarker.draftFileName) {
        try await disk.remove(DriveMarker.draftFileName)
      }
      let marker = DriveMarker(
        clusterID: clusterID, node: node,
        driveID: randomness.bytes(count: DriveMarker.driveIDByteCount))
      try await marker.write(to: disk)
    } catch .alreadyExists(let file) {
      throw .alreadyInitialised(file: file)
    } catch {
      throw .disk(error)
    }
  }

  /// Opens a drive that was initialised for this cluster and node. The time it takes grows with what
  /// the index lacks: with a lost index, one small read per record.
  ///
  /// The randomness must be unpredictable to whoever uploads (see RecordFormat.swift).
  package static func open(
    disk: any Disk, index: any Index, clusterID: ClusterID, node: NodeID,
    randomness: any Randomness, options: SliverStoreOptions = SliverStoreOptions()
  ) async throws(SliverStoreError) -> SliverStore {
    let marker = try await DriveMarker.read(from: disk)
    guard marker.clusterID == clusterID, marker.node == node else {
      throw .foreignDrive(cluster: marker.clusterID, node: marker.node)
    }
    let index = CheckedIndex(index)
    let writer = LogWriter(
      disk: disk, index: index, marker: marker, state: StoreState(),
      files: SegmentFiles(disk: disk), options: options, randomness: randomness)
    try await writer.recover()
    return SliverStore(disk: disk, index: index, writer: writer)
  }

  /// Stores records; they are durable when it returns. Those that are there already, and intact, are
  /// not written again. After an error any of them may have been stored, each one whole.
  ///
  /// Cancellation ends only the wait for room in the queue: what is being written is finished.
  package func put(_ records: [StoreRecord]) async throws(SliverStoreError) {
    var entries: [LogEntry] = []
    var byteCount = 0
    for record in records {
      let prepared = try PreparedRecord(record)
      guard let entry = try await missing(prepared) else { continue }
      if byteCount > 0,
        byteCount + prepared.byteCount > WriteQueue<WriteOperation>.groupByteCountMax
      {
        try await submit(.log(entries, .data))
        entries = []
        byteCount = 0
      }
      entries.append(entry)
      byteCount += prepared.byteCount
    }
    if entries.isEmpty {
      try state.requireOpen()
    } else {
      try await submit(.log(entries, .data))
    }
  }

  /// Ends everything of a blob that was stored here before; durable when it returns. Storing the
  /// blob again afterwards works. Deleting what is not there does nothing.
  package func delete(_ blob: BlobID) async throws(SliverStoreError) {
    let entry = LogEntry(
      record: .tombstone(of: blob), indexKey: IndexKey.tombstone(blob),
      condition: .needsTombstone(blob))
    try await submit(.log([entry], .urgent))
  }

  /// Stores a small value under a name; durable when it returns.
  package func setValue(_ value: [UInt8], for name: String) async throws(SliverStoreError) {
    let entry = LogEntry(
      record: try PreparedRecord.value(value, name: name),
      indexKey: IndexKey.value(hash: PreparedRecord.hash(ofName: name)), condition: .always)
    try await submit(.log([entry], .urgent))
  }

  /// Finishes the writes that were begun and seals the segment; every later call throws `closed`.
  package func close() async throws(SliverStoreError) {
    try await submit(.close)
  }

  func submit(_ operation: WriteOperation) async throws(SliverStoreError) {
    try await queue.submit(operation, byteCount: operation.byteCount)
  }

  /// How to write the record, or nil if it stands here and is intact. A record that turned out
  /// rotten, or may have an end that the opening could not read, must not be acknowledged because
  /// the index knows it.
  private func missing(_ record: PreparedRecord) async throws(SliverStoreError) -> LogEntry? {
    guard let key = record.indexKey else {
      throw .invalidRecord("a \(record.header.kind) has no key")
    }
    let known = try await knownEntry(key)
    if let known, !isUncertain(key, besides: known) {
      do throws(SliverStoreError) {
        if try await self.record(known) != nil { return nil }
      } catch {
        // Written anew, it no longer matters whether the old one can be read one day.
        guard case .disk = error else { throw error }
      }
    }
    return LogEntry(record: record, indexKey: key, condition: .absent(orRotten: known))
  }
}
