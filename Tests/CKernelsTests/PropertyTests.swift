// PropertyTests.swift
//
// The hash of everything up to 1024 bytes against another implementation; lanes, copies and sums at
// every level against the scalar twin, on random shapes and at the very edge of the memory.

import CKernels
import RunSeed
import Testing

@Suite struct PropertyTests {
  /// The digest of a prefix, where there is one, and a message.
  private func digest(_ message: ArraySlice<UInt8>, prefix: Int32 = -1) -> [UInt8] {
    var hash = ck_blake2b()
    var digest = [UInt8](repeating: 0, count: 32)
    unsafe ck_blake2b_init(&hash)
    if prefix >= 0 { unsafe ck_blake2b_update(&hash, [UInt8(prefix)], 1) }
    unsafe message.withUnsafeBufferPointer {
      unsafe ck_blake2b_update(&hash, $0.baseAddress, $0.count)
    }
    unsafe ck_blake2b_final(&hash, &digest)
    return digest
  }

  // The digests of the first 0, 1, ... 1024 bytes of 7i + 3, one after the other, hashed again:
  // computed with Python's hashlib.
  @Test(arguments: [
    (prefix: Int32(-1), known: "072584cac4eb89cb08a704bf1c065b08a8a0b74b216870f42eb30d0a06b2a349"),
    (prefix: 0, known: "35d6b6d8bd4a59c8bfad67a196a41e3420e5d8a5835644d9f2057d70cf6ec90a"),
  ])
  func `all lengths to 1024 have their known digests, at every level`(
    prefix: Int32, known: String
  ) {
    let pattern = (0..<1024).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
    for level in supportedLevels {
      var digests: [UInt8] = []
      for length in 0...1024 {
        // Twice the same message, so that lanes are used where there are any.
        var pair = [UInt8](repeating: 0, count: 64)
        unsafe ck_blake2b_many(level, pattern, 0, length, prefix, 2, &pair, 32)
        digests += pair.prefix(32)
        expectEqual(Array(pair.prefix(32)), Array(pair.suffix(32)), "\(length) bytes")
      }
      let hex = digest(digests[...]).map {
        String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
      }
      #expect(hex.joined() == known, "at \(levelName(level))")
    }
  }

  private struct Batch: CustomStringConvertible {
    var length, count, gap, digestStride, offset: Int
    var prefix: Int32

    var stride: Int { length + gap }
    var byteCount: Int { max((count - 1) * stride + length, 0) }
    var description: String {
      "\(count) messages of \(length) bytes, \(stride) apart, prefix \(prefix), at \(offset)"
    }
  }

  private func check(_ batch: Batch, using dice: inout Dice) {
    let bytes = testBytes(count: batch.offset + batch.byteCount + 1, seed: dice.next())
    let expected = (0..<batch.count).flatMap {
      let start = batch.offset + $0 * batch.stride
      return digest(bytes[start..<start + batch.length], prefix: batch.prefix)
        + [UInt8](repeating: 0xEE, count: batch.digestStride - 32)
    }
    for level in supportedLevels {
      var digests = [UInt8](repeating: 0xEE, count: batch.count * batch.digestStride)
      unsafe bytes.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return }
        unsafe ck_blake2b_many(
          level, base + batch.offset, batch.stride, batch.length, batch.prefix, batch.count,
          &digests, batch.digestStride)
      }
      expectEqual(digests, expected, "\(RunSeed.current): \(batch) at \(levelName(level))")
    }
  }

  // Counts from 1 to 17: every number of left-over lanes, behind none, one and two full batches.
  @Test func `batches of all lengths to 1024 equal the scalar twin`() {
    var dice = Dice(seed: RunSeed.current.seed())
    for length in 0...1024 {
      let batch = Batch(
        length: length, count: 1 + length % 17, gap: dice.below(10),
        digestStride: 32 + dice.below(9), offset: dice.below(64),
        prefix: Int32(dice.below(257)) - 1)
      check(batch, using: &dice)
    }
  }

  @Test func `batches of random longer messages equal the scalar twin`() {
    var dice = Dice(seed: RunSeed.current.seed())
    for _ in 0..<60 {
      let batch = Batch(
        length: 1025 + dice.below(dice.below(2) == 0 ? 200 : 40_000), count: 1 + dice.below(17),
        gap: dice.below(200), digestStride: 32 + dice.below(9), offset: dice.below(64),
        prefix: Int32(dice.below(257)) - 1)
      check(batch, using: &dice)
    }
  }

  @Test func `hashing reads nothing but the messages`() throws {
    for place in GuardedBytes.Place.allCases {
      for length in Array(1...200) + [255, 256, 257, 383, 384, 385] {
        for count in [1, 2, 5, 8, 9] {
          let bytes = testBytes(count: length * count, seed: UInt64(length))
          let guarded = try GuardedBytes(bytes, place: place)
          for prefix: Int32 in [-1, 1] {
            let expected = (0..<count).flatMap {
              digest(bytes[$0 * length..<($0 + 1) * length], prefix: prefix)
            }
            for level in supportedLevels {
              let digests = try GuardedBytes(byteCount: 32 * count, place: .atEnd)
              unsafe ck_blake2b_many(
                level, guarded.base, length, length, prefix, count, digests.base, 32)
              let found = (0..<32 * count).map { unsafe digests.base[$0] }
              expectEqual(found, expected, "\(count) of \(length) bytes at \(levelName(level))")
            }
          }
        }
      }
    }
  }

  @Test func `gathering and scattering touch nothing but the symbols`() throws {
    for place in GuardedBytes.Place.allCases {
      for length in Array(stride(from: 2, through: 140, by: 2)) {
        for codewords in [1, 2, 3, 33] {
          let codewordStride = length + 1
          let byteCount = (codewords - 1) * codewordStride + length
          let bytes = testBytes(count: byteCount, seed: UInt64(length))
          let source = try GuardedBytes(bytes, place: place)
          let target = try GuardedBytes(
            [UInt8](repeating: 0xEE, count: byteCount), place: place)
          let blocks = ck_row_block_count(length, codewords)
          let row = try GuardedBytes(byteCount: 64 * blocks, place: .atEnd)
          unsafe ck_row_gather(
            row.base, source.base, length, codewordStride, codewords, 0, blocks)
          unsafe ck_row_scatter(
            row.base, target.base, length, codewordStride, codewords, 0, blocks)
          let expected = bytes.indices.map { $0 % codewordStride < length ? bytes[$0] : 0xEE }
          expectEqual(
            bytes.indices.map { unsafe target.base[$0] }, expected,
            "\(codewords) codewords of \(length) bytes")
        }
      }
    }
  }

  @Test func `checksums read nothing but their bytes`() throws {
    for place in GuardedBytes.Place.allCases {
      for length in Array(0...300) + [6140, 6144, 6150] {
        let bytes = testBytes(count: length, seed: 8)
        let guarded = try GuardedBytes(bytes, place: place)
        let expected = unsafe ck_crc32c_at(CK_LEVEL_SCALAR, 0, bytes, length)
        for level in supportedLevels {
          #expect(unsafe ck_crc32c_at(level, 0, guarded.base, length) == expected)
        }
      }
    }
  }
}

private func levelName(_ level: ck_level) -> String {
  unsafe String(cString: ck_level_name(level))
}
