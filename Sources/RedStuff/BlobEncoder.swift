// BlobEncoder.swift
//
// A blob becomes its 2n slivers, its metadata and its blob ID.
//
// Phases, each of independent jobs:
//   1 columns: the k2 columns of the message matrix are extended to n rows (primary slivers);
//   2 rows: each of the n rows is extended to n symbols, every symbol is hashed once, the repair
//     symbols of the first k1 rows become secondary slivers, and the trees of the rows go up;
//   3 column trees: the same leaf hashes, read down the columns, give the secondary hashes.
// The n x n expanded symbols never exist at the same time: repair symbols of lower rows are hashed
// and dropped. What stays is the slivers and, until `finish`, one hash per symbol.

internal import ReedSolomon
internal import Synchronization

/// Encodes one blob; run `phases` in order, then `finish`.
package final class BlobEncoder: Sendable {
  /// What is kept besides the metadata.
  package enum Output: Sendable {
    case slivers
    /// No secondary slivers are made; cheaper where only the blob ID is wanted.
    case identityOnly
  }

  package let parameters: EncodingParameters
  package let blobByteCount: UInt64
  package let symbolByteCount: Int
  package let output: Output

  /// n rows of k2 symbols; the first k1 rows are the padded blob.
  let primary: SharedBytes
  /// n columns of k1 symbols; empty for `.identityOnly`.
  let secondary: SharedBytes
  /// Leaf hashes, n rows of n.
  private let leaves: SharedBytes
  /// n primary roots, then n secondary roots, each by sliver index.
  private let roots: SharedBytes
  private let rowExpander: SliverExpander
  private let scratches = ScratchPool()
  private let jobsDone = Atomic<Int>(0)

  /// Copies the blob, so the caller may drop it. Memory: see `memoryByteCount`.
  package convenience init(
    _ blob: [UInt8], parameters: EncodingParameters, output: Output = .slivers
  ) throws(EncodingParametersError) {
    try self.init(pieces: [blob], parameters: parameters, output: output)
  }

  /// A blob that arrived in pieces; they follow each other without gaps.
  package convenience init(
    pieces: [[UInt8]], parameters: EncodingParameters, output: Output = .slivers
  ) throws(EncodingParametersError) {
    let blobByteCount = pieces.reduce(0) { $0 + $1.count }
    try self.init(
      blobByteCount: UInt64(blobByteCount), parameters: parameters, output: output)
    var offset = 0
    for piece in pieces {
      primary.write(piece.span, at: offset)
      offset += piece.count
    }
    clearPadding()
  }

  /// For a decoder that puts the blob into the first rows of `primary` itself before phase 1, to
  /// compare the blob ID afterwards.
  convenience init(rebuilding metadata: VerifiedBlobMetadata) {
    do {
      try self.init(
        blobByteCount: metadata.blobByteCount, parameters: metadata.parameters,
        output: .identityOnly)
    } catch {
      preconditionFailure("verified metadata has an impossible length: \(error)")
    }
  }

  private init(
    blobByteCount: UInt64, parameters: EncodingParameters, output: Output
  ) throws(EncodingParametersError) {
    let n = parameters.shardCount
    let s = try parameters.symbolByteCount(forBlobOf: blobByteCount)
    self.parameters = parameters
    self.blobByteCount = blobByteCount
    self.output = output
    symbolByteCount = s
    primary = SharedBytes(byteCount: n * parameters.sliverByteCount(.primary, symbolByteCount: s))
    secondary = SharedBytes(
      byteCount: output == .slivers
        ? n * parameters.sliverByteCount(.secondary, symbolByteCount: s) : 0)
    leaves = SharedBytes(byteCount: n * n * Digest.byteCount)
    roots = SharedBytes(byteCount: 2 * n * Digest.byteCount)
    rowExpander = SliverExpander(axis: .primary, parameters: parameters, symbolByteCount: s)
  }

  /// Bytes that an encoder of such a blob holds at most, besides the caller's blob and some scratch
  /// per running job.
  package static func memoryByteCount(
    forBlobOf blobByteCount: UInt64, parameters: EncodingParameters, output: Output = .slivers
  ) throws(EncodingParametersError) -> UInt64 {
    let s = try parameters.symbolByteCount(forBlobOf: blobByteCount)
    let columns = output == .slivers ? parameters.primarySourceCount : 0
    let perShard =
      (parameters.secondarySourceCount + columns) * s + parameters.shardCount * Digest.byteCount
    return UInt64(parameters.shardCount) * UInt64(perShard)
  }

  /// Everything at once on the calling thread.
  package static func encodeSerially(
    _ blob: [UInt8], parameters: EncodingParameters
  ) throws(EncodingParametersError) -> EncodedBlob {
    let encoder = try BlobEncoder(blob, parameters: parameters)
    for phase in encoder.phases { phase.runSerially() }
    return encoder.finish()
  }

  /// To be run one after the other, every job exactly once.
  package var phases: [JobPhase] {
    jobCounts.enumerated().map { (number, jobCount) in
      JobPhase(jobCount: jobCount) { job in
        self.scratches.withScratch { scratch in
          switch number {
          case 0: self.extendColumns(job, scratch)
          case 1: self.hashRows(job, scratch)
          default: self.hashColumns(job, scratch)
          }
        }
        self.jobsDone.add(1, ordering: .relaxed)
      }
    }
  }

  /// The slivers and their names. All jobs must have run.
  package func finish() -> EncodedBlob {
    precondition(output == .slivers, "the encoder was told to make no slivers")
    return EncodedBlob(
      metadata: finishIdentity(), primary: primary, secondary: secondary)
  }

  /// Only metadata and blob ID. All jobs must have run.
  package func finishIdentity() -> VerifiedBlobMetadata {
    let done = jobsDone.load(ordering: .relaxed)
    let expected = jobCounts.reduce(0, +)
    precondition(done == expected, "\(done) of \(expected) jobs have run")
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

  func clearPadding() {
    let matrixByteCount = parameters.sourceSymbolCount * symbolByteCount
    primary.clear(Int(blobByteCount)..<matrixByteCount)
  }

  private var jobCounts: [Int] {
    [
      JobSizes.jobCount(
        parameters.secondarySourceCount,
        perJob: JobSizes.columnsPerJob(symbolByteCount: symbolByteCount)),
      JobSizes.jobCount(
        parameters.shardCount, perJob: JobSizes.rowsPerJob(symbolByteCount: symbolByteCount)),
      JobSizes.jobCount(parameters.shardCount, perJob: JobSizes.treeCount),
    ]
  }

  /// Phase 1: a strip of columns from k1 to n symbols.
  private func extendColumns(_ job: Int, _ scratch: JobScratch) {
    let columns = JobSizes.range(
      job, of: parameters.secondarySourceCount,
      perJob: JobSizes.columnsPerJob(symbolByteCount: symbolByteCount))
    let rowByteCount = rowExpander.lineByteCount
    let offset = columns.lowerBound * symbolByteCount
    let code = parameters.code(expanding: .secondary)
    let matrixByteCount = parameters.primarySourceCount * rowByteCount
    let source = unsafe SymbolGrid(
      UnsafeRawBufferPointer(start: primary.base + offset, count: matrixByteCount - offset),
      symbolStride: rowByteCount, codewordStride: symbolByteCount)
    let repair = unsafe MutableSymbolGrid(
      UnsafeMutableRawBufferPointer(
        start: primary.base + matrixByteCount + offset,
        count: primary.byteCount - matrixByteCount - offset),
      symbolStride: rowByteCount, codewordStride: symbolByteCount)
    do {
      try unsafe code.encode(
        source, into: repair, symbolByteCount: symbolByteCount, codewordCount: columns.count,
        scratch: &scratch.codec)
    } catch {
      preconditionFailure("extending columns \(columns): \(error)")
    }
  }

  /// Phase 2: a batch of rows from k2 to n symbols, their leaf hashes and their roots.
  private func hashRows(_ job: Int, _ scratch: JobScratch) {
    let n = parameters.shardCount
    let rows = JobSizes.range(
      job, of: n, perJob: JobSizes.rowsPerJob(symbolByteCount: symbolByteCount))
    let lines = unsafe primary.base + rows.lowerBound * rowExpander.lineByteCount
    let repair = unsafe scratch.repair.reserve(rows.count * rowExpander.repairByteCount)
    unsafe rowExpander.expand(lines, lineCount: rows.count, into: repair, codec: &scratch.codec)
    if output == .slivers {
      for row in rows.clamped(to: 0..<parameters.primarySourceCount) {
        unsafe copyToColumns(
          row, repair: repair + (row - rows.lowerBound) * rowExpander.repairByteCount)
      }
    }
    let leafStride = n * Digest.byteCount
    let rowLeaves = unsafe leaves.base + rows.lowerBound * leafStride
    unsafe rowExpander.hashSymbols(
      lines, repair: repair, lineCount: rows.count, into: rowLeaves, leafStride: leafStride)

    let treeStride = rowExpander.paddedLeafCount * Digest.byteCount
    let trees = unsafe scratch.trees.reserve(min(rows.count, JobSizes.treeCount) * treeStride)
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: JobSizes.treeCount) {
      let batch = first..<min(first + JobSizes.treeCount, rows.upperBound)
      for row in batch {
        let tree = unsafe trees + (row - first) * treeStride
        unsafe tree.update(from: leaves.base + row * leafStride, count: leafStride)
        unsafe (tree + leafStride).update(repeating: 0, count: treeStride - leafStride)
      }
      unsafe reduce(trees, rootsOf: batch, at: 0)
    }
  }

  /// Puts the symbols of one of the first k1 rows into the secondary slivers.
  private func copyToColumns(_ row: Int, repair: UnsafePointer<UInt8>) {
    let columnByteCount = parameters.primarySourceCount * symbolByteCount
    let source = unsafe primary.base + row * rowExpander.lineByteCount
    for column in 0..<parameters.shardCount {
      let symbol =
        unsafe column < rowExpander.sourceCount
        ? UnsafePointer(source) + column * symbolByteCount
        : repair + (column - rowExpander.sourceCount) * symbolByteCount
      unsafe (secondary.base + column * columnByteCount + row * symbolByteCount).update(
        from: symbol, count: symbolByteCount)
    }
  }

  /// Phase 3: the roots of a batch of columns.
  private func hashColumns(_ job: Int, _ scratch: JobScratch) {
    let n = parameters.shardCount
    let columns = JobSizes.range(job, of: n, perJob: JobSizes.treeCount)
    let treeStride = rowExpander.paddedLeafCount * Digest.byteCount
    let trees = unsafe scratch.trees.reserve(columns.count * treeStride)
    for row in 0..<n {
      let source = unsafe leaves.base + (row * n + columns.lowerBound) * Digest.byteCount
      for tree in 0..<columns.count {
        unsafe (trees + tree * treeStride + row * Digest.byteCount).update(
          from: source + tree * Digest.byteCount, count: Digest.byteCount)
      }
    }
    if rowExpander.paddedLeafCount > n {
      for tree in 0..<columns.count {
        unsafe Digest.zero.store(at: trees + tree * treeStride + n * Digest.byteCount)
      }
    }
    unsafe reduce(trees, rootsOf: columns, at: n)
  }

  private func reduce(
    _ trees: UnsafeMutablePointer<UInt8>, rootsOf slivers: Range<Int>, at firstRoot: Int
  ) {
    unsafe HashLanes.reduceTrees(
      trees, treeCount: slivers.count, leafCount: parameters.shardCount)
    unsafe (roots.base + (firstRoot + slivers.lowerBound) * Digest.byteCount).update(
      from: trees, count: slivers.count * Digest.byteCount)
  }
}
