// LiarTests.swift
//
// Sources that lie are named, honest ones never, and what was lost comes back right. A blob that is
// badly encoded ends with a proof of it.

import RedStuff
import Repair
import Routing
import RunSeed
import Simulation
import Testing

@Suite struct LiarTests {
  /// A recovery of t pairs with liars among the shards that are left, within f.
  static func engine(n: Int, dice: inout Dice, behaviours: [Behaviour]) throws -> Engine {
    let matrix = try Matrix(dice.bytes(dice.below(40 * n * n)), shardCount: n)
    let f = matrix.parameters.faultyShardCountMax
    let pairs = (0..<n).shuffled(using: &dice)
    let t = f == 1 ? 1 : 1 + dice.below(f - 1)
    let ownCount = dice.below(min(n - max(f, 2), 3) + 1)
    // With a single shard that may fail, that one is lost: its column needs one row less than are
    // there, and its row has no spare source.
    let lost =
      f == 1 ? [MatrixLine.column(n - 1 - pairs[0])] : lines(of: Array(pairs[..<t]), shardCount: n)
    var engine = Engine(
      matrix, lost: lost, own: lines(of: Array(pairs.suffix(ownCount)), shardCount: n),
      sources: sources(matrix.parameters, without: Array(pairs[..<t])), dice: dice)
    for line in lines(of: Array(pairs[t..<max(f, 2)]), shardCount: n) {
      engine.behaviours[line] = behaviours[dice.below(behaviours.count)]
    }
    return engine
  }

