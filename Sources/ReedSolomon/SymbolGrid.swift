// SymbolGrid.swift
//
// Where the symbols of many codewords lie in one buffer. RedStuff encodes the rows and the columns
// of one matrix; both are grids over the same bytes with the strides exchanged.
//
// Symbol i of codeword j starts at byte i * symbolStride + j * codewordStride and is contiguous.
//
// Invariant: a grid is checked against its buffer before any byte of it is touched. Without that, a
// wrong stride would read or write foreign memory.

/// Symbols to be read. The caller owns the buffer and keeps it unchanged during the call.
@unsafe package struct SymbolGrid {
  package var bytes: UnsafeRawBufferPointer
  /// Bytes from a symbol to the next of the same codeword.
  package var symbolStride: Int
  /// Bytes from a symbol to the same symbol of the next codeword.
  package var codewordStride: Int

  package init(_ bytes: UnsafeRawBufferPointer, symbolStride: Int, codewordStride: Int) {
    unsafe self.bytes = unsafe bytes
    unsafe self.symbolStride = symbolStride
    unsafe self.codewordStride = codewordStride
  }

  /// What has been written.
  package init(_ written: MutableSymbolGrid) {
    unsafe self.init(
      UnsafeRawBufferPointer(written.bytes), symbolStride: written.symbolStride,
      codewordStride: written.codewordStride)
  }
}

/// Symbols to be written. The caller owns the buffer and nobody else touches the symbols during the
/// call; bytes between them are left alone, so other threads may work on other codewords of the
/// same matrix. Symbols of one grid must not overlap.
@unsafe package struct MutableSymbolGrid {
  package var bytes: UnsafeMutableRawBufferPointer
  /// Bytes from a symbol to the next of the same codeword.
  package var symbolStride: Int
  /// Bytes from a symbol to the same symbol of the next codeword.
  package var codewordStride: Int

  package init(_ bytes: UnsafeMutableRawBufferPointer, symbolStride: Int, codewordStride: Int) {
    unsafe self.bytes = unsafe bytes
    unsafe self.symbolStride = symbolStride
    unsafe self.codewordStride = codewordStride
  }
}

/// What one call works on: how long the symbols are and how many codewords lie side by side.
struct SymbolExtent {
  let symbolByteCount: Int
  let codewordCount: Int

  /// Where blocks of the virtual row of a symbol start in it, if they are one run of its bytes: then
  /// they need not be gathered.
  func offset(ofRun blocks: Range<Int>, codewordStride: Int) -> Int? {
    let perCodeword = symbolByteCount / 64
    guard blocks.upperBound <= perCodeword * codewordCount, !blocks.isEmpty else { return nil }
    let (codeword, block) = blocks.lowerBound.quotientAndRemainder(dividingBy: perCodeword)
    let isOneCodeword = block + blocks.count <= perCodeword
    guard isOneCodeword || codewordStride == perCodeword * 64 else { return nil }
    return codeword * codewordStride + block * 64
  }

  /// Throws `bufferTooSmall` unless all `symbolCount` symbols of all codewords lie in the buffer.
  func check(
    byteCount: Int, symbolCount: Int, symbolStride: Int, codewordStride: Int
  ) throws(ReedSolomonError) {
    guard symbolCount > 0, codewordCount > 0 else { return }
    let (a, aOverflows) = (symbolCount - 1).multipliedReportingOverflow(by: symbolStride)
    let (b, bOverflows) = (codewordCount - 1).multipliedReportingOverflow(by: codewordStride)
    let (c, cOverflows) = a.addingReportingOverflow(b)
    let (end, endOverflows) = c.addingReportingOverflow(symbolByteCount)
    guard !aOverflows, !bOverflows, !cOverflows, !endOverflows else {
      throw .bufferTooSmall(byteCount: byteCount, required: nil)
    }
    guard symbolStride >= 0, codewordStride >= 0, end <= byteCount else {
      throw .bufferTooSmall(byteCount: byteCount, required: end)
    }
  }
}

/// Work space of encoding and decoding, kept between calls so that not every call pays for fresh
/// pages. One per thread. It grows to what the largest call needs: at most 1 MiB, except for codes of
/// more than 8192 points (8 MiB for the largest).
@safe package struct CodecScratch: ~Copyable {
  private var bytes: UnsafeMutableRawBufferPointer

  package init() {
    unsafe bytes = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  deinit {
    unsafe bytes.deallocate()
  }

  package var byteCount: Int { unsafe bytes.count }

  /// At least `byteCount` bytes, aligned for the kernels, holding anything.
  mutating func reserve(_ byteCount: Int) -> UnsafeMutableRawPointer {
    if let base = unsafe bytes.baseAddress, unsafe bytes.count >= byteCount {
      return unsafe base
    }
    unsafe bytes.deallocate()
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
    unsafe bytes = unsafe UnsafeMutableRawBufferPointer(start: fresh, count: byteCount)
    return unsafe fresh
  }
}
