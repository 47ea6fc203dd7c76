// PropertyTests.swift
//
// Whole blobs: encode, lose as much as may be lost, decode; rebuild single slivers; and the encoder
// against one that anybody can read. All choices of slivers for small committees, random ones for
// larger, and blobs of the lengths where something changes.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct PropertyTests {
  /// Lengths around the ends of the blob's rows and of the symbol sizes 2, 4, 62, 64 and 66, and
  /// some between.
  static func lengths(_ parameters: EncodingParameters, using dice: inout Dice) -> [Int] {
    let cells = parameters.sourceSymbolCount
    let row = parameters.secondarySourceCount
    let borders = [2, 2 * row, 2 * cells, 4 * cells, 62 * cells, 64 * cells, 66 * cells]
    let near = borders.flatMap { [$0 - 1, $0, $0 + 1] }
    let between = [dice.below(2 * cells), dice.below(10 * cells), dice.below(200 * cells)]
    return [0, 1] + near + between
  }

  private func slivers(_ blob: EncodedBlob, _ axis: SliverAxis, _ indices: [Int]) -> [Sliver] {
    indices.map { blob.sliver(axis, SliverIndex(UInt16($0))) }
  }

  @Test(arguments: Array(4...10) + [13, 16, 31])
  func `blobs of border lengths are what the plain encoder makes, and survive losses`(
    n: Int
  ) throws {
    let run = RunSeed.current
    var dice = Dice(seed: run.seed(case: n))
    let parameters = try EncodingParameters(shardCount: n)
    for length in Self.lengths(parameters, using: &dice) {
      let bytes = generatedBytes(seed: dice.next(), count: length)
      let blob = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
      let label: Comment = "\(run): n = \(n), \(length) bytes"
      if n <= 10 || length <= 4 * parameters.sourceSymbolCount {
        let plain = try PlainEncoding(bytes, parameters: parameters)
        #expect(blob.metadata.metadata == plain.metadata, label)
        for axis in SliverAxis.allCases {
          let found = slivers(blob, axis, Array(0..<n)).map(\.bytes)
          #expect(found == plain.slivers(axis), "\(axis) slivers, \(label)")
        }
      }
      let all = SliverAxis.allCases.flatMap { slivers(blob, $0, Array(0..<n)) }
      #expect(Sliver.failures(all, against: blob.metadata).allSatisfy { $0 == nil }, label)
      for axis in SliverAxis.allCases {
        let chosen = Array((0..<n).shuffled(using: &dice).prefix(parameters.sourceCount(axis)))
        let check = ConsistencyCheck.allCases[dice.below(3)]
        let decoded = try BlobDecoder.decodeSerially(
          slivers(blob, axis, chosen), axis: axis, metadata: blob.metadata, check: check)
        #expect(decoded.bytes == bytes, "\(axis) \(chosen) \(check), \(label)")
      }
    }
  }

  // n = 4 ... 10: all choices of k1 rows and of k2 columns.
  @Test func `every choice of slivers of a small committee decodes`() throws {
    let run = RunSeed.current
    var choiceCount = 0
    for n in 4...10 {
      var dice = Dice(seed: run.seed(case: n))
      let parameters = try EncodingParameters(shardCount: n)
      let bytes = generatedBytes(
        seed: dice.next(), count: dice.below(6 * parameters.sourceSymbolCount))
      let blob = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
      for axis in SliverAxis.allCases {
        for mask in 0..<1 << n where mask.nonzeroBitCount == parameters.sourceCount(axis) {
          let chosen = (0..<n).filter { mask >> $0 & 1 == 1 }
          let decoded = try BlobDecoder.decodeSerially(
            slivers(blob, axis, chosen), axis: axis, metadata: blob.metadata, check: .skip)
          #expect(decoded.bytes == bytes, "\(run): n = \(n), \(bytes.count) bytes, \(chosen)")
          choiceCount += 1
        }
      }
    }
    // The sum of n over n-2f and n over n-f.
    #expect(choiceCount == 6 + 4 + 10 + 5 + 15 + 6 + 35 + 21 + 70 + 28 + 126 + 36 + 210 + 120)
  }

  @Test(arguments: [4, 7, 10, 16, 31])
  func `every sliver comes back from any k symbols, and from no k with a false one`(
    n: Int
  ) throws {
    let run = RunSeed.current
    var dice = Dice(seed: run.seed(case: n))
    let parameters = try EncodingParameters(shardCount: n)
    let bytes = generatedBytes(
      seed: dice.next(), count: dice.below(80 * parameters.sourceSymbolCount))
    let blob = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
    for axis in SliverAxis.allCases {
      let helpers = try slivers(blob, axis.other, Array(0..<n)).map {
        try $0.expanded(parameters: parameters)
      }
      for target in (0..<n).map({ SliverIndex(UInt16($0)) }) {
        let chosen = helpers.shuffled(using: &dice).prefix(parameters.symbolCount(inSliverOf: axis))
        let label: Comment =
          "\(run): n = \(n), \(bytes.count) bytes, \(axis) \(target), \(chosen.map(\.sliver.index))"
        var symbols: [DecodingSymbol] = []
        for helper in chosen {
          let symbol = helper.recoverySymbol(for: target)
          try symbol.verify(targetAxis: axis, targetIndex: target, metadata: blob.metadata)
          let alone = try helper.sliver.symbol(crossing: target, parameters: parameters)
          #expect(alone == symbol.symbol.bytes, label)
          symbols.append(symbol.symbol)
        }
        let sliver = try Sliver.recovered(axis, target, from: symbols, metadata: blob.metadata)
        #expect(sliver == blob.sliver(axis, target), label)

        let liar = dice.below(symbols.count)
        var lie = symbols[liar].bytes
        lie[dice.below(lie.count)] ^= 1 << UInt8(dice.below(8))
        symbols[liar] = DecodingSymbol(sourceIndex: symbols[liar].sourceIndex, bytes: lie)
        #expect(
          throws: SliverRecoveryError.notTheSliver(.rootMismatch(axis: axis, index: target)), label
        ) { try Sliver.recovered(axis, target, from: symbols, metadata: blob.metadata) }
      }
    }
  }

  @Test func `slivers with any bit changed are found out`() throws {
    let run = RunSeed.current
    var dice = Dice(seed: run.seed())
    for n in [4, 7, 10, 31] {
      let parameters = try EncodingParameters(shardCount: n)
      let blob = try BlobEncoder.encodeSerially(
        generatedBytes(seed: dice.next(), count: 40 * parameters.sourceSymbolCount),
        parameters: parameters)
      for axis in SliverAxis.allCases {
        var all = slivers(blob, axis, Array(0..<n))
        let bad = Set((0..<dice.below(n)).map { _ in dice.below(n) })
        for index in bad {
          var bytes = all[index].bytes
          bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8))
          all[index] = Sliver(
            axis: axis, index: all[index].index, symbolByteCount: all[index].symbolByteCount,
            bytes: bytes)
        }
        let found = Sliver.failures(all, against: blob.metadata).map { $0 != nil }
        #expect(found == (0..<n).map(bad.contains), "\(run): n = \(n), \(axis)")
      }
    }
  }
}
