// DecodePlan+Decode.swift
//
// Decoding many codewords that miss the same symbols, strip by strip.

import CKernels

/// What decoding writes.
package enum DecodeOutput: Sendable {
  /// Only the sources that were not present. Present ones may already lie in place.
  case missingSources
  /// All sources; present ones are copied.
  case allSources
}

extension DecodePlan {
  /// Decodes many codewords at once.
  ///
  /// - received: `k` buffers, buffer i for symbol `present[i]`; that symbol of codeword j starts at
  ///   byte j * receivedCodewordStride. Read only.
  /// - source: where the `k` source symbols of each codeword belong; symbol i of this grid is
  ///   source i. Only symbols named by `output` are written. They must not overlap what is
  ///   received; with `.missingSources` a received source may lie at its own place in this grid.
  /// - scratch: work space of the calling thread.
  ///
  /// Throws before anything is written if a buffer is too small, or for a bad symbol length or
  /// number of buffers. Cost per codeword: O(N log N) multiplications of symbols for N points.
  package func decode(
    _ received: [UnsafeRawBufferPointer], receivedCodewordStride: Int,
    into source: MutableSymbolGrid, output: DecodeOutput, symbolByteCount: Int,
    codewordCount: Int, scratch: inout CodecScratch
  ) throws(ReedSolomonError) {
    try code.check(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    guard unsafe received.count == present.count else {
      throw unsafe .symbolCountMismatch(received: received.count, required: present.count)
    }
    let extent = SymbolExtent(symbolByteCount: symbolByteCount, codewordCount: codewordCount)
    try unsafe extent.check(
      byteCount: source.bytes.count, symbolCount: code.sourceCount,
      symbolStride: source.symbolStride, codewordStride: source.codewordStride)
    var symbols: [UnsafeRawPointer] = unsafe []
    for position in present.indices {
      let buffer = unsafe received[position]
      try extent.check(
        byteCount: buffer.count, symbolCount: 1, symbolStride: 0,
        codewordStride: receivedCodewordStride)
      guard let base = buffer.baseAddress else { return }
      unsafe symbols.append(base)
    }
    guard let sourceBase = unsafe source.bytes.baseAddress else { return }

    if output == .allSources {
      for (position, index) in present.enumerated() where index < code.sourceCount {
        let target = unsafe sourceBase + index * source.symbolStride
        for codeword in 0..<codewordCount {
          unsafe (target + codeword * source.codewordStride).copyMemory(
            from: symbols[position] + codeword * receivedCodewordStride,
            byteCount: symbolByteCount)
        }
      }
    }
    guard !missingSources.isEmpty else { return }

    let plan = StripPlan(extent: extent, rowCount: points.size)
    let work = unsafe scratch.reserve(points.size * plan.blocksPerStrip * 64)
    for blocks in plan.strips {
      let rows = unsafe StripRows(
        base: work, blocks: blocks, extent: extent, kernels: code.kernels)
      unsafe rows.clear(0..<points.size)
      for position in present.indices {
        let point = points.point(of: present[position])
        unsafe rows.gather(
          symbols[position], codewordStride: receivedCodewordStride, into: point)
        unsafe rows.multiply(point, by: receivedFactors, at: position)
      }
      unsafe evaluateMissing(rows)
      for (position, index) in missingSources.enumerated() {
        let point = points.point(of: index)
        unsafe rows.multiply(point, by: missingFactors, at: position)
        unsafe rows.scatter(
          point, to: sourceBase + index * source.symbolStride,
          codewordStride: source.codewordStride)
      }
    }
  }

  /// Received values times locator -> the derivative of that product at the missing sources.
  private func evaluateMissing(_ rows: StripRows) {
    guard let first = missingSources.first, let last = missingSources.last else { return }
    let wanted = points.point(of: first)..<points.point(of: last) + 1
    let nonzeroCount = present.reduce(0) { max($0, points.point(of: $1) + 1) }
    unsafe rows.inverseTransform(size: points.size, delta: 0, nonzeroCount: nonzeroCount)
    unsafe rows.differentiate(size: points.size)
    unsafe rows.transform(from: rows, size: points.size, delta: 0, wanted: wanted)
  }

  /// Decodes one codeword: the `k` received symbols one after the other, in the order of
  /// `present`, become the `k` source symbols one after the other.
  package func decode(
    _ received: Span<UInt8>, symbolByteCount: Int
  ) throws(ReedSolomonError) -> [UInt8] {
    try code.check(symbolByteCount: symbolByteCount, codewordCount: 1)
    let (required, overflows) = code.sourceCount.multipliedReportingOverflow(by: symbolByteCount)
    guard !overflows, received.count == required else {
      throw .byteCountMismatch(byteCount: received.count, required: required)
    }
    var source = [UInt8](repeating: 0, count: required)
    var scratch = CodecScratch()
    let outcome = unsafe received.withUnsafeBytes { received in
      unsafe source.withUnsafeMutableBytes { source in
        Result { () throws(ReedSolomonError) in
          let symbols = unsafe present.indices.map { position in
            let start = position * symbolByteCount
            return unsafe UnsafeRawBufferPointer(
              rebasing: received[start..<start + symbolByteCount])
          }
          try unsafe decode(
            symbols, receivedCodewordStride: 0,
            into: MutableSymbolGrid(source, symbolStride: symbolByteCount, codewordStride: 0),
            output: .allSources, symbolByteCount: symbolByteCount, codewordCount: 1,
            scratch: &scratch)
        }
      }
    }
    try outcome.get()
    return source
  }
}
