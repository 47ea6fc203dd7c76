// ReadState.swift
//
// What one read has learnt about its sources and what it cost so far, carried from fetch to fetch: a
// shard that lied in the first window is not asked again in the last.

import Cluster
import RedStuff
import Routing

struct ReadState: Sendable {
  let metadata: VerifiedBlobMetadata
  let services: ClientServices
  var health: SourceHealth
  var report = ReadReport()
  var notes = FetchNotes()

  init(metadata: VerifiedBlobMetadata, services: ClientServices) {
    self.metadata = metadata
    self.services = services
    health = SourceHealth(
      placement: BlobPlacement(blob: metadata.blobID, committee: services.committee),
      parameters: metadata.parameters, ranks: services.peers.ranks(of: services.committee.members))
  }

  /// Fetches and verifies the wanted cells, all of which lie in the block.
  mutating func fetch(
    _ wanted: WantedCells, into block: CellBlock, _ lines: ReadPlanner.Lines,
    acceptsInconsistency: Bool = false, zeroRows: Range<Int> = 0..<0
  ) async throws(FetchFailure) -> RegionFetch {
    var fetch = RegionFetch(
      wanted: wanted, block: block, metadata: metadata, lineKinds: lines,
      acceptsInconsistency: acceptsInconsistency,
      runByteCountMax: services.configuration.batchByteCountTarget, zeroRows: zeroRows,
      health: health)
    let fetcher = RegionFetcher(metadata: metadata, services: services)
    let result: Result<Void, FetchFailure>
    do {
      result = .success(try await fetcher.run(&fetch))
    } catch {
      result = .failure(error)
    }
    health = fetch.health
    report.byteCount += fetch.byteCount
    report.degradedSymbolCount += fetch.degradedSymbolCount
    notes.add(fetch.notes)
    report.requestCount += fetch.requestCount
    report.hedgeCount += fetch.hedgeCount
    try result.get()
    return fetch
  }

  func error(_ failure: FetchFailure) -> BlobClientError {
    switch failure {
    case .cancelled: .cancelled
    case .inconsistent: .inconsistent(metadata.blobID)
    case .exhausted where notes.isForbidden: .forbidden(metadata.blobID)
    case .exhausted:
      .unavailable(
        reason: "too few slivers of blob \(metadata.blobID) answer: \(notes.summary)")
    }
  }
}
