// BlobDecoder.swift
//
// Slivers of one axis become the blob again. The slivers are taken as they are: whoever calls has
// checked them against the metadata (`Sliver.failures`), or runs a consistency check afterwards.
//
// A consistency check guards against a writer who encoded badly: two readers with different
// slivers would otherwise read different blobs under one ID.

internal import Synchronization

/// Why slivers did not become a blob.
package enum BlobDecodingError: Error, Equatable {
  /// Fetch more slivers of this axis; usable ones stay usable.
  case tooFewSlivers(axis: SliverAxis, usable: Int, required: Int)
  /// A sliver whose index no shard has was among those taken; drop it.
  case sliverIndexOutOfRange(index: SliverIndex, shardCount: Int)
  /// The blob was encoded badly: a row of what was decoded does not have its hash.
  case inconsistentRow(row: SliverIndex)
  /// The blob was encoded badly: what was decoded has another name.
  case inconsistentBlobID(expected: BlobID, computed: BlobID)
}

/// How much of the encoding is checked after decoding.
package enum ConsistencyCheck: Sendable, CaseIterable {
  case skip
  /// Every systematic primary sliver that was not among the input is rebuilt and checked.
  case `default`
  /// The blob is encoded again and its ID compared.
  case strict
}

/// Decodes one blob; run `phases` in order, then `finish`.
package final class BlobDecoder: Sendable {
  package let metadata: VerifiedBlobMetadata
  package let axis: SliverAxis
  package let check: ConsistencyCheck

  private let input: DecodingInput
  /// The message matrix in its first k1 rows.
  private let matrix: SharedBytes
  /// Systematic rows that the default check rebuilds.
  private let rowsToCheck: [Int]
  /// Only for the strict check.
  private let encoder: BlobEncoder?
  private let lowestBadRow = Atomic<Int>(.max)
  private let jobsDone = Atomic<Int>(0)

  /// Chooses slivers of `axis` in the order given: repeated indices and slivers of another axis,
  /// length or symbol size are passed over, until k1 (primary) or k2 (secondary) are found.
  ///
  /// Memory: the blob, and for the strict check a whole encoding without secondary slivers.
  package init(
    _ slivers: [Sliver], axis: SliverAxis, metadata: VerifiedBlobMetadata,
    check: ConsistencyCheck = .default
  ) throws(BlobDecodingError) {
    let parameters = metadata.parameters
    input = try DecodingInput(slivers, axis: axis, metadata: metadata)
    self.metadata = metadata
    self.axis = axis
    self.check = check
    if check == .strict {
      let encoder = BlobEncoder(rebuilding: metadata)
      self.encoder = encoder
      matrix = encoder.primary
    } else {
      encoder = nil
      matrix = SharedBytes(byteCount: parameters.sourceSymbolCount * metadata.symbolByteCount)
    }
    // Primary slivers among the input count as authenticated by whoever fetched them.
    let assumed = axis == .primary ? Set(input.indices) : []
    rowsToCheck =
      check == .default
      ? (0..<parameters.primarySourceCount).filter { !assumed.contains($0) } : []
  }

  /// Everything at once on the calling thread.
  package static func decodeSerially(
    _ slivers: [Sliver], axis: SliverAxis, metadata: VerifiedBlobMetadata,
    check: ConsistencyCheck = .default
  ) throws(BlobDecodingError) -> DecodedBlob {
    let decoder = try BlobDecoder(slivers, axis: axis, metadata: metadata, check: check)
    for phase in decoder.phases { phase.runSerially() }
    return try decoder.finish()
  }

  /// To be run one after the other, every job exactly once.
  package var phases: [JobPhase] {
    let s = metadata.symbolByteCount
    let rowsPerJob = JobSizes.rowsPerJob(symbolByteCount: s)
    let own = [
      JobPhase(jobCount: input.jobCount) { job in
        ScratchPool.withScratch { self.input.decode(job, into: self.matrix, scratch: $0) }
        self.jobsDone.add(1, ordering: .relaxed)
      },
      // The reader's blob ends before the padding, so the checks must not see it.
      JobPhase(jobCount: 1) { _ in
        self.matrix.clear(
          Int(self.metadata.blobByteCount)..<self.metadata.parameters.sourceSymbolCount * s)
        self.jobsDone.add(1, ordering: .relaxed)
      },
      JobPhase(jobCount: JobSizes.jobCount(rowsToCheck.count, perJob: rowsPerJob)) { job in
        self.checkRows(JobSizes.range(job, of: self.rowsToCheck.count, perJob: rowsPerJob))
        self.jobsDone.add(1, ordering: .relaxed)
      },
    ]
    return own + (encoder?.phases ?? [])
  }

  /// The blob, once all jobs have run. Throws if the consistency check failed.
  package func finish() throws(BlobDecodingError) -> DecodedBlob {
    let done = jobsDone.load(ordering: .relaxed)
    let expected = phases.prefix(3).reduce(0) { $0 + $1.jobCount }
    precondition(done == expected, "\(done) of \(expected) jobs have run")
    let badRow = lowestBadRow.load(ordering: .relaxed)
    if badRow != .max { throw .inconsistentRow(row: SliverIndex(UInt16(badRow))) }
    if let encoder {
      let computed = encoder.finishIdentity().blobID
      guard computed == metadata.blobID else {
        throw .inconsistentBlobID(expected: metadata.blobID, computed: computed)
      }
    }
    return DecodedBlob(matrix: matrix, byteCount: Int(metadata.blobByteCount))
  }

  /// Rebuilds roots of decoded rows and compares them with the metadata.
  private func checkRows(_ positions: Range<Int>) {
    let expander = SliverExpander(
      axis: .primary, parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount)
    let rows = rowsToCheck[positions]
    let roots = ScratchPool.withScratch { scratch in
      if let first = rows.first, let last = rows.last, last - first < rows.count {
        // Neighbours lie in the matrix as the expander wants them.
        return unsafe expander.roots(
          matrix.base + first * expander.lineByteCount, lineCount: rows.count, scratch: scratch)
      }
      let lines = unsafe scratch.lines.reserve(rows.count * expander.lineByteCount)
      for (line, row) in rows.enumerated() {
        unsafe (lines + line * expander.lineByteCount).update(
          from: matrix.base + row * expander.lineByteCount, count: expander.lineByteCount)
      }
      return unsafe expander.roots(lines, lineCount: rows.count, scratch: scratch)
    }
    for (row, root) in zip(rows, roots)
    where metadata.metadata.hashes[row].primary != .digest(root) {
      lowestBadRow.min(row, ordering: .relaxed)
    }
  }
}

/// The decoded bytes.
package final class DecodedBlob: Sendable {
  package let byteCount: Int
  private let matrix: SharedBytes

  init(matrix: SharedBytes, byteCount: Int) {
    self.matrix = matrix
    self.byteCount = byteCount
  }

  /// A copy of the whole blob.
  package var bytes: [UInt8] { bytes(in: 0..<byteCount) }

  /// A copy of a range that lies within the blob.
  package func bytes(in range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return matrix.bytes(range)
  }

  /// Lends a range that lies within the blob.
  package func withBytes<Value>(in range: Range<Int>, _ body: (Span<UInt8>) -> Value) -> Value {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return matrix.withSpan(range, body)
  }
}