  @Test(arguments: [4, 7, 10, 13, 16, 31])
  func `up to f lost and lying, each lie that counts is shown and no honest source named`(
    n: Int
  ) throws {
    let run = RunSeed.current
    for round in 0..<100 {
      var dice = Dice(seed: run.seed(case: n * 100 + round))
      var engine = try Self.engine(
        n: n, dice: &dice,
        behaviours: [
          [.lies], [.liesBare], [.liesOnce],
          [.lies, .liesBare, .liesOnce],
        ][round % 4])
      let lost = engine.recovery.lost
      engine.run()
      let label: Comment = "\(run): n = \(n), round \(round), \(engine.behaviours)"
      #expect(engine.recovery.state == .complete, label)
      #expect(Set(engine.rebuilt) == Set(lost.map(engine.matrix.sliver)), label)
      let liars = engine.recovery.liars
      #expect(Set(liars).count == liars.count, label)
      #expect(Set(liars).isSubset(of: engine.lied), label)
      #expect(engine.recovery.suspects.isEmpty && engine.recovery.rotten.isEmpty, label)
      // Whoever lies in every symbol is found out with the first line that it spoils. A single lie may
      // go unused, because somebody else's lie was found in another line first.
      for line in engine.lied where engine.behaviours[line] != .liesOnce {
        #expect(liars.contains(line), label)
      }
      if engine.behaviours.count <= 2 { #expect(Set(liars) == engine.lied, label) }
    }
  }

  @Test(arguments: [4, 7, 10, 16, 31])
  func `whatever up to f shards do, what was lost comes back and no honest source is named`(
    n: Int
  ) throws {
    let run = RunSeed.current
    for round in 0..<100 {
      var dice = Dice(seed: run.seed(case: n * 100 + round))
      var engine = try Self.engine(n: n, dice: &dice, behaviours: Behaviour.allCases)
      let lost = engine.recovery.lost
      engine.run()
      let label: Comment = "\(run): n = \(n), round \(round), \(engine.behaviours)"
      #expect(engine.recovery.state == .complete, label)
      #expect(Set(engine.rebuilt) == Set(lost.map(engine.matrix.sliver)), label)
      for line in engine.recovery.liars + engine.recovery.suspects {
        #expect(engine.behaviours[line] ?? .honest != .honest, label)
      }
      #expect(engine.recovery.liars.allSatisfy { engine.behaviours[$0] != .hidesPaths }, label)
    }
  }

  @Test(arguments: 0..<20)
  func `one line of an axis is asked for with paths, and only bad symbols again`(seed: UInt64)
    throws
  {
    let matrix = try Matrix(Array(repeating: 5, count: 4000), shardCount: 16)
    let lost = lines(of: [3, 4, 5], shardCount: 16)
    var engine = Engine(
      matrix, lost: lost, sources: sources(matrix.parameters, without: [3, 4, 5]),
      dice: Dice(seed: seed))
    engine.behaviours = [.row(0): .lies, .row(7): .lies]
    // Each symbol by itself, so that the columns do not fail together.
    engine.runByteCountMax = 1
    engine.run()
    #expect(engine.recovery.state == .complete)
    #expect(Set(engine.recovery.liars) == [.row(0), .row(7)])
    // k1 = 6 paths, and one for each replacement; the other two columns take two bare symbols each.
    #expect(engine.remotePathCount == 6 + 2)
    #expect(engine.remoteCount == 3 * (6 + 11 - 3) + 8 + 2 * 2)
  }

  @Test func `a second line of an axis waits until the first is proven`() throws {
    let matrix = try Matrix(Array(repeating: 5, count: 400), shardCount: 7)
    let usable = sources(matrix.parameters)
    var recovery = JointRecovery(
      metadata: matrix.metadata, lost: [.column(1), .column(4)], own: [])
    func receive(_ runs: [SymbolRun], lyingIn liars: [Int]) {
      for run in runs {
        var bytes = matrix.bytes(run)
        if liars.contains(run.line.index) { bytes[0] ^= 1 }
        recovery.receive(run, bytes: bytes, paths: matrix.paths(run))
      }
      #expect(recovery.rebuild().count <= 1)
    }
    let first = recovery.plan(from: usable).remote
    receive(first.filter { $0.symbols == 1..<2 }, lyingIn: [0])
    let paths = recovery.plan(from: usable).remote
    #expect(paths.count == 3 && paths.allSatisfy { $0.wantsPaths && $0.symbols == 1..<2 })
    receive(first.filter { $0.symbols == 4..<5 }, lyingIn: [2])
    #expect(recovery.plan(from: usable).isEmpty)
    // Row 0 lied in the first line, row 2 in the second only.
    receive(paths, lyingIn: [0])
    for _ in 0..<3 { receive(recovery.plan(from: usable).remote, lyingIn: []) }
    #expect(recovery.state == .complete && recovery.liars == [.row(0), .row(2)])
  }

  @Test func `a symbol that is proven counts, though its source lied before`() throws {
    let matrix = try Matrix(Array(repeating: 5, count: 4000), shardCount: 16)
    var engine = Engine(
      matrix, lost: [.column(10), .column(11)], sources: sources(matrix.parameters),
      dice: Dice(seed: 6))
    engine.behaviours = [.row(0): .liesBare]
    engine.run()
    #expect(engine.recovery.state == .complete && engine.recovery.liars == [.row(0)])
    // The other column takes a symbol from somebody else.
    #expect(engine.remotePathCount == 6 && engine.remoteCount == 2 * 6 + 6 + 1)
  }

  @Test func `a liar is not asked again, nor is who did not answer, for paths or at all`() throws {
    let matrix = try Matrix(Array(repeating: 5, count: 400), shardCount: 7)
    var usable = sources(matrix.parameters, without: [2])
    let lost = [MatrixLine.column(1), .column(4)]
    var recovery = JointRecovery(metadata: matrix.metadata, lost: lost, own: [])
    func receive(_ runs: [SymbolRun], lying liar: Int? = nil) {
      for run in runs {
        var bytes = matrix.bytes(run)
        if run.line.index == liar { bytes[0] ^= 1 }
        recovery.receive(run, bytes: bytes, paths: matrix.paths(run))
      }
    }
    func plannedRows() -> [SymbolRun] { recovery.plan(from: usable).remote }
    let first = plannedRows()
    #expect(first.map(\.line.index) == [0, 0, 1, 1, 3, 3])
    // Row 0 gives the symbol of column 1 only; row 1 lies in it.
    recovery.missing(first[1])
    receive([first[0], first[2], first[4], first[5]], lying: 1)
    #expect(recovery.rebuild().isEmpty)
    let second = plannedRows()
    #expect(second.filter(\.wantsPaths).map(\.line.index) == [1, 3, 4])
    #expect(second.filter { !$0.wantsPaths }.map(\.line.index) == [4])
    receive(second.filter(\.wantsPaths), lying: 1)
    #expect(recovery.rebuild().isEmpty && recovery.liars == [.row(1)])
    recovery.forgetMissing()
    usable.exclude(.row(0))
    let third = plannedRows()
    #expect(third.filter(\.wantsPaths).map(\.line.index) == [5])
    #expect(third.filter { !$0.wantsPaths }.map(\.line.index) == [5])
    receive(third + second.filter { !$0.wantsPaths } + [first[3]])
    #expect(Set(recovery.rebuild()) == Set(lost.map(matrix.sliver)))
    #expect(recovery.state == .complete && recovery.liars == [.row(1)])
  }

  @Test func `a source that hides its paths is suspected, and its other symbols are dropped`()
    throws
  {
    let matrix = try Matrix(Array(repeating: 5, count: 4000), shardCount: 10)
    let lost = [MatrixLine.column(3), .column(4), .column(8)]
    var engine = Engine(
      matrix, lost: lost, sources: sources(matrix.parameters), dice: Dice(seed: 3))
    engine.behaviours = [.row(1): .hidesPaths]
    engine.run()
    #expect(engine.recovery.state == .complete)
    #expect(engine.recovery.liars.isEmpty && engine.recovery.suspects == [.row(1)])
    // Three paths came, then one of a replacement; the other columns took one bare symbol each.
    #expect(engine.remotePathCount == 4 && engine.remoteCount == 12 + 4 + 2)
  }

  @Test(arguments: [Behaviour.lies, .liesBare])
  func `a rotten sliver of the node itself is found, and is no liar`(behaviour: Behaviour) throws {
    let matrix = try Matrix(Array(repeating: 5, count: 900), shardCount: 7)
    let own = lines(of: [5, 6], shardCount: 7)
    var engine = Engine(
      matrix, lost: lines(of: [2], shardCount: 7), own: own,
      sources: sources(matrix.parameters, without: [2]), dice: Dice(seed: 4))
    engine.behaviours = [.row(6): behaviour]
    engine.run()
    #expect(engine.recovery.state == .complete)
    #expect(engine.recovery.rotten == [.row(6)])
    #expect(engine.recovery.liars.isEmpty && engine.recovery.suspects.isEmpty)
  }

  // MARK: Badly encoded blobs

  static func matrix(_ blob: InconsistentBlob, _ parameters: EncodingParameters) throws -> Matrix {
    try Matrix(
      VerifiedBlobMetadata(blob.metadata, of: blob.blob, parameters: parameters),
      sliver: blob.sliver)
  }

  static func proof(_ engine: Engine) throws -> InconsistencyProof {
    guard case .inconsistent(let proof) = engine.recovery.state else {
      Issue.record("it ended as \(engine.recovery.state)")
      throw NoProof()
    }
    return proof
  }

  struct NoProof: Error {}

  @Test(arguments: [
    (InconsistentBlob.Damage.row(2), 2), (.row(6), 6), (.column(4), 2), (.column(0), 6),
    (.row(0), 3), (.column(1), 3), (.symbol(row: 1, column: 3), 3), (.allRows, 3),
    (.emptyPromise(.primary, 3), 3), (.emptyPromise(.secondary, 1), 5),
  ])
  func `a badly encoded blob ends with a proof`(damage: InconsistentBlob.Damage, pair: Int) throws {
    let parameters = try EncodingParameters(shardCount: 7)
    let blob = try InconsistentBlob(
      Array(repeating: 11, count: 700), damage: damage, parameters: parameters)
    let matrix = try Self.matrix(blob, parameters)
    for own in [[], [4], [4, 1]] {
      var engine = Engine(
        matrix, lost: lines(of: [pair], shardCount: 7), own: lines(of: own, shardCount: 7),
        sources: sources(parameters, without: [pair]), dice: Dice(seed: 5))
      engine.run()
      try Self.proof(engine).verify(against: matrix.metadata)
      #expect(engine.recovery.liars.isEmpty && engine.recovery.rotten.isEmpty)
      #expect(!engine.recovery.canRebuild && engine.recovery.rebuild().isEmpty)
      #expect(engine.recovery.plan(from: sources(parameters)) == JointRecovery.Plan())
    }
  }

  @Test(arguments: [7, 10, 13])
  func
    `bad blobs and liars together end in proof or in committed slivers, and name no honest source`(
      n: Int
    ) throws
  {
    let run = RunSeed.current
    let parameters = try EncodingParameters(shardCount: n)
    let (k1, k2) = (parameters.primarySourceCount, parameters.secondarySourceCount)
    for round in 0..<100 {
      var dice = Dice(seed: run.seed(case: n * 100 + round))
      let damage: InconsistentBlob.Damage =
        [
          .row(dice.below(n)), .column(dice.below(n)), .allRows,
          .symbol(row: dice.below(k1), column: dice.below(k2)),
        ][round % 4]
      let blob = try InconsistentBlob(
        dice.bytes(1 + dice.below(40 * n)), damage: damage, parameters: parameters)
      let matrix = try Self.matrix(blob, parameters)
      let f = parameters.faultyShardCountMax
      let pairs = (0..<n).shuffled(using: &dice)
      let t = 1 + dice.below(f - 1)
      var engine = Engine(
        matrix, lost: lines(of: Array(pairs[..<t]), shardCount: n),
        sources: sources(parameters, without: Array(pairs[..<t])), dice: dice)
      for line in lines(of: Array(pairs[t..<f]), shardCount: n) {
        engine.behaviours[line] = [Behaviour.lies, .liesBare, .liesOnce][dice.below(3)]
      }
      let lost = engine.recovery.lost
      engine.run()
      let label: Comment = "\(run): n = \(n), round \(round), \(damage), \(engine.behaviours)"
      for sliver in engine.rebuilt {
        let line = MatrixLine(sliver.axis, Int(sliver.index.value))
        #expect(sliver == matrix.sliver(line), label)
      }
      #expect(Set(engine.recovery.liars).isSubset(of: engine.lied), label)
      switch engine.recovery.state {
      case .complete: #expect(engine.rebuilt.count == lost.count, label)
      case .recovering: Issue.record(label)
      case .inconsistent(let proof): try proof.verify(against: matrix.metadata)
      }
    }
  }
}
