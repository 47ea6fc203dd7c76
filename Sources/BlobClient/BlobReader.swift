// BlobReader.swift
//
// One read: a range of a blob, given to a receiver in order, in bounded memory.
//
//   windows   rows in reading order, each window fetched while the one before is delivered
//   spool     when rows alone no longer suffice (more than f shards gone): strips of columns, put
//             into a file, then delivered from there (BlobReader+Spool.swift)
//
// What is checked: every byte, before it is delivered. A row that is wanted whole has the root that
// the metadata commits to (unless the check is `skip` and its columns say otherwise); of a part of
// a row each symbol has a path to the root of its row or of its column.
//
// Rows of which the blob has nothing are all zero, so they are not fetched: their roots are
// compared.

import Cluster
import RedStuff
import Routing
import World

/// What a read cost.
package struct ReadReport: Sendable, Equatable {
  /// Payload of the answers: symbols, and paths where they were asked for.
  package var byteCount = 0
  package var requestCount = 0
  /// Of these, sent because another one was late.
  package var hedgeCount = 0
  /// Symbols that came from another sliver than their own row's.
  package var degradedSymbolCount = 0
  /// Whether the read went through a spool file.
  package var isSpooled = false

  package init() {}
}

package typealias BlobSink = @Sendable ([UInt8]) async throws -> Void

struct BlobReader: Sendable {
  let services: ClientServices
  let spoolBudget: SpoolBudget
  let metadata: VerifiedBlobMetadata
  /// Within the blob.
  let range: Range<UInt64>
  /// `strict` is up to the caller, and reads as `default`.
  let check: ConsistencyCheck
  let sink: BlobSink

  var s: Int { metadata.symbolByteCount }
  var k1: Int { metadata.parameters.primarySourceCount }
  var k2: Int { metadata.parameters.secondarySourceCount }

  func run() async throws(BlobClientError) -> ReadReport {
    var state = ReadState(metadata: metadata, services: services)
    if isWhole, check != .skip { try await checkPaddingRows() }
    let cells = wantedCells
    if !cells.isEmpty { try await read(cells, &state) }
    return state.report
  }

  private var isWhole: Bool { range == 0..<metadata.blobByteCount }

  /// The cells to fetch, in reading order. Of a whole blob every row that holds some of it is
  /// checked by its root, and so fetched whole.
  private var wantedCells: Range<Int> {
    guard !range.isEmpty else { return 0..<0 }
    let first = Int(range.lowerBound) / s
    let end =
      PlantedBug.rangeEndRoundedDown.isPlanted
      ? Int(range.upperBound) / s : (Int(range.upperBound) - 1) / s + 1
    return first..<(isWhole && check != .skip ? (end + k2 - 1) / k2 * k2 : end)
  }

  /// Rows of which the blob has nothing.
  private var paddingRows: Range<Int> {
    let rowByteCount = UInt64(k2 * s)
    return Int((metadata.blobByteCount + rowByteCount - 1) / rowByteCount)..<k1
  }

  private func checkPaddingRows() async throws(BlobClientError) {
    let firstRow = paddingRows.lowerBound
    let (k1, k2, s, metadata) = (k1, k2, s, metadata)
    guard firstRow < k1 else { return }
    let areZero = await services.compute.run {
      // The hash of a row does not depend on its index: one row of zeros speaks for all.
      let zeros = Sliver(
        axis: .primary, index: SliverIndex(UInt16(firstRow)), symbolByteCount: s,
        bytes: [UInt8](repeating: 0, count: k2 * s))
      let hashes = metadata.metadata.hashes[firstRow..<k1].map(\.primary)
      return Sliver.failures([zeros], against: metadata)[0] == nil
        && hashes.allSatisfy { $0 == hashes.first }
    }
    guard areZero else { throw .inconsistent(metadata.blobID) }
  }

  // MARK: Windows

