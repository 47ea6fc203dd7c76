// RegionFetchTests.swift
//
// What a fetch makes of answers that come late, twice, or not at all.

import Cluster
import RedStuff
import Routing
import Testing

@testable import BlobClient

@Suite struct RegionFetchTests {
  // A row's sliver is asked for in pieces, one request fails and the row is asked for again while the
  // other pieces are still on their way: some of them arrive twice before the missing one does.
  @Test func `a piece that arrives twice does not make its sender a liar`() async throws {
    let cluster = try await TestCluster(shards: 10)
    let bytes = content(600)
    let encoded = try cluster.encode(bytes)
    let metadata = encoded.metadata
    let s = metadata.symbolByteCount
    let cells = 0..<cluster.k2
    var fetch = RegionFetch(
      wanted: WantedCells(cells: cells, columnCount: cluster.k2),
      block: CellBlock(around: cells, columnCount: cluster.k2, symbolByteCount: s),
      metadata: metadata, lineKinds: .rowsAndColumns, acceptsInconsistency: false,
      runByteCountMax: s,
      health: SourceHealth(
        placement: BlobPlacement(blob: encoded.blobID, committee: cluster.committee),
        parameters: cluster.parameters, ranks: [:]))

    let first = try flights(of: &fetch)
    try #require(first.count == cluster.k2)
    let (arriving, lost) = (first.dropLast(), first[first.count - 1])
    fetch.failed(lost.node, [lost.id], reason: "lost")
    // Nobody else answers either, until the nodes are asked once more.
    while case .send(let others) = fetch.next() {
      for flight in others { fetch.failed(flight.node, [flight.id], reason: "down") }
    }
    fetch.forgetFailures()
    let second = try flights(of: &fetch)
    try #require(second.map(\.run) == first.map(\.run))

    let row = encoded.sliver(.primary, SliverIndex(0)).bytes
    func answer(_ flight: RegionFetch.Flight) -> [FetchJob] {
      let range = flight.run.symbols.lowerBound * s..<flight.run.symbols.upperBound * s
      return fetch.received(flight.id, .symbols(bytes: Array(row[range]), paths: []))
    }
    var jobs: [FetchJob] = []
    for flight in arriving + second { jobs += answer(flight) }
    for result in FetchJob.run(jobs, metadata: metadata) { _ = fetch.verified(result) }
    #expect(fetch.newLiars.isEmpty)
    guard case .done = fetch.next() else {
      Issue.record("the row is not there")
      return
    }
    #expect(fetch.block.bytes == Array(bytes[..<(cluster.k2 * s)]))
  }

  private func flights(of fetch: inout RegionFetch) throws -> [RegionFetch.Flight] {
    guard case .send(let flights) = fetch.next() else { throw NothingSent() }
    return flights
  }
}
