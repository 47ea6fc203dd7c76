// GuardedBytes.swift
//
// Bytes that end, or begin, where memory ends: a kernel that reads one byte more dies on the spot.

import Foundation

/// Memory between two pages that nobody may touch.
@safe final class GuardedBytes {
  /// Where the bytes lie between the forbidden pages.
  enum Place: CaseIterable {
    case atEnd
    case atStart
  }

  let base: UnsafeMutablePointer<UInt8>
  private let mapping: UnsafeMutableRawPointer
  private let mappingByteCount: Int

  struct MappingFailed: Error {}

  init(byteCount: Int, place: Place) throws {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let inner = max((byteCount + page - 1) / page, 1) * page
    mappingByteCount = inner + 2 * page
    guard
      let mapping = unsafe mmap(
        nil, mappingByteCount, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      unsafe mapping != MAP_FAILED,
      unsafe mprotect(mapping + page, inner, PROT_READ | PROT_WRITE) == 0
    else { throw MappingFailed() }
    unsafe self.mapping = unsafe mapping
    let start = unsafe place == .atStart ? mapping + page : mapping + page + inner - byteCount
    unsafe base = unsafe start.bindMemory(to: UInt8.self, capacity: byteCount)
  }

  convenience init(_ bytes: [UInt8], place: Place) throws {
    try self.init(byteCount: bytes.count, place: place)
    for (index, byte) in bytes.enumerated() { unsafe base[index] = byte }
  }

  deinit { unsafe munmap(mapping, mappingByteCount) }
}
