// QuiltColumns.swift
//
// Parts of streams that lie in the columns of a quilt, by fetching just the cells they take.
//
// A column is had from its own sliver or, where that is lost, from one symbol of each of any k1 rows;
// a small part of one as symbols with paths. Only when some column can be had in neither way are its
// cells taken from whatever rows are left.

import RedStuff
import Routing
import World

struct QuiltColumns: Sendable {
  let shape: QuiltShape
  let services: ClientServices

  /// The bytes `range` of the stream that starts at `column`, each verified.
  func read(
    _ range: Range<Int>, ofStreamFrom column: Int, _ state: inout ReadState
  ) async throws(BlobClientError) -> [UInt8] {
    guard !range.isEmpty else { return [] }
    let part = StreamPart(range, ofStreamFrom: column, shape: shape)
    let empty = CellBlock(
      rows: part.rows, columns: part.columns, symbolByteCount: shape.symbolByteCount)
    let block: CellBlock
    switch await fetch(part.cells, into: empty, .columns, &state) {
    case .success(let fetched): block = fetched
    case .failure(.exhausted):
      switch await fetch(part.cells, into: empty, .rowsAndColumns, &state) {
      case .success(let fetched): block = fetched
      case .failure(let failure): throw state.error(failure)
      }
    case .failure(let failure): throw state.error(failure)
    }
    return await services.compute.run { part.bytes(in: block) }
  }

  private func fetch(
    _ wanted: WantedCells, into block: CellBlock, _ lines: ReadPlanner.Lines,
    _ state: inout ReadState
  ) async -> Result<CellBlock, FetchFailure> {
    do {
      return .success(try await state.fetch(wanted, into: block, lines).block)
    } catch {
      return .failure(error)
    }
  }
}

/// Which cells of the matrix hold a range of a stream.
private struct StreamPart: Sendable {
  /// From the first column on.
  private let range: Range<Int>
  private let shape: QuiltShape
  let columns: Range<Int>

  /// The range is not empty.
  init(_ range: Range<Int>, ofStreamFrom column: Int, shape: QuiltShape) {
    let skipped = range.lowerBound / shape.columnByteCount
    let start = range.lowerBound - skipped * shape.columnByteCount
    self.range = start..<start + range.count
    self.shape = shape
    let first = column + skipped
    columns = first..<first + shape.columnCount(forStreamOf: self.range.upperBound)
  }

  /// The rows that hold some of it in a column.
  private func rows(in column: Int) -> Range<Int> {
    let start = (column - columns.lowerBound) * shape.columnByteCount
    let inColumn = range.clamped(to: start..<start + shape.columnByteCount)
    let s = shape.symbolByteCount
    return (inColumn.lowerBound - start) / s..<(inColumn.upperBound - start + s - 1) / s
  }

  /// Of the smallest block around all of it.
  var rows: Range<Int> {
    columns.count == 1 ? rows(in: columns.lowerBound) : 0..<shape.rowCount
  }

  var cells: WantedCells {
    var cells = WantedCells(rows: 0..<shape.rowCount, columns: columns)
    for column in Set([columns.lowerBound, columns.upperBound - 1]) {
      let rows = rows(in: column)
      for row in 0..<shape.rowCount where !rows.contains(row) {
        cells.remove(row: row, columns: column..<column + 1)
      }
    }
    return cells
  }

  func bytes(in block: CellBlock) -> [UInt8] {
    let s = shape.symbolByteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count + 2 * s)
    for column in columns {
      for row in rows(in: column) {
        let start =
          block.range(ofRow: row).lowerBound + (column - block.columns.lowerBound) * s
        bytes.append(contentsOf: block.bytes[start..<start + s])
      }
    }
    // Symbols were taken whole.
    let surplus = range.lowerBound % s
    bytes.removeFirst(surplus)
    bytes.removeLast(bytes.count - range.count)
    return bytes
  }
}
