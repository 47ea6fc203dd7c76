// DecodingInput.swift
//
// The slivers that a blob is decoded from, and the work on one strip of them.
//
// Primary slivers are rows: symbol i of every column's codeword lies in row i, so a strip of
// columns is one contiguous run of each sliver. Secondary slivers are columns: symbol j of every
// row's codeword lies in column j, and a strip of rows is one contiguous run of each.
//
// Invariant: exactly k slivers with distinct indices go in. With more that contradict each other
// the result would depend on the algorithm.

internal import ReedSolomon

struct DecodingInput: Sendable {
  let axis: SliverAxis
  /// Indices of the slivers taken, in their order.
  let indices: [Int]
  private let slivers: [Sliver]
  private let plan: DecodePlan
  private let parameters: EncodingParameters
  private let symbolByteCount: Int

  init(
    _ candidates: [Sliver], axis: SliverAxis, metadata: VerifiedBlobMetadata
  ) throws(BlobDecodingError) {
    let parameters = metadata.parameters
    let required = parameters.sourceCount(axis)
    let byteCount = metadata.sliverByteCount(axis)
    var seen: Set<SliverIndex> = []
    var taken: [Sliver] = []
    for sliver in candidates where taken.count < required {
      guard sliver.axis == axis, sliver.bytes.count == byteCount,
        sliver.symbolByteCount == metadata.symbolByteCount,
        seen.insert(sliver.index).inserted
      else { continue }
      taken.append(sliver)
    }
    guard taken.count == required else {
      throw .tooFewSlivers(axis: axis, usable: taken.count, required: required)
    }
    for sliver in taken where Int(sliver.index.value) >= parameters.shardCount {
      throw .sliverIndexOutOfRange(index: sliver.index, shardCount: parameters.shardCount)
    }
    self.axis = axis
    self.parameters = parameters
    symbolByteCount = metadata.symbolByteCount
    slivers = taken
    indices = taken.map { Int($0.index.value) }
    copiedRows =
      axis == .primary
      ? taken.indices.filter { Int(taken[$0].index.value) < parameters.primarySourceCount } : []
    // The code along columns expands secondary slivers, and any k1 rows are symbols of it.
    plan = PlanCache.sources(of: parameters.code(expanding: axis.other), from: indices)
  }

  /// Codewords: columns of the matrix for primary slivers, rows for secondary ones.
  private var codewordCount: Int { parameters.symbolCount(inSliverOf: axis) }

  private var codewordsPerJob: Int { JobSizes.columnsPerJob(symbolByteCount: symbolByteCount) }

  /// Rows of the matrix among primary slivers are copied as wholes, in memory's order; strips would
  /// touch every page of the matrix again and again.
  private let copiedRows: [Int]

  /// Strips of codewords to be decoded; none if copying rows is all there is to do.
  private var stripCount: Int {
    axis == .primary && copiedRows.count == parameters.primarySourceCount
      ? 0 : JobSizes.jobCount(codewordCount, perJob: codewordsPerJob)
  }

  var jobCount: Int { copiedRows.count + stripCount }

  /// Copies a row or decodes a strip of codewords into the message matrix.
  func decode(_ job: Int, into matrix: SharedBytes, scratch: JobScratch) {
    if job < copiedRows.count {
      let position = copiedRows[job]
      let bytes = slivers[position].bytes
      matrix.write(bytes.span, at: indices[position] * bytes.count)
      return
    }
    decodeStrip(job - copiedRows.count, into: matrix, scratch: scratch)
  }

  private func decodeStrip(_ strip: Int, into matrix: SharedBytes, scratch: JobScratch) {
    let s = symbolByteCount
    let codewords = JobSizes.range(strip, of: codewordCount, perJob: codewordsPerJob)
    let run = codewords.lowerBound * s..<codewords.upperBound * s
    // Arrays lend their memory one at a time only.
    let received = unsafe ReceivedSymbols.lent(codewordStride: s) { position, body in
      unsafe slivers[position].bytes.withUnsafeBytes { bytes in
        unsafe body(UnsafeRawBufferPointer(rebasing: bytes[run]))
      }
    }
    let rowByteCount = parameters.secondarySourceCount * s
    let strides = axis == .primary ? (rowByteCount, s) : (s, rowByteCount)
    let offset = codewords.lowerBound * strides.1
    let end = parameters.primarySourceCount * rowByteCount
    let target = unsafe MutableSymbolGrid(
      UnsafeMutableRawBufferPointer(start: matrix.base + offset, count: end - offset),
      symbolStride: strides.0, codewordStride: strides.1)
    do {
      try unsafe plan.decode(
        received, into: target, output: axis == .primary ? .missingTargets : .allTargets,
        symbolByteCount: s, codewordCount: codewords.count, scratch: &scratch.codec)
    } catch {
      preconditionFailure("decoding codewords \(codewords): \(error)")
    }
  }
}
