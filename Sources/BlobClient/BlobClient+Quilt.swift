// BlobClient+Quilt.swift
//
// Quilts: many small blobs stored as one, and read one by one. Storing is building the quilt and
// storing it as any blob. Reading takes the index from the first columns, which is then remembered,
// and of the rest only what the patch asked for takes.

package import Cluster
package import RedStuff
import World

/// What a reader calls a patch.
package enum QuiltPatchName: Hashable, Sendable {
  /// The first patch of this identifier.
  case identifier(QuiltIdentifier)
  /// The patch that takes exactly these columns, as a patch ID says.
  case columns(Range<Int>)
}

extension QuiltPatchName: CustomStringConvertible {
  package var description: String {
    switch self {
    case .identifier(let identifier): "`\(identifier)`"
    case .columns(let columns): "in columns \(columns.lowerBound) to \(columns.upperBound)"
    }
  }
}

/// A quilt that exists.
package struct Quilt: Sendable {
  /// Verified against the quilt ID.
  package let metadata: VerifiedBlobMetadata
  package let index: QuiltIndex
  let shape: QuiltShape
  /// What reading the index cost; nothing if it was remembered.
  package let report: ReadReport

  package var id: BlobID { metadata.blobID }

  func entry(_ name: QuiltPatchName) throws(BlobClientError) -> QuiltIndexEntry {
    let entry =
      switch name {
      case .identifier(let identifier): index.entry(identifiedBy: identifier)
      case .columns(let columns): index.entry(at: columns)
      }
    guard let entry else { throw .patchNotFound(quilt: id, patch: name) }
    return entry
  }
}

package struct QuiltReceipt: Sendable {
  package let store: StoreReceipt
  package let index: QuiltIndex
}

extension BlobClient {
  // MARK: Storing

  /// The places of patches, from their headers alone.
  ///
  /// - Throws: `quiltRefused`.
  package func quiltPlan(_ headers: [QuiltPatchHeader]) throws(BlobClientError) -> QuiltPlan {
    do {
      return try QuiltPlan(
        headers, parameters: parameters,
        indexByteCountMax: configuration.quiltIndexByteCountMax)
    } catch {
      throw .quiltRefused(error)
    }
  }

  /// Builds a quilt and stores it as a blob; see `store` for what the parameters mean. Memory: the
  /// patches, until the caller forgets them, besides what storing a blob of the quilt's size takes.
  ///
  /// - Throws: `quiltRefused`, and what `store` throws.
  package func storeQuilt(
    _ patches: [QuiltPatch], persistence: Persistence, epochs: UInt32?,
    onFinished: (@Sendable () -> Void)? = nil
  ) async throws(BlobClientError) -> QuiltReceipt {
    let (parameters, indexByteCountMax) = (parameters, configuration.quiltIndexByteCountMax)
    let built: BuiltQuilt
    do {
      built = try await services.compute.run { () throws(QuiltBuildError) -> BuiltQuilt in
        try BuiltQuilt(patches, parameters: parameters, indexByteCountMax: indexByteCountMax)
      }
    } catch {
      onFinished?()
      throw .quiltRefused(error)
    }
    let receipt = try await store(
      built.blob, persistence: persistence, epochs: epochs, onFinished: onFinished)
    return QuiltReceipt(store: receipt, index: built.index)
  }

  // MARK: Reading

  /// - Throws: `notFound`, `unavailable`, `malformedQuilt` if the blob is none, and what reading
  ///   throws.
  package func quilt(_ id: BlobID) async throws(BlobClientError) -> Quilt {
    let metadata = try await head(id).metadata
    let shape = try shape(of: metadata)
    if let index = services.quiltIndexCache.value(of: id) {
      return Quilt(metadata: metadata, index: index, shape: shape, report: ReadReport())
    }
    var state = ReadState(metadata: metadata, services: services)
    let index = try await readIndex(of: id, shape: shape, &state)
    services.quiltIndexCache.insert(index, of: id)
    return Quilt(metadata: metadata, index: index, shape: shape, report: state.report)
  }

  package enum PatchUse: Sendable {
    /// Its data will be read.
    case data
    /// Only what the header says is wanted.
    case header
  }

  /// Reads the start of a patch.
  ///
  /// - Throws: `patchNotFound`, `malformedQuilt`, and what reading throws.
  package func open(
    _ name: QuiltPatchName, of quilt: Quilt, for use: PatchUse = .data
  ) async throws(BlobClientError) -> OpenPatch {
    try checkOpen()
    return try await OpenPatch(
      quilt.entry(name), of: quilt, services: services,
      startByteCount: use == .data ? configuration.patchStartByteCount : 0)
  }

  private func shape(
    of metadata: VerifiedBlobMetadata
  ) throws(BlobClientError) -> QuiltShape {
    do throws(QuiltFormatError) {
      let shape = try QuiltShape(
        parameters: metadata.parameters, blobByteCount: metadata.blobByteCount)
      // The matrix of a blob has even symbols, so a quilt with odd ones would not be its columns.
      guard shape.symbolByteCount == metadata.symbolByteCount else {
        throw .matrixNotFilled(
          byteCount: metadata.blobByteCount, cellCount: metadata.parameters.sourceSymbolCount)
      }
      return shape
    } catch {
      throw .malformedQuilt(metadata.blobID, error)
    }
  }

  private func readIndex(
    of id: BlobID, shape: QuiltShape, _ state: inout ReadState
  ) async throws(BlobClientError) -> QuiltIndex {
    let columns = QuiltColumns(shape: shape, services: services)
    // Most indexes come whole with this.
    let startByteCount = min(configuration.patchStartByteCount, shape.columnByteCount)
    var stream = try await columns.read(
      0..<max(startByteCount, QuiltIndex.prefixByteCount), ofStreamFrom: 0, &state)
    let byteCount = try indexByteCount(stream, of: id, shape: shape)
    if byteCount > stream.count {
      stream += try await columns.read(stream.count..<byteCount, ofStreamFrom: 0, &state)
    }
    let whole = stream
    do {
      return try await services.compute.run { () throws(QuiltFormatError) -> QuiltIndex in
        try QuiltIndex(stream: whole, shape: shape)
      }
    } catch {
      throw .malformedQuilt(id, error)
    }
  }

  /// Of the stream, as its start announces it.
  private func indexByteCount(
    _ start: [UInt8], of id: BlobID, shape: QuiltShape
  ) throws(BlobClientError) -> Int {
    do throws(QuiltFormatError) {
      let byteCount = try QuiltIndex.streamByteCount(announcedBy: start, shape: shape)
      guard byteCount <= configuration.quiltIndexByteCountMax else {
        throw .indexTooLong(
          byteCount: byteCount, byteCountMax: configuration.quiltIndexByteCountMax)
      }
      return byteCount
    } catch {
      throw .malformedQuilt(id, error)
    }
  }
}
