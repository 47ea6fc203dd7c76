// RecordReader.swift
//
// Reads records and checks every byte it hands out. Nil always means: what stands there is not the
// record, or not what was written; a drive that refuses to read throws.

internal import World

struct RecordReader: Sendable {
  /// Records that end this close behind their start are read at once.
  static let singleReadByteCount = 16 << 10
  /// The same where only a part is wanted: drives read whole pages.
  static let pageByteCount = 4 << 10

  let file: any DiskFile
  let tag: UInt64
  let seed: UInt32

  /// Header and table of the record, which match each other and the entry.
  func prefix(of entry: RecordEntry) async throws(DiskError) -> (RecordHeader, [UInt8])? {
    let count = RecordHeader.byteCount + entry.tableByteCount
    guard let bytes = try await read(at: entry.offset, count: count) else { return nil }
    return parse(bytes, of: entry)
  }

  /// The whole record.
  func record(_ entry: RecordEntry) async throws(DiskError) -> PreparedRecord? {
    if entry.recordByteCount <= Self.singleReadByteCount {
      guard let bytes = try await read(at: entry.offset, count: entry.recordByteCount),
        let (header, table) = parse(bytes, of: entry)
      else { return nil }
      return verified(header, table, Array(bytes[(bytes.count - header.bodyByteCount)...]))
    }
    guard let (header, table) = try await prefix(of: entry),
      let body = try await read(at: header.bodyOffset, count: header.bodyByteCount)
    else { return nil }
    return verified(header, table, body)
  }

  /// The record behind a header that was just read.
  func record(_ header: RecordHeader) async throws(DiskError) -> PreparedRecord? {
    try await record(RecordEntry(header, in: 0))
  }

  /// The bytes of a range of symbols.
  func symbols(_ range: Range<Int>, of entry: RecordEntry) async throws(DiskError) -> [UInt8]? {
    let wanted = range.lowerBound * entry.symbolByteCount..<range.upperBound * entry.symbolByteCount
    guard entry.recordByteCount > Self.pageByteCount, wanted.count < entry.bodyByteCount else {
      guard let record = try await record(entry) else { return nil }
      return wanted.count == record.body.count ? record.body : Array(record.body[wanted])
    }
    guard let (header, table) = try await prefix(of: entry) else { return nil }
    let run = header.runByteCount
    let covering =
      wanted.lowerBound / run
      * run..<min(
        (wanted.upperBound + run - 1) / run * run, header.bodyByteCount)
    guard
      let bytes = try await read(
        at: header.bodyOffset + covering.lowerBound, count: covering.count),
      matches(bytes, table, runByteCount: run, firstRun: covering.lowerBound / run)
    else { return nil }
    if wanted == covering { return bytes }
    return Array(
      bytes[wanted.lowerBound - covering.lowerBound..<wanted.upperBound - covering.lowerBound])
  }

  private func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8]? {
    guard count > 0 else { return [] }
    do throws(DiskError) {
      return try await file.read(at: offset, count: count)
    } catch .endOfFile {
      return nil
    } catch {
      throw error
    }
  }

  private func parse(_ bytes: [UInt8], of entry: RecordEntry) -> (RecordHeader, [UInt8])? {
    guard
      let header = RecordHeader(bytes, at: 0, seed: seed, tag: tag, offset: entry.offset),
      entry.matches(header)
    else { return nil }
    let table = Array(
      bytes[RecordHeader.byteCount..<RecordHeader.byteCount + header.tableByteCount])
    return Checksum.crc32c(table) == header.tableChecksum ? (header, table) : nil
  }

  private func verified(_ header: RecordHeader, _ table: [UInt8], _ body: [UInt8])
    -> PreparedRecord?
  {
    guard matches(body, table, runByteCount: header.runByteCount, firstRun: 0) else { return nil }
    return PreparedRecord(verified: header, table: table, body: body)
  }

  private func matches(_ bytes: [UInt8], _ table: [UInt8], runByteCount: Int, firstRun: Int) -> Bool
  {
    if PlantedBug.checksumsSkipped.isPlanted { return true }
    let checksums = Checksum.runs(of: bytes, 0..<bytes.count, runByteCount: runByteCount)
    for (position, checksum) in checksums.enumerated()
    where table.littleEndian(UInt32.self, at: 4 * (firstRun + position)) != checksum {
      return false
    }
    return true
  }
}
