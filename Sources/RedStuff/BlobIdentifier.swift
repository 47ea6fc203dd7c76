// BlobIdentifier.swift
//
// The blob ID and the metadata of a blob that need not fit into memory. The code works on every 64
// bytes of a symbol apart from the others, so symbols are taken in strips: the same strip of all
// symbols is read, extended and hashed, then the next one follows, and the leaf hashes wait in
// between (MatrixHasher).
//
// Memory: n * k2 strips of symbols, and with more than one strip n * n hash states.

internal import ReedSolomon
internal import Synchronization

/// Names one blob; run `phases` in order, then `finish`.
package final class BlobIdentifier: Sendable {
  /// Fills a span with the bytes of the blob from an offset on; they exist. Called by jobs, from
  /// several threads at a time.
  package typealias Source =
    @Sendable (_ offset: UInt64, _ bytes: inout MutableSpan<UInt8>) throws -> Void

  /// What the strips of all symbols take together while they are wide: a share of the cache.
  static let matrixByteCountTarget = 8 << 20
  /// Narrower strips cost more for the waiting hashes and for reading in pieces than they gain.
  static let stripByteCountMin = 1024
  /// What the strips of all symbols may take in any case: a thousand shards have strips of 896 bytes.
  static let matrixByteCountMax = 600 << 20
  /// Hash states can only wait between whole blocks of the hash; the code needs 64.
  static let stripByteAlignment = 128

  package let parameters: EncodingParameters
  package let blobByteCount: UInt64
  package let symbolByteCount: Int
  let strips: [SymbolStrip]

  private let source: Source
  /// n rows of k2 strips.
  private let matrix: SharedBytes
  private let isOneJob: Bool
  private let hasher: MatrixHasher
  private let failure = Mutex<(any Error)?>(nil)
  private let jobsDone = Atomic<Int>(0)

  /// Throws `blobTooLarge`; what `source` throws comes out of `finish`.
  package convenience init(
    blobByteCount: UInt64, parameters: EncodingParameters, source: @escaping Source
  ) throws(EncodingParametersError) {
    let cells = parameters.shardCount * parameters.secondarySourceCount
    let wanted = max(Self.matrixByteCountTarget / cells, Self.stripByteCountMin)
    try self.init(
      blobByteCount: blobByteCount, parameters: parameters,
      stripByteCount: min(wanted, Self.matrixByteCountMax / cells), source: source)
  }

  /// With strips of a given width, rounded down to what is possible.
  init(
    blobByteCount: UInt64, parameters: EncodingParameters, stripByteCount: Int,
    source: @escaping Source
  ) throws(EncodingParametersError) {
    let s = try parameters.symbolByteCount(forBlobOf: blobByteCount)
    let aligned = stripByteCount / Self.stripByteAlignment * Self.stripByteAlignment
    let width = min(s, max(aligned, Self.stripByteAlignment))
    self.parameters = parameters
    self.blobByteCount = blobByteCount
    self.source = source
    symbolByteCount = s
    strips = stride(from: 0, to: s, by: width).map { offset in
      SymbolStrip(
        offset: offset, byteCount: min(width, s - offset), isLast: offset + width >= s)
    }
    matrix = SharedBytes(
      byteCount: parameters.shardCount * parameters.secondarySourceCount * width)
    isOneJob = JobSizes.isOneJob(parameters, symbolByteCount: s)
    hasher = MatrixHasher(
      parameters: parameters, isOneJob: isOneJob, inStrips: strips.count > 1)
  }

  /// To be run one after the other, every job exactly once.
  package var phases: [JobPhase] {
    isOneJob ? [.joined(steps)] : steps
  }

  private var steps: [JobPhase] {
    let strips = strips.flatMap { strip in
      [
        phase(jobCount: columnJobCount(strip)) { self.extendColumns($0, strip, $1) },
        phase(jobCount: hasher.groupCount) {
          unsafe self.hasher.hashRows(ofGroup: $0, strip, matrix: self.matrix.base, $1)
        },
      ]
    }
    return strips + [
      phase(jobCount: hasher.columnJobCount) { job, _ in self.hasher.hashColumns(job) }
    ]
  }

  /// Metadata and blob ID. All jobs must have run. Throws the first error of the source.
  package func finish() throws -> VerifiedBlobMetadata {
    let done = jobsDone.load(ordering: .relaxed)
    let expected = steps.reduce(0) { $0 + $1.jobCount }
    precondition(done == expected, "\(done) of \(expected) jobs have run")
    if let failure = failure.withLock({ $0 }) { throw failure }
    return hasher.metadata(blobByteCount: blobByteCount, symbolByteCount: symbolByteCount)
  }

  private func phase(
    jobCount: Int, _ work: @escaping @Sendable (Int, JobScratch) -> Void
  ) -> JobPhase {
    JobPhase(jobCount: jobCount) { job in
      // After a failure there is nothing left to compute.
      if self.failure.withLock({ $0 == nil }) { ScratchPool.withScratch { work(job, $0) } }
      self.jobsDone.add(1, ordering: .relaxed)
    }
  }

  private func columnJobCount(_ strip: SymbolStrip) -> Int {
    JobSizes.jobCount(
      parameters.secondarySourceCount,
      perJob: JobSizes.columnsPerJob(symbolByteCount: strip.byteCount))
  }

  /// Reads a strip of some columns and extends it to n symbols each.
  private func extendColumns(_ job: Int, _ strip: SymbolStrip, _ scratch: JobScratch) {
    let columns = JobSizes.range(
      job, of: parameters.secondarySourceCount,
      perJob: JobSizes.columnsPerJob(symbolByteCount: strip.byteCount))
    do {
      for row in 0..<parameters.primarySourceCount { try read(row, columns, strip) }
    } catch {
      failure.withLock { $0 = $0 ?? error }
      return
    }
    parameters.extendColumns(
      columns, of: matrix, symbolByteCount: strip.byteCount, codec: &scratch.codec)
  }

  /// Reads a strip of adjacent symbols of a row; whole symbols lie side by side in the blob, too.
  private func read(_ row: Int, _ columns: Range<Int>, _ strip: SymbolStrip) throws {
    let isWhole = strips.count == 1
    let width = isWhole ? columns.count * strip.byteCount : strip.byteCount
    for column in stride(
      from: columns.lowerBound, to: columns.upperBound, by: isWhole ? columns.count : 1)
    {
      let cell = row * parameters.secondarySourceCount + column
      let offset = UInt64(cell * symbolByteCount + strip.offset)
      let present = offset < blobByteCount ? Int(min(UInt64(width), blobByteCount - offset)) : 0
      let target = unsafe UnsafeMutableBufferPointer(
        start: matrix.base + cell * strip.byteCount, count: width)
      if present > 0 {
        var bytes = unsafe target.extracting(..<present).mutableSpan
        try source(offset, &bytes)
      }
      unsafe target.extracting(present...).update(repeating: 0)
    }
  }
}
