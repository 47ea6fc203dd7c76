// ReadPlanner.swift
//
// Which symbols to ask for, from which of their two homes: the way that moves the fewest bytes, and of
// two homes at one price the better.
// Pure: the caller says what is wanted and what may be asked, and plans again when answers fail.
//
// A wanted cell E[r][c] can come (s = symbol size, p = bytes of a path)
//   P  from row r itself with a path                     s + p
//   T  from column c with a path                         s + p
//   W  with its whole row, which checks itself           k2 * s
//   R  with its row, from any k2 columns                 k2 * s
//   C  with its column, whole or from any k1 rows        k1 * s
//
// Up to f lost shards leave k2 columns, so every row can be had by W or R alone. Up to 2f leave k1
// rows, so every column can be had, and with it every cell.

package import RedStuff

package struct ReadPlanner: Sendable {
  /// Which whole lines a plan may fetch.
  package enum Lines: Sendable {
    /// Rows only: for one window of many, where a column would be fetched again for each window.
    case rows
    /// Columns only: for strips of columns, where a row would be fetched again for each strip.
    case columns
    /// Whatever is cheaper: for what is read in one go.
    case rowsAndColumns
  }

  package let parameters: EncodingParameters
  package let symbolByteCount: Int
  /// A symbol with its Merkle path.
  package let provenSymbolByteCount: Int

  package init(parameters: EncodingParameters, symbolByteCount: Int) {
    self.parameters = parameters
    self.symbolByteCount = symbolByteCount
    provenSymbolByteCount =
      symbolByteCount + Self.pathByteCount(shardCount: parameters.shardCount)
  }

  /// A count byte, and a node of 33 bytes for each level above the leaves: 33 * ceil(log2 n) + 1.
  package static func pathByteCount(shardCount: Int) -> Int {
    33 * (Int.bitWidth - (shardCount - 1).leadingZeroBitCount) + 1
  }

  /// The cheapest plan for the wanted cells; nil when the sources do not suffice for all of them.
  ///
  /// `held`: for lines that are being assembled, the positions whose symbols are at hand or on
  /// their way; they cost nothing more. With rows and columns allowed, each row is served the
  /// cheapest way for itself, unless columns alone are cheaper for all of them together.
  package func plan(
    _ wanted: WantedCells, from sources: SliverSources, lines: Lines,
    held: [MatrixLine: Set<Int>] = [:]
  ) -> ReadPlan? {
    let market = Market(
      planner: self, sources: sources, held: held, isForOneCell: wanted.isOneCell)
    switch lines {
    case .rows: return byRow(wanted, market, mayUseColumns: false)
    case .columns: return byColumn(wanted, market)
    case .rowsAndColumns:
      guard let rowPlan = byRow(wanted, market, mayUseColumns: true) else {
        return byColumn(wanted, market)
      }
      // Nothing moves less than the cells themselves, unless some of it is at hand.
      let isLeast = held.isEmpty && rowPlan.byteCount <= wanted.cellCount * symbolByteCount
      guard !isLeast, wanted.rows.count > 1, let columnPlan = byColumn(wanted, market),
        columnPlan.byteCount < rowPlan.byteCount
      else { return rowPlan }
      return columnPlan
    }
  }

  private func byRow(_ wanted: WantedCells, _ market: Market, mayUseColumns: Bool) -> ReadPlan? {
    var basket = Basket(planner: self)
    for row in wanted.sortedRows {
      let line = market.offer(for: .row(row))
      let cells = wanted[row]
      // A row that is wanted whole is never cheaper in parts.
      if let line, isWhole(cells) {
        basket.add(line)
        continue
      }
      var parts = Basket(planner: self)
      let covered = cells.ranges.allSatisfy { range in
        range.allSatisfy { column in
          let offer = mayUseColumns ? market.offer(for: .column(column)) : nil
          return parts.add(row: row, column: column, market, orColumn: offer)
        }
      }
      switch (line, covered) {
      case (let line?, false): basket.add(line)
      case (let line?, true) where line.byteCount <= parts.byteCount: basket.add(line)
      case (_, true): basket.add(parts)
      case (nil, false): return nil
      }
    }
    return basket.plan
  }

  private func isWhole(_ cells: RangeSet<Int>) -> Bool {
    cells.ranges.first == 0..<parameters.secondarySourceCount
  }

  private func byColumn(_ wanted: WantedCells, _ market: Market) -> ReadPlan? {
    var columns: [Int: [Int]] = [:]
    for row in wanted.sortedRows {
      for range in wanted[row].ranges {
        for column in range { columns[column, default: []].append(row) }
      }
    }
    var basket = Basket(planner: self)
    for (column, rows) in columns.sorted(by: { $0.key < $1.key }) {
      let offer = market.offer(for: .column(column))
      var cells = Basket(planner: self)
      let covered = rows.allSatisfy {
        cells.add(row: $0, column: column, market, orColumn: nil, preferring: .secondary)
      }
      if let offer, !covered || offer.byteCount <= cells.byteCount {
        basket.add(offer)
      } else if covered {
        basket.add(cells)
      } else {
        return nil
      }
    }
    return basket.plan
  }
}

