// StoreTargets.swift
//
// What stands on a drive. Checksums guard all of it, and random bytes have none: so the targets make
// checksums right where that lets them get further than any rot would.

import Cluster
import RedStuff
import Simulator
import World

@testable import SliverStore

private let seed: UInt32 = 0x5EED
private let tag: UInt64 = 0x1122_3344_5566_7788

extension [UInt8] {
  /// With the number written over the bytes at `offset`.
  fileprivate func replacing(_ value: some FixedWidthInteger, at offset: Int) -> [UInt8] {
    var number: [UInt8] = []
    number.append(littleEndian: value)
    return Array(self[..<offset]) + number + self[(offset + number.count)...]
  }
}

extension FuzzTarget {
  private static func exampleRecords() throws -> [PreparedRecord] {
    let fixture = try Fixture.shared.get()
    let blob = fixture.blob.blobID
    let slivers = SliverAxis.allCases.map { axis in
      let sliver = fixture.blob.sliver(axis, SliverIndex(2))
      return StoreRecord.sliver(
        SliverKey(blob: blob, pair: sliver.index.pair(axis, shardCount: 7), axis: axis),
        symbolByteCount: sliver.symbolByteCount, bytes: sliver.bytes)
    }
    let metadata = StoreRecord.metadata(blob, fixture.metadata.metadata.bcsBytes)
    return try ([metadata] + slivers).map(PreparedRecord.init) + [
      .tombstone(of: blob), .value([1, 2, 3], name: "cursor"), .seal(),
    ]
  }

  /// A record header, its magic, tag, offset and checksum made right; index entries and the marker
  /// as they are.
  static let records = FuzzTarget("records", inputByteCountMax: 256) {
    let place = RecordPlace(
      tag: tag, offset: 512, sequence: SequenceNumber(segment: 3, offset: 512), syncedThrough: 100)
    let headers = try exampleRecords().map { $0.header(at: place) }
    var state = SegmentState(tag: tag)
    state.isSealed = true
    let marker = try exampleMarker()
    return headers.map { [0] + $0.encoded(seed: seed) }
      + [[1] + RecordEntry(headers[1], in: 3).encoded, [2] + state.encoded, [3] + marker.encoded]
      + [[4] + Array(SegmentName(number: 7, tag: tag).fileName.utf8)]
  } check: { bytes in
    var input = FuzzInput(bytes)
    let kind = input.below(5)
    let body = input.remainder()
    switch kind {
    case 0: return try checkHeader(body)
    case 1:
      guard let entry = RecordEntry(body) else { return .refused }
      try require(entry.encoded == body, "another entry comes back")
      try require(entry.recordByteCount >= RecordHeader.byteCount, "an entry of no bytes")
      return .accepted
    case 2:
      guard let state = SegmentState(body) else { return .refused }
      try require(SegmentState(state.encoded) == state, "another state comes back")
      return .accepted
    case 3:
      guard body.count >= DriveMarker.byteCount else { return .refused }
      let right = body.replacing(
        Checksum.crc32c(body, 0..<DriveMarker.byteCount - 4), at: DriveMarker.byteCount - 4)
      guard let marker = try? DriveMarker.decode(right) else { return .refused }
      try require(marker.encoded == right, "another marker comes back")
      return .accepted
    default:
      let text = String(decoding: body, as: UTF8.self)
      guard let name = SegmentName(fileName: text) else { return .refused }
      try require(name.fileName == text, "another name comes back")
      return .accepted
    }
  }

  private static func checkHeader(_ body: [UInt8]) throws -> Verdict {
    guard body.count == RecordHeader.byteCount else { return .refused }
    let offset = 512
    let right = rightHeader(body, tag: tag, offset: offset, seed: seed)
    guard let header = RecordHeader(right, at: 0, seed: seed, tag: tag, offset: offset) else {
      return .refused
    }
    try require(header.encoded(seed: seed) == right, "another header comes back")
    let entry = RecordEntry(header, in: 3)
    try require(
      RecordEntry(entry.encoded) == entry && entry.matches(header)
        && entry.recordByteCount == header.recordByteCount && header.end > offset,
      "the index does not know it again")
    for wrong in [seed ^ 1, seed &+ 0x100] {
      try require(
        RecordHeader(right, at: 0, seed: wrong, tag: tag, offset: offset) == nil,
        "another drive takes it")
    }
    return .accepted
  }

