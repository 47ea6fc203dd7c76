// SliverExpander.swift
//
// From slivers of one axis to all n symbols of each, to their leaf hashes and to their roots. The
// encoder, the sliver check and the consistency check all go through here, so they cannot disagree.
//
// A "line" is the k symbols of one sliver, one after the other: a row for a primary sliver, a
// column for a secondary one. Lines lie one after the other in memory.

internal import ReedSolomon

extension EncodingParameters {
  /// The code that extends slivers of `axis` to n symbols.
  func code(expanding axis: SliverAxis) -> ReedSolomonCode {
    let k = symbolCount(inSliverOf: axis)
    do {
      return try ReedSolomonCode(sourceCount: k, repairCount: shardCount - k)
    } catch {
      preconditionFailure("parameters of \(shardCount) shards have no code: \(error)")
    }
  }
}

/// Expands and hashes lines of one axis and one symbol size.
struct SliverExpander: Sendable {
  let axis: SliverAxis
  let shardCount: Int
  /// k: symbols in a line.
  let sourceCount: Int
  let symbolByteCount: Int
  let code: ReedSolomonCode

  /// `symbolByteCount` is even and positive.
  init(axis: SliverAxis, parameters: EncodingParameters, symbolByteCount: Int) {
    self.axis = axis
    self.symbolByteCount = symbolByteCount
    shardCount = parameters.shardCount
    sourceCount = parameters.symbolCount(inSliverOf: axis)
    code = parameters.code(expanding: axis)
  }

  var lineByteCount: Int { sourceCount * symbolByteCount }
  var repairByteCount: Int { (shardCount - sourceCount) * symbolByteCount }
  /// Lines to expand and hash together: enough to fill the hash lanes even with few repair symbols.
  var linesPerBatch: Int {
    let repairCount = shardCount - sourceCount
    let filling = (JobSizes.hashedSymbolCount + repairCount - 1) / repairCount
    let fitting = JobSizes.hashedByteCountMax / (shardCount * symbolByteCount)
    return max(JobSizes.rowsPerJob(symbolByteCount: symbolByteCount), min(filling, fitting))
  }

  /// Leaf digests of a line, padded to an even number as trees need them.
  var paddedLeafCount: Int { (shardCount + 1) / 2 * 2 }

  /// The source symbols of `lineCount` lines.
  func sources(_ lines: UnsafePointer<UInt8>, lineCount: Int) -> SymbolGrid {
    unsafe SymbolGrid(
      UnsafeRawBufferPointer(start: lines, count: lineCount * lineByteCount),
      symbolStride: symbolByteCount, codewordStride: lineByteCount)
  }

  /// Room for the repair symbols of `lineCount` lines, line after line.
  func roomForRepair(lineCount: Int, in buffer: GrowingBuffer) -> MutableSymbolGrid {
    let byteCount = lineCount * repairByteCount
    return unsafe MutableSymbolGrid(
      UnsafeMutableRawBufferPointer(start: buffer.reserve(byteCount), count: byteCount),
      symbolStride: symbolByteCount, codewordStride: repairByteCount)
  }

  /// Places for the repair symbols of lines from `first` on, in the slivers of the other axis that they
  /// belong to, one after the other.
  func placesForRepair(ofLinesFrom first: Int, in slivers: SharedBytes) -> MutableSymbolGrid {
    let offset = first * symbolByteCount
    return unsafe MutableSymbolGrid(
      UnsafeMutableRawBufferPointer(
        start: slivers.base + offset, count: slivers.byteCount - offset),
      symbolStride: slivers.byteCount / (shardCount - sourceCount), codewordStride: symbolByteCount)
  }

  /// Computes the repair symbols of `lineCount` lines.
  func expand(
    _ sources: SymbolGrid, lineCount: Int, into repair: MutableSymbolGrid,
    codec: inout CodecScratch
  ) {
    do {
      try unsafe code.encode(
        sources, into: repair, symbolByteCount: symbolByteCount, codewordCount: lineCount,
        scratch: &codec)
    } catch {
      preconditionFailure("expanding \(lineCount) lines: \(error)")
    }
  }

  /// The roots of `lineCount` lines, which may lie in `scratch.lines`.
  func roots(
    _ lines: UnsafePointer<UInt8>, lineCount: Int, scratch: JobScratch
  ) -> [Digest] {
    let leafStride = paddedLeafCount * Digest.byteCount
    let sources = unsafe sources(lines, lineCount: lineCount)
    let repair = unsafe roomForRepair(lineCount: lineCount, in: scratch.repair)
    let trees = unsafe scratch.trees.reserve(lineCount * leafStride)
    unsafe expand(sources, lineCount: lineCount, into: repair, codec: &scratch.codec)
    unsafe HashLanes.hashLeafRows(
      sources, symbolByteCount: symbolByteCount, rowLength: sourceCount, rowCount: lineCount,
      into: trees, digestStride: leafStride)
    unsafe HashLanes.hashLeafRows(
      SymbolGrid(repair), symbolByteCount: symbolByteCount, rowLength: shardCount - sourceCount,
      rowCount: lineCount, into: trees + sourceCount * Digest.byteCount, digestStride: leafStride)
    if paddedLeafCount > shardCount {
      for line in 0..<lineCount {
        unsafe Digest.zero.store(at: trees + line * leafStride + shardCount * Digest.byteCount)
      }
    }
    unsafe HashLanes.reduceTrees(trees, treeCount: lineCount, leafCount: shardCount)
    return (0..<lineCount).map { unsafe Digest(at: trees + $0 * Digest.byteCount) }
  }
}
