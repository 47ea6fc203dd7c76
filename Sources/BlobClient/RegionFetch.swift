// RegionFetch.swift
//
// Fetching one block of cells: what is still wanted, what is under way, and what to ask for next.
// Pure: events go in, requests and verification jobs come out; RegionFetcher does the sending, the
// waiting and the hashing.
//
// Invariants: a cell enters the block only after it was verified, by the root of a line or by its
// own path. Each plan after the first is caused by a sliver or a node that left the set of sources,
// or by a line that needs proofs now; both happen a bounded number of times, so a fetch ends. What is
// only late is not planned again but hedged (RegionFetch+Hedging.swift).

import Cluster
import RedStuff
import Routing
import World

struct RegionFetch: Sendable {
  enum Decision {
    case send([Flight])
    /// Something is under way that may suffice.
    case wait
    case done
    /// The sources that answer do not suffice.
    case exhausted
  }

  /// A run that was asked for.
  struct Flight: Sendable {
    let id: Int
    let run: SymbolRun
    let node: NodeID
    let isHedge: Bool
    /// Late; it may still come.
    var isSlow = false
  }

  let planner: ReadPlanner
  let metadata: VerifiedBlobMetadata
  let lineKinds: ReadPlanner.Lines
  /// Whether lines are delivered whose proven symbols decode to other bytes than committed to.
  let acceptsInconsistency: Bool
  let runByteCountMax: Int
  /// Rows of the matrix that are known to hold nothing but zeros, and are not wanted.
  let zeroRows: Range<Int>

  var health: SourceHealth
  private(set) var block: CellBlock
  /// Rows that came verified by their own root.
  private(set) var verifiedRows: Set<Int> = []
  private(set) var isInconsistent = false
  private(set) var byteCount = 0
  var requestCount = 0
  var hedgeCount = 0
  /// Wanted cells that did not come from their own row's sliver.
  private(set) var degradedSymbolCount = 0
  /// Shards that lied since the last look.
  var newLiars: [SliverPairIndex] = []
  var notes = FetchNotes()
  private(set) var wanted: WantedCells
  private(set) var lines: [MatrixLine: LineProgress] = [:]
  private(set) var flights: [Int: Flight] = [:]
  /// Runs with paths whose symbols are being verified.
  var verifying: [Int: SymbolRun] = [:]
  var nextFlight = 0
  private var needsPlan = true { didSet { if needsPlan { hedgeIsDue = true } } }
  /// Something has become late, or is not coming that was to replace it.
  var hedgeIsDue = false
  /// Rows beyond those of the blob, asked for instead of late ones.
  var spares = SpareRows()

  init(
    wanted: WantedCells, block: CellBlock, metadata: VerifiedBlobMetadata,
    lineKinds: ReadPlanner.Lines, acceptsInconsistency: Bool, runByteCountMax: Int,
    zeroRows: Range<Int> = 0..<0, health: SourceHealth
  ) {
    self.wanted = wanted
    self.block = block
    self.metadata = metadata
    self.lineKinds = lineKinds
    self.acceptsInconsistency = acceptsInconsistency
    self.runByteCountMax = runByteCountMax
    self.zeroRows = zeroRows
    self.health = health
    planner = ReadPlanner(
      parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount)
    spares.areUsable = needsWholeMatrix
  }

  var symbolByteCount: Int { planner.symbolByteCount }

  // MARK: Planning

