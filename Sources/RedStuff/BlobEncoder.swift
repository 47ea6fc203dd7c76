// BlobEncoder.swift
//
// A blob becomes its 2n slivers, its metadata and its blob ID.
//
// Phases, each of independent jobs:
//   1 columns: the k2 columns of the message matrix are filled with the blob and extended to n rows
//     (primary slivers);
//   2 rows: each of the n rows is extended to n symbols, every symbol is hashed once, and the repair
//     symbols of the first k1 rows become secondary slivers (MatrixHasher);
//   3 column trees: what is left of them goes up to the secondary hashes.
// The n x n expanded symbols never exist at the same time: repair symbols of lower rows are hashed
// and dropped. The columns of the message matrix are secondary slivers as they stand, and are not
// stored a second time.

internal import ReedSolomon
internal import Synchronization

/// Takes a sliver as soon as it is ready: axis, index, bytes. Called by jobs, so from several threads at
/// a time, once for each sliver.
package typealias SliverSink = @Sendable (SliverAxis, SliverIndex, Span<UInt8>) -> Void

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
  /// The n - k2 columns of repair symbols; empty for `.identityOnly`.
  private let repairColumns: SharedBytes
  private let isOneJob: Bool
  private let hasher: MatrixHasher
  /// Until all columns are filled.
  private let blob: Mutex<BlobPieces?>
  private let sink: SliverSink?
  private let jobsDone = Atomic<Int>(0)

  /// Holds the blob during the first phase. Memory: see `memoryByteCount`.
  package convenience init(
    _ blob: [UInt8], parameters: EncodingParameters, output: Output = .slivers
  ) throws(EncodingParametersError) {
    try self.init(pieces: [blob], parameters: parameters, output: output)
  }

  /// A blob that arrived in pieces; they follow each other without gaps. With a sink, slivers leave
  /// while others are still being made: rows in phase 2, columns in phase 3.
  package convenience init(
    pieces: [[UInt8]], parameters: EncodingParameters, output: Output = .slivers,
    sink: SliverSink? = nil
  ) throws(EncodingParametersError) {
    let blob = BlobPieces(pieces)
    try self.init(
      blobByteCount: UInt64(blob.byteCount), blob: blob, parameters: parameters, output: output,
      sink: sink)
  }

  /// For a decoder that puts the blob into the first rows of `primary` itself before phase 1, to
  /// compare the blob ID afterwards.
  convenience init(rebuilding metadata: VerifiedBlobMetadata) {
    do {
      try self.init(
        blobByteCount: metadata.blobByteCount, blob: nil, parameters: metadata.parameters,
        output: .identityOnly)
    } catch {
      preconditionFailure("verified metadata has an impossible length: \(error)")
    }
  }

  private init(
    blobByteCount: UInt64, blob: BlobPieces?, parameters: EncodingParameters, output: Output,
    sink: SliverSink? = nil
  ) throws(EncodingParametersError) {
    precondition(sink == nil || output == .slivers, "no slivers are made that could be handed out")
    let n = parameters.shardCount
    let s = try parameters.symbolByteCount(forBlobOf: blobByteCount)
    self.parameters = parameters
    self.blobByteCount = blobByteCount
    self.output = output
    self.blob = Mutex(blob)
    self.sink = sink
    symbolByteCount = s
    primary = SharedBytes(byteCount: n * parameters.sliverByteCount(.primary, symbolByteCount: s))
    let columnByteCount = parameters.sliverByteCount(.secondary, symbolByteCount: s)
    repairColumns = SharedBytes(
      byteCount: output == .slivers
        ? (n - parameters.secondarySourceCount) * columnByteCount : 0)
    isOneJob = JobSizes.isOneJob(parameters, symbolByteCount: s)
    hasher = MatrixHasher(parameters: parameters, isOneJob: isOneJob)
  }

  /// Bytes that an encoder of such a blob holds at most, besides the caller's blob and some scratch
  /// per running job.
  package static func memoryByteCount(
    forBlobOf blobByteCount: UInt64, parameters: EncodingParameters, output: Output = .slivers
  ) throws(EncodingParametersError) -> UInt64 {
    let n = parameters.shardCount
    let s = try parameters.symbolByteCount(forBlobOf: blobByteCount)
    let rows = n * parameters.sliverByteCount(.primary, symbolByteCount: s)
    let columns =
      output == .slivers
      ? (n - parameters.secondarySourceCount)
        * parameters.sliverByteCount(.secondary, symbolByteCount: s) : 0
    return UInt64(rows + columns + MatrixHasher.memoryByteCount(parameters: parameters))
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
    isOneJob ? [.joined(steps)] : steps
  }

  private var steps: [JobPhase] {
    jobCounts.enumerated().map { (number, jobCount) in
      JobPhase(jobCount: jobCount) { job in
        ScratchPool.withScratch { scratch in
          switch number {
          case 0: self.extendColumns(job, scratch)
          case 1: self.hashRows(ofGroup: job, scratch)
          default: self.finishColumns(job, scratch)
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
      metadata: finishIdentity(), rows: primary, repairColumns: repairColumns)
  }

  /// Only metadata and blob ID. All jobs must have run.
  package func finishIdentity() -> VerifiedBlobMetadata {
    let done = jobsDone.load(ordering: .relaxed)
    let expected = jobCounts.reduce(0, +)
    precondition(done == expected, "\(done) of \(expected) jobs have run")
    return hasher.metadata(blobByteCount: blobByteCount, symbolByteCount: symbolByteCount)
  }

  private var jobCounts: [Int] {
    [
      JobSizes.jobCount(
        parameters.secondarySourceCount,
        perJob: JobSizes.columnsPerJob(symbolByteCount: symbolByteCount)),
      hasher.groupCount, hasher.columnJobCount,
    ]
  }

  /// Phase 1: some columns from the blob, and from k1 to n symbols.
  private func extendColumns(_ job: Int, _ scratch: JobScratch) {
    let columns = JobSizes.range(
      job, of: parameters.secondarySourceCount,
      perJob: JobSizes.columnsPerJob(symbolByteCount: symbolByteCount))
    if let blob = blob.withLock({ $0 }) {
      let rowByteCount = parameters.sliverByteCount(.primary, symbolByteCount: symbolByteCount)
      for row in 0..<parameters.primarySourceCount {
        let offset = row * rowByteCount + columns.lowerBound * symbolByteCount
        unsafe blob.copy(
          from: offset, byteCount: columns.count * symbolByteCount, to: primary.base + offset)
      }
    }
    parameters.extendColumns(
      columns, of: primary, symbolByteCount: symbolByteCount, codec: &scratch.codec)
  }

  /// Phase 2: a group of rows from k2 to n symbols, and their hashes.
  private func hashRows(ofGroup group: Int, _ scratch: JobScratch) {
    blob.withLock { $0 = nil }
    let whole = SymbolStrip(offset: 0, byteCount: symbolByteCount, isLast: true)
    unsafe hasher.hashRows(
      ofGroup: group, whole, matrix: primary.base,
      repairColumns: output == .slivers ? repairColumns : nil, scratch)
    guard let sink else { return }
    let byteCount = parameters.sliverByteCount(.primary, symbolByteCount: symbolByteCount)
    for row in hasher.rows(inGroup: group) {
      primary.withSpan(row * byteCount..<(row + 1) * byteCount) {
        sink(.primary, SliverIndex(UInt16(row)), $0)
      }
    }
  }

  /// Phase 3: the roots of some columns.
  private func finishColumns(_ job: Int, _ scratch: JobScratch) {
    hasher.hashColumns(job)
    guard let sink else { return }
    let columns = SliverColumns(
      parameters: parameters, symbolByteCount: symbolByteCount, rows: primary,
      repairColumns: repairColumns)
    let room = unsafe scratch.lines.reserve(columns.columnByteCount)
    for column in hasher.columns(ofJob: job) {
      unsafe columns.copy(column, to: room)
      let bytes = unsafe UnsafeBufferPointer(start: room, count: columns.columnByteCount)
      unsafe sink(.secondary, SliverIndex(UInt16(column)), bytes.span)
    }
  }
}

extension EncodingParameters {
  /// Extends some columns of a matrix from k1 to n symbols. `matrix` holds n rows of k2 symbols, of
  /// which the first k1 are there.
  func extendColumns(
    _ columns: Range<Int>, of matrix: SharedBytes, symbolByteCount: Int, codec: inout CodecScratch
  ) {
    let rowByteCount = sliverByteCount(.primary, symbolByteCount: symbolByteCount)
    let sourceByteCount = primarySourceCount * rowByteCount
    let offset = columns.lowerBound * symbolByteCount
    let source = unsafe SymbolGrid(
      UnsafeRawBufferPointer(start: matrix.base + offset, count: sourceByteCount - offset),
      symbolStride: rowByteCount, codewordStride: symbolByteCount)
    let repair = unsafe MutableSymbolGrid(
      UnsafeMutableRawBufferPointer(
        start: matrix.base + sourceByteCount + offset,
        count: matrix.byteCount - sourceByteCount - offset),
      symbolStride: rowByteCount, codewordStride: symbolByteCount)
    do {
      try unsafe code(expanding: .secondary).encode(
        source, into: repair, symbolByteCount: symbolByteCount, codewordCount: columns.count,
        scratch: &codec)
    } catch {
      preconditionFailure("extending columns \(columns): \(error)")
    }
  }
}
