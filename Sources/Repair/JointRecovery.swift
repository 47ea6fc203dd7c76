// JointRecovery.swift
//
// Rebuilds all slivers that one node lost of one blob, together, from as few symbols as there are.
// Pure: the caller fetches what a plan says, hands in what came, and gives `rebuild` to Compute.
//
// A column needs any k1 of its symbols, a row any k2. With t columns and t rows lost, the columns
// come first: k1 symbols each. Each of them then gives every lost row a symbol, so that a row needs
// only k2 - t from elsewhere, t (k1 + k2 - t) in all. The u columns and u rows that the node still
// has give theirs too: 2u less for each pair. Nothing depends on answers but their bytes, so that all
// is planned, and asked for, at once. From k1 lost shards on, fetching the blob costs less.
//
// Symbols come bare, because the root of the line checks them all. If it does not match, somebody
// lied or the blob is badly encoded: then one line of that axis is asked for again with paths. Each
// path that fails shows a liar; the others are asked no more of it than that, and lines that it
// spoiled are tried without it. If all paths hold, they are the proof that the blob is bad.
//
// Invariants: no symbol is asked for twice in one form; a source is named a liar only by its own
// symbol, which its root refutes; a line ends rebuilt, or the blob inconsistent, or sources run out.

package import RedStuff
package import Routing