  mutating func next() -> Decision {
    guard !wanted.isEmpty else {
      let late = Set(flights.values.filter(\.isSlow).map(\.node))
      if !late.isEmpty { sometimes(.hedgeWon) }
      for node in late { health.wentWithout(node) }
      return .done
    }
    guard needsPlan || isIdle else { return .wait }
    // What the spare rows were to yield can come undone without a word.
    if !needsPlan { spares.areUsable = false }
    needsPlan = false
    var uncovered = uncovered(includingSlow: true)
    if uncovered.isEmpty, isIdle {
      spares.areUsable = false
      uncovered = self.uncovered(includingSlow: true)
    }
    guard !uncovered.isEmpty else { return .wait }
    let held = held(includingSlow: true)
    for sources in [health.prompt, health.answering] {
      if let plan = planWithSpares(uncovered, from: sources) {
        return .send(launch(plan, isHedge: false))
      }
      let lacking = lacking(uncovered, from: sources)
      if let plan = planner.plan(lacking, from: sources, lines: lineKinds, held: held) {
        return .send(launch(plan, isHedge: false))
      }
    }
    return .exhausted
  }

  /// What nothing under way will yield.
  func uncovered(includingSlow: Bool) -> WantedCells {
    var uncovered = wanted
    for flight in flights.values where includingSlow || !flight.isSlow {
      if flight.run.purpose == .cells { uncovered.remove(cellsOf: flight.run) }
    }
    for run in verifying.values where run.purpose == .cells { uncovered.remove(cellsOf: run) }
    for line in promisedLines(includingSlow: includingSlow) { uncovered.remove(line) }
    if !uncovered.isEmpty, spares.isActive, spareShortage(includingSlow: includingSlow) <= 0 {
      return WantedCells()
    }
    return uncovered
  }

  /// Lines that will be whole when all has come that is on its way.
  func promisedLines(includingSlow: Bool) -> [MatrixLine] {
    let held = held(includingSlow: includingSlow)
    var own: [MatrixLine: Int] = [:]
    for (line, progress) in lines { own[line] = progress.ownByteCount / symbolByteCount }
    for flight in flights.values where includingSlow || !flight.isSlow {
      if flight.run.purpose == .whole {
        own[flight.run.line, default: 0] += flight.run.symbols.count
      }
    }
    return lines.compactMap { line, progress in
      let count = planner.parameters.symbolCount(inSliverOf: line.axis)
      return progress.isVerifying || own[line] == count || held[line]?.count ?? 0 >= count
        ? line : nil
    }
  }

  /// For lines being assembled: the positions at hand or on their way.
  func held(includingSlow: Bool) -> [MatrixLine: Set<Int>] {
    var held: [MatrixLine: Set<Int>] = [:]
    for (line, progress) in lines where !progress.symbols.isEmpty {
      held[line] = Set(progress.symbols.keys)
    }
    let crossing = flights.values.filter { includingSlow || !$0.isSlow }.map(\.run)
    for run in crossing + verifying.values {
      guard run.purpose == .crossing || run.purpose == .proof else { continue }
      for position in run.symbols {
        let line = run.line.crossing(at: position)
        guard let progress = lines[line], progress.takes(run.purpose) else { continue }
        held[line, default: []].insert(run.line.index)
      }
    }
    return held
  }

  mutating func launch(_ plan: ReadPlan, isHedge: Bool) -> [Flight] {
    for step in plan.steps {
      switch step {
      case .symbols: break
      case .whole(let line):
        if isSpare(line) { spares.ask(line.index) }
        lines[line, default: LineProgress()].own = []
      case .assembled(let line, _): lines[line] = lines[line] ?? LineProgress()
      }
    }
    let proving = Set(lines.filter { $0.value.isProving }.keys)
    let runs = plan.runs(
      planner: planner, byteCountMax: runByteCountMax, proving: proving)
    return runs.map { run in
      let flight = Flight(
        id: nextFlight, run: run, node: health.placement.node(keeping: run.line),
        isHedge: isHedge)
      nextFlight += 1
      flights[flight.id] = flight
      return flight
    }
  }

  /// Looks again for sources.
  mutating func replan() { needsPlan = true }

  // MARK: What became of requests

  /// The node did not answer.
  mutating func failed(_ node: NodeID, _ ids: [Int], reason: String) {
    for id in ids { flights[id] = nil }
    health.failed(node)
    notes.add(reason, from: node)
    needsPlan = true
  }

