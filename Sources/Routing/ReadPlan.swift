// ReadPlan.swift
//
// What a reader will ask for: steps, each of which ends in verified cells by itself, and the runs
// of symbols that the steps need, one request item each.

package import RedStuff

package enum ReadStep: Hashable, Sendable {
  /// Symbols of one sliver, each with its Merkle path: checked one by one.
  case symbols(of: MatrixLine, Range<Int>)
  /// The source symbols of a line from its own sliver, bare: checked by the root of the line.
  case whole(MatrixLine)
  /// The source symbols of a line from one symbol of each of these slivers that cross it, bare:
  /// decoded, then checked by the root of the line.
  case assembled(MatrixLine, from: [Int])

  /// The cells that the step yields.
  package func yields(row: Int, column: Int) -> Bool {
    switch self {
    case .symbols(let line, let positions):
      line.axis == .primary
        ? line.index == row && positions.contains(column)
        : line.index == column && positions.contains(row)
    case .whole(let line), .assembled(let line, _):
      line.axis == .primary ? line.index == row : line.index == column
    }
  }
}

package struct ReadPlan: Equatable, Sendable {
  package var steps: [ReadStep]
  /// Payload that the answers will carry: symbols, and paths where they are asked for.
  package var byteCount: Int

  package init(steps: [ReadStep], byteCount: Int) {
    self.steps = steps
    self.byteCount = byteCount
  }
}

/// Adjacent symbols of one sliver, asked for with one request item.
package struct SymbolRun: Hashable, Sendable {
  package enum Purpose: UInt8, Hashable, Sendable {
    /// For the line itself, bare.
    case whole
    /// For the lines that cross the sliver at these symbols, bare.
    case crossing
    /// With paths, for the cells themselves.
    case cells
    /// With paths, for lines whose bare symbols did not fit together.
    case proof
  }

  package var line: MatrixLine
  package var symbols: Range<Int>
  package var purpose: Purpose

  package init(line: MatrixLine, symbols: Range<Int>, purpose: Purpose) {
    self.line = line
    self.symbols = symbols
    self.purpose = purpose
  }

  package var wantsPaths: Bool { purpose == .cells || purpose == .proof }

  /// Whether a read by `lines` asks for it only because a sliver cannot be had, or is late.
  package func standsIn(
    forLines lines: ReadPlanner.Lines, parameters: EncodingParameters
  ) -> Bool {
    switch purpose {
    case .whole: line.index >= parameters.sourceCount(line.axis)
    case .crossing, .proof: true
    case .cells: line.axis != (lines == .columns ? .secondary : .primary)
    }
  }
}

extension ReadPlan {
  /// The request items of the steps: one per sliver and run of adjacent symbols, cut where an
  /// answer would pass `byteCountMax`. Lines in `proving` are asked for with paths.
  package func runs(
    planner: ReadPlanner, byteCountMax: Int, proving: Set<MatrixLine> = []
  ) -> [SymbolRun] {
    var basket = RunBasket()
    for step in steps {
      switch step {
      case .symbols(let line, let positions): basket.insert(positions, of: line, for: .cells)
      case .whole(let line):
        let count = planner.parameters.symbolCount(inSliverOf: line.axis)
        basket.insert(0..<count, of: line, for: .whole)
      case .assembled(let line, let sources):
        let purpose: SymbolRun.Purpose = proving.contains(line) ? .proof : .crossing
        for source in sources {
          basket.insert(line.index..<line.index + 1, of: line.crossing(at: source), for: purpose)
        }
      }
    }
    return basket.runs(planner: planner, byteCountMax: byteCountMax)
  }
}

/// Gathers wanted symbols into runs: one per sliver, purpose and stretch of adjacent symbols.
package struct RunBasket: Sendable {
  /// As they come. Sorting them once is several times faster than keeping them in order, and a
  /// recovery among a thousand shards has ten thousand.
  private var pieces: [Piece] = []

  /// A run in one number, which sorts as runs do: axis, index, purpose, first symbol, last symbol.
  private struct Piece: Comparable {
    let key: UInt64

    init(_ symbols: Range<Int>, of line: MatrixLine, for purpose: SymbolRun.Purpose) {
      key =
        UInt64(line.axis.rawValue) << 56 | UInt64(line.index) << 40
        | UInt64(purpose.rawValue) << 32 | UInt64(symbols.lowerBound) << 16
        | UInt64(symbols.upperBound - 1)
    }

    /// Line and purpose.
    var kind: UInt64 { key >> 32 }
    var symbols: Range<Int> { Int(key >> 16 & 0xFFFF)..<Int(key & 0xFFFF) + 1 }
    var run: SymbolRun? {
      guard let axis = SliverAxis(rawValue: UInt8(key >> 56)),
        let purpose = SymbolRun.Purpose(rawValue: UInt8(key >> 32 & 0xFF))
      else { return nil }
      return SymbolRun(
        line: MatrixLine(axis, Int(key >> 40 & 0xFFFF)), symbols: symbols, purpose: purpose)
    }

    static func < (left: Piece, right: Piece) -> Bool { left.key < right.key }
  }

  package init() {}

  /// Symbols and indices are below n, which has 16 bits.
  package mutating func insert(
    _ symbols: Range<Int>, of line: MatrixLine, for purpose: SymbolRun.Purpose
  ) {
    guard !symbols.isEmpty else { return }
    pieces.append(Piece(symbols, of: line, for: purpose))
  }

  /// Sorted by line; cut where an answer would pass `byteCountMax`.
  package func runs(planner: ReadPlanner, byteCountMax: Int) -> [SymbolRun] {
    var joined: [SymbolRun] = []
    var kind: UInt64?
    for piece in pieces.sorted() {
      let place = joined.count - 1
      if piece.kind == kind, joined[place].symbols.upperBound >= piece.symbols.lowerBound {
        let end = max(joined[place].symbols.upperBound, piece.symbols.upperBound)
        joined[place].symbols = joined[place].symbols.lowerBound..<end
      } else if let run = piece.run {
        joined.append(run)
        kind = piece.kind
      }
    }
    return joined.flatMap { run in
      let bytesPerSymbol =
        run.wantsPaths ? planner.provenSymbolByteCount : planner.symbolByteCount
      let length = min(max(byteCountMax / bytesPerSymbol, 1), run.symbols.count)
      return stride(from: run.symbols.lowerBound, to: run.symbols.upperBound, by: length).map {
        SymbolRun(
          line: run.line, symbols: $0..<min($0 + length, run.symbols.upperBound),
          purpose: run.purpose)
      }
    }
  }
}
