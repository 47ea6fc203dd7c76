// StripRows.swift
//
// The work space of one transform: a strip of every symbol, cut out of all codewords of a call so
// narrow that all rows together stay in the second-level cache.
//
// Whatever the symbol length, a row is a run of 64-byte blocks; CKernels knows how symbols and rows
// correspond (ck_row_gather).

import CKernels

/// Cuts the codewords of a call into strips.
struct StripPlan {
  /// All rows of a strip together. Of 128 KiB ... 1 MiB this was the fastest on a CPU with a cache
  /// of 1 MiB per core: longer runs of source bytes gain more than the tight fit loses.
  static let workByteCountMax = 1 << 20
  /// Limits the work space of codes with few symbols, which gain nothing from wider strips.
  static let blockCountMax = 16

  let blockCount: Int
  let blocksPerStrip: Int

  init(
    extent: SymbolExtent, rowCount: Int, workByteCountMax: Int = Self.workByteCountMax,
    blockCountMax: Int = Self.blockCountMax
  ) {
    blockCount = ck_row_block_count(extent.symbolByteCount, extent.codewordCount)
    let fitting = workByteCountMax / (rowCount * 64)
    blocksPerStrip = min(max(fitting, 1), blockCountMax, max(blockCount, 1))
  }

  /// The ranges of blocks, one per strip.
  var strips: some Sequence<Range<Int>> {
    stride(from: 0, to: blockCount, by: blocksPerStrip).lazy.map { [self] start in
      start..<min(start + blocksPerStrip, blockCount)
    }
  }
}

/// The rows of one strip, one after the other. Borrows its memory from a `CodecScratch`.
@unsafe struct StripRows {
  let base: UnsafeMutableRawPointer
  let blocks: Range<Int>
  let extent: SymbolExtent
  let kernels: FieldKernels

  var rowByteCount: Int { unsafe blocks.count * 64 }

  func row(_ index: Int) -> UnsafeMutableRawPointer {
    unsafe base + index * rowByteCount
  }

  /// The rows that follow the first `rowCount`.
  func dropFirst(_ rowCount: Int) -> StripRows {
    unsafe StripRows(base: row(rowCount), blocks: blocks, extent: extent, kernels: kernels)
  }

  /// Reads one symbol of all codewords into a row.
  func gather(_ symbol: UnsafeRawPointer, codewordStride: Int, into index: Int) {
    unsafe ck_row_gather(
      row(index), symbol, extent.symbolByteCount, codewordStride, extent.codewordCount,
      blocks.lowerBound, blocks.count)
  }

  /// Writes a row to one symbol of all codewords.
  func scatter(_ index: Int, to symbol: UnsafeMutableRawPointer, codewordStride: Int) {
    unsafe ck_row_scatter(
      row(index), symbol, extent.symbolByteCount, codewordStride, extent.codewordCount,
      blocks.lowerBound, blocks.count)
  }

  func clear(_ indices: Range<Int>) {
    unsafe row(indices.lowerBound).initializeMemory(
      as: UInt8.self, repeating: 0, count: indices.count * rowByteCount)
  }

  /// Inverse transform of the first `size` rows, of which those from `nonzeroCount` on are zero.
  func inverseTransform(size: Int, delta: Int, nonzeroCount: Int) {
    unsafe kernels.twiddles.withUnsafeBytes { twiddles in
      unsafe ck_gf_ifft(
        kernels.level, base, rowByteCount, size, delta, nonzeroCount, twiddles.baseAddress)
    }
  }

  /// Forward transform of `source` (which may be `self`) into the first `size` rows; only the
  /// wanted ones come out right.
  func transform(from source: StripRows, size: Int, delta: Int, wanted: Range<Int>) {
    unsafe kernels.twiddles.withUnsafeBytes { twiddles in
      unsafe ck_gf_fft(
        kernels.level, base, source.base, rowByteCount, size, delta, wanted.lowerBound,
        wanted.upperBound, twiddles.baseAddress)
    }
  }

  /// Adds the first `rowCount` rows of another strip of the same width.
  func add(_ other: StripRows, rowCount: Int) {
    unsafe ck_gf_xor(kernels.level, base, other.base, rowCount * rowByteCount)
  }

  /// Formal derivative of the first `size` rows.
  func differentiate(size: Int) {
    unsafe ck_gf_derivative(kernels.level, base, rowByteCount, size)
  }

  /// Adds combinations of `count` sources, `stride` apart, to the first `rowCount` rows: `elements`
  /// starts with what source 0 is multiplied by for each row, then come those of source 1, and so on.
  /// With a height, a source and what it is added to are that many rows each.
  func add(
    _ source: UnsafeRawPointer, stride: Int, count: Int, times elements: UnsafePointer<UInt16>,
    rowCount: Int, height: Int = 1
  ) {
    unsafe kernels.nibbleFactors.withUnsafeBytes { factors in
      unsafe ck_gf_accumulate(
        kernels.level, base, height * rowByteCount, rowCount, source, stride, count,
        height * rowByteCount, elements, factors.baseAddress)
    }
  }

  /// Multiplies a row by an element.
  func scale(_ index: Int, by element: UInt16) {
    unsafe kernels.nibbleFactors.withUnsafeBytes { factors in
      unsafe ck_gf_scale(
        kernels.level, row(index), rowByteCount, element, factors.baseAddress)
    }
  }
}
