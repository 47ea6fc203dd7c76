// JointRecovery+Rebuilding.swift
//
// The arithmetic: paths are followed, lines decoded and compared with their roots.
//
// One line of an axis is proven at a time. Its paths show who lied in it, and liars rarely lie in one
// place only; the other lines then need a few bare symbols instead of paths for all of theirs.

package import RedStuff
import Routing
import World

extension JointRecovery {
  /// Whether `rebuild` would get any further.
  package var canRebuild: Bool {
    guard proof == nil else { return false }
    return lines.contains { $0.hasPathsToCheck } || readyAxis != nil
  }

  /// Checks the paths that came, and decodes and checks every line that has enough symbols. Slivers
  /// that match their roots are returned once. Cost: one line of the code and 2n hashes for each line,
  /// and where paths came, a hash for each of their nodes.
  package mutating func rebuild() -> [Sliver] {
    guard proof == nil else { return [] }
    for place in lines.indices where lines[place].hasPathsToCheck { checkPaths(of: place) }
    var slivers: [Sliver] = []
    while proof == nil, let axis = readyAxis {
      slivers += decode(axis)
      proveNext(axis)
    }
    return slivers
  }

  /// Columns before rows, which build on them.
  private var readyAxis: SliverAxis? {
    [SliverAxis.secondary, .primary].first { axis in
      let count = rebuiltCount(axis.other)
      return lines.contains { $0.line.axis == axis && $0.isReady(rebuiltSourceCount: count) }
    }
  }

  private mutating func decode(_ axis: SliverAxis) -> [Sliver] {
    let count = rebuiltCount(axis.other)
    let ready = lines.indices.filter {
      lines[$0].line.axis == axis && lines[$0].isReady(rebuiltSourceCount: count)
    }
    let inputs = ready.map { place in
      LostSliver(
        index: lines[place].line.sliverIndex,
        symbols: usableSources(of: place).map { symbol(from: $0, of: place) })
    }
    let results =
      PlantedBug.rebuiltSliversUnchecked.isPlanted
      ? Sliver.rebuilt(axis, inputs, metadata: metadata)
      : Sliver.recovered(axis, inputs, metadata: metadata)
    var slivers: [Sliver] = []
    for (place, result) in zip(ready, results) {
      switch result {
      case .success(let sliver):
        slivers.append(sliver)
        finish(place, sliver)
      case .failure(.notTheSliver):
        if lines[place].phase == .proving {
          proof = inconsistency(of: place)
          return slivers
        }
        lines[place].mismatch()
      case .failure(let error):
        preconditionFailure("rebuilding \(lines[place].line) from symbols of its own: \(error)")
      }
    }
    return slivers
  }

  /// Lets the next line be proven if none of its axis is.
  private mutating func proveNext(_ axis: SliverAxis) {
    if PlantedBug.liarsNotLookedFor.isPlanted { return }
    let phases = lines.map { $0.line.axis == axis ? $0.phase : .rebuilt }
    guard !phases.contains(.proving), let next = phases.firstIndex(of: .mismatched) else { return }
    lines[next].startProving()
  }

  private mutating func finish(_ place: Int, _ sliver: Sliver) {
    let line = lines[place].line
    if lines[place].phase == .proving { findContradictions(to: sliver, at: place) }
    lines[place].finish()
    rebuilt[line] = sliver
    let targets = lines.filter { $0.line.axis == line.axis.other }
    guard targets.contains(where: { $0.phase != .rebuilt }) else { return }
    crossings[place] = symbols(of: sliver, crossing: targets.map(\.line.index))
  }

  // MARK: Symbols

  /// Exactly k sources, those of rebuilt lines first: with more, contradicting symbols would leave
  /// the result to the decoder.
  private func usableSources(of place: Int) -> [Int] {
    let lost = lines[place]
    let rebuilt = lines.filter { $0.line.axis != lost.line.axis && $0.phase == .rebuilt }
    let usable = lost.sources.filter { source in
      switch lost[source] {
      case .bare: lost.phase == .gathering
      case .proven: lost.phase == .proving
      default: false
      }
    }
    return Array((rebuilt.map(\.line.index) + usable).prefix(lost.requiredCount))
  }

  private func symbol(from source: Int, of place: Int) -> DecodingSymbol {
    let line = lines[place].line
    let bytes: ArraySlice<UInt8>
    if let other = places[line.crossing(at: source)], let crossing = crossings[other] {
      let entry = line.axis == .primary ? place : place - lostRowCount
      let start = entry * metadata.symbolByteCount
      bytes = crossing[start..<start + metadata.symbolByteCount]
    } else {
      switch lines[place][source] {
      case .bare(let answer), .proven(let answer), .pathReceived(let answer, _):
        bytes = symbol(of: line, in: answer)
      case .untouched, .asked, .pathAsked, .missing:
        preconditionFailure("no symbol of \(line) from \(source)")
      }
    }
    return DecodingSymbol(sourceIndex: SliverIndex(UInt16(source)), bytes: Array(bytes))
  }

