// AnswerSizes.swift
//
// What the size of an answer does to the time it takes. Answers of all sizes are compared as if they
// were small ones, and a large one is given as much longer as large ones take.
//
// The one number behind that, the knee, follows what is measured: if large answers take longer than
// said, beside the small ones of the same node, it goes down by a step, else up by one. So it comes
// to stand where half of the large answers take longer.

struct AnswerSizes: Sendable {
  /// Transfer is nothing beside the round trip.
  static let smallByteCountMax = 16 << 10
  /// Transfer shows.
  static let largeByteCountMin = 256 << 10

  /// Step of the knee, as a part of it: a few dozen answers from one size to its double.
  private static let stepDivisor: Int64 = 32
  private static let kneeMin: Int64 = 16
  private static let kneeMax: Int64 = 64 << 10

  /// KiB that take as long again as a small answer; at first as many as a fast network moves in a
  /// few milliseconds.
  private(set) var kneeKibibytes: Int64 = 1 << 10

  /// The time as if the answer had been small.
  func normalised(_ nanoseconds: Int64, byteCount: Int) -> Int64 {
    nanoseconds * kneeKibibytes / (kneeKibibytes + Self.kibibytes(byteCount))
  }

  /// The time that an answer of this size may take where a small one takes `nanoseconds`.
  func scaled(_ nanoseconds: Int64, to byteCount: Int) -> Int64 {
    nanoseconds * (kneeKibibytes + Self.kibibytes(byteCount)) / kneeKibibytes
  }

  /// A large answer took this long, normalised, where half of the small ones take `median`.
  mutating func learn(_ normalised: Int64, smallMedian median: Int64) {
    let step = kneeKibibytes / Self.stepDivisor + 1
    kneeKibibytes =
      normalised > median
      ? max(kneeKibibytes - step, Self.kneeMin) : min(kneeKibibytes + step, Self.kneeMax)
  }

  /// At most a gibibyte, so that products with times stay in range.
  private static func kibibytes(_ byteCount: Int) -> Int64 {
    Int64(min(max(byteCount, 0), 1 << 30) >> 10)
  }
}
