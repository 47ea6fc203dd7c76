// ScrubTests.swift
//
// Passes over a drive: everything that rots is found, nothing else is, whatever goes on meanwhile.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

/// Everything that the steps of one pass found.
struct ScrubPass {
  var stepCount = 0
  var verifiedByteCount = 0
  var slivers: [SliverKey] = []
  var metadata: [BlobID] = []
  var rottenCount = 0
  var unreadableCount = 0
  var unreadableByteCount = 0

  mutating func add(_ step: ScrubStep) {
    stepCount += 1
    verifiedByteCount += step.verifiedByteCount
    slivers += step.rotten.slivers
    metadata += step.rotten.metadata
    rottenCount += step.rotten.recordCount
    unreadableCount += step.unreadable.recordCount
    unreadableByteCount += step.unreadableByteCount
  }
}

extension SliverStore {
  /// A whole pass; `between` runs after each step that is not the last.
  func scrubPass(
    stepByteCount: Int = 800, between: (ScrubPosition) async throws -> Void = { _ in }
  ) async throws -> ScrubPass {
    var pass = ScrubPass()
    var position: ScrubPosition?
    repeat {
      let step = try await scrub(from: position, byteCountMax: stepByteCount)
      pass.add(step)
      // As it comes back from where it was saved.
      position = step.next.flatMap { ScrubPosition(fields: $0.fields) }
      if let position { try await between(position) }
    } while position != nil
    return pass
  }
}

