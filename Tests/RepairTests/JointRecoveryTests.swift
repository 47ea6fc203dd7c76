// JointRecoveryTests.swift
//
// How many symbols a recovery takes, from whom, and that they make what was lost.

import RedStuff
import Repair
import Routing
import RunSeed
import Testing

@Suite struct JointRecoveryTests {
  // MARK: Counts

  @Test(arguments: 4...100)
  func `t lost and u own shards take t (k1 + k2 - t - 2u) symbols, planned at once`(n: Int) throws {
    var dice = Dice(seed: RunSeed.current.seed(case: n))
    let parameters = try EncodingParameters(shardCount: n)
    let metadata = try Matrix.metadata(of: dice.bytes(1 + dice.below(5000)), parameters)
    let (f, k1, k2) = (
      parameters.faultyShardCountMax, parameters.primarySourceCount,
      parameters.secondarySourceCount
    )
    for t in 1...f {
      for u in Set([0, 1, 2, f]).sorted() {
        let pairs = (0..<n).shuffled(using: &dice)
        let lost = Array(pairs[..<t])
        var recovery = JointRecovery(
          metadata: metadata, lost: lines(of: lost, shardCount: n),
          own: lines(of: Array(pairs[t..<t + u]), shardCount: n))
        let plan = recovery.plan(from: sources(parameters, without: lost))
        let count = plan.remote.reduce(0) { $0 + $1.symbols.count }
        #expect(count == t * (k1 + k2 - t - 2 * u), "\(RunSeed.current): t = \(t), u = \(u)")
        #expect(plan.own.reduce(0) { $0 + $1.symbols.count } == 2 * u * t)
        #expect(plan.unavailable.isEmpty)
        #expect(Set(plan.remote.filter { $0.line.axis == .primary }.map(\.line)).count == k1 - u)
        #expect(recovery.plan(from: sources(parameters, without: lost)).isEmpty)
      }
    }
  }

  @Test func `lines of one axis alone take what they have`() throws {
    let matrix = try Matrix([1, 2, 3], shardCount: 10)
    let free = sources(matrix.parameters)
    for (lost, own, count) in [
      ([MatrixLine.column(2)], [], 4), ([.row(2)], [], 7), ([.row(2), .row(9)], [], 14),
      ([.row(2)], [.row(1), .row(3)], 7), ([.row(2)], [.column(1), .column(9)], 5),
      ([.row(2)], (0..<9).map(MatrixLine.column), 0),
    ] as [([MatrixLine], [MatrixLine], Int)] {
      var recovery = JointRecovery(metadata: matrix.metadata, lost: lost, own: own)
      let plan = recovery.plan(from: free)
      #expect(plan.remote.reduce(0) { $0 + $1.symbols.count } == count, "\(lost), \(own)")
      #expect(recovery.neededByteCount == count * matrix.metadata.symbolByteCount)
    }
  }

  @Test func `adjacent lost lines share runs and sources, and long runs are cut`() throws {
    let matrix = try Matrix(Array(repeating: 7, count: 500), shardCount: 10)
    let lost = lines(of: [3, 4, 5], shardCount: 10)
    let recovery = JointRecovery(metadata: matrix.metadata, lost: lost, own: [])
    let usable = sources(matrix.parameters, without: [3, 4, 5])
    var whole = recovery
    let plan = whole.plan(from: usable)
    let rows = [0, 1, 2, 6].map {
      SymbolRun(line: .row($0), symbols: 4..<7, purpose: .crossing)
    }
    let columns = [0, 1, 2, 3].map {
      SymbolRun(line: .column($0), symbols: 3..<6, purpose: .crossing)
    }
    #expect(plan.remote == rows + columns)
    var cut = recovery
    let pieces = cut.plan(from: usable, runByteCountMax: 2 * matrix.metadata.symbolByteCount)
    #expect(pieces.remote.count == 16)
    #expect(pieces.remote[1].symbols == 6..<7)
  }

