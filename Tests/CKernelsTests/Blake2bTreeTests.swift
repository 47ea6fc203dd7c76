// Blake2bTreeTests.swift
//
// The hashes that trees are made of: pairs of digests, and leaves that come in strips.

import CKernels
import Testing

@Suite struct Blake2bTreeTests {
  private func digests(
    _ messages: [UInt8], stride: Int, length: Int, prefix: UInt8, count: Int
  ) -> [UInt8] {
    var digests = [UInt8](repeating: 0, count: count * 32)
    unsafe ck_blake2b_many(
      CK_LEVEL_SCALAR, messages, stride, length, Int32(prefix), count, &digests, 32)
    return digests
  }

  /// Digest i of both, one after the other.
  private func sideBySide(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    var pairs: [UInt8] = []
    for start in stride(from: 0, to: left.count, by: 32) {
      pairs += left[start..<start + 32]
      pairs += right[start..<start + 32]
    }
    return pairs
  }

  @Test(arguments: supportedLevels)
  func `two rows of digests are hashed pair by pair`(level: ck_level) {
    for count in 1...20 {
      let left = testBytes(count: 32 * count, seed: 5)
      let right = testBytes(count: 32 * count, seed: 6)
      let pairs = sideBySide(left, right)
      var found = [UInt8](repeating: 0, count: 32 * count)
      unsafe ck_blake2b_pairs_at(level, left, 32, right, 32, 1, count, &found)
      expectEqual(
        found, digests(pairs, stride: 64, length: 64, prefix: 1, count: count), "\(count) pairs")
    }
  }

  @Test(arguments: supportedLevels)
  func `a stride of zero repeats a digest`(level: ck_level) {
    let left = testBytes(count: 32 * 9)
    let empty = [UInt8](repeating: 0, count: 32)
    let pairs = sideBySide(left, [UInt8](repeating: 0, count: left.count))
    var found = [UInt8](repeating: 0, count: 32 * 9)
    unsafe ck_blake2b_pairs_at(level, left, 32, empty, 0, 1, 9, &found)
    expectEqual(found, digests(pairs, stride: 64, length: 64, prefix: 1, count: 9))
  }

  @Test(arguments: supportedLevels)
  func `a level of pairs may be hashed in place`(level: ck_level) {
    for count in 1...20 {
      var nodes = testBytes(count: 64 * count)
      let expected = digests(nodes, stride: 64, length: 64, prefix: 1, count: count)
      unsafe nodes.withUnsafeMutableBufferPointer { nodes in
        guard let base = nodes.baseAddress else { return }
        unsafe ck_blake2b_pairs_at(level, base, 64, base + 32, 64, 1, count, base)
      }
      expectEqual(Array(nodes.prefix(32 * count)), expected, "\(count) pairs")
    }
  }

  // All lengths of a last strip behind 0 ... 3 others, at every number of lanes left over.
  @Test(arguments: supportedLevels)
  func `strips hash like the whole message`(level: ck_level) {
    for stripCount in 0...3 {
      for rest in [0, 1, 2, 63, 64, 71, 72, 126, 127, 128, 129, 300] where stripCount + rest > 0 {
        let length = 128 * stripCount + rest
        let stride = length + rest % 3
        let count = 1 + (stripCount + rest) % 13
        let messages = testBytes(count: count * stride + 1)
        let expected = digests(messages, stride: stride, length: length, prefix: 0, count: count)
        var strips = [ck_blake2b_strip](repeating: ck_blake2b_strip(), count: count)
        var found = [UInt8](repeating: 0, count: 32 * count)
        unsafe messages.withUnsafeBufferPointer { messages in
          guard let base = messages.baseAddress else { return }
          for strip in 0..<stripCount {
            unsafe ck_blake2b_strips_at(
              level, &strips, base + 128 * strip, stride, 128, 0, count, UInt64(128 * strip), false,
              nil, 0)
          }
          unsafe ck_blake2b_strips_at(
            level, &strips, base + 128 * stripCount, stride, rest, 0, count,
            UInt64(128 * stripCount), true, &found, 32)
        }
        expectEqual(found, expected, "\(stripCount) strips and \(rest) bytes")
      }
    }
  }

  @Test func `the level in use gives the same digests`() {
    let messages = testBytes(count: 9 * 64)
    var found = [UInt8](repeating: 0, count: 32 * 9)
    unsafe messages.withUnsafeBufferPointer { messages in
      guard let base = messages.baseAddress else { return }
      unsafe ck_blake2b_pairs(base, 64, base + 32, 64, 1, 9, &found)
    }
    expectEqual(found, digests(messages, stride: 64, length: 64, prefix: 1, count: 9))
    var strips = [ck_blake2b_strip](repeating: ck_blake2b_strip(), count: 9)
    unsafe ck_blake2b_strips(&strips, messages, 64, 64, 1, 9, 0, true, &found, 32)
    expectEqual(found, digests(messages, stride: 64, length: 64, prefix: 1, count: 9))
  }
}

@Suite struct PageTests {
  @Test(arguments: [0, 1, 4096, 8 << 20])
  func `all bytes of a block can be written`(byteCount: Int) {
    guard let memory = unsafe ck_pages_allocate(byteCount) else {
      Issue.record("no memory for \(byteCount) bytes")
      return
    }
    #expect(Int(bitPattern: memory) % 64 == 0)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 7, count: byteCount)
    unsafe ck_pages_free(memory)
  }
}
