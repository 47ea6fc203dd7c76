// RecordFormat.swift
//
// The bytes of one record in a segment. A segment is nothing but records, one after the other:
//
//   header   fixed size, with its own checksum
//   table    one CRC32C per run of the body: the last run may be shorter
//   body
//
// The header (little-endian):
//
//   offset  size  meaning
//        0     4  "WSLR"
//        4     1  version
//        5     1  kind: 1 metadata, 2 sliver, 3 tombstone, 4 value, 5 seal
//        6     2  byte count of the header
//        8     8  tag of the segment
//       16     8  offset of this record in the segment
//       24     8  sequence number
//       32     8  syncedThrough: all bytes of the segment before it were durable already
//       40    32  subject: the blob ID; of a value the BLAKE2b-256 of its name; of a seal zeros
//       72     2  sliver pair
//       74     1  axis
//       75     1  zero
//       76     4  byte count of a symbol; 0 when the body has none
//       80     4  byte count of a run
//       84     8  byte count of the body
//       92     4  CRC32C of the table
//       96     4  CRC32C of the drive ID and the 96 bytes before
//
// The chain header -> table -> runs makes any range of runs verifiable with the header and table
// alone. A run is one symbol, or as few whole symbols as make 128 bytes.
//
// When a header is rotten its record's end is unknown, and the reader looks for the next header in
// what may be a body. Uploaded bytes may imitate a record, even be a copy of this very segment: a
// header counts only with this segment's random tag, at the offset it names, on this drive.
//
// Sequence numbers say which of two records is newer wherever they lie: the place of first writing
// (segment number, offset). Compaction keeps them, so a tombstone never kills what came after it.

internal import RedStuff

enum RecordKind: UInt8, Sendable {
  case metadata = 1
  case sliver = 2
  case tombstone = 3
  case value = 4
  /// The last record of a segment that was closed in order: all before it is durable and valid.
  case seal = 5
}

/// Orders records in time; see above.
struct SequenceNumber: Hashable, Comparable, Sendable {
  var value: UInt64

  init(value: UInt64) { self.value = value }

  init(segment: UInt32, offset: Int) {
    value = UInt64(segment) << 32 | UInt64(UInt32(truncatingIfNeeded: offset))
  }

  static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

struct RecordHeader: Equatable, Sendable {
  static let magic = Array("WSLR".utf8)
  static let version: UInt8 = 1
  static let byteCount = 100
  /// Runs of bodies without symbols (metadata, values), which are always read whole.
  static let plainRunByteCount = 64 << 10
  static let runByteCountMin = 128
  /// Far above the largest sliver (43 MiB); offsets in a segment stay below 2^32 with it.
  static let bodyByteCountMax = 1 << 30
  static let symbolByteCountMax = 65_534

  var kind: RecordKind
  /// What the record is about: a blob, or a name's hash.
  var subject: [UInt8]
  var pair: UInt16 = 0
  var axis: UInt8 = 0
  var symbolByteCount = 0
  var runByteCount = RecordHeader.plainRunByteCount
  var bodyByteCount = 0
  var tableChecksum: UInt32 = 0
  var tag: UInt64 = 0
  var offset = 0
  var sequence = SequenceNumber(value: 0)
  var syncedThrough = 0

  /// Nil for values and seals, which belong to no blob.
  var blob: BlobID? {
    switch kind {
    case .metadata, .sliver, .tombstone: BlobID(bytes: subject)
    case .value, .seal: nil
    }
  }

  var runCount: Int {
    Self.runCount(bodyByteCount: bodyByteCount, runByteCount: runByteCount)
  }
  var tableByteCount: Int { 4 * runCount }
  var bodyOffset: Int { offset + Self.byteCount + tableByteCount }
  var recordByteCount: Int { Self.byteCount + tableByteCount + bodyByteCount }
  var end: Int { offset + recordByteCount }

  static func runCount(bodyByteCount: Int, runByteCount: Int) -> Int {
    (bodyByteCount + runByteCount - 1) / runByteCount
  }

