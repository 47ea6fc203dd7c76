// HTTPDateTests.swift

import Foundation
import Testing
import World

@testable import Gateway

@Suite struct HTTPDateTests {
  // The example of RFC 9110, section 5.6.7, and the ends of months and leap years.
  @Test(arguments: [
    (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
    (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
  ])
  func `dates are written as the RFC has them`(seconds: UInt64, text: String) {
    #expect(httpDate(WallTime(milliseconds: seconds * 1000 + 999)) == text)
  }

  @Test func `every day of four centuries agrees with Foundation`() {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = TimeZone(secondsFromGMT: 0)!
    for day in stride(from: 0, to: 146_097, by: 7) {
      let date = Date(timeIntervalSince1970: Double(day) * 86_400)
      let parts = calendar.dateComponents([.day, .year], from: date)
      let words = httpDate(WallTime(milliseconds: UInt64(day) * 86_400_000)).split(separator: " ")
      #expect(Int(words[1]) == parts.day && Int(words[3]) == parts.year, "day \(day)")
    }
  }
}
