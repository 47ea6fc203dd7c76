// LostLine.swift
//
// One lost sliver and what is at hand of it: a cell for each line that crosses it, which is where
// its symbols come from.
//
// Invariant: a symbol counts once, and only in the form that the line can use now: bare while
// symbols are gathered, with its path once bare ones did not fit together.

import RedStuff
import Routing

/// Which of the answers received holds a symbol.
typealias AnswerIndex = Int32

struct LostLine: Sendable {
  enum Phase: Sendable {
    case gathering
    /// Bare symbols made something else. It waits until one of their sources is shown to have lied,
    /// or for its turn to be proven.
    case mismatched
    /// Only symbols with paths count.
    case proving
    case rebuilt
  }

  /// What has become of the symbol from one source. A bare one is kept beside its path, because a
  /// source that says two things has lied once.
  enum Cell: Sendable {
    case untouched
    case asked
    case bare(AnswerIndex)
    case pathAsked(bare: AnswerIndex?)
    case pathReceived(AnswerIndex, bare: AnswerIndex?)
    case proven(AnswerIndex)
    /// Did not come, or is not to be used.
    case missing(bare: AnswerIndex?)
  }

  let line: MatrixLine
  /// k: symbols that decide the line.
  let requiredCount: Int
  private(set) var phase = Phase.gathering
  /// By the index of the source; none once the line is rebuilt.
  private var cells: [Cell]
  private var bareCount = 0
  private var askedCount = 0
  private var provenCount = 0
  private var pathAskedCount = 0
  private var pathReceivedCount = 0

  init(_ line: MatrixLine, parameters: EncodingParameters) {
    self.line = line
    requiredCount = parameters.symbolCount(inSliverOf: line.axis)
    cells = Array(repeating: .untouched, count: parameters.shardCount)
  }

  subscript(source: Int) -> Cell {
    get { cells[source] }
    set {
      count(cells[source], by: -1)
      count(newValue, by: 1)
      cells[source] = newValue
    }
  }

  private mutating func count(_ cell: Cell, by step: Int) {
    switch cell {
    case .untouched, .missing: break
    case .asked: askedCount += step
    case .bare: bareCount += step
    case .pathAsked: pathAskedCount += step
    case .pathReceived: pathReceivedCount += step
    case .proven: provenCount += step
    }
  }

  var sources: Range<Int> { cells.indices }

  /// In which form symbols are asked for now.
  var purpose: SymbolRun.Purpose { phase == .proving ? .proof : .crossing }

  /// Symbols that can be used.
  var heldCount: Int { phase == .proving ? provenCount : bareCount }

  /// Symbols that can be used or are on their way.
  var suppliedCount: Int {
    phase == .proving ? provenCount + pathAskedCount + pathReceivedCount : bareCount + askedCount
  }

  /// Whether all paths that were asked for have come or will not come.
  var hasPathsToCheck: Bool { phase == .proving && pathReceivedCount > 0 && pathAskedCount == 0 }

  func isReady(rebuiltSourceCount: Int) -> Bool {
    switch phase {
    case .gathering: heldCount + rebuiltSourceCount >= requiredCount
    case .proving:
      pathAskedCount + pathReceivedCount == 0 && heldCount + rebuiltSourceCount >= requiredCount
    case .mismatched, .rebuilt: false
    }
  }

  // MARK: Fetching

  /// Whether the symbol may be asked for: not in this form yet, and not in vain.
  func mayAsk(_ source: Int) -> Bool {
    switch cells[source] {
    case .untouched: true
    case .asked, .bare: phase == .proving
    case .pathAsked, .pathReceived, .proven, .missing: false
    }
  }

  /// Whether it came bare: then it may be part of what did not fit together.
  func isBare(_ source: Int) -> Bool {
    if case .bare = cells[source] { true } else { false }
  }

  mutating func ask(_ source: Int) {
    guard phase == .proving else {
      self[source] = .asked
      return
    }
    if case .bare(let bare) = cells[source] {
      self[source] = .pathAsked(bare: bare)
    } else {
      self[source] = .pathAsked(bare: nil)
    }
  }

  func awaits(_ source: Int, for purpose: SymbolRun.Purpose) -> Bool {
    guard phase != .rebuilt else { return false }
    switch cells[source] {
    case .asked: return purpose == .crossing
    case .pathAsked: return purpose == .proof
    default: return false
    }
  }

  /// Of a symbol that was awaited.
  mutating func receive(_ source: Int, in answer: AnswerIndex) {
    if case .pathAsked(let bare) = cells[source] {
      self[source] = .pathReceived(answer, bare: bare)
    } else {
      self[source] = .bare(answer)
    }
  }

  /// An awaited symbol does not come.
  mutating func giveUp(_ source: Int) {
    if case .pathAsked(let bare) = cells[source] {
      self[source] = .missing(bare: bare)
    } else {
      self[source] = .missing(bare: nil)
    }
  }

  /// Whatever did not come may be asked for again.
  mutating func forgetMissing(unless isExcluded: (Int) -> Bool) {
    for source in cells.indices {
      guard case .missing(let bare) = cells[source], !isExcluded(source) else { continue }
      self[source] = bare.map(Cell.bare) ?? .untouched
    }
  }

  // MARK: Outcomes

  mutating func mismatch() { phase = .mismatched }

  mutating func startProving() { phase = .proving }

  /// Forgets what is not proven of a source that cannot be believed. A line that it spoiled, or may
  /// have, is tried again without it.
  mutating func exclude(_ source: Int) {
    guard phase != .rebuilt else { return }
    switch cells[source] {
    case .proven: break
    case .bare:
      self[source] = .missing(bare: nil)
      if phase == .mismatched { phase = .gathering }
    default: self[source] = .missing(bare: nil)
    }
  }

  mutating func finish() {
    phase = .rebuilt
    cells = []
  }
}

/// By line, its place among the lost ones. It is asked for every symbol that comes or is used.
struct LinePlaces: Sendable {
  private let count: Int
  /// Rows, then columns; -1 if the line is not lost.
  private var places: [Int16]

  /// Lines below `shardCount`, each once.
  init(of lines: [MatrixLine], shardCount: Int) {
    count = shardCount
    places = Array(repeating: -1, count: 2 * shardCount)
    for (place, line) in lines.enumerated() { places[position(of: line)] = Int16(place) }
  }

  /// `line` exists.
  subscript(line: MatrixLine) -> Int? {
    let place = places[position(of: line)]
    return place < 0 ? nil : Int(place)
  }

  private func position(of line: MatrixLine) -> Int {
    line.axis == .primary ? line.index : count + line.index
  }
}
