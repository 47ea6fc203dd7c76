// ByteRangeTests.swift

import Testing

@testable import Gateway

@Suite struct ByteRangeTests {
  @Test(arguments: [
    ("bytes=0-0", 0..<1), ("bytes=0-99", 0..<100), ("bytes=10-19", 10..<20),
    // Open, suffix, clipped: the reference refuses these.
    ("bytes=0-", 0..<100), ("bytes=99-", 99..<100), ("bytes=-1", 99..<100),
    ("bytes=-100", 0..<100), ("bytes=-101", 0..<100), ("bytes=90-1000", 90..<100),
    ("bytes=0-18446744073709551615", 0..<100), ("bytes=0-99999999999999999999999", 0..<100),
    ("bytes=-99999999999999999999999", 0..<100),
    ("bytes= 1-2 ", 1..<3), ("Bytes=1-2", 1..<3), ("bytes =1-2", 1..<3), ("bytes=1-2,", 1..<3),
  ])
  func `ranges that can be answered`(header: String, range: Range<UInt64>) {
    #expect(ByteRangeRequest(header: header, byteCount: 100) == .part(range))
  }

  @Test(arguments: [
    "bytes=100-", "bytes=100-200", "bytes=-0", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b",
    "bytes=1-b", "bytes=1", "bytes=+1-2", "bytes=1-+2", "bytes=--1", "bytes=1-2-3", "bytes=0x1-2",
    "bytes=0-1,5-6", "bytes=0-1,0-1,0-1", "bytes=,", "bytes=99999999999999999999-",
    "bytes=1 - 2",
  ])
  func `ranges that are refused`(header: String) {
    guard case .refused = ByteRangeRequest(header: header, byteCount: 100) else {
      Issue.record("\(header) was not refused")
      return
    }
  }

  @Test(arguments: [nil, "items=0-1", "0-1", "", "bytes"])
  func `no range, or one in an unknown unit, means the whole blob`(header: String?) {
    #expect(ByteRangeRequest(header: header, byteCount: 100) == .whole)
  }

  @Test(arguments: ["bytes=0-0", "bytes=0-", "bytes=-1"])
  func `an empty blob has no ranges`(header: String) {
    guard case .refused = ByteRangeRequest(header: header, byteCount: 0) else {
      Issue.record("\(header) was not refused")
      return
    }
  }

  @Test func `the last byte of the largest blob can be asked for`() {
    #expect(
      ByteRangeRequest(header: "bytes=-1", byteCount: .max) == .part(.max - 1 ..< .max))
  }
}
