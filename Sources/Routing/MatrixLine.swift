// MatrixLine.swift
//
// One row or column of the expanded matrix, which is one sliver: lines cross in cells, and a cell
// is a symbol of both its lines. Whatever is said here of rows holds for columns with the roles
// swapped, and the planner and the readers use that: they are written once, for lines.
//
// Names used in this module: n = shards, k1 = rows of the message matrix, k2 = its columns; row r
// is primary sliver r, column c is secondary sliver c.

package import RedStuff

package struct MatrixLine: Hashable, Sendable {
  package let axis: SliverAxis
  /// Below n; below the source count of the axis it is a line of the message matrix.
  package let index: Int

  package init(_ axis: SliverAxis, _ index: Int) {
    self.axis = axis
    self.index = index
  }

  package static func row(_ index: Int) -> MatrixLine { MatrixLine(.primary, index) }
  package static func column(_ index: Int) -> MatrixLine { MatrixLine(.secondary, index) }

  /// The line that crosses this one at its symbol `position`.
  package func crossing(at position: Int) -> MatrixLine { MatrixLine(axis.other, position) }

  package var sliverIndex: SliverIndex { SliverIndex(UInt16(index)) }

  package func pair(shardCount: Int) -> SliverPairIndex {
    sliverIndex.pair(axis, shardCount: shardCount)
  }
}

extension MatrixLine: Comparable, CustomStringConvertible {
  /// Rows first, so that whatever is sorted by line is the same in every run.
  package static func < (left: MatrixLine, right: MatrixLine) -> Bool {
    (left.axis.rawValue, left.index) < (right.axis.rawValue, right.index)
  }

  package var description: String { "\(axis) sliver \(index)" }
}

/// Cells of the message matrix: for each row the columns that are wanted of it, none empty.
package struct WantedCells: Equatable, Sendable {
  package private(set) var rows: [Int: RangeSet<Int>] = [:]

  package init() {}

  /// A run of cells in reading order, as the bytes of a blob are laid out.
  package init(cells: Range<Int>, columnCount: Int) {
    guard !cells.isEmpty else { return }
    let firstRow = cells.lowerBound / columnCount
    let lastRow = (cells.upperBound - 1) / columnCount
    for row in firstRow...lastRow {
      let start = max(cells.lowerBound - row * columnCount, 0)
      let end = min(cells.upperBound - row * columnCount, columnCount)
      rows[row] = RangeSet(start..<end)
    }
  }

  package init(rows: Range<Int>, columns: Range<Int>) {
    guard !columns.isEmpty else { return }
    for row in rows { self.rows[row] = RangeSet(columns) }
  }

  package var isEmpty: Bool { rows.isEmpty }

  package var sortedRows: [Int] { rows.keys.sorted() }

  var cellCount: Int {
    rows.values.reduce(0) { count, cells in count + cells.ranges.reduce(0) { $0 + $1.count } }
  }

  var isOneCell: Bool {
    guard rows.count == 1, let ranges = rows.first?.value.ranges else { return false }
    return ranges.count == 1 && ranges[0].count == 1
  }

  package subscript(row: Int) -> RangeSet<Int> { rows[row] ?? RangeSet() }

  package func contains(row: Int, column: Int) -> Bool { rows[row]?.contains(column) ?? false }

  package mutating func insert(row: Int, columns: Range<Int>) {
    guard !columns.isEmpty else { return }
    rows[row, default: RangeSet()].insert(contentsOf: columns)
  }

  package mutating func remove(row: Int, columns: Range<Int>) {
    guard var rest = rows[row] else { return }
    rest.remove(contentsOf: columns)
    rows[row] = rest.isEmpty ? nil : rest
  }

  package mutating func remove(row: Int) { rows[row] = nil }

  /// Removes every cell of the line.
  package mutating func remove(_ line: MatrixLine) {
    if line.axis == .primary { return remove(row: line.index) }
    for row in sortedRows { remove(row: row, columns: line.index..<line.index + 1) }
  }

  package func intersects(_ line: MatrixLine) -> Bool {
    if line.axis == .primary { return rows[line.index] != nil }
    return rows.values.contains { $0.contains(line.index) }
  }
}
