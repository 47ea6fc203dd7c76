// Checksum.swift
//
// CRC32C over arrays, and over a body in runs.

internal import CKernels

enum Checksum {
  /// The checksum of what `start` covers followed by `bytes[range]`.
  static func crc32c(_ bytes: [UInt8], _ range: Range<Int>, from start: UInt32 = 0) -> UInt32 {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    guard !range.isEmpty else { return start }
    return unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return start }
      return unsafe ck_crc32c(start, base + range.lowerBound, range.count)
    }
  }

  static func crc32c(_ bytes: [UInt8]) -> UInt32 { crc32c(bytes, 0..<bytes.count) }

  /// One checksum per `runByteCount` bytes of `bytes[range]`; the last run may be shorter.
  static func runs(of bytes: [UInt8], _ range: Range<Int>, runByteCount: Int) -> [UInt32] {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count && runByteCount > 0)
    guard !range.isEmpty else { return [] }
    let wholeCount = range.count / runByteCount
    var checksums = [UInt32](repeating: 0, count: wholeCount)
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress, wholeCount > 0 else { return }
      unsafe checksums.withUnsafeMutableBufferPointer { target in
        guard let targetBase = target.baseAddress else { return }
        unsafe ck_crc32c_runs(base + range.lowerBound, runByteCount, wholeCount, targetBase)
      }
    }
    let rest = range.lowerBound + wholeCount * runByteCount..<range.upperBound
    if !rest.isEmpty { checksums.append(crc32c(bytes, rest)) }
    return checksums
  }
}
