// RotTests.swift
//
// Bytes that change on the drive, and sectors that cannot be read.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct RotTests {
  /// A drive with one sealed segment of four slivers and metadata.
  private func smallDrive(seed: UInt64 = 1) async throws -> (TestDrive, [SliverKey]) {
    let drive = try await TestDrive(seed: seed, segmentByteCountMax: 1 << 20)
    let store = try await drive.open()
    let keys = (0..<4).map { sliverKey(1, $0) }
    try await store.put([sliverRecord(sliverKey(9, 9), symbolCount: 1)])
    try await store.delete(blobID(9))
    for key in keys {
      try await store.put([sliverRecord(key, symbolByteCount: 60, symbolCount: 4)])
    }
    try await store.put([.metadata(blobID(1), [1, 2, 3])])
    try await store.close()
    return (drive, keys)
  }

  private func bytes(_ key: SliverKey) -> [UInt8] {
    sliverBytes(key, symbolByteCount: 60, symbolCount: 4)
  }

  @Test(arguments: [true, false])
  func `a rotten byte anywhere costs at most its own record`(keepsIndex: Bool) async throws {
    let (original, keys) = try await smallDrive()
    let segment = original.segments[0]
    let headers = try await original.headers(of: segment)
    let byteCount = try required(original.disk.contents(of: segment)).count
    for offset in 0..<byteCount {
      let (drive, _) = try await smallDrive()
      drive.disk.rot(segment, at: offset, mask: UInt8(1 << (offset % 8)))
      if !keepsIndex { try await drive.index.removeAll() }
      let store = try await drive.open()
      let hit = headers.first { $0.offset <= offset && offset < $0.end }
      for key in keys {
        let found = try await store.sliver(key)
        let isHit = hit?.kind == .sliver && hit?.pair == key.pair.value && hit?.blob == key.blob
        #expect((found == nil) == isHit, "byte \(offset), pair \(key.pair)")
        if let found { #expect(found.bytes == bytes(key), "byte \(offset)") }
      }
      let metadata = try await store.metadata(of: blobID(1))
      #expect(hit?.kind == .metadata ? metadata == nil : metadata == [1, 2, 3], "byte \(offset)")
      if hit?.kind != .tombstone {
        #expect(try await store.contains([sliverKey(9, 9)]) == [false], "byte \(offset)")
      }
    }
  }

  @Test func `a rotten sliver is counted, and can be stored again`() async throws {
    let (drive, keys) = try await smallDrive()
    let header = try required(
      try await drive.headers(of: drive.segments[0]).first { $0.kind == .sliver && $0.pair == 2 })
    drive.disk.rot(drive.segments[0], at: header.bodyOffset + 5)
    let store = try await drive.open()
    #expect(try await store.contains([keys[2]]) == [true])
    #expect(try await store.sliver(keys[2]) == nil)
    #expect(try await store.contains([keys[2]]) == [false])
    #expect(try await store.statistics.rottenCount == 1)
    try await store.put([sliverRecord(keys[2], symbolByteCount: 60, symbolCount: 4)])
    #expect(try await store.sliver(keys[2])?.bytes == bytes(keys[2]))
    try await drive.index.removeAll()
    #expect(try await drive.open().sliver(keys[2])?.bytes == bytes(keys[2]))
  }

  // The index still knows the sliver; acknowledging it unread would promise what is not there.
  @Test func `storing a sliver whose record is rotten writes it again`() async throws {
    let (drive, keys) = try await smallDrive()
    let header = try required(
      try await drive.headers(of: drive.segments[0]).first { $0.kind == .sliver && $0.pair == 1 })
    drive.disk.rot(drive.segments[0], at: header.bodyOffset)
    let store = try await drive.open()
    try await store.put([sliverRecord(keys[1], symbolByteCount: 60, symbolCount: 4)])
    #expect(try await store.sliver(keys[1])?.bytes == bytes(keys[1]))
  }

  @Test func `symbols beside a rotten one are still read`() async throws {
    let drive = try await TestDrive(segmentByteCountMax: 1 << 20)
    let store = try await drive.open()
    let key = sliverKey(1, 1)
    let whole = sliverBytes(key, symbolByteCount: 1000, symbolCount: 50)
    try await store.put([.sliver(key, symbolByteCount: 1000, bytes: whole)])
    let header = try await drive.headers(of: drive.segments[0])[0]
    drive.disk.rot(drive.segments[0], at: header.bodyOffset + 30_500)
    #expect(try await store.symbols(0..<30, of: key) == Array(whole[..<30_000]))
    #expect(try await store.symbols(31..<50, of: key) == Array(whole[31_000...]))
    #expect(try await store.symbols(29..<31, of: key) == nil)
  }

  // Somebody uploads a copy of the very segment that his upload is written to.
  @Test func `a record inside a body is never taken for one`() async throws {
    let drive = try await TestDrive(segmentByteCountMax: 1 << 20)
    let store = try await drive.open()
    try await store.put((0..<3).map { sliverRecord(sliverKey(1, $0)) })
    let segment = drive.segments[0]
    let name = try required(SegmentName(fileName: segment))
    let marker = try await DriveMarker.read(from: drive.disk)
    var body = try required(drive.disk.contents(of: segment))
    // And one that knows everything but the tag: right drive, right place.
    let copyCount = body.count
    // Runs of 200 bytes: two symbols each.
    let bodyByteCount = (copyCount + 40_000) / 100 * 100
    let place = copyCount + RecordHeader.byteCount + 4 * ((bodyByteCount + 199) / 200)
    for guess in 0..<400 {
      let header = PreparedRecord.tombstone(of: blobID(1)).header(
        at: RecordPlace(
          tag: name.tag ^ 1, offset: place + copyCount + 100 * guess,
          sequence: SequenceNumber(value: .max), syncedThrough: 0))
      body += header.encoded(seed: marker.recordSeed)
    }
    body.removeLast(body.count - bodyByteCount)
    let key = sliverKey(2, 0)
    try await store.put([.sliver(key, symbolByteCount: 100, bytes: body)])
    try await store.put([sliverRecord(sliverKey(3, 0))])
    try await store.close()
    let headers = try await drive.headers(of: segment)
    let evil = try required(headers.first { $0.blob == blobID(2) })

    drive.disk.rot(segment, at: evil.offset + 20)
    let found = try await drive.headers(of: segment)
    #expect(found == headers.filter { $0.blob != blobID(2) })
    try await drive.index.removeAll()
    let rebuilt = try await drive.open()
    #expect(
      try await rebuilt.contains([sliverKey(1, 0), key, sliverKey(3, 0)]) == [true, false, true])
  }

  @Test func `a segment of another drive holds nothing here`() async throws {
    let (donor, keys) = try await smallDrive(seed: 5)
    let drive = try await TestDrive(seed: 6)
    drive.disk.setContents(
      of: donor.segments[0], to: try required(donor.disk.contents(of: donor.segments[0])))
    let store = try await drive.open()
    #expect(try await store.contains(keys).allSatisfy { !$0 })
    try await store.put([sliverRecord(keys[0])])
    #expect(try await store.sliver(keys[0])?.bytes == defaultBytes(keys[0]))
  }

  @Test func `what cannot be read is an error, not missing, and not forgotten`() async throws {
    let (drive, keys) = try await smallDrive()
    let store = try await drive.open()
    drive.disk.setReadsFail(true)
    let error = await storeError { _ = try await store.sliver(keys[0]) }
    #expect(error.map { if case .disk = $0 { true } else { false } } == true)
    drive.disk.setReadsFail(false)
    #expect(try await store.sliver(keys[0])?.bytes == bytes(keys[0]))
  }

  @Test func `storing what cannot be read writes it anew`() async throws {
    let (drive, keys) = try await smallDrive()
    let store = try await drive.open()
    drive.disk.setUnreadable(0..<10_000, of: drive.segments[0])
    try await store.put([sliverRecord(keys[0], symbolByteCount: 60, symbolCount: 4)])
    #expect(try await store.sliver(keys[0])?.bytes == bytes(keys[0]))
  }

  @Test func `an unreadable sector does not keep a drive from being rebuilt`() async throws {
    let drive = try await TestDrive(segmentByteCountMax: 1 << 20)
    var store = try await drive.open()
    let keys = (0..<40).map { sliverKey(1, $0) }
    for key in keys { try await store.put([sliverRecord(key)]) }
    let headers = try await drive.headers(of: drive.segments[0])
    drive.disk.setUnreadable(8192..<12_288, of: drive.segments[0])
    for isSealed in [false, true] {
      if isSealed { try await store.close() }
      try await drive.index.removeAll()
      store = try await drive.open()
      for key in keys {
        let header = try required(headers.first { $0.pair == key.pair.value })
        guard header.end <= 8192 || header.offset >= 12_288 else { continue }
        #expect(try await store.sliver(key)?.bytes == defaultBytes(key))
      }
    }
  }

  @Test func `a drive that reads nothing is an error and loses nothing`() async throws {
    let (drive, keys) = try await smallDrive()
    let before = drive.disk.contents(of: drive.segments[0])
    try await drive.index.removeAll()
    drive.disk.setReadsFail(true)
    let error = await storeError { _ = try await drive.open() }
    #expect(error.map { if case .disk = $0 { true } else { false } } == true)
    drive.disk.setReadsFail(false)
    #expect(drive.disk.contents(of: drive.segments[0]) == before)
    #expect(try await drive.open().contains(keys).allSatisfy(\.self))
  }

  // Any bytes at all in place of a segment or of index entries.
  @Test(arguments: 0..<200 as Range<UInt64>)
  func `mutated segments and indexes give right bytes or none`(seed: UInt64) async throws {
    let (drive, keys) = try await smallDrive(seed: seed)
    let dice = SeededRandomness(seed: seed)
    let segment = drive.segments[0]
    var content = try required(drive.disk.contents(of: segment))
    for _ in 0...dice.number(below: 6) {
      let position = dice.number(below: max(1, content.count))
      let length = min(dice.number(below: 300), content.count - position)
      let part = Array(content[position..<position + length])
      switch dice.number(below: 5) {
      case 0: content.removeSubrange(position..<position + length)
      case 1: content.insert(contentsOf: part, at: dice.number(below: content.count + 1))
      case 2: content.replaceSubrange(position..<position + length, with: dice.bytes(count: length))
      case 3: content.removeLast(content.count - position)
      default: content += dice.bytes(count: length) + part
      }
    }
    drive.disk.setContents(of: segment, to: content)
    if dice.number(below: 2) == 0 {
      try await drive.index.removeAll()
    } else {
      for entry in drive.index.contents where dice.number(below: 2) == 0 {
        var value = entry.value
        if !value.isEmpty {
          value[dice.number(below: value.count)] ^= UInt8(dice.number(below: 256))
        }
        try await drive.index.apply([.set(key: entry.key, value: value)])
      }
    }
    let store = try await drive.open()
    for key in keys {
      if let found = try await store.sliver(key) { #expect(found.bytes == bytes(key)) }
      _ = await storeError {
        let slice = try await store.symbols(1..<2, of: key)
        #expect(slice == nil || slice == Array(bytes(key)[60..<120]))
      }
    }
    if let metadata = try await store.metadata(of: blobID(1)) { #expect(metadata == [1, 2, 3]) }
    _ = try await store.blobs(after: nil, limit: 10)
    _ = try await store.compact()
    try await store.put(keys.map { sliverRecord($0, symbolByteCount: 60, symbolCount: 4) })
    for key in keys { #expect(try await store.sliver(key)?.bytes == bytes(key)) }
  }
}
