// ReceivedSymbols.swift
//
// The k symbols that a decoding starts from, where they lie: in one buffer, or each in its own.

/// Symbols to be decoded from. Borrowed; the caller keeps them unchanged during the call.
@unsafe package enum ReceivedSymbols {
  /// Symbol i of the grid is `present[i]`.
  case grid(SymbolGrid)
  /// `lend` hands the bytes of symbol `present[i]`, from its first codeword on, to a function and
  /// takes them back when it returns. It is asked for each symbol once per strip of codewords, which
  /// is why symbols may lie in as many arrays: no two are lent at the same time.
  case lent(
    codewordStride: Int, lend: (_ position: Int, (UnsafeRawBufferPointer) -> Void) -> Void)

  var codewordStride: Int {
    switch unsafe self {
    case .grid(let grid): unsafe grid.codewordStride
    case .lent(let stride, _): stride
    }
  }

  /// Throws `bufferTooSmall` unless all codewords of all symbols are there.
  func check(_ extent: SymbolExtent, symbolCount: Int) throws(ReedSolomonError) {
    switch unsafe self {
    case .grid(let grid):
      try unsafe extent.check(
        byteCount: grid.bytes.count, symbolCount: symbolCount, symbolStride: grid.symbolStride,
        codewordStride: grid.codewordStride)
    case .lent(let codewordStride, let lend):
      for position in 0..<symbolCount {
        var byteCount = 0
        unsafe lend(position) { byteCount = $0.count }
        try extent.check(
          byteCount: byteCount, symbolCount: 1, symbolStride: 0, codewordStride: codewordStride)
      }
    }
  }

  /// Hands out where symbol number `position` starts. Only for what `check` has let through.
  func withSymbol(_ position: Int, _ body: (UnsafeRawPointer) -> Void) {
    switch unsafe self {
    case .grid(let grid):
      guard let base = unsafe grid.bytes.baseAddress else { return }
      unsafe body(base + position * grid.symbolStride)
    case .lent(_, let lend):
      unsafe lend(position) { bytes in
        guard let base = bytes.baseAddress else { return }
        unsafe body(base)
      }
    }
  }
}
