// HedgeBudgetTests.swift

import Routing
import RunSeed
import Simulator
import Testing
import World

@Suite struct HedgeBudgetTests {
  @Test func `hedges stay a fortieth of the requests, but for the first burst`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var budget = HedgeBudget(hedgesPerThousand: 25, burstMax: 10)
    var requestCount = 0
    var hedgeCount = 0
    for _ in 0..<20_000 {
      for _ in 0..<dice.number(below: 4) {
        budget.earn()
        requestCount += 1
      }
      let wanted = dice.number(below: 4)
      if budget.take(wanted) { hedgeCount += wanted }
      #expect(hedgeCount * 1000 <= requestCount * 25 + 10_000, "\(RunSeed.current)")
    }
    // What is earned can be spent: nobody was idle long enough to lose any.
    #expect(hedgeCount * 1000 > requestCount * 24, "\(RunSeed.current)")
  }

  @Test func `what is idle saves up to a burst`() {
    var budget = HedgeBudget(hedgesPerThousand: 25, burstMax: 3)
    for _ in 0..<1000 { budget.earn() }
    #expect(budget.available == 3)
    let taken = [4, 3, 1].map { budget.take($0) }
    #expect(taken == [false, true, false])
    for _ in 0..<39 { budget.earn() }
    let early = budget.take(1)
    budget.earn()
    let due = budget.take(1)
    #expect(!early && due)
  }

  @Test func `a budget of nothing gives nothing`() {
    var budget = HedgeBudget(hedgesPerThousand: 0, burstMax: 0)
    budget.earn()
    #expect(budget.available == 0)
    let taken = [0, 1].map { budget.take($0) }
    #expect(taken == [true, false])
  }
}
