// ReedSolomonCode+Encode.swift
//
// Source symbols -> repair symbols. The source values at their points define a polynomial; the
// inverse transform finds it, the forward transform evaluates it at the repair points.

extension ReedSolomonCode {
  /// Computes repair symbols of many codewords at once.
  ///
  /// - source: the `k` source symbols of each codeword.
  /// - repair: where the wanted repair symbols go; the first of `wanted` is symbol 0 of this grid.
  ///   It must not overlap the source. Only the symbols themselves are written.
  /// - symbolByteCount: even, at least 2, the same for source and repair.
  /// - wanted: which repair symbols, within 0 ..< m; all of them if nil. A few cost less than all,
  ///   but the larger share of the work (reading the source) stays.
  /// - scratch: work space of the calling thread.
  ///
  /// Throws before anything is written if a grid does not fit its buffer, or for a bad symbol
  /// length or range. Cost per codeword: O(n log n) multiplications of symbols.
  package func encode(
    _ source: SymbolGrid, into repair: MutableSymbolGrid, symbolByteCount: Int,
    codewordCount: Int, wanted: Range<Int>? = nil, scratch: inout CodecScratch
  ) throws(ReedSolomonError) {
    try check(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    let wanted = wanted ?? 0..<repairCount
    guard wanted.lowerBound >= 0, wanted.upperBound <= repairCount else {
      throw .repairRangeInvalid(wanted, repairCount: repairCount)
    }
    let extent = SymbolExtent(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    try unsafe extent.check(
      byteCount: source.bytes.count, symbolCount: sourceCount, symbolStride: source.symbolStride,
      codewordStride: source.codewordStride)
    try unsafe extent.check(
      byteCount: repair.bytes.count, symbolCount: wanted.count, symbolStride: repair.symbolStride,
      codewordStride: repair.codewordStride)
    guard let sourceBase = unsafe source.bytes.baseAddress,
      let repairBase = unsafe repair.bytes.baseAddress, !wanted.isEmpty
    else { return }

    let rowCount = 2 * rate.size
    let plan = StripPlan(extent: extent, rowCount: rowCount)
    let work = unsafe scratch.reserve(rowCount * plan.blocksPerStrip * 64)
    for blocks in plan.strips {
      let rows = unsafe StripRows(base: work, blocks: blocks, extent: extent, kernels: kernels)
      let read = { (symbols: Range<Int>, rows: StripRows) in
        for index in symbols {
          unsafe rows.gather(
            sourceBase + index * source.symbolStride, codewordStride: source.codewordStride,
            into: index - symbols.lowerBound)
        }
      }
      let write = { (symbols: Range<Int>, rows: StripRows, firstRow: Int) in
        for index in symbols {
          unsafe rows.scatter(
            index - symbols.lowerBound + firstRow,
            to: repairBase + (index - wanted.lowerBound) * repair.symbolStride,
            codewordStride: repair.codewordStride)
        }
      }
      switch rate {
      case .high(let size):
        unsafe encodeHighRate(rows, size: size, wanted: wanted, read: read, write: write)
      case .low(let size):
        unsafe encodeLowRate(rows, size: size, wanted: wanted, read: read, write: write)
      }
    }
  }

  /// Sources come in groups of `size`; the sum of their inverse transforms is one polynomial of
  /// `size` coefficients.
  private func encodeHighRate(
    _ sum: StripRows, size: Int, wanted: Range<Int>,
    read: (Range<Int>, StripRows) -> Void, write: (Range<Int>, StripRows, Int) -> Void
  ) {
    let next = unsafe sum.dropFirst(size)
    for start in stride(from: 0, to: sourceCount, by: size) {
      let symbols = start..<min(start + size, sourceCount)
      let rows = unsafe start == 0 ? sum : next
      unsafe read(symbols, rows)
      unsafe rows.clear(symbols.count..<size)
      unsafe rows.inverseTransform(
        size: size, delta: start + size, nonzeroCount: symbols.count)
      if start > 0 { unsafe sum.add(next, rowCount: size) }
    }
    unsafe sum.transform(from: sum, size: size, delta: 0, wanted: wanted)
    unsafe write(wanted, sum, wanted.lowerBound)
  }

  /// All sources make one polynomial of `size` coefficients; repair symbols come in groups of
  /// `size`, each an evaluation of its own.
  private func encodeLowRate(
    _ polynomial: StripRows, size: Int, wanted: Range<Int>,
    read: (Range<Int>, StripRows) -> Void, write: (Range<Int>, StripRows, Int) -> Void
  ) {
    unsafe read(0..<sourceCount, polynomial)
    unsafe polynomial.clear(sourceCount..<size)
    unsafe polynomial.inverseTransform(size: size, delta: 0, nonzeroCount: sourceCount)
    let values = unsafe polynomial.dropFirst(size)
    for start in stride(from: 0, to: repairCount, by: size) {
      let symbols = wanted.clamped(to: start..<start + size)
      if symbols.isEmpty { continue }
      let inGroup = symbols.lowerBound - start..<symbols.upperBound - start
      unsafe values.transform(from: polynomial, size: size, delta: start + size, wanted: inGroup)
      unsafe write(symbols, values, inGroup.lowerBound)
    }
  }
}

extension ReedSolomonCode {
  /// All repair symbols of one codeword, one after the other (`m * symbolByteCount` bytes).
  ///
  /// `source` is the `k` source symbols, one after the other; any other length throws.
  package func encode(
    _ source: Span<UInt8>, symbolByteCount: Int
  ) throws(ReedSolomonError) -> [UInt8] {
    try repairSymbols(0..<repairCount, of: source, symbolByteCount: symbolByteCount)
  }

  /// One repair symbol of one codeword: symbol `k + index` of the code.
  package func repairSymbol(
    _ index: Int, of source: Span<UInt8>, symbolByteCount: Int
  ) throws(ReedSolomonError) -> [UInt8] {
    guard 0..<repairCount ~= index else {
      throw .repairIndexInvalid(index, repairCount: repairCount)
    }
    return try repairSymbols(index..<index + 1, of: source, symbolByteCount: symbolByteCount)
  }

  /// The wanted repair symbols of one codeword, one after the other.
  package func repairSymbols(
    _ wanted: Range<Int>, of source: Span<UInt8>, symbolByteCount: Int
  ) throws(ReedSolomonError) -> [UInt8] {
    try check(symbolByteCount: symbolByteCount, codewordCount: 1)
    let (required, overflows) = sourceCount.multipliedReportingOverflow(by: symbolByteCount)
    guard !overflows, source.count == required else {
      throw .byteCountMismatch(byteCount: source.count, required: required)
    }
    guard wanted.lowerBound >= 0, wanted.upperBound <= repairCount else {
      throw .repairRangeInvalid(wanted, repairCount: repairCount)
    }
    var repair = [UInt8](repeating: 0, count: wanted.count * symbolByteCount)
    var scratch = CodecScratch()
    let outcome = unsafe source.withUnsafeBytes { source in
      unsafe repair.withUnsafeMutableBytes { repair in
        Result { () throws(ReedSolomonError) in
          try unsafe encode(
            SymbolGrid(source, symbolStride: symbolByteCount, codewordStride: 0),
            into: MutableSymbolGrid(repair, symbolStride: symbolByteCount, codewordStride: 0),
            symbolByteCount: symbolByteCount, codewordCount: 1, wanted: wanted, scratch: &scratch)
        }
      }
    }
    try outcome.get()
    return repair
  }
}

extension Rate {
  /// Points of one transform of the encoder.
  var size: Int {
    switch self {
    case .high(let size), .low(let size): size
    }
  }
}