  private func symbol(of line: MatrixLine, in answer: AnswerIndex) -> ArraySlice<UInt8> {
    let answer = answers[Int(answer)]
    let start = (line.index - answer.run.symbols.lowerBound) * metadata.symbolByteCount
    return answer.bytes[start..<start + metadata.symbolByteCount]
  }

  private func path(of line: MatrixLine, in answer: AnswerIndex) -> MerkleProof {
    let answer = answers[Int(answer)]
    return answer.paths[line.index - answer.run.symbols.lowerBound]
  }

  private func symbols(of sliver: Sliver, crossing targets: [Int]) -> [UInt8] {
    do {
      return try sliver.symbols(
        crossing: targets.map { SliverIndex(UInt16($0)) }, parameters: metadata.parameters)
    } catch {
      preconditionFailure("symbols of a checked sliver: \(error)")
    }
  }

  // MARK: Liars

  private mutating func checkPaths(of place: Int) {
    let line = lines[place].line
    var received: [(source: Int, answer: AnswerIndex, bare: AnswerIndex?)] = []
    for source in lines[place].sources {
      guard case .pathReceived(let answer, let bare) = lines[place][source] else { continue }
      received.append((source, answer, bare))
    }
    let failures = RecoverySymbol.failures(
      received.map { entry in
        RecoverySymbol(
          symbol: symbol(from: entry.source, of: place), proof: path(of: line, in: entry.answer))
      }, targetAxis: line.axis, targetIndex: line.sliverIndex, metadata: metadata)
    for (entry, failure) in zip(received, failures) {
      let source = line.crossing(at: entry.source)
      guard failure == nil || PlantedBug.repairPathsUnchecked.isPlanted else {
        lied(source, in: entry.answer)
        continue
      }
      lines[place][entry.source] = .proven(entry.answer)
      // True now, another thing before: one of them was a lie. What is proven stays.
      if let bare = entry.bare, symbol(of: line, in: bare) != symbol(of: line, in: entry.answer) {
        lied(source)
      }
    }
  }

  private mutating func lied(_ source: MatrixLine, in answer: AnswerIndex? = nil) {
    if own.contains(source) { rotten.append(source) } else { liars.append(source) }
    if let answer { falseAnswers[source] = answers[Int(answer)] }
    exclude(source)
  }

  private mutating func exclude(_ source: MatrixLine) {
    excluded.insert(source)
    for place in lines.indices where lines[place].line.axis == source.axis.other {
      lines[place].exclude(source.index)
    }
  }

  /// Sources that gave a bare symbol and no path for it, now that the right symbols are known.
  private mutating func findContradictions(to sliver: Sliver, at place: Int) {
    let line = lines[place].line
    var given: [(source: Int, bare: AnswerIndex)] = []
    for source in lines[place].sources {
      switch lines[place][source] {
      case .missing(let bare?), .bare(let bare): given.append((source, bare))
      default: continue
      }
    }
    let s = metadata.symbolByteCount
    let right = symbols(of: sliver, crossing: given.map(\.source))
    for (entry, (source, bare)) in given.enumerated()
    where symbol(of: line, in: bare) != right[entry * s..<(entry + 1) * s] {
      suspect(line.crossing(at: source))
      exclude(line.crossing(at: source))
    }
  }

  /// From k symbols, each of which its own root vouches for, that make something else than the line.
  private func inconsistency(of place: Int) -> InconsistencyProof {
    let line = lines[place].line
    let symbols = usableSources(of: place).map { source in
      if let crossing = rebuilt[line.crossing(at: source)] {
        return recoverySymbol(of: crossing, for: line)
      }
      guard case .proven(let answer) = lines[place][source] else {
        preconditionFailure("the symbol of \(line) from \(source) is not proven")
      }
      return RecoverySymbol(
        symbol: symbol(from: source, of: place), proof: path(of: line, in: answer))
    }
    return InconsistencyProof(
      targetAxis: line.axis, targetIndex: line.sliverIndex, symbols: symbols)
  }

  private func recoverySymbol(of sliver: Sliver, for line: MatrixLine) -> RecoverySymbol {
    do {
      return try sliver.expanded(parameters: metadata.parameters)
        .recoverySymbol(for: line.sliverIndex)
    } catch {
      preconditionFailure("expanding a checked sliver: \(error)")
    }
  }
}
