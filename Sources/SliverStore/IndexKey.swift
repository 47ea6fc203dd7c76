// IndexKey.swift
//
// What the index of a drive holds. All of it can be rebuilt from the segments.
//
//   key                                  value
//   00                                   version 4, drive ID 16, lowest number for a new segment 4
//   01 segment                           SegmentState: how far it was read, what of it is needed
//   02 blob 00                           RecordEntry of the metadata
//   02 blob 01 pair axis                 RecordEntry of a sliver
//   03 blob                              RecordEntry of the newest tombstone
//   04 blob segment                      dead mark: that segment holds records of the blob that are
//                                        needed no more; 1 if the tombstone covers all of them
//   05 BLAKE2b-256 of a name             RecordEntry of a value
//
// Keys are big-endian, so that all entries of a blob are one range; values are little-endian, each
// with its checksum behind it (CheckedIndex).
//
// Dead marks tell when a tombstone may go: when no segment holds anything it has to keep down.

internal import RedStuff

enum IndexKey {
  static let store: [UInt8] = [0]
  static let segments: (lower: [UInt8], upper: [UInt8]) = ([1], [2])
  static let records: (lower: [UInt8], upper: [UInt8]) = ([2], [3])
  static let tombstones: (lower: [UInt8], upper: [UInt8]) = ([3], [4])
  static let marks: (lower: [UInt8], upper: [UInt8]) = ([4], [5])
  static let values: (lower: [UInt8], upper: [UInt8]) = ([5], [6])
  static let blobRange = 1..<1 + BlobID.byteCount

  static func segment(_ number: UInt32) -> [UInt8] {
    var key: [UInt8] = [1]
    key.append(bigEndian: number)
    return key
  }

  static func metadata(_ blob: BlobID) -> [UInt8] { [2] + blob.bytes + [0] }

  static func sliver(_ blob: BlobID, pair: UInt16, axis: UInt8) -> [UInt8] {
    var key: [UInt8] = [2]
    key.reserveCapacity(37)
    key += blob.bytes
    key.append(1)
    key.append(bigEndian: pair)
    key.append(axis)
    return key
  }

  static func sliver(_ key: SliverKey) -> [UInt8] {
    sliver(key.blob, pair: key.pair.value, axis: key.axis.rawValue)
  }

  /// Nil for keys of anything else.
  static func sliverKey(in key: [UInt8]) -> SliverKey? {
    guard key.count == 37, key[0] == 2, key[33] == 1, let blob = blob(in: key),
      let axis = SliverAxis(rawValue: key[36])
    else { return nil }
    let pair = UInt16(key[34]) << 8 | UInt16(key[35])
    return SliverKey(blob: blob, pair: SliverPairIndex(pair), axis: axis)
  }

  static func tombstone(_ blob: BlobID) -> [UInt8] { [3] + blob.bytes }

  static func mark(_ blob: BlobID, segment: UInt32) -> [UInt8] {
    var key: [UInt8] = [4] + blob.bytes
    key.append(bigEndian: segment)
    return key
  }

  static func value(hash: [UInt8]) -> [UInt8] { [5] + hash }

  /// Everything of a blob that begins with `prefix`.
  static func range(_ prefix: UInt8, of blob: BlobID) -> (lower: [UInt8], upper: [UInt8]) {
    ([prefix] + blob.bytes, after(blob, prefix: prefix))
  }

  /// The first key behind all keys of a blob.
  static func after(_ blob: BlobID, prefix: UInt8) -> [UInt8] {
    [prefix] + blob.bytes + [UInt8](repeating: 0xFF, count: 8)
  }

  static func blob(in key: [UInt8]) -> BlobID? {
    key.count >= blobRange.upperBound ? BlobID(bytes: Array(key[blobRange])) : nil
  }

  /// The number at the end of a segment key or a dead mark.
  static func segmentNumber(in key: [UInt8]) -> UInt32? {
    key.count >= 5 ? key.bigEndian(at: key.count - 4) : nil
  }

  /// Nil for seals.
  static func of(_ header: RecordHeader) -> [UInt8]? {
    switch (header.kind, header.blob) {
    case (.metadata, let blob?): metadata(blob)
    case (.sliver, let blob?): sliver(blob, pair: header.pair, axis: header.axis)
    case (.tombstone, let blob?): tombstone(blob)
    case (.value, _): value(hash: header.subject)
    default: nil
    }
  }
}

