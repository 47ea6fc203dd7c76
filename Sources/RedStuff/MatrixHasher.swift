// MatrixHasher.swift
//
// The sliver hashes of an expanded matrix. Every symbol is hashed once; its leaf serves the tree of
// its row and the tree of its column.
//
// Rows come in groups. The leaves of a group are still in the cache when the trees of its rows and
// the lowest levels of all column trees go up, and one node per column is all that is kept of them.
// So memory is a sixteenth of the n x n leaves, and none of them is fetched twice.
//
// Symbols may come in strips: bytes 0 ..< w of all symbols, then w ..< 2w, and so on. Then each leaf
// hash waits for the next strip as its inner state.
//
// Invariant: groups are aligned and a power of two of rows, so the subtrees of a group are subtrees
// of the columns. Otherwise the roots are those of another tree.

internal import CKernels
internal import ReedSolomon

/// Bytes of every symbol that are expanded and hashed together.
struct SymbolStrip: Sendable {
  /// The first of them.
  let offset: Int
  let byteCount: Int
  let isLast: Bool
}

/// Hashes the rows of a matrix group by group, then its columns.
final class MatrixHasher: Sendable {
  /// Enough rows for most of a column tree, few enough that their leaves stay in the cache.
  private static let rowsPerGroupMax = 16
  /// Groups that a small matrix has at least, so that there is work for several threads.
  private static let groupCountMin = 4
  /// From here on a matrix has more symbols than there are symbols of two bytes.
  private static let shortLeafShardCount = 256
  /// Columns that go up together in the end.
  private static let columnsPerJob = 16

  let parameters: EncodingParameters
  let groupCount: Int
  private let rowsPerGroup: Int
  /// For each group a row of n nodes, one per column.
  private let nodes: SharedBytes
  /// n primary roots, then n secondary roots, each by sliver index.
  private let roots: SharedBytes
  /// The states of n x n leaf hashes; empty if there is only one strip.
  private let strips: SharedBytes

  /// - isOneJob: one thread runs everything, so groups need not be many.
  init(parameters: EncodingParameters, isOneJob: Bool, inStrips: Bool = false) {
    let n = parameters.shardCount
    self.parameters = parameters
    var rows = Self.rowsPerGroupMax
    while rows > 1 && rows * (isOneJob ? 1 : Self.groupCountMin) > n { rows /= 2 }
    rowsPerGroup = rows
    groupCount = JobSizes.jobCount(n, perJob: rows)
    nodes = SharedBytes(byteCount: groupCount * n * Digest.byteCount)
    roots = SharedBytes(byteCount: 2 * n * Digest.byteCount)
    strips = SharedBytes(byteCount: inStrips ? n * n * MemoryLayout<ck_blake2b_strip>.stride : 0)
  }

  /// Memory beside the scratch of running jobs.
  static func memoryByteCount(parameters: EncodingParameters, inStrips: Bool = false) -> Int {
    let n = parameters.shardCount
    let perLeaf = inStrips ? MemoryLayout<ck_blake2b_strip>.stride : 0
    return n * n * perLeaf + (n / 4 + 2) * n * Digest.byteCount
  }

  func rows(inGroup group: Int) -> Range<Int> {
    JobSizes.range(group, of: parameters.shardCount, perJob: rowsPerGroup)
  }

  /// Expands the rows of a group and takes their symbols into the hashes; with the last strip the
  /// roots of the rows are done.
  ///
  /// - matrix: all n rows, each the strip of its k2 source symbols.
  /// - repairColumns: gets the repair symbols of the first k1 rows, as columns; without it they are
  ///   dropped like all others.
  func hashRows(
    ofGroup group: Int, _ strip: SymbolStrip, matrix: UnsafePointer<UInt8>,
    repairColumns: SharedBytes? = nil, _ scratch: JobScratch
  ) {
    let expander = SliverExpander(
      axis: .primary, parameters: parameters, symbolByteCount: strip.byteCount)
    let group = (index: group, rows: rows(inGroup: group))
    let keptCount = repairColumns == nil ? 0 : parameters.primarySourceCount
    let leafStride = expander.paddedLeafCount * Digest.byteCount
    let leaves = unsafe scratch.trees.reserve(rowsPerGroup * leafStride)
    var first = group.rows.lowerBound
    while first < group.rows.upperBound {
      // Rows of which the repair symbols are kept and others do not come in one batch.
      let bound = first < keptCount ? keptCount : group.rows.upperBound
      let batch = first..<min(first + expander.linesPerBatch, bound, group.rows.upperBound)
      let sources = unsafe expander.sources(
        matrix + first * expander.lineByteCount, lineCount: batch.count)
      let leaf = unsafe leaves + (first - group.rows.lowerBound) * leafStride
      // The code finds them in the cache then: hashes leave the memory time to bring them, the code
      // does not.
      unsafe hash(
        sources, strip, rows: batch, columns: 0..<expander.sourceCount, into: leaf, leafStride)
      let repair: MutableSymbolGrid
      if let repairColumns, first < keptCount {
        unsafe repair = unsafe expander.placesForRepair(ofLinesFrom: first, in: repairColumns)
      } else {
        unsafe repair = unsafe expander.roomForRepair(lineCount: batch.count, in: scratch.repair)
      }
      unsafe expander.expand(sources, lineCount: batch.count, into: repair, codec: &scratch.codec)
      unsafe hash(
        SymbolGrid(repair), strip, rows: batch,
        columns: expander.sourceCount..<parameters.shardCount,
        into: leaf + expander.sourceCount * Digest.byteCount, leafStride)
      first = batch.upperBound
    }
    guard strip.isLast else { return }
    unsafe raiseColumns(group.index, leaves, leafStride, rowCount: group.rows.count, scratch)
    unsafe raiseRows(group.rows, leaves, leafStride)
  }

