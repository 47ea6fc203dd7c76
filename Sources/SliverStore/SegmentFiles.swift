// SegmentFiles.swift
//
// Names of segment files, and a bounded number of open ones.

internal import Synchronization
internal import World

/// `segment-<number>-<tag>`: eight and sixteen hex digits. The tag stands in the name because every
/// record is checked against it: kept in the file, one rotten byte could cost all its records.
struct SegmentName: Hashable, Comparable, Sendable {
  var number: UInt32
  var tag: UInt64

  init(number: UInt32, tag: UInt64) {
    self.number = number
    self.tag = tag
  }

  init?(fileName: String) {
    let parts = fileName.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "segment", parts[1].count == 8, parts[2].count == 16,
      let number = UInt32(parts[1], radix: 16), let tag = UInt64(parts[2], radix: 16)
    else { return nil }
    self.init(number: number, tag: tag)
    // Upper case or signs would give one segment two names.
    guard self.fileName == fileName else { return nil }
  }

  var fileName: String {
    "segment-\(Self.padded(UInt64(number), to: 8))-\(Self.padded(tag, to: 16))"
  }

  private static func padded(_ value: UInt64, to length: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: length - digits.count) + digits
  }

  static func < (left: Self, right: Self) -> Bool {
    (left.number, left.tag) < (right.number, right.tag)
  }
}

/// Open segment files, the least recently used of which are closed.
final class SegmentFiles: Sendable {
  /// A node with a dozen drives stays below the usual limit of 1,024 open files.
  static let openCountMax = 48

  private struct Entry {
    var file: any DiskFile
    var lastUse: UInt64
  }

  private struct State {
    var entries: [UInt32: Entry] = [:]
    var useCount: UInt64 = 0
  }

  private let disk: any Disk
  private let state = Mutex(State())

  init(disk: any Disk) { self.disk = disk }

  func file(_ name: SegmentName) async throws(DiskError) -> any DiskFile {
    if let file = known(name.number) { return file }
    let file = try await disk.open(name.fileName)
    insert(file, number: name.number)
    return file
  }

  func insert(_ file: any DiskFile, number: UInt32) {
    state.withLock { state in
      state.useCount += 1
      state.entries[number] = Entry(file: file, lastUse: state.useCount)
      if state.entries.count > Self.openCountMax,
        let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        state.entries[oldest.key] = nil
      }
    }
  }

  func remove(_ number: UInt32) { state.withLock { $0.entries[number] = nil } }

  func removeAll() { state.withLock { $0.entries = [:] } }

  private func known(_ number: UInt32) -> (any DiskFile)? {
    state.withLock { state in
      guard let entry = state.entries[number] else { return nil }
      state.useCount += 1
      state.entries[number]?.lastUse = state.useCount
      return entry.file
    }
  }
}
