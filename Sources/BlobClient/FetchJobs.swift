// FetchJobs.swift
//
// What a fetch hands to Compute: symbols that came with paths, and the symbols of whole lines; and
// what it keeps of a line until it has all of them.

import Cluster
import RedStuff
import Routing

/// A run that came with a path for each symbol.
struct ProvenRun: Sendable {
  let id: Int
  let run: SymbolRun
  let bytes: [UInt8]
  let paths: [MerkleProof]
}

/// Enough symbols for the source symbols of a line.
struct LineSymbols: Sendable {
  enum Origin: Sendable {
    /// The line's own sliver.
    case own([UInt8])
    /// Exactly k symbols by position, ascending.
    case crossing([(position: Int, bytes: ArraySlice<UInt8>)], areProven: Bool)
  }

  let line: MatrixLine
  let origin: Origin

  var isOwn: Bool {
    if case .own = origin { true } else { false }
  }
}

enum FetchJob: Sendable {
  case symbols(ProvenRun)
  case line(LineSymbols)
  case rows(RowsFromSpares)
}

enum FetchResult: Sendable {
  case symbols(ProvenRun, isValid: [Bool])
  /// The source symbols of the line, and whether they have the root committed to.
  case line(LineSymbols, bytes: [UInt8], matches: Bool)
  /// By row; nil if they do not have their roots.
  case rows([Int: [UInt8]]?)
}

/// What is at hand of a line that is fetched as a whole.
struct LineProgress: Sendable {
  /// Pieces of the line's own sliver, by first position.
  var own: [(position: Int, bytes: [UInt8])] = []
  /// Symbols from slivers that cross the line, by their index.
  var symbols: [Int: ArraySlice<UInt8>] = [:]
  /// Bare symbols did not fit together; only symbols with paths count now.
  var isProving = false
  var isVerifying = false

  var ownByteCount: Int { own.reduce(0) { $0 + $1.bytes.count } }

  /// Most slivers come in one piece, which is not copied.
  var ownBytes: [UInt8] {
    own.count == 1 ? own[0].bytes : own.sorted { $0.position < $1.position }.flatMap(\.bytes)
  }

  /// Whether a symbol of a run of this kind is of any use now.
  func holds(_ purpose: SymbolRun.Purpose) -> Bool { !isVerifying && takes(purpose) }

  func takes(_ purpose: SymbolRun.Purpose) -> Bool {
    purpose == (isProving ? .proof : .crossing)
  }
}

/// The first reason that each node gave, for people.
struct FetchNotes: Sendable {
  private(set) var reasons: [NodeID: String] = [:]
  private(set) var isForbidden = false

  mutating func add(_ reason: String, from node: NodeID) {
    if reasons[node] == nil { reasons[node] = reason }
  }

  mutating func add(_ failure: NodeFailure, from node: NodeID) {
    if failure.reason == .forbiddenBlob { isForbidden = true }
    add("\(failure.reason.rawValue): \(failure.message)", from: node)
  }

  mutating func add(_ others: FetchNotes) {
    reasons.merge(others.reasons) { first, _ in first }
    isForbidden = isForbidden || others.isForbidden
  }

  var summary: String {
    reasons.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "; ")
  }
}

extension NodeFailure {
  /// Whether the same request may succeed a little later.
  var isPassing: Bool {
    switch reason {
    case .unavailable, .internalError, .notRegistered, .cacheSaturated: true
    default: false
    }
  }
}

extension WantedCells {
  mutating func remove(cellsOf run: SymbolRun) {
    if run.line.axis == .primary { return remove(row: run.line.index, columns: run.symbols) }
    for row in run.symbols { remove(row: row, columns: run.line.index..<run.line.index + 1) }
  }

  /// Forgets what lies in other columns.
  mutating func keep(columns: Range<Int>) {
    for row in sortedRows {
      remove(row: row, columns: 0..<columns.lowerBound)
      remove(row: row, columns: columns.upperBound..<Int.max)
    }
  }
}