  static func rightHeader(_ bytes: [UInt8], tag: UInt64, offset: Int, seed: UInt32) -> [UInt8] {
    let placed = RecordHeader.magic + bytes[4...]
    let right = placed.replacing(tag, at: 8).replacing(UInt64(offset), at: 16)
    return right.replacing(Checksum.crc32c(right, 0..<96, from: seed), at: 96)
  }

  private static func exampleMarker() throws -> DriveMarker {
    guard let cluster = ClusterID(.init(repeating: 7, count: 32)) else {
      throw Violation(description: "no cluster ID")
    }
    return DriveMarker(
      clusterID: cluster, node: NodeID(3), driveID: .init(repeating: 9, count: 16))
  }

  /// Records and rubbish in any order, scanned. The input is a list of steps; see `SegmentMaker`.
  static let segments = FuzzTarget("segments", inputByteCountMax: 512) {
    SegmentMaker.seeds
  } check: { bytes in
    var maker = SegmentMaker(tag: tag, seed: seed)
    try maker.run(bytes)
    let disk = SimulatedDisk(seed: 1)
    disk.setContents(of: "s", to: maker.bytes)
    let file = try await disk.open("s")
    let reader = RecordReader(file: file, tag: tag, seed: seed)
    var scanner = SegmentScanner(file: file, byteCount: maker.bytes.count, tag: tag, seed: seed)
    var position = 0
    var found: [Int: RecordHeader] = [:]
    while let step = try await scanner.next() {
      switch step {
      case .record(let header):
        try require(header.offset == position, "a record at \(header.offset), not \(position)")
        position = header.end
        found[header.offset] = header
        if let record = try await reader.record(header) {
          let stored = header.encoded(seed: seed) + record.table + record.body
          try require(
            stored[...] == maker.bytes[header.offset..<header.end], "other bytes were read")
        }
      case .damage(let damage):
        try require(
          damage.range.lowerBound == position && !damage.range.isEmpty && !damage.isUnreadable,
          "damage \(damage) at \(position)")
        let isBlank = maker.bytes[damage.range].allSatisfy { $0 == 0 }
        try require(!damage.isBlank || isBlank, "what is not blank was called so")
        position = damage.range.upperBound
      }
    }
    try require(position == maker.bytes.count, "the scan ends at \(position)")
    for whole in maker.wholeRecords {
      try require(found[whole.offset] == whole, "the whole record at \(whole.offset) was missed")
      let record = try await reader.record(whole)
      try require(record != nil, "the whole record at \(whole.offset) was not read")
    }
    return Verdict(isAccepted: !maker.wholeRecords.isEmpty)
  }

  /// A drive with such a segment on it: it opens, takes what is written, and opens again.
  static let drive = FuzzTarget("drive", inputByteCountMax: 512) {
    SegmentMaker.seeds
  } check: { bytes in
    let marker = try exampleMarker()
    var maker = SegmentMaker(tag: tag, seed: marker.recordSeed)
    try maker.run(bytes)
    let disk = SimulatedDisk(seed: 1)
    try await marker.write(to: disk)
    disk.setContents(of: SegmentName(number: 4, tag: tag).fileName, to: maker.bytes)
    let key = SliverKey(
      blob: try Fixture.shared.get().blob.blobID, pair: SliverPairIndex(500), axis: .primary)
    let sliver = [UInt8](repeating: 8, count: 300)
    var found: [[BlobID: [UInt8]]] = []
    // The second time with the index of the first, the third time with none.
    var index = SimulatedIndex()
    for round in 0..<3 {
      if round == 2 { index = SimulatedIndex() }
      let store = try await SliverStore.open(
        disk: disk, index: index, clusterID: marker.clusterID, node: marker.node,
        randomness: SeededRandomness(seed: UInt64(round)))
      if round == 0 {
        try await store.put([.sliver(key, symbolByteCount: 100, bytes: sliver)])
      }
      let read = try await store.sliver(key)
      try require(read?.bytes == sliver, "what was stored is gone after \(round) openings")
      var good: [BlobID: [UInt8]] = [:]
      for blob in try await store.blobs(after: nil, limit: 1000) {
        good[blob] = try await store.metadata(of: blob)
      }
      found.append(good)
      try await store.close()
    }
    try require(
      maker.isForged || (found[0] == found[1] && found[1] == found[2]),
      "three openings find \(found.map { $0.map { "\($0.key): \($0.value.count) bytes" } })")
    return Verdict(isAccepted: !maker.wholeRecords.isEmpty)
  }
}

