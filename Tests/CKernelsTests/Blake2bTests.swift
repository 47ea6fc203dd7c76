// Blake2bTests.swift
//
// BLAKE2b against digests of another implementation (Python hashlib), and the lanes against the
// scalar twin.

import CKernels
import Testing

@Suite struct Blake2bTests {
  static let knownDigests: [(byteCount: Int, digest: String)] = [
    (0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"),
    (1, "e88bd757ad5b9bedf372d8d3f0cf6c962a469db61a265f6418e1ffed86da29ec"),
    (3, "9facd640130c81e7f318a8d5c660bc1b0f5d03861ffbd4cc1358e0e904593c28"),
    (63, "a69e023685fa5f19fca13acc02142a9cf8450ce5b77966586e0d000c4a4ea942"),
    (64, "586c0dd87616ec042093edc5f87f880d37ca73618e99b03d5850ce9be478721f"),
    (65, "6f7ceeb90322d003c5b33ae8b9d9282e0159dbdc17434abc3f91ae794641d77d"),
    (127, "c9ae3859964b35f04c54b36d33cf299d7290ee621005d28e51598a943560aaaa"),
    (128, "f0501d06597880592bc49234eef100ec1ff349058d0e9d9b753504e24af86dd6"),
    (129, "a34a4e1e03c541dfbf3099c4b6c143c022ced65c28bd7e8a10e0a098461aecf0"),
    (255, "f2d64a40e9412a3414161ff6250075225418fd7c271c1123e162e1bca0de9f93"),
    (256, "d93ebb9c802f5630ab22516fd82b6c21bc8bd551d531349b715f046ed11ed871"),
    (257, "4ce481b24d387422d2bc2baa03d1afd55a1327939ff537c71eb9b38709268649"),
    (1000, "d62b6c768ce1afc8367e0498ab2f8e3f7c178c35b1429f14c4604b545d200f52"),
    (65537, "2cbf7bf7254bbf693239f9713faf3ae9a4c08072b356d84fbdeb45c90e0bef98"),
  ]

  /// Byte i is 7i + 3.
  private func pattern(_ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
  }

  private func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// The digest of the parts put together.
  private func digest(of parts: [ArraySlice<UInt8>]) -> [UInt8] {
    var hash = ck_blake2b()
    var digest = [UInt8](repeating: 0, count: 32)
    unsafe ck_blake2b_init(&hash)
    for part in parts {
      unsafe part.withUnsafeBufferPointer {
        unsafe ck_blake2b_update(&hash, $0.baseAddress, $0.count)
      }
    }
    unsafe ck_blake2b_final(&hash, &digest)
    return digest
  }

  @Test(arguments: knownDigests)
  func `the digest is the known one`(byteCount: Int, digest known: String) {
    #expect(hex(digest(of: [pattern(byteCount)[...]])) == known)
  }

  @Test func `abc and a tree node have their known digests`() {
    let abc = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
    #expect(hex(digest(of: [Array("abc".utf8)[...]])) == abc)
    let node = "a6b9ec6c82adc0fd9bf758b3341f3e2c68270b3ff00cecb619997b1df395d56f"
    for level in supportedLevels {
      // Three equal nodes: one batch of lanes.
      let digests = batch(
        level, [UInt8](pattern(64) + pattern(64) + pattern(64)), stride: 64, length: 64, prefix: 1,
        count: 3)
      #expect(digests.map(hex) == [node, node, node])
    }
  }

  @Test func `pieces of any length hash like the whole`() {
    let message = testBytes(count: 700)
    let whole = digest(of: [message[...]])
    for cut in 0...message.count {
      #expect(digest(of: [message[..<cut], message[cut...]]) == whole)
    }
    for step in [1, 3, 64, 127, 128, 129] {
      let parts = stride(from: 0, to: message.count, by: step).map {
        message[$0..<min($0 + step, message.count)]
      }
      #expect(digest(of: parts) == whole)
    }
  }

  private func batch(
    _ level: ck_level, _ messages: [UInt8], stride: Int, length: Int, prefix: Int32, count: Int
  ) -> [[UInt8]] {
    let digestStride = 40
    var digests = [UInt8](repeating: 0xEE, count: count * digestStride)
    unsafe ck_blake2b_many(
      level, messages, stride, length, prefix, count, &digests, digestStride)
    return (0..<count).map { index in
      let slot = digests[index * digestStride..<(index + 1) * digestStride]
      #expect(slot.dropFirst(32).allSatisfy { $0 == 0xEE }, "wrote past digest \(index)")
      return Array(slot.prefix(32))
    }
  }

  // Batches of 11: full lanes, some left over, at every level. No byte follows the last message.
  @Test(arguments: supportedLevels)
  func `a batch gives prefix and message hashed one by one`(level: ck_level) {
    let count = 11
    for length in 0...300 {
      let stride = length + length % 3
      let messages = testBytes(count: max((count - 1) * stride + length, 1))
      for prefix: Int32 in [-1, 0, 1, 255] {
        let front = prefix < 0 ? [] : [UInt8(prefix)]
        let expected = (0..<count).map {
          digest(of: [front[...], messages[$0 * stride..<$0 * stride + length]])
        }
        let digests = batch(
          level, messages, stride: stride, length: length, prefix: prefix, count: count)
        expectEqual(digests, expected, "length \(length), prefix \(prefix)")
      }
    }
  }

  @Test(arguments: supportedLevels)
  func `a batch of any count hashes exactly its messages`(level: ck_level) {
    let messages = testBytes(count: 20 * 100)
    for count in 0...20 {
      let expected = (0..<count).map { digest(of: [messages[$0 * 100..<$0 * 100 + 90]]) }
      let digests = batch(level, messages, stride: 100, length: 90, prefix: -1, count: count)
      expectEqual(digests, expected, "\(count) messages")
    }
  }

  @Test(arguments: supportedLevels)
  func `a tree level may be hashed in place`(level: ck_level) {
    for count in 1...40 {
      var nodes = testBytes(count: 64 * count)
      let expected = (0..<count).flatMap { digest(of: [[1], nodes[$0 * 64..<($0 + 1) * 64]]) }
      unsafe nodes.withUnsafeMutableBufferPointer {
        unsafe ck_blake2b_many(
          level, $0.baseAddress, 64, 64, 1, count, $0.baseAddress, 32)
      }
      expectEqual(Array(nodes.prefix(32 * count)), expected, "\(count) nodes")
    }
  }

  /// Message j of row i starts at i * rowStride + j * stride: row after row, or column after column.
  @Test(arguments: supportedLevels, [false, true])
  func `rows of messages give rows of digests`(level: ck_level, inColumns: Bool) {
    for (rowLength, rowCount) in [(1, 9), (3, 1), (3, 5), (7, 2), (8, 4), (9, 3), (5, 7), (0, 2)] {
      let (stride, rowStride) = inColumns ? (rowCount * 50, 50) : (50, rowLength * 50 + 7)
      let bytes = testBytes(count: rowLength * stride + rowCount * rowStride)
      let digestRowStride = 32 * rowLength + 24
      var digests = [UInt8](repeating: 0xEE, count: rowCount * digestRowStride)
      unsafe bytes.withUnsafeBufferPointer {
        let messages = unsafe ck_message_rows(
          first: $0.baseAddress, length: 50, stride: stride, row_stride: rowStride,
          row_length: rowLength, row_count: rowCount)
        unsafe ck_blake2b_rows_at(level, messages, 0, &digests, digestRowStride)
      }
      let expected = (0..<rowCount).flatMap { row in
        (0..<rowLength).flatMap { place in
          let start = row * rowStride + place * stride
          return digest(of: [[0], bytes[start..<start + 50]])
        } + [UInt8](repeating: 0xEE, count: 24)
      }
      expectEqual(digests, expected, "\(rowCount) rows of \(rowLength)")
    }
  }

  @Test func `the rows of the level in use give the same digests`() {
    let bytes = testBytes(count: 9 * 50)
    var digests = [UInt8](repeating: 0, count: 9 * 32)
    unsafe bytes.withUnsafeBufferPointer {
      let messages = unsafe ck_message_rows(
        first: $0.baseAddress, length: 50, stride: 50, row_stride: 150, row_length: 3, row_count: 3)
      unsafe ck_blake2b_rows(messages, 0, &digests, 96)
    }
    let expected = (0..<9).flatMap { digest(of: [[0], bytes[$0 * 50..<($0 + 1) * 50]]) }
    #expect(digests == expected)
  }
}
