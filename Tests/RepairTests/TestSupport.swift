// TestSupport.swift
//
// A blob of which everybody has everything, nodes that answer runs truthfully or not, and a driver
// that does what the engine of a node does: plan, fetch, rebuild.

import RedStuff
import Repair
import Routing
import RunSeed
import Testing

/// What a source does with symbols that it is asked for.
enum Behaviour: CaseIterable {
  case honest
  /// Other bytes in every symbol, and the paths of the right ones.
  case lies
  /// Other bytes in every symbol as long as no path is asked for.
  case liesBare
  /// Other bytes in the first symbol only, and the truth ever after.
  case liesOnce
  /// Other bytes, and no answer when paths are asked for.
  case hidesPaths
  /// Paths that lead nowhere.
  case wrongPaths
  case silent
  case wrongSize
}

/// The committed slivers of a blob, taken apart.
struct Matrix {
  let metadata: VerifiedBlobMetadata
  private let slivers: [[ExpandedSliver]]

  var parameters: EncodingParameters { metadata.parameters }

  init(_ bytes: [UInt8], shardCount: Int) throws {
    let blob = try BlobEncoder.encodeSerially(
      bytes, parameters: EncodingParameters(shardCount: shardCount))
    try self.init(blob.metadata) { blob.sliver($0, $1) }
  }

  init(
    _ metadata: VerifiedBlobMetadata, sliver: (SliverAxis, SliverIndex) -> Sliver
  ) throws {
    self.metadata = metadata
    slivers = try SliverAxis.allCases.map { axis in
      try (0..<metadata.shardCount).map {
        try sliver(axis, SliverIndex(UInt16($0))).expanded(parameters: metadata.parameters)
      }
    }
  }

  func expanded(_ line: MatrixLine) -> ExpandedSliver {
    slivers[Int(line.axis.rawValue)][line.index]
  }

  func sliver(_ line: MatrixLine) -> Sliver { expanded(line).sliver }

  func bytes(_ run: SymbolRun) -> [UInt8] {
    run.symbols.flatMap { expanded(run.line).symbol(at: $0) }
  }

  func paths(_ run: SymbolRun) -> [MerkleProof] {
    run.wantsPaths ? run.symbols.map { expanded(run.line).tree.proof(ofLeaf: $0) } : []
  }
}

/// Both slivers of each pair.
func lines(of pairs: [Int], shardCount: Int) -> [MatrixLine] {
  pairs.flatMap { [MatrixLine.row($0), .column(shardCount - 1 - $0)] }
}

func sources(_ parameters: EncodingParameters, without pairs: [Int] = []) -> SliverSources {
  var sources = SliverSources(parameters: parameters)
  for pair in pairs { sources.exclude(SliverPairIndex(UInt16(pair))) }
  return sources
}

/// Drives one recovery to its end.
struct Engine {
  struct Asked: Hashable {
    let line: MatrixLine
    let position: Int
    let wantsPath: Bool
  }

  let matrix: Matrix
  var recovery: JointRecovery
  var sources: SliverSources
  var behaviours: [MatrixLine: Behaviour] = [:]
  var dice: Dice
  var runByteCountMax = Int.max

  private(set) var rebuilt: [Sliver] = []
  private(set) var unavailable: [MatrixLine] = []
  /// Symbols that came from other nodes.
  private(set) var remoteCount = 0
  private(set) var remotePathCount = 0
  /// Sources of which a false symbol was given.
  private(set) var lied: Set<MatrixLine> = []
  private var asked: Set<Asked> = []
  private var ownLines: Set<MatrixLine> = []

  init(
    _ matrix: Matrix, lost: [MatrixLine], own: [MatrixLine] = [], sources: SliverSources,
    dice: Dice
  ) {
    self.matrix = matrix
    recovery = JointRecovery(metadata: matrix.metadata, lost: lost, own: own)
    self.sources = sources
    self.dice = dice
    ownLines = Set(own)
  }

  mutating func run() {
    var waiting: [SymbolRun] = []
    // Far more rounds than there are sources.
    for _ in 0..<(100 * matrix.metadata.shardCount) {
      let plan = recovery.plan(from: sources, runByteCountMax: runByteCountMax)
      note(plan)
      unavailable = plan.unavailable
      waiting = (waiting + plan.own + plan.remote).shuffled(using: &dice)
      guard !waiting.isEmpty || recovery.canRebuild else { return }
      // Some now, some after the next plan.
      for _ in 0..<min(waiting.count, 1 + dice.below(2 * waiting.count + 1)) {
        answer(waiting.removeLast())
      }
      while recovery.canRebuild { rebuilt += recovery.rebuild() }
    }
    Issue.record("it does not end")
  }

  private mutating func note(_ plan: JointRecovery.Plan) {
    for run in plan.own + plan.remote {
      #expect(!run.symbols.isEmpty)
      for position in run.symbols {
        let isNew = asked.insert(
          Asked(line: run.line, position: position, wantsPath: run.wantsPaths)
        ).inserted
        #expect(isNew, "\(run.line) is asked twice for symbol \(position)")
      }
    }
    #expect(plan.own.allSatisfy { ownLines.contains($0.line) })
    #expect(plan.remote.allSatisfy { !ownLines.contains($0.line) && sources.isUsable($0.line) })
  }

  private mutating func answer(_ run: SymbolRun) {
    var bytes = matrix.bytes(run)
    var paths = matrix.paths(run)
    let s = matrix.metadata.symbolByteCount
    func falsify(_ symbols: Range<Int>) {
      for symbol in symbols {
        bytes[symbol * s + dice.below(s)] ^= 1 << UInt8(dice.below(8))
      }
      lied.insert(run.line)
    }
    switch behaviours[run.line] ?? .honest {
    case .honest: break
    case .lies: falsify(0..<run.symbols.count)
    case .liesBare: if !run.wantsPaths { falsify(0..<run.symbols.count) }
    case .liesOnce: if !lied.contains(run.line) { falsify(0..<1) }
    case .hidesPaths:
      guard !run.wantsPaths else { return recovery.missing(run) }
      falsify(0..<run.symbols.count)
    case .wrongPaths:
      paths = paths.map { MerkleProof(path: $0.path.map { _ in .digest(.zero) }) }
    case .silent: return recovery.missing(run)
    case .wrongSize:
      let cut = Array(bytes.dropLast(1 + dice.below(bytes.count)))
      return recovery.receive(
        run, bytes: dice.below(2) == 0 ? cut : bytes + cut + [0], paths: paths)
    }
    if !ownLines.contains(run.line) {
      remoteCount += run.symbols.count
      remotePathCount += paths.count
    }
    recovery.receive(run, bytes: bytes, paths: paths)
  }
}
