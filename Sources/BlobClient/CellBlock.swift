// CellBlock.swift
//
// A rectangle of the message matrix in memory, row by row: where fetched cells are put together.
// Over the full width of the matrix its bytes are the bytes of the blob.

import Routing

struct CellBlock: Sendable {
  let rows: Range<Int>
  let columns: Range<Int>
  let symbolByteCount: Int
  private(set) var bytes: [UInt8]

  /// Zeros.
  init(rows: Range<Int>, columns: Range<Int>, symbolByteCount: Int) {
    self.init(
      rows: rows, columns: columns, symbolByteCount: symbolByteCount,
      bytes: Array(repeating: 0, count: rows.count * columns.count * symbolByteCount))
  }

  init(rows: Range<Int>, columns: Range<Int>, symbolByteCount: Int, bytes: [UInt8]) {
    precondition(bytes.count == rows.count * columns.count * symbolByteCount)
    self.rows = rows
    self.columns = columns
    self.symbolByteCount = symbolByteCount
    self.bytes = bytes
  }

  /// The smallest block around the cells of a run: part of one row, or whole rows.
  init(around cells: Range<Int>, columnCount: Int, symbolByteCount: Int) {
    self.init(
      rows: Self.rows(of: cells, columnCount: columnCount),
      columns: Self.columns(of: cells, columnCount: columnCount), symbolByteCount: symbolByteCount)
  }

  static func rows(of cells: Range<Int>, columnCount: Int) -> Range<Int> {
    cells.lowerBound / columnCount..<(cells.upperBound + columnCount - 1) / columnCount
  }

  static func columns(of cells: Range<Int>, columnCount: Int) -> Range<Int> {
    let rows = rows(of: cells, columnCount: columnCount)
    let start = rows.lowerBound * columnCount
    return rows.count <= 1
      ? cells.lowerBound - start..<cells.upperBound - start : 0..<columnCount
  }

  var rowByteCount: Int { columns.count * symbolByteCount }

  /// Where the part of a row that lies in the block is.
  func range(ofRow row: Int) -> Range<Int> {
    let start = (row - rows.lowerBound) * rowByteCount
    return start..<start + rowByteCount
  }

  /// Puts symbols of a row, from `column` on, where they belong; all of them lie in the block.
  mutating func write(_ symbols: ArraySlice<UInt8>, row: Int, column: Int) {
    let start =
      range(ofRow: row).lowerBound + (column - columns.lowerBound) * symbolByteCount
    bytes.replaceSubrange(start..<start + symbols.count, with: symbols)
  }
}