  /// The node takes long over these.
  mutating func late(_ ids: [Int]) {
    for id in ids where flights[id] != nil {
      flights[id]?.isSlow = true
      hedgeIsDue = true
    }
  }

  /// Before another try of what failed in passing.
  mutating func forgetFailures() {
    health.forgetFailures()
    needsPlan = true
  }

  mutating func received(_ id: Int, _ outcome: ReadOutcome) -> [FetchJob] {
    guard let flight = flights.removeValue(forKey: id) else { return [] }
    let run = flight.run
    switch outcome {
    case .missing:
      health.lost(run.line)
      notes.add("\(run.line) is missing", from: flight.node)
    case .refused(let failure):
      if failure.isPassing { health.failed(run.line) } else { health.lost(run.line) }
      notes.add(failure, from: flight.node)
    case .symbols(let bytes, let paths):
      byteCount += outcome.symbolByteCount + outcome.pathByteCount
      let pathCount = run.wantsPaths ? run.symbols.count : 0
      if bytes.count == run.symbols.count * symbolByteCount, paths.count == pathCount {
        return file(id, run, bytes, paths)
      }
      lied(run.line)
    case .signedSymbols:
      // Nobody asked for a signature.
      lied(run.line)
    }
    needsPlan = true
    return []
  }

  private mutating func file(_ id: Int, _ run: SymbolRun, _ bytes: [UInt8], _ paths: [MerkleProof])
    -> [FetchJob]
  {
    switch run.purpose {
    case .cells, .proof:
      sometimes(.symbolsWithPaths)
      verifying[id] = run
      return [.symbols(ProvenRun(id: id, run: run, bytes: bytes, paths: paths))]
    case .whole:
      guard var progress = lines[run.line], !progress.isVerifying else { return [] }
      // A sliver asked for again while parts of it were on their way: those come twice.
      guard !progress.own.contains(where: { $0.position == run.symbols.lowerBound }) else {
        return []
      }
      progress.own.append((run.symbols.lowerBound, bytes))
      let count = planner.parameters.symbolCount(inSliverOf: run.line.axis)
      progress.isVerifying = progress.ownByteCount == count * symbolByteCount
      lines[run.line] = progress
      return progress.isVerifying
        ? [.line(LineSymbols(line: run.line, origin: .own(progress.ownBytes)))] : []
    case .crossing:
      return run.symbols.compactMap { position in
        hold(symbol(position, of: run, in: bytes), of: run, at: position)
      }
    }
  }

  private func symbol(_ position: Int, of run: SymbolRun, in bytes: [UInt8]) -> ArraySlice<UInt8> {
    let start = (position - run.symbols.lowerBound) * symbolByteCount
    return bytes[start..<start + symbolByteCount]
  }

  /// Keeps a symbol for the line that crosses `run` at `position`; a job once the line has enough.
  private mutating func hold(_ symbol: ArraySlice<UInt8>, of run: SymbolRun, at position: Int)
    -> FetchJob?
  {
    let line = run.line.crossing(at: position)
    guard lines[line]?.holds(run.purpose) == true else { return nil }
    // In place: a copy of the symbols for each symbol would make a line cost the square of k.
    lines[line]?.symbols[run.line.index] = symbol
    let count = planner.parameters.symbolCount(inSliverOf: line.axis)
    guard let progress = lines[line], progress.symbols.count >= count else { return nil }
    lines[line]?.isVerifying = true
    // Exactly k: with more, contradicting symbols would make the result depend on the decoder.
    let chosen = progress.symbols.sorted { $0.key < $1.key }.prefix(count)
    return .line(
      LineSymbols(
        line: line,
        origin: .crossing(chosen.map { ($0.key, $0.value) }, areProven: progress.isProving)))
  }

  // MARK: What became of verification

