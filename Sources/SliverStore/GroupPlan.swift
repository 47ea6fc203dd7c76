// GroupPlan.swift
//
// Which records of a group of operations are written, in order, each seeing what those before it
// will have done. Pure: the writer has loaded what the index says.
//
// Two callers that store the same sliver share one record and are both answered by its sync; a
// delete between them makes it two. An operation that does not fit the space is refused whole, and
// nobody may rely on its records.

internal import RedStuff
internal import World

struct GroupPlan {
  struct Item {
    var entry: LogEntry
    var operation: Int
  }

  private(set) var items: [Item] = []
  private(set) var refused: [Int: SliverStoreError] = [:]
  private(set) var byteCount = 0

  private let entries: [[UInt8]: RecordEntry]
  /// Blobs of the group's deletes that have something to end.
  private let blobsToEnd: Set<BlobID>
  private var added: [[UInt8]: BlobID?] = [:]
  private var ended: Set<BlobID> = []

  init(entries: [[UInt8]: RecordEntry], blobsToEnd: Set<BlobID>) {
    self.entries = entries
    self.blobsToEnd = blobsToEnd
  }

  /// Plans the next operation with what space is left for its class.
  mutating func add(_ operation: Int, _ entries: [LogEntry], freeByteCount: Int) {
    let wanted = wanted(entries)
    let needed = wanted.reduce(0) { $0 + $1.record.byteCount }
    let fits = byteCount + needed <= freeByteCount || PlantedBug.capacityIgnored.isPlanted
    guard needed == 0 || fits else {
      refused[operation] = .full(
        freeByteCount: max(0, freeByteCount - byteCount), neededByteCount: needed)
      return
    }
    for entry in wanted {
      items.append(Item(entry: entry, operation: operation))
      if entry.record.header.kind == .tombstone, case .needsTombstone(let blob) = entry.condition {
        ended.insert(blob)
        added = added.filter { $0.value != blob }
      } else {
        added[entry.indexKey] = .some(entry.record.header.blob)
      }
    }
    byteCount += needed
  }

  private func wanted(_ candidates: [LogEntry]) -> [LogEntry] {
    var own: Set<[UInt8]> = []
    return candidates.filter { isWanted($0) && own.insert($0.indexKey).inserted }
  }

  private func isWanted(_ entry: LogEntry) -> Bool {
    let blob = entry.record.header.blob
    let isEnded = blob.map { ended.contains($0) } ?? false
    switch entry.condition {
    case .always:
      return true
    case .absent(let rotten):
      if added[entry.indexKey] != nil { return false }
      guard !isEnded, let known = entries[entry.indexKey] else { return true }
      return known == rotten
    case .unchanged(let expected):
      return !isEnded && added[entry.indexKey] == nil && entries[entry.indexKey] == expected
    case .needsTombstone(let blob):
      // What the group itself stored must end too.
      return blobsToEnd.contains(blob) && !ended.contains(blob)
        || added.contains { $0.value == blob }
    }
  }
}
