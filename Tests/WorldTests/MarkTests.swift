// MarkTests.swift

import Testing
import World

@Suite struct MarkTests {
  @Test func `marks are counted one by one`() {
    let counts = MarkCounts()
    counts.count(.tornTailCut)
    counts.count(.readHedged)
    counts.count(.tornTailCut)
    #expect(counts[.tornTailCut] == 2)
    #expect(counts[.readHedged] == 1)
    #expect(counts[.liarFound] == 0)
  }

  @Test func `marks that were never reached are listed too`() {
    let counts = MarkCounts()
    counts.count(.laneWaited)
    #expect(counts.all.map(\.mark) == Mark.allCases)
    #expect(counts.all.filter { $0.count > 0 }.map(\.mark) == [.laneWaited])
  }

  @Test func `counting begins anew after a reset`() {
    let counts = MarkCounts()
    counts.count(.epochAdvanced)
    counts.reset()
    #expect(counts.all.allSatisfy { $0.count == 0 })
  }

  // The shared counts are those of all suites that run in this process: they only grow here.
  @Test func `what production code reaches is counted for the process`() {
    let before = MarkCounts.shared[.clockRanAhead]
    sometimes(.clockRanAhead)
    #expect(MarkCounts.shared[.clockRanAhead] > before)
    #expect(Mark.counts.contains { $0.mark == .clockRanAhead && $0.count > before })
  }
}
