// RegionFetch+Hedging.swift
//
// Another way to what is late, in as few requests as possible, because requests are what hedges have
// a budget of. In order of what they take:
//
//   one cell of a row or column     its other home             1 request
//   a symbol of an assembled line   that of another sliver     1
//   a row, all rows being wanted    a row beyond the blob's    1 for each node that is late
//   some cells of a row or column   their other homes          1 for each node that has some
//   any other row or column         what crosses it            1 for each node that has some
//
// What was asked first is not given up: whichever way ends first is taken. An answer to a hedge may be
// late as well, and is hedged again.

import Cluster
import RedStuff
import Routing
import World

extension RegionFetch {
  /// Parts of what is late that are tried one by one where the budget does not suffice for all. It
  /// suffices for a few requests only, so that more tries would find nothing.
  private static let partCountMax = 16

  struct Hedge {
    /// Empty: nothing to send.
    var steps: [ReadStep] = []
    var requestCount = 0
    /// There is a way that the budget may suffice for later.
    var waitsForBudget = false
  }

  /// What hedges may take.
  struct HedgeLimits {
    /// Requests that may be sent now, and that may ever be sent at once.
    let available: Int
    let burstMax: Int

    /// Half of a burst is for what takes one request: most of what is late does, and is not to be left
    /// waiting for the few that take many.
    func most(of limit: Int, forPartOf requestCount: Int) -> Int {
      requestCount <= 1 ? limit : limit - burstMax / 2
    }
  }

  /// What to ask for because something is late.
  mutating func hedge(within limits: HedgeLimits) -> Hedge {
    guard hedgeIsDue else { return Hedge() }
    hedgeIsDue = false
    guard flights.values.contains(where: \.isSlow) else { return Hedge() }
    let late = uncovered(includingSlow: false)
    guard !late.isEmpty, limits.burstMax > 0 else { return Hedge() }
    guard limits.available > 0 else { return Hedge(waitsForBudget: true) }
    let sources = punctualSources
    // Each spare row is of use: all may be there when only some of the late ones have come.
    var parts = (spareSteps(for: late, from: sources) ?? []).map { [$0] }
    if parts.isEmpty {
      let whole = steps(for: late, from: sources, limits)
      if let whole, requestCount(of: whole) <= 1 {
        parts = [whole]
      } else {
        parts = late.lines(lineKinds == .columns ? .secondary : .primary)
          .prefix(Self.partCountMax).compactMap { steps(for: $0, from: sources, limits) }
      }
    }
    return affordable(parts, limits)
  }

  /// As many parts as can be had within the limits.
  private func affordable(_ parts: [[ReadStep]], _ limits: HedgeLimits) -> Hedge {
    var hedge = Hedge()
    for part in parts {
      let steps = hedge.steps + part.filter { !hedge.steps.contains($0) }
      let requestCount = requestCount(of: steps)
      let added = requestCount - hedge.requestCount
      if requestCount <= limits.most(of: limits.available, forPartOf: added) {
        hedge.steps = steps
        hedge.requestCount = requestCount
      } else if added <= limits.most(of: limits.burstMax, forPartOf: added) {
        hedge.waitsForBudget = true
      }
    }
    return hedge
  }

  mutating func launch(_ hedge: Hedge) -> [Flight] {
    guard !hedge.steps.isEmpty else { return [] }
    sometimes(.readHedged)
    return launch(ReadPlan(steps: hedge.steps, byteCount: 0), isHedge: true)
  }

  /// Nodes that nothing late is awaited from.
  private var punctualSources: SliverSources {
    var sources = health.prompt
    for flight in flights.values where flight.isSlow {
      for pair in health.placement.pairs(on: flight.node) { sources.exclude(pair) }
    }
    return sources
  }

  /// The way with the fewest requests, and of those the one with the fewest bytes.
  private func steps(
    for late: WantedCells, from sources: SliverSources, _ limits: HedgeLimits
  ) -> [ReadStep]? {
    let plan = planner.plan(
      late, from: sources, lines: lineKinds, held: held(includingSlow: false))
    guard let cells = cellSteps(for: late, from: sources, countMax: limits.burstMax) else {
      return plan?.steps
    }
    guard let plan, requestCount(of: plan.steps) <= requestCount(of: cells) else { return cells }
    return plan.steps
  }

  /// Each cell from a home of its own; nil if one has none, or if they are many.
  private func cellSteps(
    for late: WantedCells, from sources: SliverSources, countMax: Int
  ) -> [ReadStep]? {
    var steps: [ReadStep] = []
    for row in late.sortedRows {
      for range in late[row].ranges {
        if sources.isUsable(.row(row)) {
          steps.append(.symbols(of: .row(row), range))
          continue
        }
        guard range.count <= countMax else { return nil }
        for column in range {
          guard sources.isUsable(.column(column)) else { return nil }
          steps.append(.symbols(of: .column(column), row..<row + 1))
        }
      }
    }
    return steps.count <= countMax ? steps : nil
  }

  private func requestCount(of steps: [ReadStep]) -> Int {
    let runs = ReadPlan(steps: steps, byteCount: 0).runs(
      planner: planner, byteCountMax: runByteCountMax)
    let flights = runs.map {
      Flight(id: 0, run: $0, node: health.placement.node(keeping: $0.line), isHedge: true)
    }
    return FetchBatch.batches(
      of: flights, planner: planner, lines: lineKinds, byteCountMax: runByteCountMax
    ).count
  }
}

extension WantedCells {
  /// The same, a line of `axis` at a time.
  func lines(_ axis: SliverAxis) -> [WantedCells] {
    var parts: [Int: WantedCells] = [:]
    for row in sortedRows {
      for range in self[row].ranges {
        if axis == .primary {
          parts[row, default: WantedCells()].insert(row: row, columns: range)
        } else {
          for column in range {
            parts[column, default: WantedCells()].insert(row: row, columns: column..<column + 1)
          }
        }
      }
    }
    return parts.sorted { $0.key < $1.key }.map(\.value)
  }
}
