// ReadPlannerTests.swift
//
// Every loss pattern of small committees: a plan exists, covers what was asked, asks nobody who is
// lost, and no other way is cheaper.

import RedStuff
import Routing
import Testing

@Suite struct ReadPlannerTests {
  static let symbolSizes = [2, 40, 4096]

  /// All ways to lose up to 2f of n shards, as sets of pairs.
  static func losses(of parameters: EncodingParameters) -> [[Int]] {
    let n = parameters.shardCount
    return (0..<(1 << n)).map { mask in (0..<n).filter { mask >> $0 & 1 == 1 } }
      .filter { $0.count <= 2 * parameters.faultyShardCountMax }
  }

  static func sources(_ parameters: EncodingParameters, losing pairs: [Int]) -> SliverSources {
    var sources = SliverSources(parameters: parameters)
    for pair in pairs { sources.exclude(SliverPairIndex(UInt16(pair))) }
    return sources
  }

  /// The price of the cheapest way to part of one row, worked out without the planner.
  static func cheapest(
    row: Int, columns: Range<Int>, losing lost: Set<Int>, s: Int, _ parameters: EncodingParameters
  ) -> Int? {
    let n = parameters.shardCount
    let k1 = parameters.primarySourceCount
    let k2 = parameters.secondarySourceCount
    let levels = (0...16).first { 1 << $0 >= n } ?? 0
    let proven = s + 33 * levels + 1
    let hasRow = !lost.contains(row)
    let canHaveColumns = n - lost.count >= k1
    let wholeRow = hasRow || n - lost.count >= k2 ? k2 * s : nil
    var cells = 0
    for column in columns {
      let hasColumn = !lost.contains(n - 1 - column)
      var prices: [Int] = []
      if hasRow || hasColumn { prices.append(proven) }
      if hasColumn || canHaveColumns { prices.append(k1 * s) }
      guard let best = prices.min() else { return wholeRow }
      cells += best
    }
    return min(cells, wholeRow ?? cells)
  }

  static func expectSound(
    _ plan: ReadPlan, covers wanted: WantedCells, sources: SliverSources, _ planner: ReadPlanner
  ) {
    let parameters = planner.parameters
    for row in wanted.sortedRows {
      for range in wanted[row].ranges {
        for column in range
        where !plan.steps.contains(where: { $0.yields(row: row, column: column) }) {
          Issue.record("cell \(row), \(column) is in no step of \(plan.steps)")
        }
      }
    }
    var byteCount = 0
    for run in plan.runs(planner: planner, byteCountMax: 1 << 20) {
      #expect(sources.isUsable(run.line), "\(run.line) is lost")
      #expect(!run.symbols.isEmpty && run.symbols.upperBound <= parameters.shardCount)
      byteCount +=
        run.symbols.count
        * (run.wantsPaths ? planner.provenSymbolByteCount : planner.symbolByteCount)
    }
    #expect(byteCount == plan.byteCount)
    for case .assembled(let line, let from) in plan.steps {
      #expect(from.count == parameters.symbolCount(inSliverOf: line.axis))
      #expect(Set(from).count == from.count)
    }
  }