  mutating func verified(_ result: FetchResult) -> [FetchJob] {
    switch result {
    case .symbols(let proven, let isValid): return verified(proven, isValid)
    case .line(let symbols, let bytes, let matches):
      verified(symbols, bytes, matches)
      return rowsFromSpares()
    case .rows(let rows):
      replaced(rows)
      return []
    }
  }

  private mutating func verified(_ proven: ProvenRun, _ isValid: [Bool]) -> [FetchJob] {
    verifying[proven.id] = nil
    var jobs: [FetchJob] = []
    for (position, isValid) in zip(proven.run.symbols, isValid) {
      guard isValid else {
        lied(proven.run.line)
        continue
      }
      let symbol = symbol(position, of: proven.run, in: proven.bytes)
      if proven.run.purpose == .proof {
        if let job = hold(symbol, of: proven.run, at: position) { jobs.append(job) }
      } else {
        deliver(symbol, from: proven.run.line, at: position)
      }
    }
    return jobs
  }

  private mutating func verified(_ symbols: LineSymbols, _ bytes: [UInt8], _ matches: Bool) {
    let line = symbols.line
    switch symbols.origin {
    case _ where matches: deliver(bytes, of: symbols)
    case .own:
      lied(line)
      lines[line]?.own = []
      lines[line]?.isVerifying = false
    case .crossing(_, areProven: false):
      // Somebody lied, or the blob is badly encoded: ask again with paths.
      sometimes(.lineProvenByPaths)
      lines[line] = LineProgress(isProving: true)
      needsPlan = true
    case .crossing(_, areProven: true):
      sometimes(.inconsistencyFound)
      if acceptsInconsistency { deliver(bytes, of: symbols) } else { isInconsistent = true }
    }
  }

  private mutating func lied(_ line: MatrixLine) {
    let pair = line.pair(shardCount: planner.parameters.shardCount)
    if health.intact.isUsable(line) { newLiars.append(pair) }
    health.lied(pair)
    sometimes(.liarFound)
    notes.add("\(line) does not match the metadata", from: health.placement.node(keeping: pair))
    needsPlan = true
  }

  /// One symbol of a sliver.
  private mutating func deliver(
    _ symbol: ArraySlice<UInt8>, from line: MatrixLine, at position: Int
  ) {
    let (row, column) =
      line.axis == .primary ? (line.index, position) : (position, line.index)
    guard wanted.contains(row: row, column: column) else { return }
    block.write(symbol, row: row, column: column)
    wanted.remove(row: row, columns: column..<column + 1)
    if line.axis == .secondary { degradedSymbolCount += 1 }
  }

  /// The source symbols of a whole line.
  private mutating func deliver(_ bytes: [UInt8], of symbols: LineSymbols) {
    let line = symbols.line
    if !symbols.isOwn {
      sometimes(line.axis == .primary ? .rowFromSymbols : .columnFromSymbols)
    }
    lines[line] = nil
    if isSpare(line) { return spares.keep(bytes, of: line.index) }
    guard line.axis == .primary else {
      for row in wanted.sortedRows where wanted.contains(row: row, column: line.index) {
        let start = row * symbolByteCount
        deliver(bytes[start..<start + symbolByteCount], from: line, at: row)
      }
      return
    }
    deliver(row: line.index, bytes, isOwn: symbols.isOwn)
  }

  /// A row that has its root. Also over cells that columns gave before: what passes for a verified
  /// row must be one.
  mutating func deliver(row: Int, _ bytes: [UInt8], isOwn: Bool) {
    let columns = block.columns.clamped(to: 0..<planner.parameters.secondarySourceCount)
    block.write(
      bytes[columns.lowerBound * symbolByteCount..<columns.upperBound * symbolByteCount],
      row: row, column: columns.lowerBound)
    if !isOwn { degradedSymbolCount += wanted[row].ranges.reduce(0) { $0 + $1.count } }
    verifiedRows.insert(row)
    wanted.remove(row: row)
  }
}
