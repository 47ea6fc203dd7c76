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

  // 44 of 100 hedges of two requests would take 29 of a thousand, if 20 were late.
  @Test func `as the credit falls less counts as late, until hedges cost what is earned`() {
    let dice = SeededRandomness(seed: RunSeed.current.seed())
    var budget = HedgeBudget(hedgesPerThousand: 25, burstMax: 16)
    #expect(budget.lateRequestsPerThousand == 20)
    var refusedCount = 0
    for _ in 0..<100_000 {
      budget.earn()
      #expect((8...20).contains(budget.lateRequestsPerThousand))
      guard dice.number(below: 1000) < budget.lateRequestsPerThousand else { continue }
      if !budget.take(dice.number(below: 100) < 44 ? 2 : 1) { refusedCount += 1 }
    }
    #expect(budget.available > 4 && refusedCount < 10, "\(RunSeed.current)")
    while budget.take(1) {}
    #expect(budget.lateRequestsPerThousand == 8)
    #expect(HedgeBudget(hedgesPerThousand: 0, burstMax: 0).lateRequestsPerThousand == 20)
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
