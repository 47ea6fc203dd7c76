// Crc32cTests.swift
//
// CRC32C against known values (RFC 3720 B.4) and a bit-by-bit definition.

import CKernels
import Testing

@Suite struct Crc32cTests {
  /// The definition: one bit at a time, polynomial 0x1EDC6F41 reflected.
  private func definition(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var state = UInt32.max
    for byte in bytes {
      state ^= UInt32(byte)
      for _ in 0..<8 { state = state >> 1 ^ (state & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
    return ~state
  }

  private func checksum(
    _ level: ck_level, _ bytes: ArraySlice<UInt8>, after crc: UInt32 = 0
  ) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer {
      unsafe ck_crc32c_at(level, crc, $0.baseAddress, $0.count)
    }
  }

  @Test(arguments: supportedLevels)
  func `known checksums come out`(level: ck_level) {
    #expect(checksum(level, Array("123456789".utf8)[...]) == 0xE306_9283)
    #expect(checksum(level, [UInt8](repeating: 0, count: 32)[...]) == 0x8A91_36AA)
    #expect(checksum(level, [UInt8](repeating: 0xFF, count: 32)[...]) == 0x62A8_AB43)
    #expect(checksum(level, Array(0..<32)[...]) == 0x46DD_794E)
    #expect(checksum(level, []) == 0)
  }

  // Around the lengths where the fast form changes its stretch: 8, 3 * 128, 3 * 2048 bytes.
  @Test(arguments: supportedLevels)
  func `every length has the checksum of the definition`(level: ck_level) {
    let bytes = testBytes(count: 20_000)
    let lengths = Array(0...800) + Array(6100...6200) + [6528, 12_288, 13_000, 19_990]
    for length in lengths {
      let part = bytes[length % 9..<length % 9 + length]
      #expect(checksum(level, part) == definition(part), "\(length) bytes")
    }
  }

  @Test(arguments: supportedLevels)
  func `a checksum continues over pieces`(level: ck_level) {
    let bytes = testBytes(count: 9000)
    let whole = definition(bytes[...])
    for cut in stride(from: 0, through: bytes.count, by: 97) {
      let front = checksum(level, bytes[..<cut])
      #expect(checksum(level, bytes[cut...], after: front) == whole)
    }
    let front = unsafe ck_crc32c(0, bytes, 10)
    #expect(checksum(level, bytes[10...], after: front) == whole)
  }

  @Test(arguments: supportedLevels)
  func `runs have the checksums of their bytes`(level: ck_level) {
    let bytes = testBytes(count: 8 * 300)
    for runBytes in [0, 1, 2, 7, 8, 9, 64, 127, 128, 130, 300] {
      for count in 0...8 {
        var checksums = [UInt32](repeating: 0xEEEE_EEEE, count: count + 1)
        unsafe ck_crc32c_runs_at(level, bytes, runBytes, count, &checksums)
        let expected = (0..<count).map {
          definition(bytes[$0 * runBytes..<($0 + 1) * runBytes])
        }
        #expect(checksums == expected + [0xEEEE_EEEE], "\(count) runs of \(runBytes)")
      }
    }
  }
}
