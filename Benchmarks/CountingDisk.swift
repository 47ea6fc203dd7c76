// CountingDisk.swift
//
// A drive that counts the bytes that are read from it.

import Synchronization
import World

final class ReadCounter: Sendable {
  private let all = Atomic<Int>(0)
  private let inUnits = Atomic<Int>(0)
  private let unit = Atomic<Int>(1)

  var byteCount: Int { all.load(ordering: .relaxed) }
  /// Of reads of a multiple of the unit: those of symbols of that many bytes, where nothing else has
  /// such a length.
  var unitByteCount: Int { inUnits.load(ordering: .relaxed) }

  func setUnit(_ byteCount: Int) { unit.store(byteCount, ordering: .relaxed) }

  func add(_ byteCount: Int) {
    all.add(byteCount, ordering: .relaxed)
    if byteCount.isMultiple(of: unit.load(ordering: .relaxed)) {
      inUnits.add(byteCount, ordering: .relaxed)
    }
  }
}

struct CountingDisk: Disk {
  let disk: any Disk
  let reads: ReadCounter

  func files() async throws(DiskError) -> [String] { try await disk.files() }

  func open(_ name: String) async throws(DiskError) -> any DiskFile {
    CountingFile(file: try await disk.open(name), reads: reads)
  }

  func create(_ name: String) async throws(DiskError) -> any DiskFile {
    CountingFile(file: try await disk.create(name), reads: reads)
  }

  func remove(_ name: String) async throws(DiskError) { try await disk.remove(name) }

  func rename(_ name: String, to newName: String) async throws(DiskError) {
    try await disk.rename(name, to: newName)
  }

  func syncDirectory() async throws(DiskError) { try await disk.syncDirectory() }

  func space() async throws(DiskError) -> DiskSpace { try await disk.space() }
}

private struct CountingFile: DiskFile {
  let file: any DiskFile
  let reads: ReadCounter

  var name: String { file.name }

  func byteCount() async throws(DiskError) -> Int { try await file.byteCount() }

  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    reads.add(count)
    return try await file.read(at: offset, count: count)
  }

  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    try await file.write(buffers, at: offset)
  }

  func truncate(to byteCount: Int) async throws(DiskError) {
    try await file.truncate(to: byteCount)
  }

  func sync() async throws(DiskError) { try await file.sync() }
}
