// RegionFetch+Spares.swift
//
// Rows beyond the blob's own in place of rows that are late or lost, where all of the matrix is wanted
// (see SpareRows).

import Cluster
import RedStuff
import Routing
import World

extension RegionFetch {
  /// Whether every row is wanted as a whole, or known.
  var needsWholeMatrix: Bool {
    let all = 0..<planner.parameters.secondarySourceCount
    return block.columns == all
      && (0..<planner.parameters.primarySourceCount).allSatisfy {
        zeroRows.contains($0) || wanted[$0] == RangeSet(all)
      }
  }

  func isSpare(_ line: MatrixLine) -> Bool {
    line.axis == .primary && line.index >= planner.parameters.primarySourceCount
  }

  /// Rows that are lacking for the matrix even when all has come that is on its way.
  func spareShortage(includingSlow: Bool) -> Int {
    let coming = promisedLines(includingSlow: includingSlow).count { $0.axis == .primary }
    return planner.parameters.primarySourceCount
      - (zeroRows.count + verifiedRows.count + spares.bytes.count + coming)
  }

  /// For hedges: as many rows as are lacking; nil if there are not so many, or if it is not whole
  /// rows that are late: then more would have to be fetched than is late.
  func spareSteps(for late: WantedCells, from sources: SliverSources) -> [ReadStep]? {
    guard spares.areUsable, late.rows.values.allSatisfy({ $0 == wholeRow }) else { return nil }
    let shortage = spareShortage(includingSlow: false)
    guard shortage > 0, shortage <= late.rows.count else { return nil }
    return spareSteps(shortage, from: sources)
  }

  /// A plan in which spare rows stand in for rows that cannot be had as they are, with a request for
  /// each and not one for each of the k2 columns that cross it, and for rows of nodes that are worse
  /// placed: decoding costs less than a border. Nil where that is not possible.
  func planWithSpares(_ uncovered: WantedCells, from sources: SliverSources) -> ReadPlan? {
    guard spares.areUsable, uncovered.rows.values.allSatisfy({ $0 == wholeRow }) else { return nil }
    let held = held(includingSlow: true)
    // Of rows that parts have come of, the rest is asked for.
    guard !uncovered.rows.keys.contains(where: { isBegun(.row($0), held) }) else { return nil }
    let rest = rowsToKeep(uncovered, from: sources)
    let shortage = spareShortage(includingSlow: true) - rest.count
    guard shortage > 0, shortage <= uncovered.rows.count - rest.count,
      let steps = spareSteps(shortage, from: sources, nearFirst: true)
    else { return nil }
    return ReadPlan(
      steps: rest.map { .whole(.row($0)) } + steps,
      byteCount: uncovered.rows.count * wholeRow.ranges.reduce(0) { $0 + $1.count }
        * symbolByteCount)
  }

  /// The rows that no spare row is to stand in for.
  private func rowsToKeep(_ uncovered: WantedCells, from sources: SliverSources) -> [Int] {
    var rows = uncovered.sortedRows.filter { sources.isUsable(.row($0)) }
      .sorted { sources.rank(of: .row($0)) < sources.rank(of: .row($1)) }
    let spare = spareCandidates(from: sources).map { sources.rank(of: $0) }
    // The first of them stand in for rows that are lost.
    while let worst = rows.last,
      case let next = uncovered.rows.count - rows.count, next < spare.count,
      spare[next].isBetterPlaced(than: sources.rank(of: .row(worst)))
    {
      rows.removeLast()
    }
    return rows.sorted()
  }

  private func spareCandidates(from sources: SliverSources) -> [MatrixLine] {
    sources.ordered(.primary).map { MatrixLine.row($0) }
      .filter { isSpare($0) && !spares.asked.contains($0.index) }
  }

