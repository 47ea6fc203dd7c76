// ManySliversTests.swift
//
// What is done for many slivers, symbols or paths at once equals what is done for each alone.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct ManySliversTests {
  private func encoded(_ n: Int, _ byteCount: Int) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(
      generatedBytes(seed: 5, count: byteCount), parameters: EncodingParameters(shardCount: n))
  }

  // Symbol sizes 2, 34 and 350: many slivers share blocks, or each has its own.
  @Test(arguments: [(10, 30), (10, 950), (31, 80_000), (100, 5000)])
  func `slivers rebuilt together equal those of the encoder`(n: Int, byteCount: Int) throws {
    let seed = UInt64(n + byteCount)
    print("seed \(seed)")
    var dice = Dice(seed: seed)
    let blob = try encoded(n, byteCount)
    for axis in SliverAxis.allCases {
      let k = blob.parameters.symbolCount(inSliverOf: axis)
      let sets = (0..<2).map { _ in Array((0..<n).shuffled(using: &dice).prefix(k)) }
      let targets = (0..<40).map { _ in SliverIndex(UInt16(dice.below(n))) }
      let lost = try targets.enumerated().map { number, target in
        // The order of the symbols must not matter.
        let sources = sets[number % 2].shuffled(using: &dice)
        return LostSliver(
          index: target,
          symbols: try sources.map { source in
            let sliver = blob.sliver(axis.other, SliverIndex(UInt16(source)))
            return DecodingSymbol(
              sourceIndex: SliverIndex(UInt16(source)),
              bytes: try sliver.symbol(crossing: target, parameters: blob.parameters))
          })
      }
      let slivers = try Sliver.recovered(axis, lost, metadata: blob.metadata).map { try $0.get() }
      #expect(slivers == targets.map { blob.sliver(axis, $0) }, "seed \(seed)")
    }
  }

  // The last symbol size is too large for more than one sliver at a time.
  @Test(arguments: [(10, 30), (31, 80_000), (100, 5000), (10, 42_000)])
  func `symbols computed side by side are those of the expanded slivers`(
    n: Int, byteCount: Int
  ) throws {
    let blob = try encoded(n, byteCount)
    let targets = [n - 1, 0, n / 2, n - 2, n - 1].map { SliverIndex(UInt16($0)) }
    for axis in SliverAxis.allCases {
      for count in [0, 1, 2, n] {
        let slivers = (0..<count).map { blob.sliver(axis, SliverIndex(UInt16($0))) }
        let expected = try slivers.map { sliver in
          let expanded = try sliver.expanded(parameters: blob.parameters)
          return targets.flatMap { expanded.symbol(at: Int($0.value)) }
        }
        #expect(
          try Sliver.symbols(of: slivers, crossing: targets, parameters: blob.parameters)
            == expected)
      }
    }
    let slivers = (0..<2).map { blob.sliver(.primary, SliverIndex(UInt16($0))) }
    #expect(throws: SliverShapeError.self) {
      try Sliver.symbols(
        of: slivers, crossing: [SliverIndex(UInt16(n))], parameters: blob.parameters)
    }
  }

  @Test func `one bad sliver does not spoil the others`() throws {
    let blob = try encoded(10, 500)
    let k = blob.parameters.symbolCount(inSliverOf: .secondary)
    func lost(_ target: UInt16) throws -> LostSliver {
      LostSliver(
        index: SliverIndex(target),
        symbols: try (0..<k).map { source in
          let index = SliverIndex(UInt16(source))
          return DecodingSymbol(
            sourceIndex: index,
            bytes: try blob.sliver(.primary, index).symbol(
              crossing: SliverIndex(target), parameters: blob.parameters))
        })
    }
    let good = try lost(8)
    let short = LostSliver(index: SliverIndex(7), symbols: Array(good.symbols.dropLast()))
    let mistaken = LostSliver(index: SliverIndex(9), symbols: good.symbols)
    let results = Sliver.recovered(
      .secondary, [short, good, mistaken], metadata: blob.metadata)
    #expect(results[0] == .failure(.tooFewSymbols(received: k - 1, required: k)))
    #expect(results[1] == .success(blob.sliver(.secondary, SliverIndex(8))))
    #expect(
      results[2]
        == .failure(
          .notTheSliver(.rootMismatch(axis: .secondary, index: SliverIndex(9)))))
  }

  @Test(arguments: [(4, 5), (10, 500), (31, 3000), (100, 300_000)])
  func `symbols taken in one pass equal those of the expanded sliver`(
    n: Int, byteCount: Int
  ) throws {
    let blob = try encoded(n, byteCount)
    for axis in SliverAxis.allCases {
      for index in [0, n / 2, n - 1] {
        let sliver = blob.sliver(axis, SliverIndex(UInt16(index)))
        let expanded = try sliver.expanded(parameters: blob.parameters)
        for targets in [[n - 1], [0, n - 1], Array((0..<n).reversed()), []] {
          let symbols = try sliver.symbols(
            crossing: targets.map { SliverIndex(UInt16($0)) }, parameters: blob.parameters)
          #expect(symbols == targets.flatMap { expanded.symbol(at: $0) })
        }
      }
    }
  }

  @Test func `paths followed together fail where they fail alone`() throws {
    let blob = try encoded(31, 4000)
    let target = SliverIndex(17)
    var symbols = try (0..<31).map { source in
      try blob.sliver(.secondary, SliverIndex(UInt16(source)))
        .expanded(parameters: blob.parameters).recoverySymbol(for: target)
    }
    var bytes = symbols[4].symbol.bytes
    bytes[1] ^= 1
    symbols[4] = RecoverySymbol(
      symbol: DecodingSymbol(sourceIndex: SliverIndex(4), bytes: bytes), proof: symbols[4].proof)
    symbols[5] = RecoverySymbol(symbol: symbols[5].symbol, proof: symbols[6].proof)
    symbols[9] = RecoverySymbol(
      symbol: DecodingSymbol(sourceIndex: SliverIndex(31), bytes: bytes), proof: symbols[9].proof)
    let failures = RecoverySymbol.failures(
      symbols, targetAxis: .primary, targetIndex: target, metadata: blob.metadata)
    #expect(failures.indices.filter { failures[$0] != nil } == [4, 5, 9])
    for (symbol, failure) in zip(symbols, failures) {
      let alone = RecoverySymbol.failures(
        [symbol], targetAxis: .primary, targetIndex: target, metadata: blob.metadata)
      #expect(alone == [failure])
    }
  }

  // Neighbours share nodes; a wrong one among them must not get its neighbour's hash.
  @Test func `the paths of a run lead to the root, but for the wrong ones`() throws {
    let blob = try encoded(100, 5000)
    let expanded = try blob.sliver(.primary, SliverIndex(3)).expanded(
      parameters: blob.parameters)
    let run = expanded.provenSymbols(at: Array(10..<60) + [7, 99, 0])
    try run.verify(against: blob.metadata)
    let s = blob.symbolByteCount
    for wrong in [0, 1, 25, 49, 52] {
      var bytes = run.bytes
      bytes[wrong * s] ^= 0x80
      let bad = ProvenSymbols(
        axis: run.axis, index: run.index, positions: run.positions, bytes: bytes, paths: run.paths)
      #expect(throws: ProvenSymbolsError.wrongSymbols(entries: [wrong])) {
        try bad.verify(against: blob.metadata)
      }
    }
  }
}
