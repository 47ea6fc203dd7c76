// QuiltShape.swift
//
// The columns of a quilt. A quilt is a blob that fills its matrix, and each of its k2 columns is a
// secondary sliver, so whoever needs some columns fetches just those slivers.
//
// A *stream* written from a column on fills it from the top to the bottom, then the next one. In the
// blob, which lies row by row, a column is one symbol out of every row:
//
//   byte i of column c  =  blob[((i / s) * k2 + c) * s + i % s]
//
// Names: k1 = rows, k2 = columns, s = bytes of a symbol.

/// How long and how many the columns of one quilt are.
package struct QuiltShape: Hashable, Sendable {
  /// k1.
  package let rowCount: Int
  /// k2.
  package let columnCount: Int
  /// s.
  package let symbolByteCount: Int

  package init(rowCount: Int, columnCount: Int, symbolByteCount: Int) {
    precondition(rowCount > 0 && columnCount > 0 && symbolByteCount > 0)
    self.rowCount = rowCount
    self.columnCount = columnCount
    self.symbolByteCount = symbolByteCount
  }

  package init(parameters: EncodingParameters, symbolByteCount: Int) {
    self.init(
      rowCount: parameters.primarySourceCount, columnCount: parameters.secondarySourceCount,
      symbolByteCount: symbolByteCount)
  }

  /// The shape of a blob that may be a quilt: it has to fill its matrix.
  package init(parameters: EncodingParameters, blobByteCount: UInt64) throws(QuiltFormatError) {
    let cellCount = UInt64(parameters.sourceSymbolCount)
    let (symbolByteCount, rest) = blobByteCount.quotientAndRemainder(dividingBy: cellCount)
    guard rest == 0, symbolByteCount > 0,
      symbolByteCount <= UInt64(EncodingParameters.symbolByteCountMax)
    else { throw .matrixNotFilled(byteCount: blobByteCount, cellCount: Int(cellCount)) }
    self.init(parameters: parameters, symbolByteCount: Int(symbolByteCount))
  }

  package var columnByteCount: Int { rowCount * symbolByteCount }

  /// Of the whole quilt.
  package var byteCount: Int { columnCount * columnByteCount }

  /// Columns that a stream of `byteCount` bytes takes.
  package func columnCount(forStreamOf byteCount: Int) -> Int {
    (byteCount + columnByteCount - 1) / columnByteCount
  }

  /// Writes bytes of the stream that starts at `column`, from its byte `offset` on, into the blob.
  func write(
    _ bytes: [UInt8], at offset: Int, ofStreamFrom column: Int, into blob: inout [UInt8]
  ) {
    forEachRun(offset..<offset + bytes.count, ofStreamFrom: column) { place, run in
      blob.replaceSubrange(place, with: bytes[run.lowerBound - offset..<run.upperBound - offset])
    }
  }

  /// Bytes of the stream that starts at `column`, out of the whole blob.
  func read(_ range: Range<Int>, ofStreamFrom column: Int, in blob: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count)
    forEachRun(range, ofStreamFrom: column) { place, _ in bytes.append(contentsOf: blob[place]) }
    return bytes
  }

  /// The runs of bytes that a range of a stream and the blob have in common, in the stream's order.
  private func forEachRun(
    _ range: Range<Int>, ofStreamFrom column: Int,
    _ body: (_ place: Range<Int>, _ run: Range<Int>) -> Void
  ) {
    var position = range.lowerBound
    while position < range.upperBound {
      let (columnOffset, inColumn) = position.quotientAndRemainder(dividingBy: columnByteCount)
      let (row, inSymbol) = inColumn.quotientAndRemainder(dividingBy: symbolByteCount)
      let count = min(symbolByteCount - inSymbol, range.upperBound - position)
      let place = (row * columnCount + column + columnOffset) * symbolByteCount + inSymbol
      body(place..<place + count, position..<position + count)
      position += count
    }
  }
}