  @Test func `near sources are taken before systematic ones`() throws {
    let matrix = try Matrix([1, 2, 3], shardCount: 10)
    var usable = sources(matrix.parameters)
    for pair in 0..<5 {
      usable.setRank(PeerRank(distance: 1), of: SliverPairIndex(UInt16(pair)))
    }
    var recovery = JointRecovery(metadata: matrix.metadata, lost: [.column(0)], own: [])
    #expect(recovery.plan(from: usable).remote.map(\.line.index) == [5, 6, 7, 8])
  }

  // MARK: Results

  @Test(arguments: [4, 5, 7, 10, 13, 16, 31])
  func `whatever was lost comes back from whoever answers`(n: Int) throws {
    let run = RunSeed.current
    for round in 0..<20 {
      var dice = Dice(seed: run.seed(case: n * 100 + round))
      let matrix = try Matrix(dice.bytes(dice.below(40 * n * n)), shardCount: n)
      let f = matrix.parameters.faultyShardCountMax
      let pairs = (0..<n).shuffled(using: &dice)
      let t = 1 + dice.below(f)
      let silentCount = dice.below(f - t + 1)
      let ownCount = dice.below(n - f + 1)
      let lost = lines(of: Array(pairs[..<t]), shardCount: n)
        .filter { _ in t == 1 || dice.below(8) > 0 }.shuffled(using: &dice)
      var engine = Engine(
        matrix, lost: lost,
        own: lines(of: Array(pairs[f..<f + ownCount]), shardCount: n),
        sources: sources(matrix.parameters, without: Array(pairs[..<t])), dice: dice)
      for line in lines(of: Array(pairs[t..<t + silentCount]), shardCount: n) {
        engine.behaviours[line] = dice.below(2) == 0 ? .silent : .wrongSize
      }
      engine.runByteCountMax = dice.below(3) == 0 ? 1 : .max
      engine.run()
      let label: Comment = "\(run): n = \(n), round \(round), lost \(lost)"
      #expect(engine.recovery.state == .complete, label)
      #expect(engine.recovery.lost.isEmpty, label)
      #expect(
        Set(engine.rebuilt) == Set(lost.map(matrix.sliver)) && engine.rebuilt.count == lost.count,
        label)
      #expect(engine.recovery.liars.isEmpty && engine.remotePathCount == 0, label)
      #expect(
        engine.recovery.suspects.allSatisfy { engine.behaviours[$0] == .wrongSize }, label)
    }
  }

  @Test(arguments: [4, 7, 10, 31])
  func `beyond f lost shards columns come first and rows from them`(n: Int) throws {
    let run = RunSeed.current
    var dice = Dice(seed: run.seed(case: n))
    let matrix = try Matrix(dice.bytes(3000), shardCount: n)
    let f = matrix.parameters.faultyShardCountMax
    let (k1, k2) = (
      matrix.parameters.primarySourceCount, matrix.parameters.secondarySourceCount
    )
    for t in 1...2 * f {
      // This node lost t shards, others have lost the rest of 2f.
      let pairs = (0..<n).shuffled(using: &dice)
      let lost = lines(of: Array(pairs[..<t]), shardCount: n)
      var engine = Engine(
        matrix, lost: lost, sources: sources(matrix.parameters, without: Array(pairs[..<(2 * f)])),
        dice: dice)
      engine.run()
      let label: Comment = "\(run): n = \(n), t = \(t)"
      let columns = lost.filter { $0.axis == .secondary }
      if n - 2 * f + t >= k2 {
        #expect(engine.recovery.state == .complete, label)
        #expect(engine.remoteCount == t * (k1 + k2 - t), label)
        #expect(Set(engine.rebuilt) == Set(lost.map(matrix.sliver)), label)
      } else {
        #expect(engine.recovery.state == .recovering, label)
        #expect(engine.remoteCount == t * k1, label)
        #expect(Set(engine.rebuilt) == Set(columns.map(matrix.sliver)), label)
        #expect(engine.unavailable == engine.recovery.lost, label)
        #expect(engine.recovery.lost == lost.filter { $0.axis == .primary }.sorted(), label)
      }
    }
  }

  @Test func `columns that lack rows come once the rows are rebuilt`() throws {
    let matrix = try Matrix(Array(repeating: 9, count: 900), shardCount: 10)
    var usable = sources(matrix.parameters)
    for row in 0..<8 { usable.exclude(.row(row)) }
    let lost = [MatrixLine.row(0), .row(1), .column(4)]
    var engine = Engine(matrix, lost: lost, sources: usable, dice: Dice(seed: 1))
    engine.run()
    #expect(engine.recovery.state == .complete)
    // Two rows whole, and two symbols for the column from the rows that are left.
    #expect(engine.remoteCount == 2 * 7 + 2)
  }

  // MARK: Odd calls

  @Test func `lines that do not exist, repeats and answers nobody asked for change nothing`() throws
  {
    let matrix = try Matrix(Array(repeating: 3, count: 300), shardCount: 7)
    let s = matrix.metadata.symbolByteCount
    var recovery = JointRecovery(
      metadata: matrix.metadata,
      lost: [.row(1), .row(1), .row(7), .row(-1), .column(70)], own: [.row(1), .column(9)])
    #expect(recovery.lost == [.row(1)])
    let plan = recovery.plan(from: sources(matrix.parameters))
    #expect(plan.own.isEmpty && plan.remote.count == 5)
    func receive(_ line: MatrixLine, _ symbols: Range<Int>, _ purpose: SymbolRun.Purpose) {
      let run = SymbolRun(line: line, symbols: symbols, purpose: purpose)
      recovery.receive(
        run, bytes: Array(repeating: 1, count: s),
        paths: run.wantsPaths ? [MerkleProof(path: [])] : [])
      recovery.missing(run)
    }
    receive(.column(6), 1..<2, .crossing)
    receive(.column(0), 1..<2, .proof)
    receive(.column(0), 1..<2, .whole)
    receive(.column(0), 2..<3, .crossing)
    receive(.column(0), 0..<Int.max, .crossing)
    receive(.column(-1), 1..<2, .crossing)
    receive(.column(7), 1..<2, .crossing)
    receive(.row(1), 0..<1, .crossing)
    #expect(!recovery.canRebuild && recovery.rebuild().isEmpty)
    for run in plan.remote + plan.remote {
      recovery.receive(run, bytes: matrix.bytes(run), paths: [])
    }
    #expect(recovery.rebuild() == [matrix.sliver(.row(1))])
    #expect(recovery.state == .complete && recovery.rebuild().isEmpty)
    #expect(recovery.liars.isEmpty && recovery.suspects.isEmpty)
    for run in plan.remote { recovery.receive(run, bytes: [], paths: []) }
    #expect(recovery.suspects.isEmpty)
  }

  @Test func `what did not come is asked for again only when it is forgotten`() throws {
    let matrix = try Matrix(Array(repeating: 3, count: 300), shardCount: 4)
    var recovery = JointRecovery(metadata: matrix.metadata, lost: [.row(0)], own: [])
    let usable = sources(matrix.parameters, without: [0])
    let first = recovery.plan(from: usable)
    #expect(first.remote.map(\.line.index) == [0, 1, 2])
    recovery.missing(first.remote[1])
    let second = recovery.plan(from: usable)
    #expect(second.isEmpty && second.unavailable == [.row(0)])
    recovery.forgetMissing()
    #expect(recovery.plan(from: usable).remote == [first.remote[1]])
    for run in first.remote { recovery.receive(run, bytes: matrix.bytes(run), paths: []) }
    #expect(recovery.rebuild() == [matrix.sliver(.row(0))])
  }

  @Test func `nothing lost is complete`() throws {
    let matrix = try Matrix([1], shardCount: 4)
    var recovery = JointRecovery(metadata: matrix.metadata, lost: [], own: [.row(1)])
    #expect(recovery.state == .complete)
    #expect(recovery.plan(from: sources(matrix.parameters)) == JointRecovery.Plan())
  }
}

extension Matrix {
  static func metadata(
    of bytes: [UInt8], _ parameters: EncodingParameters
  ) throws -> VerifiedBlobMetadata {
    try BlobEncoder.encodeSerially(bytes, parameters: parameters).metadata
  }
}