/// Where a record lies, and enough of its header to read any part of it at once.
struct RecordEntry: Hashable, Sendable {
  static let byteCount = 24

  var sequence: SequenceNumber
  var segment: UInt32
  var offset: Int
  var symbolByteCount: Int
  var bodyByteCount: Int

  init(_ header: RecordHeader, in segment: UInt32) {
    sequence = header.sequence
    self.segment = segment
    offset = header.offset
    symbolByteCount = header.symbolByteCount
    bodyByteCount = header.bodyByteCount
  }

  /// Nil for bytes that are no entry.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    sequence = SequenceNumber(value: bytes.littleEndian(at: 0))
    segment = bytes.littleEndian(at: 8)
    offset = Int(bytes.littleEndian(UInt32.self, at: 12))
    symbolByteCount = Int(bytes.littleEndian(UInt32.self, at: 16))
    bodyByteCount = Int(bytes.littleEndian(UInt32.self, at: 20))
    guard symbolByteCount <= RecordHeader.symbolByteCountMax,
      bodyByteCount <= RecordHeader.bodyByteCountMax
    else { return nil }
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    bytes.append(littleEndian: sequence.value)
    bytes.append(littleEndian: segment)
    bytes.append(littleEndian: UInt32(offset))
    bytes.append(littleEndian: UInt32(symbolByteCount))
    bytes.append(littleEndian: UInt32(bodyByteCount))
    return bytes
  }

  private var runByteCount: Int { RecordHeader.runByteCount(symbolByteCount: symbolByteCount) }
  var tableByteCount: Int {
    4 * RecordHeader.runCount(bodyByteCount: bodyByteCount, runByteCount: runByteCount)
  }
  var recordByteCount: Int { RecordHeader.byteCount + tableByteCount + bodyByteCount }

  /// Whether the header is the one this entry was made from.
  func matches(_ header: RecordHeader) -> Bool { RecordEntry(header, in: segment) == self }
}

/// What the store knows about one segment.
struct SegmentState: Equatable, Sendable {
  static let byteCount = 37

  var tag: UInt64
  /// All records before it stand in the index.
  var through = 0
  /// Closed in order; nothing is ever written to it again.
  var isSealed = false
  /// Parts of it could not be read as records, so what is in them is unknown.
  var isDamaged = false
  /// Records that are needed, tombstones included.
  var liveRecordCount = 0
  var liveSliverCount = 0
  var tombstoneCount = 0
  var liveByteCount = 0
  /// Size of the file; not in the index.
  var fileByteCount = 0

  init(tag: UInt64) { self.tag = tag }

  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount,
      let through = Int(exactly: bytes.littleEndian(UInt64.self, at: 8)),
      let liveByteCount = Int(exactly: bytes.littleEndian(UInt64.self, at: 29))
    else { return nil }
    tag = bytes.littleEndian(at: 0)
    self.through = through
    isSealed = bytes[16] & 1 != 0
    isDamaged = bytes[16] & 2 != 0
    liveRecordCount = Int(bytes.littleEndian(UInt32.self, at: 17))
    liveSliverCount = Int(bytes.littleEndian(UInt32.self, at: 21))
    tombstoneCount = Int(bytes.littleEndian(UInt32.self, at: 25))
    self.liveByteCount = liveByteCount
    fileByteCount = through
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: tag)
    bytes.append(littleEndian: UInt64(through))
    bytes.append((isSealed ? 1 : 0) | (isDamaged ? 2 : 0))
    bytes.append(littleEndian: UInt32(clamping: liveRecordCount))
    bytes.append(littleEndian: UInt32(clamping: liveSliverCount))
    bytes.append(littleEndian: UInt32(clamping: tombstoneCount))
    bytes.append(littleEndian: UInt64(clamping: liveByteCount))
    return bytes
  }

  /// A record of this segment became needed (`sign` 1) or stopped being so (-1).
  mutating func count(_ entry: RecordEntry, key: [UInt8], sign: Int) {
    liveRecordCount += sign
    liveByteCount += sign * entry.recordByteCount
    if key.first == 2, key.count > IndexKey.blobRange.upperBound + 1 { liveSliverCount += sign }
    if key.first == 3 { tombstoneCount += sign }
  }
}