  /// Leaf hashes of some columns of some rows.
  private func hash(
    _ symbols: SymbolGrid, _ strip: SymbolStrip, rows: Range<Int>, columns: Range<Int>,
    into digests: UnsafeMutablePointer<UInt8>, _ digestStride: Int
  ) {
    let isShort =
      strip.byteCount == ShortLeaves.symbolByteCount
      && parameters.shardCount >= Self.shortLeafShardCount
    guard isShort || strips.byteCount > 0 else {
      return unsafe HashLanes.hashLeafRows(
        symbols, symbolByteCount: strip.byteCount, rowLength: columns.count, rowCount: rows.count,
        into: digests, digestStride: digestStride)
    }
    let stride = unsafe symbols.symbolStride
    for row in rows {
      let line = row - rows.lowerBound
      let symbols = unsafe symbols.base + line * symbols.codewordStride
      let digests = unsafe digests + line * digestStride
      if isShort {
        unsafe ShortLeaves.copyLeaves(symbols, stride: stride, count: columns.count, into: digests)
      } else {
        let first = row * parameters.shardCount + columns.lowerBound
        unsafe HashLanes.hashLeafStrips(
          symbols, stride: stride, strip, count: columns.count,
          states: strips.base + first * MemoryLayout<ck_blake2b_strip>.stride, into: digests)
      }
    }
  }

  /// The column trees as far as one group goes: one node per column remains.
  private func raiseColumns(
    _ group: Int, _ leaves: UnsafeMutablePointer<UInt8>, _ leafStride: Int, rowCount: Int,
    _ scratch: JobScratch
  ) {
    let n = parameters.shardCount
    let rowByteCount = n * Digest.byteCount
    let result = unsafe nodes.base + group * rowByteCount
    guard rowsPerGroup > 1 else {
      unsafe result.update(from: leaves, count: rowByteCount)
      return
    }
    let between = unsafe scratch.lines.reserve(rowsPerGroup / 2 * rowByteCount)
    var (source, stride, height) = unsafe (leaves, leafStride, rowCount)
    var remaining = rowsPerGroup
    while remaining > 1 {
      let target = unsafe remaining == 2 ? result : between
      unsafe HashLanes.hashRowPairs(
        source, stride: stride, rowCount: height, columnCount: n, into: target,
        targetStride: rowByteCount)
      unsafe (source, stride, height) = unsafe (target, rowByteCount, (height + 1) / 2)
      remaining /= 2
    }
  }

  private func raiseRows(
    _ rows: Range<Int>, _ leaves: UnsafeMutablePointer<UInt8>, _ leafStride: Int
  ) {
    let n = parameters.shardCount
    for row in 0..<rows.count where leafStride > n * Digest.byteCount {
      unsafe Digest.zero.store(at: leaves + row * leafStride + n * Digest.byteCount)
    }
    unsafe HashLanes.reduceTrees(leaves, treeCount: rows.count, leafCount: n)
    unsafe (roots.base + rows.lowerBound * Digest.byteCount).update(
      from: leaves, count: rows.count * Digest.byteCount)
  }

  /// Jobs of the last step, after all rows: the rest of the column trees.
  var columnJobCount: Int { JobSizes.jobCount(parameters.shardCount, perJob: Self.columnsPerJob) }

  func columns(ofJob job: Int) -> Range<Int> {
    JobSizes.range(job, of: parameters.shardCount, perJob: Self.columnsPerJob)
  }

  func hashColumns(_ job: Int) {
    let n = parameters.shardCount
    let columns = columns(ofJob: job)
    let top = unsafe nodes.base + columns.lowerBound * Digest.byteCount
    var height = groupCount
    while height > 1 {
      unsafe HashLanes.hashRowPairs(
        top, stride: n * Digest.byteCount, rowCount: height, columnCount: columns.count, into: top,
        targetStride: n * Digest.byteCount)
      height = (height + 1) / 2
    }
    unsafe (roots.base + (n + columns.lowerBound) * Digest.byteCount).update(
      from: top, count: columns.count * Digest.byteCount)
  }

  /// The metadata, once all jobs have run.
  func metadata(blobByteCount: UInt64, symbolByteCount: Int) -> VerifiedBlobMetadata {
    let n = parameters.shardCount
    let digests = (0..<2 * n).map { unsafe Digest(at: roots.base + $0 * Digest.byteCount) }
    let hashes = (0..<n).map { pair in
      SliverPairHashes(
        primary: .digest(digests[pair]), secondary: .digest(digests[2 * n - 1 - pair]))
    }
    return VerifiedBlobMetadata(
      computing: BlobMetadata(blobByteCount: blobByteCount, hashes: hashes),
      parameters: parameters, symbolByteCount: symbolByteCount)
  }
}