  /// As many rows as are lacking when the spare rows have come that are on their way; those of which
  /// parts are there first, then those that can be had as they are.
  func lacking(_ uncovered: WantedCells, from sources: SliverSources) -> WantedCells {
    let shortage = spareShortage(includingSlow: true)
    guard spares.isActive, (0..<uncovered.rows.count).contains(shortage) else { return uncovered }
    let held = held(includingSlow: true)
    let keyed = uncovered.sortedRows.map { row in
      let line = MatrixLine.row(row)
      return (isBegun(line, held) ? 0 : sources.isUsable(line) ? 1 : 2, row)
    }
    var rest = uncovered
    for (_, row) in keyed.sorted(by: <).dropFirst(shortage) { rest.remove(row: row) }
    return rest
  }

  /// Whether parts of a line have come, or symbols for it.
  private func isBegun(_ line: MatrixLine, _ held: [MatrixLine: Set<Int>]) -> Bool {
    held[line] != nil || lines[line]?.own.isEmpty == false
  }

  /// Nothing is under way: neither requests, nor verification, nor decoding.
  var isIdle: Bool {
    nextFlight > 0 && flights.isEmpty && verifying.isEmpty && !spares.isDecoding
      && !lines.values.contains(where: \.isVerifying)
  }

  private var wholeRow: RangeSet<Int> {
    RangeSet(0..<planner.parameters.secondarySourceCount)
  }

  /// So many rows that were not asked for yet, from as few nodes as possible; of nodes that are well
  /// placed before others, or whatever that takes.
  private func spareSteps(
    _ shortage: Int, from sources: SliverSources, nearFirst: Bool = false
  ) -> [ReadStep]? {
    let candidates = spareCandidates(from: sources)
    guard candidates.count >= shortage else { return nil }
    var byNode: [(best: Int, lines: [MatrixLine])] = []
    var places: [NodeID: Int] = [:]
    for (position, line) in candidates.enumerated() {
      let node = health.placement.node(keeping: line)
      if let place = places[node] {
        byNode[place].lines.append(line)
      } else {
        places[node] = byNode.count
        byNode.append((position, [line]))
      }
    }
    let ordered = byNode.sorted { left, right in
      let (rank, other) = (sources.rank(of: left.lines[0]), sources.rank(of: right.lines[0]))
      if nearFirst, rank.isBetterPlaced(than: other) || other.isBetterPlaced(than: rank) {
        return rank < other
      }
      // A node that has all that is needed is as good as one that has more.
      return (-min(left.lines.count, shortage), left.best)
        < (-min(right.lines.count, shortage), right.best)
    }
    return ordered.flatMap(\.lines).prefix(shortage).map { ReadStep.whole($0) }
  }

  /// A job once there are as many rows as the matrix has.
  mutating func rowsFromSpares() -> [FetchJob] {
    let k1 = planner.parameters.primarySourceCount
    let lacking = k1 - zeroRows.count - verifiedRows.count
    guard spares.isActive, !spares.isDecoding, !wanted.isEmpty, lacking > 0,
      spares.bytes.count >= lacking
    else { return [] }
    spares.isDecoding = true
    let zeros = [UInt8](repeating: 0, count: block.rowByteCount)
    let rows =
      zeroRows.map { ($0, zeros) }
      + verifiedRows.sorted().map { ($0, Array(block.bytes[block.range(ofRow: $0)])) }
      + spares.bytes.sorted { $0.key < $1.key }.prefix(lacking).map { ($0.key, $0.value) }
    return [.rows(RowsFromSpares(rows: rows, targets: wanted.sortedRows))]
  }

  /// Nil: what was made of the spare rows does not fit the metadata.
  mutating func replaced(_ rows: [Int: [UInt8]]?) {
    spares.isDecoding = false
    guard let rows else {
      // The blob is badly encoded, and its rows are what counts: they are waited for.
      spares.areUsable = false
      replan()
      return
    }
    sometimes(.rowFromSpares)
    for (row, bytes) in rows.sorted(by: { $0.key < $1.key })
    where wanted.sortedRows.contains(row) {
      deliver(row: row, bytes, isOwn: false)
    }
  }
}