  @Test(arguments: [4, 7], symbolSizes)
  func `any part of any row is planned at the lowest price, whatever is lost up to 2f`(
    n: Int, s: Int
  ) throws {
    let parameters = try EncodingParameters(shardCount: n)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: s)
    let k2 = parameters.secondarySourceCount
    for lost in Self.losses(of: parameters) {
      let sources = Self.sources(parameters, losing: lost)
      for row in 0..<parameters.primarySourceCount {
        for start in 0..<k2 {
          for end in (start + 1)...k2 {
            let wanted = WantedCells(rows: row..<row + 1, columns: start..<end)
            let plan = try #require(
              planner.plan(wanted, from: sources, lines: .rowsAndColumns),
              "row \(row), columns \(start)..<\(end), lost \(lost)")
            Self.expectSound(plan, covers: wanted, sources: sources, planner)
            #expect(
              plan.byteCount
                == Self.cheapest(
                  row: row, columns: start..<end, losing: Set(lost), s: s, parameters))
          }
        }
      }
    }
  }

  @Test func `part of a column comes from its own sliver, which one node expands`() throws {
    let parameters = try EncodingParameters(shardCount: 31)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 4096)
    let wanted = WantedCells(rows: 2..<5, columns: 3..<4)
    var sources = SliverSources(parameters: parameters)
    let plan = try #require(planner.plan(wanted, from: sources, lines: .columns))
    #expect(plan.steps == [.symbols(of: .column(3), 2..<5)])
    sources.exclude(.column(3))
    let other = try #require(planner.plan(wanted, from: sources, lines: .columns))
    #expect(other.steps == (2..<5).map { .symbols(of: .row($0), 3..<4) })
  }

  @Test(arguments: [4, 7], symbolSizes)
  func `any range of cells is planned, whatever is lost up to 2f`(n: Int, s: Int) throws {
    let parameters = try EncodingParameters(shardCount: n)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: s)
    let cells = parameters.sourceSymbolCount
    for lost in Self.losses(of: parameters) {
      let sources = Self.sources(parameters, losing: lost)
      for start in 0..<cells {
        for end in (start + 1)...cells {
          let wanted = WantedCells(
            cells: start..<end, columnCount: parameters.secondarySourceCount)
          for lines in [ReadPlanner.Lines.rowsAndColumns, .columns] {
            let plan = try #require(planner.plan(wanted, from: sources, lines: lines))
            Self.expectSound(plan, covers: wanted, sources: sources, planner)
          }
        }
      }
    }
  }

  @Test(arguments: [4, 7, 10], symbolSizes)
  func `a whole blob costs its own size at any loss`(n: Int, s: Int) throws {
    let parameters = try EncodingParameters(shardCount: n)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: s)
    let all = WantedCells(
      cells: 0..<parameters.sourceSymbolCount, columnCount: parameters.secondarySourceCount)
    for lost in Self.losses(of: parameters) {
      let sources = Self.sources(parameters, losing: lost)
      let plan = try #require(planner.plan(all, from: sources, lines: .rowsAndColumns))
      if lost.count <= parameters.faultyShardCountMax {
        #expect(plan.byteCount == parameters.sourceSymbolCount * s)
      }
      let columns = try #require(planner.plan(all, from: sources, lines: .columns))
      #expect(columns.byteCount == parameters.sourceSymbolCount * s)
      #expect(plan.byteCount <= columns.byteCount)
    }
  }

  @Test func `rows alone suffice up to f lost shards and not always beyond`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 64)
    let all = WantedCells(cells: 0..<15, columnCount: 5)
    for lost in Self.losses(of: parameters) {
      let plan = planner.plan(
        all, from: Self.sources(parameters, losing: lost), lines: .rows)
      let losesRows = lost.contains { $0 < parameters.primarySourceCount }
      #expect((plan != nil) == (lost.count <= 2 || !losesRows), "lost \(lost)")
    }
  }

  @Test func `no plan exists with fewer than k1 primaries and a cell without both its homes`()
    throws
  {
    let parameters = try EncodingParameters(shardCount: 7)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 64)
    let sources = Self.sources(parameters, losing: [0, 2, 3, 4, 6])
    let corner = WantedCells(cells: 0..<1, columnCount: 5)
    #expect(planner.plan(corner, from: sources, lines: .rowsAndColumns) == nil)
  }

  @Test func `symbols at hand are not asked for again`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 64)
    let sources = Self.sources(parameters, losing: [1])
    let plan = try #require(
      planner.plan(
        WantedCells(rows: 1..<2, columns: 0..<5), from: sources, lines: .rows,
        held: [.row(1): [0, 1, 3]]))
    #expect(plan.byteCount == 2 * 64)
    #expect(plan.steps == [.assembled(.row(1), from: [2, 4])])
  }

  @Test func `symbols with paths come from the other home when the first is lost`() throws {
    let parameters = try EncodingParameters(shardCount: 100)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 20_000)
    let wanted = WantedCells(rows: 3..<4, columns: 10..<13)
    let well = try #require(
      planner.plan(
        wanted, from: SliverSources(parameters: parameters), lines: .rowsAndColumns))
    #expect(well.steps == [.symbols(of: .row(3), 10..<13)])
    let degraded = try #require(
      planner.plan(
        wanted, from: Self.sources(parameters, losing: [3]), lines: .rowsAndColumns))
    #expect(
      degraded.steps == (10..<13).map { .symbols(of: .column($0), 3..<4) })
    #expect(degraded.byteCount == 3 * (20_000 + 33 * 7 + 1))
  }

  @Test func `lost rows beside each other take one run per column`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 64)
    let plan = try #require(
      planner.plan(
        WantedCells(cells: 0..<28, columnCount: 7),
        from: Self.sources(parameters, losing: [0, 1]), lines: .rows))
    let crossing = plan.runs(planner: planner, byteCountMax: 1 << 20)
      .filter { $0.purpose == .crossing }
    #expect(crossing.count == 7)
    #expect(crossing.allSatisfy { $0.symbols == 0..<2 && $0.line.axis == .secondary })
  }

  @Test func `long runs are cut`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 64)
    let plan = ReadPlan(steps: [.whole(.row(0))], byteCount: 7 * 64)
    #expect(
      plan.runs(planner: planner, byteCountMax: 3 * 64).map(\.symbols) == [0..<3, 3..<6, 6..<7])
    #expect(plan.runs(planner: planner, byteCountMax: 1).count == 7)
  }

  @Test func `healthy nodes are preferred to systematic slivers`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    var sources = SliverSources(parameters: parameters)
    #expect(sources.ordered(.secondary) == Array(0..<10))
    sources.setRank(PeerRank(isSuspected: true), of: SliverPairIndex(9))
    sources.setRank(PeerRank(turn: 3), of: SliverPairIndex(8))
    // Secondary 0 is in pair 9, secondary 1 in pair 8.
    #expect(sources.ordered(.secondary) == [2, 3, 4, 5, 6, 1, 7, 8, 9, 0])
  }

  @Test func `near nodes are preferred to systematic slivers, and healthy ones to near ones`()
    throws
  {
    let parameters = try EncodingParameters(shardCount: 7)
    var sources = SliverSources(parameters: parameters)
    for pair in 0..<7 {
      let rank = PeerRank(
        isSlow: pair == 3, distance: [2, 1, 0, 0, 1, 2, 0][pair], turn: pair == 6 ? 9 : 0)
      sources.setRank(rank, of: SliverPairIndex(UInt16(pair)))
    }
    // Rows 0, 1 and 2 are systematic.
    #expect(sources.ordered(.primary) == [2, 6, 1, 4, 0, 5, 3])
    #expect(PeerRank(distance: 1) < PeerRank(distance: 2))
    #expect(PeerRank(distance: 1) < PeerRank(isSlow: true))
    #expect(PeerRank(turn: 5) < PeerRank(distance: 1))
  }

  @Test func `one cell comes from the better of its homes`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 4096)
    let row = SliverPairIndex(1)
    let column = SliverPairIndex(4)
    let cases: [(PeerRank, PeerRank, isFromRow: Bool)] = [
      (PeerRank(), PeerRank(), true),
      (PeerRank(turn: 1), PeerRank(), false),
      (PeerRank(turn: 5), PeerRank(distance: 1), true),
      (PeerRank(distance: 1), PeerRank(turn: 6), false),
      (PeerRank(distance: 1), PeerRank(isSlow: true), true),
      (PeerRank(isSuspected: true), PeerRank(isSlow: true, distance: 2), false),
    ]
    for (rowRank, columnRank, isFromRow) in cases {
      var sources = SliverSources(parameters: parameters)
      sources.setRank(rowRank, of: row)
      sources.setRank(columnRank, of: column)
      let wanted = WantedCells(rows: 1..<2, columns: 2..<3)
      let plan = try #require(planner.plan(wanted, from: sources, lines: .rowsAndColumns))
      #expect(
        plan.steps == [isFromRow ? .symbols(of: .row(1), 2..<3) : .symbols(of: .column(2), 1..<2)])
    }
  }

  @Test func `several cells of a near row are one request, whoever's turn it is`() throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let planner = ReadPlanner(parameters: parameters, symbolByteCount: 4096)
    var sources = SliverSources(parameters: parameters)
    let wanted = WantedCells(rows: 1..<2, columns: 2..<4)
    sources.setRank(PeerRank(turn: 5), of: SliverPairIndex(1))
    let near = try #require(planner.plan(wanted, from: sources, lines: .rowsAndColumns))
    #expect(near.steps == [.symbols(of: .row(1), 2..<4)])
    sources.setRank(PeerRank(distance: 1), of: SliverPairIndex(1))
    let far = try #require(planner.plan(wanted, from: sources, lines: .rowsAndColumns))
    #expect(far.steps == [2, 3].map { .symbols(of: .column($0), 1..<2) })
  }
}
