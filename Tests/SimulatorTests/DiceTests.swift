// DiceTests.swift
//
// Faults come as often as they were asked for, and delays have a tail.

import Simulator
import Testing

@Suite struct DiceTests {
  let dice = SeededRandomness(seed: 1)

  @Test(arguments: [0.0, 0.1, 0.5, 1.0])
  func `a chance is what it says`(probability: Double) {
    let count = (0..<10_000).count { _ in dice.chance(probability) }
    #expect(abs(Double(count) / 10_000 - probability) < 0.03)
    if probability == 0 || probability == 1 { #expect(Double(count) == probability * 10_000) }
  }

  @Test func `half of the delays are below the median, and a few far above`() {
    let distribution = DelayDistribution(median: .milliseconds(10), tail: 0.1)
    let delays = (0..<10_000).map { _ in distribution.draw(from: dice) }.sorted()
    #expect(delays[0] >= .milliseconds(5))
    #expect(delays[5000] > .milliseconds(9) && delays[5000] < .milliseconds(12))
    #expect(delays[9990] > .milliseconds(50))
    #expect(delays[9999] < .seconds(15))
    #expect(DelayDistribution.none.draw(from: dice) == .zero)
  }
}
