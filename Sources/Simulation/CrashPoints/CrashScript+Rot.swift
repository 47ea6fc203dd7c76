// CrashScript+Rot.swift
//
// What the script lets rot: slivers, values of the index, a tombstone.

internal import RedStuff
internal import Simulator
internal import SliverStore
internal import World

extension CrashScript {
  /// One sliver rots; whoever reads it finds it missing, and it is stored again.
  mutating func rotAndStoreAgain(_ blob: Int) async throws {
    rot(CrashModel.keys(blob)[0])
    try await read(blob, 0..<1)
    try await put(blob, 0..<1)
  }

  /// One sliver rots; the scrub finds it, and it is stored again.
  mutating func rotAndScrub(_ blob: Int) async throws {
    try await put(blob, 0..<1)
    let key = CrashModel.keys(blob)[0]
    rot(key)
    try await scrub(finding: [key])
    try await put(blob, 0..<1)
  }

  private mutating func rot(_ key: SliverKey) {
    let bytes = CrashModel.bytes(key)
    for name in machine.disk.names {
      guard let content = machine.disk.contents(of: name),
        let offset = content.indices.first(where: { content[$0...].starts(with: bytes) })
      else { continue }
      machine.disk.rot(name, at: offset + 50)
    }
    model.begin([key])
  }

  /// A whole pass. Without a fault it finds exactly these.
  mutating func scrub(finding keys: [SliverKey]) async throws {
    let isWell = point?.strike.fault == nil
    try await step { store, _ in
      let found = try await Self.scrub(store).slivers
      guard !isWell || found == keys else {
        throw CrashViolation("the scrub found \(found.count) rotten slivers, not \(keys.count)")
      }
    }
  }

  private static func scrub(_ store: SliverStore) async throws -> ScrubFindings {
    var found = ScrubFindings()
    var position: ScrubPosition?
    repeat {
      let step = try await store.scrub(from: position, byteCountMax: 4096)
      found.slivers += step.rotten.slivers
      found.recordCount += step.rotten.recordCount
      position = step.next
    } while position != nil
    return found
  }

  /// What the index says of a blob's slivers rots, and the blob is deleted. Nobody can tell any more
  /// where they stand, so the tombstone has to outlive the segment that it stands in.
  mutating func rotIndexAndDelete(_ blob: Int) async throws {
    try await put(blob, 0..<2)
    try await close()
    try await put(5)
    machine.index.rot(keysFrom: [2] + CrashModel.blob(blob).bytes)
    model.waver(CrashModel.keys(blob))
    try await delete(blob)
    try await delete(5)
    try await compact()
    try await loseIndex()
    try await read(blob, 0..<2)
  }

  /// A tombstone rots that still keeps something down, and the scrub comes by.
  mutating func rotTombstone(_ blob: Int) async throws {
    try await put(blob)
    try await close()
    try await put(0)
    try await delete(blob)
    guard let place = machine.tombstone(of: CrashModel.blob(blob)) else { return }
    machine.disk.rot(place.file, at: place.offset + 8)
    // Until it is written again, the next index may not know of it.
    model.waver(CrashModel.keys(blob))
    // After an error it may be left to the next opening, and to the node's own inventory.
    let isWell = point.map { $0.strike.fault == .crash } ?? true
    let disk = machine.disk
    try await step { store, model in
      let found = try await Self.scrub(store)
      // To the scrub a drive without power is one that refuses to read.
      if disk.hasCrashed { throw SliverStoreError.closed }
      guard isWell else { return }
      guard found.recordCount == 1 else {
        throw CrashViolation("the scrub found \(found.recordCount) rotten records, not one")
      }
      model.finish(CrashModel.keys(blob), present: false)
    }
    try await loseIndex()
    try await read(blob, 0..<CrashModel.pairCount)
  }
}

extension CrashMachine {
  /// Where the index says that the tombstone of a blob stands.
  fileprivate func tombstone(of blob: BlobID) -> (file: String, offset: Int)? {
    // Value: sequence 8, segment 4, offset 4, little-endian.
    guard
      let value = index.contents.first(where: { $0.key == [3] + blob.bytes })?.value,
      value.count >= 16
    else { return nil }
    func number(at start: Int) -> UInt32 {
      value[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    let digits = String(number(at: 8), radix: 16)
    let prefix = "segment-" + String(repeating: "0", count: 8 - digits.count) + digits
    return disk.names.first { $0.hasPrefix(prefix) }.map { ($0, Int(number(at: 12))) }
  }
}