/// What can be had at which price.
private struct Market {
  let planner: ReadPlanner
  let sources: SliverSources
  let held: [MatrixLine: Set<Int>]
  let isForOneCell: Bool
  /// By axis: the usable slivers, best first.
  let ordered: [[Int]]

  struct Offer {
    let step: ReadStep
    let byteCount: Int
  }

  init(
    planner: ReadPlanner, sources: SliverSources, held: [MatrixLine: Set<Int>],
    isForOneCell: Bool
  ) {
    self.planner = planner
    self.sources = sources
    self.held = held
    self.isForOneCell = isForOneCell
    ordered = SliverAxis.allCases.map { sources.ordered($0) }
  }

  /// Of two homes of one cell. Whose turn it is decides only where nothing but that cell is wanted: of
  /// several cells in a sliver, each in another home would be another request.
  func isBetter(_ line: MatrixLine, than other: MatrixLine) -> Bool {
    let (rank, otherRank) = (sources.rank(of: line), sources.rank(of: other))
    return isForOneCell ? rank < otherRank : rank.isBetterPlaced(than: otherRank)
  }

  /// The cheapest way to a whole line: from its own sliver, unless parts of it are at hand already.
  func offer(for line: MatrixLine) -> Offer? {
    let symbolCount = planner.parameters.symbolCount(inSliverOf: line.axis)
    let atHand = held[line] ?? []
    let isThere = sources.isUsable(line)
    if isThere, atHand.isEmpty {
      return Offer(step: .whole(line), byteCount: symbolCount * planner.symbolByteCount)
    }
    let missingCount = max(symbolCount - atHand.count, 0)
    let crossing = ordered[Int(line.axis.other.rawValue)].lazy.filter { !atHand.contains($0) }
      .prefix(missingCount)
    let chosen = Array(crossing)
    guard chosen.count == missingCount else {
      return isThere
        ? Offer(step: .whole(line), byteCount: symbolCount * planner.symbolByteCount) : nil
    }
    return Offer(
      step: .assembled(line, from: chosen), byteCount: missingCount * planner.symbolByteCount)
  }
}

/// Collects steps without repeating any.
private struct Basket {
  let planner: ReadPlanner
  /// Whole lines with their price.
  private var lines: [ReadStep: Int] = [:]
  private var symbols: [MatrixLine: RangeSet<Int>] = [:]
  private(set) var byteCount = 0

  init(planner: ReadPlanner) { self.planner = planner }

  mutating func add(_ offer: Market.Offer) { add(offer.step, byteCount: offer.byteCount) }

  private mutating func add(_ line: ReadStep, byteCount price: Int) {
    if lines.updateValue(price, forKey: line) == nil { byteCount += price }
  }

  /// Adds one cell from a home that has it, or its column if that is cheaper; false if nothing
  /// yields the cell. Symbols with paths cost a node the expansion of a sliver, so a plan by rows
  /// takes them from rows, and a plan by columns from columns, where it can.
  mutating func add(
    row: Int, column: Int, _ market: Market, orColumn offer: Market.Offer?,
    preferring axis: SliverAxis = .primary
  ) -> Bool {
    let homes: [(line: MatrixLine, position: Int)] = [(.row(row), column), (.column(column), row)]
    let preferred = axis == .primary ? homes : homes.reversed()
    let usable = preferred.filter { market.sources.isUsable($0.line) }
    let home = usable.dropFirst().reduce(usable.first) { first, second in
      first.map { market.isBetter(second.line, than: $0.line) ? second : $0 }
    }
    if let offer, home == nil || offer.byteCount < planner.provenSymbolByteCount {
      add(offer)
      return true
    }
    guard let home else { return false }
    let position = home.position..<home.position + 1
    symbols[home.line, default: RangeSet()].insert(contentsOf: position)
    byteCount += planner.provenSymbolByteCount
    return true
  }

  /// Adds what another basket holds for other cells; lines in both are paid once.
  mutating func add(_ other: Basket) {
    byteCount += other.byteCount - other.lines.values.reduce(0, +)
    for (line, price) in other.lines { add(line, byteCount: price) }
    for (line, positions) in other.symbols {
      symbols[line, default: RangeSet()].formUnion(positions)
    }
  }

  var plan: ReadPlan {
    let parts = symbols.sorted { $0.key < $1.key }.flatMap { line, positions in
      positions.ranges.map { ReadStep.symbols(of: line, $0) }
    }
    return ReadPlan(
      steps: parts + lines.keys.sorted { $0.line < $1.line }, byteCount: byteCount)
  }
}

extension ReadStep {
  /// The sliver asked, or the line put together.
  package var line: MatrixLine {
    switch self {
    case .symbols(let line, _), .whole(let line), .assembled(let line, _): line
    }
  }
}
