// JointRecovery+Planning.swift
//
// What to fetch next, and from whom. All lines of one axis take the same sources as far as they can:
// few helpers, adjacent symbols in one run, one plan of decoding.

import RedStuff
package import Routing
import World

extension JointRecovery {
  package struct Plan: Equatable, Sendable {
    /// To be read from the node's own slivers.
    package var own: [SymbolRun] = []
    /// To be asked of the nodes that keep the slivers.
    package var remote: [SymbolRun] = []
    /// Lines that cannot be rebuilt from these sources, even if all comes that was asked for.
    /// Nothing is fetched for them.
    package var unavailable: [MatrixLine] = []

    package init() {}

    package var isEmpty: Bool { own.isEmpty && remote.isEmpty }
  }

  /// What to fetch now, in runs whose answers do not pass `runByteCountMax` (a symbol at least).
  /// What is planned counts as on its way until it is received or missing.
  package mutating func plan(from sources: SliverSources, runByteCountMax: Int = .max) -> Plan {
    var plan = Plan()
    guard proof == nil else { return plan }
    var market = Market(sources: sources)
    // Lines that are rebuilt, or will be from what is planned.
    var promised = Set(rebuilt.keys)
    var before = -1
    // Columns need fewer symbols, so they may be there when rows are not, and rows build on them.
    // If rows are there when columns are not, it is the other way round in the second pass.
    while before < promised.count {
      before = promised.count
      for axis in [SliverAxis.secondary, .primary] {
        let promisedSourceCount = promised.reduce(0) { $0 + ($1.axis == axis.other ? 1 : 0) }
        for place in lines.indices where lines[place].line.axis == axis {
          let line = lines[place].line
          guard !promised.contains(line) else { continue }
          if cover(place, promisedSourceCount: promisedSourceCount, &market) {
            promised.insert(line)
          }
        }
      }
    }
    plan.unavailable = lines.map(\.line).filter { !promised.contains($0) }
    let planner = ReadPlanner(
      parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount)
    plan.own = market.own.runs(planner: planner, byteCountMax: runByteCountMax)
    plan.remote = market.remote.runs(planner: planner, byteCountMax: runByteCountMax)
    return plan
  }

  /// Asks for what a line lacks; false, and nothing is asked, if there are too few sources.
  private mutating func cover(
    _ place: Int, promisedSourceCount: Int, _ market: inout Market
  ) -> Bool {
    let lost = lines[place]
    let rebuiltCount =
      PlantedBug.rebuiltColumnsNotUsed.isPlanted && lost.line.axis == .primary
      ? 0 : promisedSourceCount
    let requiredCount = lost.requiredCount - (PlantedBug.oneSymbolTooFew.isPlanted ? 1 : 0)
    let lackingCount = requiredCount - rebuiltCount - lost.suppliedCount
    guard lackingCount > 0 else { return true }
    guard
      let chosen = choose(
        lackingCount, from: candidates(crossing: lost.line.axis, &market), for: lost)
    else { return false }
    for source in chosen {
      lines[place].ask(source.index)
      let position = lost.line.index..<lost.line.index + 1
      if source.isOwn {
        market.own.insert(position, of: source.line, for: lost.purpose)
      } else {
        market.remote.insert(position, of: source.line, for: lost.purpose)
      }
    }
    return true
  }

  /// The best that may be asked; nil if they are too few. A line being proven takes those first whose
  /// bare symbols did not fit together.
  private func choose(_ count: Int, from candidates: [Source], for lost: LostLine) -> [Source]? {
    var chosen: [Source] = []
    chosen.reserveCapacity(count)
    for takesBare in lost.phase == .proving ? [true, false] : [false] {
      for source in candidates
      where lost.isBare(source.index) == takesBare && lost.mayAsk(source.index) {
        chosen.append(source)
        if chosen.count == count { return chosen }
      }
    }
    return nil
  }

  /// The slivers that may give symbols to lines of `axis`: own ones first, then the best.
  private func candidates(crossing axis: SliverAxis, _ market: inout Market) -> [Source] {
    if let known = market.candidates[axis] { return known }
    let isOut = { (line: MatrixLine) in excluded.contains(line) || silent.contains(line) }
    let own =
      PlantedBug.ownSymbolsNotUsed.isPlanted
      ? [] : own.filter { $0.axis == axis.other && !isOut($0) }.sorted()
    var isRemote = [Bool](repeating: true, count: shardCount)
    for line in lines.map(\.line) + self.own + excluded + silent where line.axis != axis {
      isRemote[line.index] = false
    }
    let remote = market.sources.ordered(axis.other).filter { isRemote[$0] }
    let candidates =
      own.map { Source(line: $0, isOwn: true) }
      + remote.map { Source(line: MatrixLine(axis.other, $0), isOwn: false) }
    market.candidates[axis] = candidates
    return candidates
  }
}

private struct Source {
  let line: MatrixLine
  let isOwn: Bool

  var index: Int { line.index }
}

/// Who may be asked, and what is asked of them.
private struct Market {
  let sources: SliverSources
  /// By the axis of the lines that they help.
  var candidates: [SliverAxis: [Source]] = [:]
  var own = RunBasket()
  var remote = RunBasket()
}