  private func read(_ cells: Range<Int>, _ state: inout ReadState) async throws(BlobClientError) {
    let windows = windows(of: cells)
    let columnCount = windows.count == 1 ? CellBlock.columns(of: cells, columnCount: k2).count : k2
    // Columns are fetched over all rows: only where that fits into a window may they be had so.
    if windows.count == 1, columnCount * k1 * s <= services.configuration.windowByteCount {
      let block = try await fetchAll(cells, .rowsAndColumns, &state)
      return try await deliver(block, cells)
    }
    var fetched: (block: CellBlock, cells: Range<Int>)?
    for window in windows {
      async let delivery = delivered(fetched)
      let next = await fetch(window, .rows, &state)
      try await delivery.get()
      fetched = nil
      switch next {
      case .success(let block): fetched = (block, window)
      case .failure(.exhausted):
        let rest = PlantedBug.spoolStartsOver.isPlanted ? cells : window
        return try await readByColumns(rest.lowerBound..<cells.upperBound, &state)
      case .failure(let failure): throw state.error(failure)
      }
    }
    try await delivered(fetched).get()
  }

  /// Runs of whole rows (the first and the last may be cut) of at most a window, at least one row.
  private func windows(of cells: Range<Int>) -> [Range<Int>] {
    let rowCount = max(services.configuration.windowByteCount / (k2 * s), 1)
    var windows: [Range<Int>] = []
    var start = cells.lowerBound
    while start < cells.upperBound {
      let end = min((start / k2 + rowCount) * k2, cells.upperBound)
      windows.append(start..<end)
      start = end
    }
    return windows
  }

  /// Fetches cells into a block and checks the rows that are whole in it.
  func fetchAll(_ cells: Range<Int>, _ lines: ReadPlanner.Lines, _ state: inout ReadState)
    async throws(BlobClientError) -> CellBlock
  {
    switch await fetch(cells, lines, &state) {
    case .success(let block): return block
    case .failure(let failure): throw state.error(failure)
    }
  }

  private func fetch(_ cells: Range<Int>, _ lines: ReadPlanner.Lines, _ state: inout ReadState)
    async -> Result<CellBlock, FetchFailure>
  {
    let block = CellBlock(around: cells, columnCount: k2, symbolByteCount: s)
    let wanted = WantedCells(cells: cells, columnCount: k2)
    do {
      let fetch = try await state.fetch(
        wanted, into: block, lines, acceptsInconsistency: check == .skip,
        zeroRows: isWhole && check != .skip ? paddingRows : 0..<0)
      let unchecked = wanted.sortedRows.filter { row in
        wanted[row] == RangeSet(0..<k2) && !fetch.verifiedRows.contains(row)
      }
      if check != .skip { try await checkRows(unchecked, of: fetch.block) }
      return .success(fetch.block)
    } catch {
      return .failure(error)
    }
  }

  /// Compares rows that were put together from columns with their own roots.
  func checkRows(_ rows: [Int], of block: CellBlock) async throws(FetchFailure) {
    guard !rows.isEmpty else { return }
    let (s, metadata) = (s, metadata)
    let areRight = await services.compute.run {
      let slivers = rows.map { row in
        Sliver(
          axis: .primary, index: SliverIndex(UInt16(row)), symbolByteCount: s,
          bytes: Array(block.bytes[block.range(ofRow: row)]))
      }
      return Sliver.failures(slivers, against: metadata).allSatisfy { $0 == nil }
    }
    if !areRight { throw .inconsistent }
  }

  // MARK: Delivery

  private func delivered(_ fetched: (block: CellBlock, cells: Range<Int>)?)
    async -> Result<Void, BlobClientError>
  {
    guard let fetched else { return .success(()) }
    do {
      return .success(try await deliver(fetched.block, fetched.cells))
    } catch {
      return .failure(error)
    }
  }

  /// Gives the receiver what the range has in these cells, which are a run within the block.
  func deliver(_ block: CellBlock, _ cells: Range<Int>) async throws(BlobClientError) {
    let blockStart = (block.rows.lowerBound * k2 + block.columns.lowerBound) * s
    let start = max(cells.lowerBound * s, Int(range.lowerBound))
    let end =
      PlantedBug.paddingDelivered.isPlanted
      ? cells.upperBound * s : min(cells.upperBound * s, Int(range.upperBound))
    let step = max(services.configuration.sinkByteCountMax, 1)
    for from in stride(from: start, to: end, by: step) {
      let border = PlantedBug.pieceBorderLost.isPlanted ? from + step - 1 : from + step
      let piece = from - blockStart..<min(border, end) - blockStart
      if Task.isCancelled { throw .cancelled }
      do {
        try await sink(Array(block.bytes[piece]))
      } catch is CancellationError {
        throw .cancelled
      } catch {
        throw .sinkFailed("\(error)")
      }
    }
  }
}