/// Makes a segment from a list of steps, one byte each and what they take.
struct SegmentMaker {
  let tag: UInt64
  let seed: UInt32
  private(set) var bytes: [UInt8] = []
  /// Records that every scan must find, because nothing in front of them hides them.
  private(set) var wholeRecords: [RecordHeader] = []
  /// It holds headers that no writer made: valid checksums over anything.
  private(set) var isForged = false
  /// Where the last group began.
  private var synced = 0

  init(tag: UInt64, seed: UInt32) {
    self.tag = tag
    self.seed = seed
  }

  /// Each kind of record once, rubbish between, a torn one at the end; and one of each alone.
  static let seeds: [[UInt8]] = [
    [0, 1, 9, 20, 1, 4, 5, 3, 60, 2, 8, 8, 8, 2, 3, 2, 0, 9, 9, 3, 1, 40, 7, 4, 5, 30, 5, 1, 9, 9],
    [0, 0, 3, 30, 0, 2, 7, 50], [2, 9, 0, 2, 1, 1], [0, 4, 0, 0, 5, 10, 200],
  ]

  mutating func run(_ steps: [UInt8]) throws {
    var input = FuzzInput(steps)
    while !input.isEmpty, bytes.count < 1 << 16 {
      switch input.below(6) {
      case 0: try append(record(&input))
      case 1: bytes += input.bytes(input.below(40))
      case 2: bytes += [UInt8](repeating: 0, count: input.below(200))
      case 3:
        // A record whose body is not its own.
        let whole = try record(&input)
        let place = place
        bytes += whole.header(at: place).encoded(seed: seed) + whole.table
        bytes += whole.body.map { $0 ^ 1 }
      case 4:
        // A header of the input's own making. Its length may hide everything behind it.
        let made = input.bytes(RecordHeader.byteCount)
        guard made.count == RecordHeader.byteCount else { break }
        bytes += FuzzTarget.rightHeader(made, tag: tag, offset: bytes.count, seed: seed)
        isForged = true
      default:
        // A record that was cut off, if that is shorter than all of it; nothing follows.
        let whole = try record(&input)
        let all = whole.header(at: place).encoded(seed: seed) + whole.table + whole.body
        bytes += all.prefix(input.below(256))
        return
      }
    }
  }

  private var place: RecordPlace {
    RecordPlace(
      tag: tag, offset: bytes.count, sequence: SequenceNumber(segment: 4, offset: bytes.count),
      syncedThrough: synced)
  }

  private mutating func append(_ record: PreparedRecord) {
    let header = record.header(at: place)
    bytes += header.encoded(seed: seed) + record.table + record.body
    if !isForged { wholeRecords.append(header) }
    if wholeRecords.count.isMultiple(of: 3) { synced = bytes.count }
  }

  /// A byte for the kind, one for the name, one for the length.
  private func record(_ input: inout FuzzInput) throws -> PreparedRecord {
    let kind = input.below(5)
    let name = input.byte()
    let body = [UInt8](repeating: name ^ 0x57, count: input.below(256))
    guard let blob = BlobID(bytes: .init(repeating: name, count: 32)) else {
      throw Violation(description: "no blob ID")
    }
    switch kind {
    case 0: return try PreparedRecord(.metadata(blob, body))
    case 1:
      let key = SliverKey(blob: blob, pair: SliverPairIndex(UInt16(name)), axis: .secondary)
      let symbolByteCount = 2 + 2 * Int(name % 40)
      let symbols = [UInt8](repeating: name, count: symbolByteCount * (1 + body.count / 8))
      return try PreparedRecord(
        .sliver(key, symbolByteCount: symbolByteCount, bytes: symbols))
    case 2: return .tombstone(of: blob)
    case 3: return try .value(body, name: "\(name)")
    default: return .seal()
    }
  }
}