  /// One symbol, or as few whole symbols as make the smallest run.
  static func runByteCount(symbolByteCount: Int) -> Int {
    guard symbolByteCount > 0 else { return plainRunByteCount }
    return (runByteCountMin + symbolByteCount - 1) / symbolByteCount * symbolByteCount
  }
}

extension RecordHeader {
  func encoded(seed: UInt32) -> [UInt8] {
    var bytes = Self.magic
    bytes.reserveCapacity(Self.byteCount)
    bytes.append(Self.version)
    bytes.append(kind.rawValue)
    bytes.append(littleEndian: UInt16(Self.byteCount))
    bytes.append(littleEndian: tag)
    bytes.append(littleEndian: UInt64(offset))
    bytes.append(littleEndian: sequence.value)
    bytes.append(littleEndian: UInt64(syncedThrough))
    bytes += subject
    bytes.append(littleEndian: pair)
    bytes.append(axis)
    bytes.append(0)
    bytes.append(littleEndian: UInt32(symbolByteCount))
    bytes.append(littleEndian: UInt32(runByteCount))
    bytes.append(littleEndian: UInt64(bodyByteCount))
    bytes.append(littleEndian: tableChecksum)
    bytes.append(littleEndian: Checksum.crc32c(bytes, 0..<bytes.count, from: seed))
    return bytes
  }

  /// The header at `position` of `bytes` if there is one that belongs at `offset` of the segment
  /// with this tag; nil for anything else, also for a valid checksum over impossible numbers.
  init?(_ bytes: [UInt8], at position: Int, seed: UInt32, tag: UInt64, offset: Int) {
    guard position >= 0, bytes.count - position >= Self.byteCount,
      bytes[position..<position + 4].elementsEqual(Self.magic),
      bytes.littleEndian(UInt64.self, at: position + 8) == tag,
      bytes.littleEndian(UInt64.self, at: position + 16) == UInt64(offset),
      bytes.littleEndian(UInt32.self, at: position + 96)
        == Checksum.crc32c(bytes, position..<position + 96, from: seed),
      bytes[position + 4] == Self.version,
      let kind = RecordKind(rawValue: bytes[position + 5]),
      bytes.littleEndian(UInt16.self, at: position + 6) == UInt16(Self.byteCount),
      let bodyByteCount = Int(exactly: bytes.littleEndian(UInt64.self, at: position + 84)),
      bodyByteCount <= Self.bodyByteCountMax,
      let syncedThrough = Int(exactly: bytes.littleEndian(UInt64.self, at: position + 32)),
      syncedThrough <= offset
    else { return nil }
    self.kind = kind
    subject = Array(bytes[position + 40..<position + 72])
    self.tag = tag
    self.offset = offset
    self.syncedThrough = syncedThrough
    self.bodyByteCount = bodyByteCount
    sequence = SequenceNumber(value: bytes.littleEndian(at: position + 24))
    pair = bytes.littleEndian(at: position + 72)
    axis = bytes[position + 74]
    symbolByteCount = Int(bytes.littleEndian(UInt32.self, at: position + 76))
    runByteCount = Int(bytes.littleEndian(UInt32.self, at: position + 80))
    tableChecksum = bytes.littleEndian(at: position + 92)
    guard bytes[position + 75] == 0, isPlausible else { return nil }
  }

  /// The rules that our own writer keeps; a checksum alone does not make numbers safe to use.
  private var isPlausible: Bool {
    guard runByteCount == Self.runByteCount(symbolByteCount: symbolByteCount) else { return false }
    switch kind {
    case .sliver:
      return axis <= 1 && symbolByteCount > 0 && symbolByteCount <= Self.symbolByteCountMax
        && bodyByteCount > 0 && bodyByteCount.isMultiple(of: symbolByteCount)
    case .metadata, .value:
      return symbolByteCount == 0
    case .tombstone, .seal:
      return symbolByteCount == 0 && bodyByteCount == 0
    }
  }
}