package struct JointRecovery: Sendable {
  package enum State: Equatable, Sendable {
    case recovering
    case complete
    /// No sliver that does not match its root can be rebuilt: for everybody the blob is bad.
    case inconsistent(InconsistencyProof)
  }

  package struct Answer: Sendable {
    package let run: SymbolRun
    package let bytes: [UInt8]
    package let paths: [MerkleProof]
    /// Of the node that gave it; empty if it was not asked for.
    package let signature: [UInt8]
  }

  package let metadata: VerifiedBlobMetadata
  /// Rows first, ascending.
  var lines: [LostLine]
  /// By line, its place in `lines`.
  let places: LinePlaces
  let lostRowCount: Int
  /// Lines of the node itself.
  let own: Set<MatrixLine>
  var answers: [Answer] = []
  /// Rebuilt slivers, which are sources as well.
  var rebuilt: [MatrixLine: Sliver] = [:]
  /// By the place of a rebuilt sliver, its symbols where it crosses the lost lines, in their order.
  var crossings: [[UInt8]?]
  /// Not asked, because something that was asked of them did not come.
  var silent: Set<MatrixLine> = []
  /// Not believed any more.
  var excluded: Set<MatrixLine> = []
  var proof: InconsistencyProof?
  /// Bytes of symbols that others have to give if nothing goes wrong: t(k1 + k2 - t) symbols for t
  /// lost shards, less what the node's own slivers give.
  package let neededByteCount: Int

  /// Slivers of other nodes that gave a false symbol, in the order in which that was shown. Each is
  /// named once; nothing more is asked of it.
  package internal(set) var liars: [MatrixLine] = []
  /// By liar, the answer that its own paths refute, as it was given. None for one that only changed
  /// its word: the first was not signed.
  package internal(set) var falseAnswers: [MatrixLine: Answer] = [:]
  /// Slivers of other nodes that gave answers of a wrong shape, or bare symbols that turned out to be
  /// wrong without a path to show it. No evidence for anybody else.
  package internal(set) var suspects: [MatrixLine] = []
  /// Own slivers whose bytes are not what the metadata describes: they are lost as well.
  package internal(set) var rotten: [MatrixLine] = []

  /// `lost`: what to rebuild. `own`: what the node still has of the blob; its symbols cost nothing.
  /// Lines that do not exist are ignored, and lost ones are not own.
  package init(metadata: VerifiedBlobMetadata, lost: [MatrixLine], own: [MatrixLine]) {
    func existing(_ lines: [MatrixLine]) -> Set<MatrixLine> {
      Set(lines.filter { (0..<metadata.shardCount).contains($0.index) })
    }
    self.metadata = metadata
    let lost = existing(lost)
    lines = lost.sorted().map { LostLine($0, parameters: metadata.parameters) }
    places = LinePlaces(of: lines.map(\.line), shardCount: metadata.shardCount)
    crossings = Array(repeating: nil, count: lines.count)
    lostRowCount = lines.count { $0.line.axis == .primary }
    self.own = existing(own).subtracting(lost)
    neededByteCount =
      metadata.symbolByteCount
      * Self.neededSymbolCount(lost: lost, own: self.own, metadata.parameters)
  }

  private static func neededSymbolCount(
    lost: Set<MatrixLine>, own: Set<MatrixLine>, _ parameters: EncodingParameters
  ) -> Int {
    func count(_ axis: SliverAxis, in lines: Set<MatrixLine>) -> Int {
      lines.reduce(0) { $0 + ($1.axis == axis ? 1 : 0) }
    }
    let (rows, columns) = (count(.primary, in: lost), count(.secondary, in: lost))
    let perColumn = parameters.primarySourceCount - count(.primary, in: own)
    let perRow = parameters.secondarySourceCount - count(.secondary, in: own) - columns
    return columns * max(perColumn, 0) + rows * max(perRow, 0)
  }

  package var state: State {
    if let proof { return .inconsistent(proof) }
    return rebuilt.count == lines.count ? .complete : .recovering
  }

  /// What is still to be rebuilt.
  package var lost: [MatrixLine] {
    lines.filter { $0.phase != .rebuilt }.map(\.line)
  }

  var shardCount: Int { metadata.shardCount }

  func rebuiltCount(_ axis: SliverAxis) -> Int {
    rebuilt.keys.reduce(0) { $0 + ($1.axis == axis ? 1 : 0) }
  }

  // MARK: Answers

  /// A run that was planned, or a part of one. What was not asked for, or has come already, changes
  /// nothing; an answer of a wrong shape is none.
  package mutating func receive(
    _ run: SymbolRun, bytes: [UInt8], paths: [MerkleProof], signature: [UInt8] = []
  ) {
    let waiting = waiting(for: run)
    guard !waiting.isEmpty else { return }
    guard bytes.count == run.symbols.count * metadata.symbolByteCount,
      paths.count == (run.wantsPaths ? run.symbols.count : 0)
    else {
      suspect(run.line)
      return missing(run)
    }
    let answer = AnswerIndex(answers.count)
    answers.append(Answer(run: run, bytes: bytes, paths: paths, signature: signature))
    for place in waiting { lines[place].receive(run.line.index, in: answer) }
  }

  /// A run that was planned, or a part of one, does not come; its sliver is not asked again.
  package mutating func missing(_ run: SymbolRun) {
    let waiting = waiting(for: run)
    guard !waiting.isEmpty else { return }
    silent.insert(run.line)
    for place in waiting { lines[place].giveUp(run.line.index) }
  }

  /// Before another try of what did not come. Sources that lied stay out.
  package mutating func forgetMissing() {
    silent = []
    for place in lines.indices where lines[place].phase != .rebuilt {
      let line = lines[place].line
      let excluded = excluded
      lines[place].forgetMissing { excluded.contains(line.crossing(at: $0)) }
    }
  }

  /// The lost lines that wait for a symbol of this run.
  private func waiting(for run: SymbolRun) -> [Int] {
    let existing = 0..<shardCount
    guard existing.contains(run.line.index), run.symbols.lowerBound >= 0,
      run.symbols.upperBound <= shardCount
    else { return [] }
    return run.symbols.compactMap { position in
      guard let place = places[run.line.crossing(at: position)],
        lines[place].awaits(run.line.index, for: run.purpose)
      else { return nil }
      return place
    }
  }

  mutating func suspect(_ source: MatrixLine) {
    guard !own.contains(source), !suspects.contains(source) else { return }
    suspects.append(source)
  }
}
