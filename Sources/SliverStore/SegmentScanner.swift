// SegmentScanner.swift
//
// Reads a segment header by header, skipping bodies. Anything that is no record of this segment at
// this place becomes a stretch of damage, and the scan goes on at the next header that is one.
//
// A header that checks out is trusted for its length, so bodies are never searched for records
// unless their own header is rotten; RecordFormat.swift says why even then nothing false is found.

internal import World

struct SegmentScanner {
  enum Step: Equatable {
    case record(RecordHeader)
    case damage(Damage)
  }

  /// A stretch of the segment that holds no readable record.
  struct Damage: Equatable {
    var range: Range<Int>
    /// The drive refused to read some of it: what is there is unknown, not wrong.
    var isUnreadable = false
    /// Nothing but zeros: a gap that recovery made, not rot.
    var isBlank = false
  }

  /// Headers of records this small come with one read; larger bodies cost one read each.
  static let headerWindowByteCount = 16 << 10
  static let searchWindowByteCount = 1 << 20
  /// What is skipped when the drive cannot read: the sector size of today's drives.
  static let unreadableStepByteCount = 4096
  /// More in a row are a broken drive, not a broken sector.
  static let unreadableCountMax = 16

  let file: any DiskFile
  let byteCount: Int
  let tag: UInt64
  let seed: UInt32
  private(set) var offset: Int
  private var window: [UInt8] = []
  private var windowOffset = 0
  private var unreadableCount = 0

  init(file: any DiskFile, byteCount: Int, tag: UInt64, seed: UInt32, from offset: Int = 0) {
    self.file = file
    self.byteCount = byteCount
    self.tag = tag
    self.seed = seed
    self.offset = offset
  }

  /// The next record or damage; nil at the end of the file.
  mutating func next() async throws(DiskError) -> Step? {
    guard offset < byteCount else { return nil }
    let start = offset
    var damage = Damage(range: start..<byteCount)
    if try await load(start, RecordHeader.byteCount, window: Self.headerWindowByteCount) {
      if let header = header(at: start) {
        // A body that ends behind the file's end was cut off, and everything behind it too.
        offset = min(header.end, byteCount)
        return header.end <= byteCount ? .record(header) : .damage(damage)
      }
      damage.isBlank = true
    }
    try await search(from: start, into: &damage)
    offset = damage.range.upperBound
    return .damage(damage)
  }

  /// Finds the end of the damage that starts at `start`.
  private mutating func search(from start: Int, into damage: inout Damage) async throws(DiskError) {
    var position = start
    while position < byteCount {
      guard try await load(position, 1, window: Self.searchWindowByteCount) else {
        damage.isUnreadable = true
        damage.isBlank = false
        position = min(
          byteCount, (position / Self.unreadableStepByteCount + 1) * Self.unreadableStepByteCount)
        continue
      }
      let windowEnd = windowOffset + window.count
      let candidate = candidate(from: position) ?? windowEnd
      damage.isBlank = damage.isBlank && isBlank(position..<candidate)
      position = candidate
      guard candidate < windowEnd else { continue }
      if candidate > start,
        try await load(candidate, RecordHeader.byteCount, window: Self.searchWindowByteCount),
        header(at: candidate) != nil
      {
        damage.range = start..<candidate
        return
      }
      damage.isBlank = false
      position = candidate + 1
    }
    damage.range = start..<byteCount
  }

  /// Makes `count` bytes at `position` available, or as many as the file has.
  ///
  /// - Returns: false if the drive cannot read them.
  private mutating func load(_ position: Int, _ count: Int, window size: Int)
    async throws(DiskError) -> Bool
  {
    let wanted = min(count, byteCount - position)
    if position >= windowOffset, position + wanted <= windowOffset + window.count { return true }
    for size in [max(size, wanted), wanted] {
      do throws(DiskError) {
        window = try await file.read(at: position, count: min(size, byteCount - position))
        windowOffset = position
        unreadableCount = 0
        return true
      } catch .failed {
        // A window may touch a bad sector that the header itself does not.
        continue
      }
    }
    window = []
    windowOffset = position
    unreadableCount += 1
    guard unreadableCount <= Self.unreadableCountMax else {
      throw .failed(file: file.name, operation: "read", code: 5)
    }
    return false
  }

  private func header(at position: Int) -> RecordHeader? {
    RecordHeader(window, at: position - windowOffset, seed: seed, tag: tag, offset: position)
  }

  /// The first position in the window, from `position` on, where a magic number may start.
  private func candidate(from position: Int) -> Int? {
    let magic = RecordHeader.magic
    var index = position - windowOffset
    while index < window.count {
      if window[index] == magic[0] {
        let rest = min(magic.count, window.count - index)
        if window[index..<index + rest].elementsEqual(magic[..<rest]) {
          return windowOffset + index
        }
      }
      index += 1
    }
    return nil
  }

  private func isBlank(_ range: Range<Int>) -> Bool {
    window[range.lowerBound - windowOffset..<range.upperBound - windowOffset]
      .allSatisfy { $0 == 0 }
  }
}