@Suite struct ScrubTests {
  /// Slivers, metadata, a value and a needed tombstone over a few segments, the last one open.
  private func filledDrive(isClosed: Bool = false) async throws -> TestDrive {
    let drive = try await TestDrive(segmentByteCountMax: 700)
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(9, 9), symbolCount: 3)])
    try await store.put([.metadata(blobID(1), [1, 2, 3])])
    for pair in 0..<8 {
      try await store.put([
        sliverRecord(sliverKey(1, pair), symbolByteCount: 40, symbolCount: 5)
      ])
    }
    try await store.delete(blobID(9))
    try await store.setValue([5], for: "a")
    if isClosed { try await store.close() }
    return drive
  }

  @Test func `what an older copy of the drive does not have is found`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(1, 0))])
    let old = drive.disk.snapshot()
    try await store.put([sliverRecord(sliverKey(1, 1))])
    drive.disk.restart(.everything)
    drive.disk.restore(old)
    let reopened = try await drive.open()
    #expect(try await reopened.scrubPass().slivers == [sliverKey(1, 1)])
    #expect(
      try await reopened.contains([sliverKey(1, 0), sliverKey(1, 1)]) == [true, false])
  }

  @Test func `a pass over what is well verifies all of it and finds nothing`() async throws {
    let drive = try await filledDrive()
    let store = try await drive.open()
    for _ in 0..<2 {
      let pass = try await store.scrubPass()
      #expect(pass.rottenCount == 0 && pass.unreadableCount == 0 && pass.unreadableByteCount == 0)
      #expect(pass.verifiedByteCount == (try await store.statistics.liveByteCount))
      #expect(pass.stepCount > 2)
    }
    #expect(!store.mayHaveForgottenDeletes)
    #expect(try await TestDrive().open().scrubPass().stepCount == 1)
  }

  @Test(arguments: [false, true])
  func `each rotten byte of what is needed is found by one pass`(isClosed: Bool) async throws {
    let original = try await filledDrive(isClosed: isClosed)
    for segment in original.segments {
      let count = try required(original.disk.contents(of: segment)).count
      let headers = try await original.headers(of: segment)
      for offset in 0..<count {
        let drive = try await filledDrive(isClosed: isClosed)
        let store = try await drive.open()
        drive.disk.rot(segment, at: offset, mask: UInt8(1 << (offset % 8)))
        let pass = try await store.scrubPass()
        let hit = headers.first { $0.offset <= offset && offset < $0.end }
        let blob = hit?.blob
        let isNeeded = hit?.kind != .seal && (blob != blobID(9) || hit?.kind == .tombstone)
        #expect(pass.rottenCount == (isNeeded ? 1 : 0), "byte \(offset) of \(segment)")
        if hit?.kind == .sliver, blob == blobID(1) {
          #expect(pass.slivers == [sliverKey(1, Int(hit?.pair ?? 0))])
          #expect(try await store.contains(pass.slivers) == [false])
        }
        if hit?.kind == .metadata { #expect(pass.metadata == [blobID(1)]) }
        #expect(try await store.scrubPass().rottenCount == 0, "found twice: byte \(offset)")
      }
    }
  }

  // As of writes that the drive lost: no header is there that would look damaged.
  @Test func `records that became zeros are missed`() async throws {
    let drive = try await filledDrive(isClosed: true)
    let store = try await drive.open()
    let segment = drive.segments[1]
    var bytes = try required(drive.disk.contents(of: segment))
    let header = try required(try await drive.headers(of: segment).first { $0.kind == .sliver })
    bytes.replaceSubrange(
      header.offset..<header.end, with: [UInt8](repeating: 0, count: header.recordByteCount))
    for (offset, byte) in bytes.enumerated() {
      let old = try required(drive.disk.contents(of: segment))[offset]
      if old != byte { drive.disk.rot(segment, at: offset, mask: old ^ byte) }
    }
    let pass = try await store.scrubPass()
    #expect(pass.slivers == [sliverKey(1, Int(header.pair))])
  }

  @Test func `a deleted blob stays deleted when its tombstone rots and the index goes`()
    async throws
  {
    let drive = try await filledDrive()
    let store = try await drive.open()
    var hits = 0
    for segment in drive.segments {
      for header in try await drive.headers(of: segment) where header.kind == .tombstone {
        drive.disk.rot(segment, at: header.offset + 30)
        hits += 1
      }
    }
    #expect(hits == 1)
    #expect(try await store.scrubPass().rottenCount == 1)
    // Whoever opens it before compaction has been there asks the registry about every blob.
    #expect(store.mayHaveForgottenDeletes)
    try await drive.index.removeAll()
    let rebuilt = try await drive.open()
    #expect(try await rebuilt.contains([sliverKey(9, 9), sliverKey(1, 1)]) == [false, true])
  }

  @Test func `compaction mends a segment in which a pass found damage`() async throws {
    let drive = try await filledDrive()
    let store = try await drive.open()
    let segment = drive.segments[1]
    let header = try required(try await drive.headers(of: segment).first { $0.kind == .sliver })
    drive.disk.rot(segment, at: header.offset + 7)
    let pass = try await store.scrubPass()
    #expect(pass.slivers == [sliverKey(1, Int(header.pair))])
    _ = try await store.compact()
    #expect(!drive.segments.contains(segment) && !store.mayHaveForgottenDeletes)
    try await drive.index.removeAll()
    let keys = (0..<8).map { sliverKey(1, $0) }
    #expect(
      try await drive.open().contains(keys) == keys.map { $0.pair.value != header.pair })
  }

  @Test func `a pass goes on where it stood when the store is opened again`() async throws {
    let drive = try await filledDrive(isClosed: true)
    var store = try await drive.open()
    let header = try await drive.headers(of: drive.segments[2])[0]
    drive.disk.rot(drive.segments[2], at: header.bodyOffset)
    let liveByteCount = try await store.statistics.liveByteCount
    var pass = ScrubPass()
    var position: ScrubPosition?
    repeat {
      let step = try await store.scrub(from: position, byteCountMax: 100)
      pass.add(step)
      position = step.next
      store = try await drive.open()
    } while position != nil
    #expect(pass.rottenCount == 1 && pass.stepCount > 5)
    #expect(pass.verifiedByteCount == liveByteCount)
  }

  @Test func `segments that went are passed over, and what they held is not read twice`()
    async throws
  {
    let drive = try await TestDrive(segmentByteCountMax: 5000)
    let store = try await drive.open()
    for pair in 0..<12 {
      try await store.put([sliverRecord(sliverKey(1, pair)), sliverRecord(sliverKey(2, pair))])
    }
    var isFirst = true
    let count = drive.segments.count
    let pass = try await store.scrubPass(stepByteCount: 1000) { _ in
      guard isFirst else { return }
      isFirst = false
      try await store.delete(blobID(2))
      _ = try await store.compact()
    }
    #expect(drive.segments.count < count)
    #expect(pass.rottenCount == 0)
    #expect(pass.verifiedByteCount < 2 * (try await store.statistics.liveByteCount))
  }

  @Test func `a sector that cannot be read is told, and everything behind it is verified`()
    async throws
  {
    let drive = try await TestDrive(segmentByteCountMax: 1 << 20)
    let store = try await drive.open()
    let keys = (0..<60).map { sliverKey(1, $0) }
    for key in keys { try await store.put([sliverRecord(key)]) }
    let segment = drive.segments[0]
    drive.disk.setUnreadable(8192..<12_288, of: segment)
    let headers = try await TestDrive.headers(ofCopyOf: drive, segment)
    let last = try required(headers.last)
    drive.disk.rot(segment, at: last.bodyOffset)
    let hits = headers.filter { $0.offset < 12_288 && $0.end > 8192 }
    let pass = try await store.scrubPass()
    #expect(pass.slivers == [sliverKey(1, Int(last.pair))])
    #expect(pass.unreadableCount == hits.count)
    #expect(!hits.isEmpty)
    // Nothing was forgotten for it.
    #expect(try await store.contains(keys).filter { !$0 }.count == 1)
  }

  @Test func `a drive that reads nothing loses nothing, and the pass ends`() async throws {
    let drive = try await filledDrive()
    let store = try await drive.open()
    let keys = (0..<8).map { sliverKey(1, $0) }
    drive.disk.setReadsFail(true)
    let pass = try await store.scrubPass()
    #expect(pass.rottenCount == 0 && pass.unreadableByteCount > 0)
    drive.disk.setReadsFail(false)
    #expect(try await store.contains(keys).allSatisfy(\.self))
    #expect(try await store.scrubPass().rottenCount == 0)
  }

  @Test func `a store that takes no writes is scrubbed all the same`() async throws {
    let drive = try await filledDrive()
    let store = try await drive.open()
    let header = try await drive.headers(of: drive.segments[1])[0]
    drive.disk.rot(drive.segments[1], at: header.bodyOffset)
    drive.disk.setSyncsFail(true)
    _ = await storeError { try await store.setValue([1], for: "b") }
    #expect(try await store.statistics.readOnlyReason != nil)
    #expect(try await store.scrubPass().rottenCount == 1)
  }

  // Reads, writes, deletes and compaction beside it, on a drive that is well.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func `work that goes on meanwhile is never taken for rot`(seed: UInt64) async throws {
    let drive = try await TestDrive(seed: seed, segmentByteCountMax: 4000)
    let store = try await drive.open()
    let dice = SeededRandomness(seed: seed)
    for blob in 0..<6 {
      try await store.put((0..<4).map { sliverRecord(sliverKey(blob, $0)) })
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for _ in 0..<60 {
          let blob = dice.number(below: 6)
          switch dice.number(below: 4) {
          case 0: try await store.delete(blobID(blob))
          case 1: _ = try await store.compact()
          default: try await store.put((0..<4).map { sliverRecord(sliverKey(blob, $0)) })
          }
        }
      }
      group.addTask {
        for _ in 0..<6 {
          let pass = try await store.scrubPass(stepByteCount: 700)
          #expect(pass.rottenCount == 0 && pass.unreadableCount == 0)
        }
      }
      try await group.waitForAll()
    }
    #expect(!store.mayHaveForgottenDeletes)
    #expect(try await store.statistics.rottenCount == 0)
  }

  @Test func `what a pass has before it shrinks to nothing`() async throws {
    let drive = try await filledDrive(isClosed: true)
    let store = try await drive.open()
    let all = store.scrubAhead(of: nil)
    let statistics = try await store.statistics
    #expect(all.byteCount == statistics.segmentByteCount)
    #expect(all.liveByteCount == statistics.liveByteCount)
    var before = all.byteCount
    _ = try await store.scrubPass(stepByteCount: 500) { position in
      let ahead = store.scrubAhead(of: position)
      #expect(ahead.byteCount < before || ahead.byteCount == 0)
      #expect(ahead.liveByteCount <= ahead.byteCount)
      before = ahead.byteCount
    }
    #expect(before < all.byteCount)
  }

  @Test(
    arguments: [
      [], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1 << 40, 2, 3, 4, 0], [1, 1 << 63, 3, 4, 0],
      [1, 2, 3, 4, 0, 0],
    ] as [[UInt64]])
  func `numbers that are no position are refused`(fields: [UInt64]) {
    #expect(ScrubPosition(fields: fields) == nil)
  }

  @Test func `a position from anywhere harms nothing`() async throws {
    let drive = try await filledDrive()
    let store = try await drive.open()
    let dice = SeededRandomness(seed: 3)
    for _ in 0..<200 {
      let fields = [
        dice.number(below: 8), dice.number(below: 5000), dice.number(below: 8),
        dice.number(below: 20), dice.number(below: 2),
      ].map { UInt64($0) }
      var position = ScrubPosition(fields: fields)
      while let place = position {
        let step = try await store.scrub(from: place, byteCountMax: 1000)
        #expect(step.rotten.recordCount == 0, "\(fields)")
        position = step.next
      }
    }
    #expect(try await store.contains((0..<8).map { sliverKey(1, $0) }).allSatisfy(\.self))
  }
}

extension TestDrive {
  /// Headers of a segment whose file has bad sectors, from a copy without.
  static func headers(ofCopyOf drive: TestDrive, _ segment: String) async throws -> [RecordHeader] {
    let copy = try await TestDrive(seed: 77)
    copy.disk.setContents(
      of: DriveMarker.fileName,
      to: try required(drive.disk.contents(of: DriveMarker.fileName)))
    copy.disk.setContents(of: segment, to: try required(drive.disk.contents(of: segment)))
    return try await copy.headers(of: segment)
  }
}
