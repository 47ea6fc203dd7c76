// OpenPatch.swift
//
// A patch of which the start was read: how long it is, is known now, and the rest can be streamed.
// Windows of whole columns are fetched one while the other is delivered, so that a patch of any size
// takes the memory of two windows.

package import RedStuff

package struct OpenPatch: Sendable {
  package let header: QuiltPatchHeader
  package let id: QuiltPatchID

  private let columns: QuiltColumns
  /// The first bytes of its stream, the header at least.
  private let start: [UInt8]
  private let state: ReadState

  /// - Parameter startByteCount: to be read at once; the header is read in any case.
  init(
    _ entry: QuiltIndexEntry, of quilt: Quilt, services: ClientServices, startByteCount: Int
  ) async throws(BlobClientError) {
    let blob = quilt.metadata.blobID
    let columns = QuiltColumns(shape: quilt.shape, services: services)
    var state = ReadState(metadata: quilt.metadata, services: services)
    // Names and tags are known from the index, and with them the length of the header.
    let expected = QuiltPatchHeader(
      identifier: entry.identifier, tags: entry.tags, dataByteCount: 0)
    let columnsByteCount = entry.columns.count * quilt.shape.columnByteCount
    start = try await columns.read(
      0..<min(max(expected.byteCount, startByteCount), columnsByteCount),
      ofStreamFrom: entry.columns.lowerBound, &state)
    do {
      header = try QuiltPatchHeader(start, columnsByteCount: columnsByteCount)
        .checked(against: entry)
    } catch {
      throw .malformedQuilt(blob, error)
    }
    id = QuiltPatchID(quilt: blob, columns: entry.columns)
    self.columns = columns
    self.state = state
  }

  /// Gives the receiver the data in order, in pieces of at most `sinkByteCountMax`.
  ///
  /// - Returns: what the patch cost, its start included.
  /// - Throws: `unavailable`, `inconsistent`, `forbidden`, `sinkFailed`, `cancelled`.
  @discardableResult
  package func read(into sink: @escaping BlobSink) async throws(BlobClientError) -> ReadReport {
    var state = state
    let end = header.streamByteCount
    var position = min(start.count, end)
    var fetched = Array(start[min(header.byteCount, position)..<position])
    while position < end {
      let next = position..<min(windowEnd(from: position), end)
      async let delivery = delivered(fetched, to: sink)
      let window: Result<[UInt8], BlobClientError>
      do {
        window = .success(
          try await columns.read(next, ofStreamFrom: id.columns.lowerBound, &state))
      } catch {
        window = .failure(error)
      }
      try await delivery.get()
      fetched = try window.get()
      position = next.upperBound
    }
    try await delivered(fetched, to: sink).get()
    return state.report
  }

  /// The end of a column, one window or so ahead: a column in parts costs its node the same work
  /// for each part.
  private func windowEnd(from position: Int) -> Int {
    let columnByteCount = columns.shape.columnByteCount
    let count = max(columns.services.configuration.windowByteCount / columnByteCount, 1)
    return (position / columnByteCount + count) * columnByteCount
  }

  private func delivered(
    _ bytes: [UInt8], to sink: BlobSink
  ) async -> Result<Void, BlobClientError> {
    let step = max(columns.services.configuration.sinkByteCountMax, 1)
    for from in stride(from: 0, to: bytes.count, by: step) {
      if Task.isCancelled { return .failure(.cancelled) }
      do {
        try await sink(Array(bytes[from..<min(from + step, bytes.count)]))
      } catch is CancellationError {
        return .failure(.cancelled)
      } catch {
        return .failure(.sinkFailed("\(error)"))
      }
    }
    return .success(())
  }
}
