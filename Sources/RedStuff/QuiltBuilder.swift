// QuiltBuilder.swift
//
// Patches become a quilt: sorted, given columns, and written into the matrix of a blob, which is then
// encoded and stored as any blob. Planning needs the sizes only, so that who lacks the memory for a
// quilt finds out before anything is copied.
//
// The symbol size is the smallest at which every stream, rounded up to whole columns, fits: readers
// anywhere search the same way, since the blob ID depends on it.

/// Why patches do not make a quilt.
package enum QuiltBuildError: Error, Equatable {
  case tooManyPatches(count: Int, countMax: Int)
  case repeatedIdentifier(QuiltIdentifier)
  /// Its length does not fit the 32-bit field.
  case patchTooLarge(QuiltIdentifier, byteCount: Int)
  /// Fewer or shorter identifiers and tags are needed.
  case indexTooLong(byteCount: Int, byteCountMax: Int)
  /// No symbol size makes room for all.
  case quiltTooLarge(symbolByteCount: Int)
}

/// Where the patches of a quilt go.
package struct QuiltPlan: Sendable {
  package let shape: QuiltShape
  package let index: QuiltIndex
  /// For each entry of the index, which of the patches it is.
  let order: [Int]

  /// - Parameters:
  ///   - headers: of the patches, in any order.
  ///   - indexByteCountMax: what those who will read the quilt are ready to hold.
  package init(
    _ headers: [QuiltPatchHeader], parameters: EncodingParameters, indexByteCountMax: Int = .max
  ) throws(QuiltBuildError) {
    let columnCount = parameters.secondarySourceCount
    guard headers.count < columnCount else {
      throw .tooManyPatches(count: headers.count, countMax: columnCount - 1)
    }
    let order = headers.indices.sorted { headers[$0].identifier < headers[$1].identifier }
    for (left, right) in zip(order, order.dropFirst())
    where headers[left].identifier == headers[right].identifier {
      throw .repeatedIdentifier(headers[left].identifier)
    }
    for header in headers where !header.fitsLengthField {
      throw .patchTooLarge(header.identifier, byteCount: header.dataByteCount)
    }
    // End columns have a fixed width, so any columns give the length of the index.
    let unplaced = QuiltIndex(
      entries: order.map {
        QuiltIndexEntry(identifier: headers[$0].identifier, tags: headers[$0].tags, columns: 0..<1)
      })
    let indexByteCount = unplaced.streamBytes.count
    guard indexByteCount <= indexByteCountMax else {
      throw .indexTooLong(byteCount: indexByteCount, byteCountMax: indexByteCountMax)
    }
    let sizes = [indexByteCount] + order.map { headers[$0].streamByteCount }
    let s = try QuiltSymbolSize.search(
      sizes: sizes, columnCount: columnCount, rowCount: parameters.primarySourceCount)
    let shape = QuiltShape(parameters: parameters, symbolByteCount: s)
    var column = shape.columnCount(forStreamOf: sizes[0])
    var entries: [QuiltIndexEntry] = []
    for (position, size) in zip(order, sizes.dropFirst()) {
      let end = column + shape.columnCount(forStreamOf: size)
      entries.append(
        QuiltIndexEntry(
          identifier: headers[position].identifier, tags: headers[position].tags,
          columns: column..<end))
      column = end
    }
    self.shape = shape
    self.order = order
    index = QuiltIndex(entries: entries)
  }
}

/// A quilt, ready to be encoded.
package struct BuiltQuilt: Sendable {
  package let blob: [UInt8]
  package let shape: QuiltShape
  package let index: QuiltIndex

  /// Places the patches and writes them. Memory: the quilt, besides the patches.
  package init(
    _ patches: [QuiltPatch], parameters: EncodingParameters, indexByteCountMax: Int = .max
  ) throws(QuiltBuildError) {
    let headers = patches.map(\.header)
    let plan = try QuiltPlan(
      headers, parameters: parameters, indexByteCountMax: indexByteCountMax)
    let shape = plan.shape
    var blob = [UInt8](repeating: 0, count: shape.byteCount)
    shape.write(plan.index.streamBytes, at: 0, ofStreamFrom: 0, into: &blob)
    for (entry, position) in zip(plan.index.entries, plan.order) {
      let header = headers[position].bytes
      let column = entry.columns.lowerBound
      shape.write(header, at: 0, ofStreamFrom: column, into: &blob)
      shape.write(patches[position].data, at: header.count, ofStreamFrom: column, into: &blob)
    }
    self.blob = blob
    self.shape = shape
    index = plan.index
  }
}

/// The search for the symbol size of a quilt.
enum QuiltSymbolSize {
  /// - Parameters:
  ///   - sizes: of the streams, the index first.
  ///   - columnCount: k2.
  ///   - rowCount: k1.
  static func search(
    sizes: [Int], columnCount: Int, rowCount: Int,
    indexColumnCountMax: Int = QuiltIndex.columnCountMax
  ) throws(QuiltBuildError) -> Int {
    guard let indexByteCount = sizes.first, let longest = sizes.max(), sizes.count <= columnCount
    else { throw .tooManyPatches(count: sizes.count - 1, countMax: columnCount - 1) }
    func up(_ count: Int, per divisor: Int) -> Int { (count + divisor - 1) / divisor }
    func fits(_ s: Int) -> Bool {
      sizes.reduce(0) { $0 + up($1, per: s * rowCount) } <= columnCount
    }
    var low = max(
      up(sizes.reduce(0, +), per: columnCount * rowCount),
      up(indexByteCount, per: rowCount * indexColumnCountMax),
      up(QuiltIndex.prefixByteCount, per: rowCount))
    // With so many columns for each stream, the longest fits, and so do all.
    var high = up(longest, per: columnCount / sizes.count * rowCount)
    while low < high {
      let middle = (low + high) / 2
      if fits(middle) { high = middle } else { low = middle + 1 }
    }
    let alignment = EncodingParameters.symbolByteAlignment
    let s = up(low, per: alignment) * alignment
    guard s <= EncodingParameters.symbolByteCountMax else {
      throw .quiltTooLarge(symbolByteCount: s)
    }
    return s
  }
}

extension QuiltBuildError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tooManyPatches(let count, let countMax):
      "a quilt holds at most \(countMax) patches here, not \(count)"
    case .repeatedIdentifier(let identifier): "the identifier `\(identifier)` is given twice"
    case .patchTooLarge(let identifier, let byteCount):
      "`\(identifier)` has \(byteCount) bytes, and a patch takes less than 4 GiB"
    case .indexTooLong(let byteCount, let byteCountMax):
      """
      identifiers and tags make an index of \(byteCount) bytes, and \(byteCountMax) are allowed: \
      shorten them, or make several quilts
      """
    case .quiltTooLarge(let symbolByteCount):
      """
      the patches need symbols of \(symbolByteCount) bytes, and \
      \(EncodingParameters.symbolByteCountMax) are the most there can be: each patch takes whole \
      columns, so store large ones as blobs of their own
      """
    }
  }
}
