// BlobClient+Read.swift
//
// Looking up a blob and reading it. The registry says whether it exists; the nodes, whether it can
// be had now.

import Cluster
package import ControlPlane
package import RedStuff
import Synchronization

/// What is known of a blob that exists.
package struct BlobHead: Sendable {
  /// Verified against the blob ID.
  package let metadata: VerifiedBlobMetadata
  package let summary: BlobRegistrySummary

  package var byteCount: UInt64 { metadata.blobByteCount }
}

extension BlobClient {
  /// - Throws: `notFound` if no registration of the blob is certified; `unavailable` if it exists
  ///   and no node gives its metadata.
  package func head(_ blob: BlobID) async throws(BlobClientError) -> BlobHead {
    try checkOpen()
    let status: BlobRegistryStatus
    do {
      status = try await services.registry.status(of: blob)
    } catch {
      throw .registry(error)
    }
    guard case .certified(let summary) = status else { throw .notFound(blob) }
    let metadata = try await MetadataFetch(services: services).metadata(of: blob)
    return BlobHead(metadata: metadata, summary: summary)
  }

  /// Gives the receiver the bytes of `range` (nil: all) in order, in pieces of at most
  /// `sinkByteCountMax`; the next window is fetched while it takes them.
  ///
  /// An error may come after bytes have been given away, if the rest cannot be had. With `strict`
  /// the whole blob is fetched, encoded again and compared with its ID before the first byte; that
  /// takes about seven times the blob in memory and is refused above `strictByteCountMax`.
  ///
  /// Parts of rows are checked symbol by symbol against the row *or* the column that they came
  /// from. Only for a badly encoded blob do these disagree; a whole read with the default check
  /// finds that out, a range read may not.
  /// - Throws: `notFound`, `unavailable`, `rangeOutsideBlob`, `inconsistent`, `forbidden`,
  ///   `tooLarge` (strict only), `sinkFailed`, `cancelled`.
  @discardableResult
  package func read(
    _ blob: BlobID, range: Range<UInt64>? = nil, check: ConsistencyCheck = .default,
    into sink: @escaping BlobSink
  ) async throws(BlobClientError) -> ReadReport {
    let metadata = try await head(blob).metadata
    let range = range ?? 0..<metadata.blobByteCount
    guard range.upperBound <= metadata.blobByteCount else {
      throw .rangeOutsideBlob(size: metadata.blobByteCount)
    }
    if check == .strict { return try await readStrictly(metadata, range, sink) }
    return try await reader(metadata, range, check, sink).run()
  }

  private func reader(
    _ metadata: VerifiedBlobMetadata, _ range: Range<UInt64>, _ check: ConsistencyCheck,
    _ sink: @escaping BlobSink
  ) -> BlobReader {
    BlobReader(
      services: services, spoolBudget: spoolBudget, metadata: metadata, range: range,
      check: check, sink: sink)
  }

  private func readStrictly(
    _ metadata: VerifiedBlobMetadata, _ range: Range<UInt64>, _ sink: @escaping BlobSink
  ) async throws(BlobClientError) -> ReadReport {
    guard metadata.blobByteCount <= configuration.strictByteCountMax else {
      throw .tooLarge(limit: configuration.strictByteCountMax)
    }
    let pieces = Pieces()
    let report = try await reader(metadata, 0..<metadata.blobByteCount, .default) { piece in
      pieces.append(piece)
    }.run()
    let all = pieces.takeAll()
    let encoder: BlobEncoder
    do {
      encoder = try BlobEncoder(
        pieces: all, parameters: metadata.parameters, output: .identityOnly)
    } catch {
      // Metadata of a blob above the limit does not verify.
      throw .inconsistent(metadata.blobID)
    }
    await services.run(encoder.phases)
    guard encoder.finishIdentity().blobID == metadata.blobID else {
      throw .inconsistent(metadata.blobID)
    }
    try await deliver(all, range, to: sink)
    return report
  }

  private func deliver(_ pieces: [[UInt8]], _ range: Range<UInt64>, to sink: BlobSink)
    async throws(BlobClientError)
  {
    var start = 0
    for piece in pieces {
      let part = (Int(range.lowerBound)..<Int(range.upperBound)).clamped(
        to: start..<start + piece.count)
      if !part.isEmpty {
        do {
          try await sink(Array(piece[part.lowerBound - start..<part.upperBound - start]))
        } catch is CancellationError {
          throw .cancelled
        } catch {
          throw .sinkFailed("\(error)")
        }
      }
      start += piece.count
    }
  }
}

/// A blob as it comes in.
private final class Pieces: Sendable {
  private let pieces = Mutex<[[UInt8]]>([])

  func append(_ piece: [UInt8]) { pieces.withLock { $0.append(piece) } }

  func takeAll() -> [[UInt8]] {
    pieces.withLock { pieces in
      defer { pieces = [] }
      return pieces
    }
  }
}
