// LatencyRecordTests.swift

import Routing
import RunSeed
import Simulator
import Testing
import World

@Suite struct LatencyRecordTests {
  @Test func `a quantile is within a bucket of the true one`() throws {
    let seed = RunSeed.current.seed()
    let dice = SeededRandomness(seed: seed)
    for _ in 0..<50 {
      var record = LatencyRecord()
      // Over six orders of magnitude; fewer than are forgotten.
      let samples = (0..<900).map { _ in
        Int64(1100 + dice.number(below: 1000)) << Int64(dice.number(below: 20))
      }
      for sample in samples { record.insert(nanoseconds: sample) }
      #expect(record.sampleCount == samples.count)
      let sorted = samples.sorted()
      for permille in [0, 10, 20, 100, 500, 900] {
        let exact = sorted[max(sorted.count - 1 - sorted.count * permille / 1000, 0)]
        let estimate = try #require(record.nanoseconds(exceededBy: permille))
        // Answers beside each other may lie far apart; their ranks then decide.
        let above = samples.count { $0 > estimate }
        let isNear = (exact * 7 / 8...exact * 9 / 8).contains(estimate)
        let expected = samples.count * permille / 1000
        #expect(
          isNear || abs(above - expected) <= 1,
          "\(permille): \(estimate), \(exact), \(RunSeed.current)")
      }
    }
  }

  @Test func `nothing is known before the first answer, and extremes are kept within bounds`() {
    var record = LatencyRecord()
    #expect(record.nanoseconds(exceededBy: 20) == nil)
    record.insert(nanoseconds: -5)
    record.insert(nanoseconds: .max)
    #expect(record.sampleCount == 2)
    let longest = record.nanoseconds(exceededBy: 0)
    #expect(longest.map { $0 > 60_000_000_000 } == true)
    let shortest = record.nanoseconds(exceededBy: 999)
    #expect(shortest.map { $0 < 2000 } == true)
  }

  @Test func `old answers are forgotten`() {
    var record = LatencyRecord()
    for _ in 0..<5000 { record.insert(nanoseconds: 1_000_000_000) }
    #expect(record.sampleCount < LatencyRecord.sampleCountMax)
    for _ in 0..<10_000 { record.insert(nanoseconds: 1_000_000) }
    let late = record.nanoseconds(exceededBy: 20)
    #expect(late.map { $0 < 1_200_000 } == true)
  }
}
