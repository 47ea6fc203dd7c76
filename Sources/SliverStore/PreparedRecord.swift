// PreparedRecord.swift
//
// A record before it has a place: everything that does not depend on where it will lie, so that
// checksums are computed by the many callers and not by the one writer. Bodies are never copied.

internal import RedStuff

struct PreparedRecord: Sendable {
  /// The place in it (tag, offset, sequence, syncedThrough) is not set yet.
  private(set) var header: RecordHeader
  private(set) var table: [UInt8]
  private(set) var body: [UInt8]

  var byteCount: Int { header.recordByteCount }

  private init(header: RecordHeader, body: [UInt8]) {
    var header = header
    header.runByteCount = RecordHeader.runByteCount(symbolByteCount: header.symbolByteCount)
    header.bodyByteCount = body.count
    table = []
    let checksums = Checksum.runs(of: body, 0..<body.count, runByteCount: header.runByteCount)
    table.reserveCapacity(4 * checksums.count)
    for checksum in checksums { table.append(littleEndian: checksum) }
    header.tableChecksum = Checksum.crc32c(table)
    self.header = header
    self.body = body
  }

  /// A record as it was read, with parts that match each other.
  init(verified header: RecordHeader, table: [UInt8], body: [UInt8]) {
    self.header = header
    self.table = table
    self.body = body
  }

  init(_ record: StoreRecord) throws(SliverStoreError) {
    switch record {
    case .metadata(let blob, let bytes):
      try Self.checkBody(bytes)
      self.init(header: RecordHeader(kind: .metadata, subject: blob.bytes), body: bytes)
    case .sliver(let key, let symbolByteCount, let bytes):
      try Self.checkBody(bytes)
      guard symbolByteCount > 0, symbolByteCount <= RecordHeader.symbolByteCountMax,
        !bytes.isEmpty, bytes.count.isMultiple(of: symbolByteCount)
      else {
        throw .invalidRecord(
          "\(bytes.count) bytes are no whole number of symbols of \(symbolByteCount) bytes")
      }
      self.init(
        header: RecordHeader(
          kind: .sliver, subject: key.blob.bytes, pair: key.pair.value, axis: key.axis.rawValue,
          symbolByteCount: symbolByteCount),
        body: bytes)
    }
  }

  static func tombstone(of blob: BlobID) -> PreparedRecord {
    PreparedRecord(header: RecordHeader(kind: .tombstone, subject: blob.bytes), body: [])
  }

  static func seal() -> PreparedRecord {
    PreparedRecord(
      header: RecordHeader(kind: .seal, subject: [UInt8](repeating: 0, count: 32)), body: [])
  }

  static func value(_ value: [UInt8], name: String) throws(SliverStoreError) -> PreparedRecord {
    try checkBody(value)
    return PreparedRecord(
      header: RecordHeader(kind: .value, subject: hash(ofName: name)), body: value)
  }

  /// Names of any length take one field of the header, so that scanning needs no bodies.
  static func hash(ofName name: String) -> [UInt8] {
    Digest(hashing: Array(name.utf8)).bytes
  }

  private static func checkBody(_ bytes: [UInt8]) throws(SliverStoreError) {
    guard bytes.count <= RecordHeader.bodyByteCountMax else {
      throw .invalidRecord(
        "\(bytes.count) bytes are above the limit of \(RecordHeader.bodyByteCountMax)")
    }
  }

  /// Where the index knows it; nil for seals.
  var indexKey: [UInt8]? { IndexKey.of(header) }

  /// The place this record gets, as a header.
  func header(at place: RecordPlace) -> RecordHeader {
    var header = header
    header.tag = place.tag
    header.offset = place.offset
    header.sequence = place.sequence
    header.syncedThrough = place.syncedThrough
    return header
  }
}

/// What a record's header says about where it lies.
struct RecordPlace {
  var tag: UInt64
  var offset: Int
  var sequence: SequenceNumber
  var syncedThrough: Int
}
