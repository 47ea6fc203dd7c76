// DecodePlan+Decode.swift
//
// Decoding many codewords with the same pattern, strip by strip.

import CKernels

/// What decoding writes.
package enum DecodeOutput: Sendable {
  case allTargets
  /// Only targets that are not present; others may already lie in place, or be copied elsewhere.
  case missingTargets
}

extension DecodePlan {
  /// The sums of a strip stay in the nearest cache, or close to it.
  private static let directWorkByteCountMax = 32 << 10
  /// Long runs of a symbol suit the memory; beyond a page they gain nothing.
  private static let directBlockCountMax = 64

  /// Decodes many codewords at once.
  ///
  /// - received: the `k` present symbols of each codeword.
  /// - target: where the targets go; symbol i of this grid is `targets[i]`. What is written must not
  ///   overlap what is received. Only the symbols named by `output` are written.
  /// - scratch: work space of the calling thread.
  ///
  /// Throws before anything is written if a buffer is too small, or for a bad symbol length. Targets
  /// that are present are copied. Cost per codeword for T others: k * T multiplications of symbols or,
  /// for many, O(N log N) for N points, whichever is less.
  package func decode(
    _ received: ReceivedSymbols, into target: MutableSymbolGrid,
    output: DecodeOutput = .allTargets, symbolByteCount: Int, codewordCount: Int,
    scratch: inout CodecScratch
  ) throws(ReedSolomonError) {
    try code.check(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    let extent = SymbolExtent(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    try unsafe extent.check(
      byteCount: target.bytes.count, symbolCount: targets.count,
      symbolStride: target.symbolStride, codewordStride: target.codewordStride)
    try unsafe received.check(extent, symbolCount: present.count)
    guard let base = unsafe target.bytes.baseAddress, codewordCount > 0 else { return }

    for copy in output == .allTargets ? copies : [] {
      unsafe received.withSymbol(copy.position) { symbol in
        unsafe ck_symbols_copy(
          base + copy.target * target.symbolStride, target.codewordStride, symbol,
          received.codewordStride, symbolByteCount, codewordCount)
      }
    }
    guard !computed.isEmpty else { return }
    let sink = unsafe Sink(
      base: base, symbolStride: target.symbolStride, codewordStride: target.codewordStride)
    switch method {
    case .direct(let elements):
      unsafe sum(received, elements, extent: extent, into: sink, scratch: &scratch)
    case .cosets(let plan):
      unsafe transform(received, plan, extent: extent, into: sink, scratch: &scratch)
    }
  }

  /// A checked target grid.
  @unsafe private struct Sink {
    let base: UnsafeMutableRawPointer
    let symbolStride: Int
    let codewordStride: Int

    func take(_ row: Int, of rows: StripRows, for target: Int) {
      unsafe rows.scatter(row, to: base + target * symbolStride, codewordStride: codewordStride)
    }
  }

  /// Term by term. The sums are the first rows, a gathered symbol is the last.
  private func sum(
    _ received: ReceivedSymbols, _ elements: [UInt16], extent: SymbolExtent, into sink: Sink,
    scratch: inout CodecScratch
  ) {
    let targetCount = computed.count
    let plan = StripPlan(
      extent: extent, rowCount: targetCount + 1, workByteCountMax: Self.directWorkByteCountMax,
      blockCountMax: Self.directBlockCountMax)
    let work = unsafe scratch.reserve((targetCount + 1) * plan.blocksPerStrip * 64)
    for blocks in plan.strips {
      let sums = unsafe StripRows(
        base: work, blocks: blocks, extent: extent, kernels: code.kernels)
      unsafe sums.clear(0..<targetCount)
      unsafe elements.withUnsafeBufferPointer { elements in
        guard let first = elements.baseAddress else { return }
        unsafe add(received, times: first, to: sums)
      }
      for (row, place) in computed.enumerated() { unsafe sink.take(row, of: sums, for: place) }
    }
  }

  /// Adds what the symbols contribute to the first rows.
  private func add(
    _ received: ReceivedSymbols, times elements: UnsafePointer<UInt16>, to sums: StripRows
  ) {
    let rowCount = computed.count
    let stride = unsafe received.codewordStride
    let offset = unsafe sums.extent.offset(ofRun: sums.blocks, codewordStride: stride)
    if let offset, case .grid(let grid) = unsafe received, let base = unsafe grid.bytes.baseAddress
    {
      return unsafe sums.add(
        base + offset, stride: grid.symbolStride, count: present.count, times: elements,
        rowCount: rowCount)
    }
    for position in present.indices {
      let factors = unsafe elements + position * rowCount
      unsafe received.withSymbol(position) { symbol in
        if let offset {
          return unsafe sums.add(
            symbol + offset, stride: 0, count: 1, times: factors, rowCount: rowCount)
        }
        unsafe sums.gather(symbol, codewordStride: stride, into: rowCount)
        unsafe sums.add(
          UnsafeRawPointer(sums.row(rowCount)), stride: 0, count: 1, times: factors,
          rowCount: rowCount)
      }
    }
  }

  /// By cosets. The first rows hold a coset of sources, then come the cosets of targets.
  private func transform(
    _ received: ReceivedSymbols, _ plan: CosetPlan, extent: SymbolExtent, into sink: Sink,
    scratch: inout CodecScratch
  ) {
    let rowCount = plan.size * (1 + plan.targets.count)
    let strips = StripPlan(extent: extent, rowCount: rowCount)
    let work = unsafe scratch.reserve(rowCount * strips.blocksPerStrip * 64)
    for blocks in strips.strips {
      let values = unsafe StripRows(
        base: work, blocks: blocks, extent: extent, kernels: code.kernels)
      let sums = unsafe values.dropFirst(plan.size)
      unsafe sums.clear(0..<plan.size * plan.targets.count)
      for (number, coset) in plan.sources.enumerated() {
        unsafe read(coset, of: received, into: values, size: plan.size)
        unsafe values.inverseTransform(
          size: plan.size, delta: coset.number * plan.size, nonzeroCount: coset.rows.upperBound)
        unsafe plan.elements.withUnsafeBufferPointer { elements in
          guard let first = elements.baseAddress else { return }
          unsafe sums.add(
            UnsafeRawPointer(values.base), stride: 0, count: 1,
            times: first + number * plan.targets.count, rowCount: plan.targets.count,
            height: plan.size)
        }
        if let same = plan.targets.firstIndex(where: { $0.number == coset.number }) {
          unsafe values.differentiate(size: plan.size)
          unsafe sums.dropFirst(same * plan.size).add(values, rowCount: plan.size)
        }
      }
      for (number, coset) in plan.targets.enumerated() {
        let rows = unsafe sums.dropFirst(number * plan.size)
        unsafe rows.transform(
          from: rows, size: plan.size, delta: coset.number * plan.size, wanted: coset.rows)
        var scaled: Int?
        for member in coset.members {
          if member.row != scaled { unsafe rows.scale(member.row, by: member.element) }
          scaled = member.row
          unsafe sink.take(member.row, of: rows, for: member.place)
        }
      }
    }
  }

  /// The symbols of a coset times the locator, zero where there is none.
  private func read(
    _ coset: CosetPlan.Coset, of received: ReceivedSymbols, into rows: StripRows, size: Int
  ) {
    var next = 0
    for member in coset.members {
      unsafe rows.clear(next..<member.row)
      unsafe received.withSymbol(member.place) { symbol in
        unsafe rows.gather(
          symbol, codewordStride: received.codewordStride, into: member.row)
      }
      unsafe rows.scale(member.row, by: member.element)
      next = member.row + 1
    }
    unsafe rows.clear(next..<size)
  }
}

extension DecodePlan {
  /// Decodes one codeword: the `k` present symbols one after the other, in the order of `present`,
  /// become the targets one after the other.
  package func decode(
    _ received: Span<UInt8>, symbolByteCount: Int
  ) throws(ReedSolomonError) -> [UInt8] {
    try code.check(symbolByteCount: symbolByteCount, codewordCount: 1)
    let (required, overflows) = present.count.multipliedReportingOverflow(by: symbolByteCount)
    guard !overflows, received.count == required else {
      throw .byteCountMismatch(byteCount: received.count, required: required)
    }
    var decoded = [UInt8](repeating: 0, count: targets.count * symbolByteCount)
    var scratch = CodecScratch()
    let outcome = unsafe received.withUnsafeBytes { received in
      unsafe decoded.withUnsafeMutableBytes { decoded in
        Result { () throws(ReedSolomonError) in
          try unsafe decode(
            .grid(SymbolGrid(received, symbolStride: symbolByteCount, codewordStride: 0)),
            into: MutableSymbolGrid(decoded, symbolStride: symbolByteCount, codewordStride: 0),
            symbolByteCount: symbolByteCount, codewordCount: 1, scratch: &scratch)
        }
      }
    }
    try outcome.get()
    return decoded
  }
}
