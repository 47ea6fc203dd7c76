// PlayedFetch.swift
//
// A fetch without a network: the test says which request is answered when, and how.

import Cluster
import RedStuff
import Routing
import Testing

@testable import BlobClient

/// A fetch whose requests the test answers as it likes.
struct PlayedFetch {
  let cluster: TestCluster
  let encoded: EncodedBlob
  let bytes: [UInt8]
  var fetch: RegionFetch

  var metadata: VerifiedBlobMetadata { encoded.metadata }

  /// - Parameter cells: of the message matrix; nil for all rows that hold some of the blob.
  init(
    _ cluster: TestCluster, byteCount: Int, cells: Range<Int>? = nil,
    lines: ReadPlanner.Lines = .rowsAndColumns, health: (inout SourceHealth) -> Void = { _ in }
  ) throws {
    self.cluster = cluster
    bytes = content(byteCount)
    encoded = try cluster.encode(bytes)
    let metadata = encoded.metadata
    let (k1, k2, s) = (cluster.k1, cluster.k2, metadata.symbolByteCount)
    let rowCount = (byteCount + k2 * s - 1) / (k2 * s)
    let wanted = cells ?? 0..<rowCount * k2
    var sources = SourceHealth(
      placement: BlobPlacement(blob: encoded.blobID, committee: cluster.committee),
      parameters: cluster.parameters, ranks: [:])
    health(&sources)
    fetch = RegionFetch(
      wanted: WantedCells(cells: wanted, columnCount: k2),
      block: CellBlock(around: wanted, columnCount: k2, symbolByteCount: s),
      metadata: metadata, lineKinds: lines, acceptsInconsistency: false,
      runByteCountMax: 1 << 20, zeroRows: cells == nil ? rowCount..<k1 : 0..<0, health: sources)
  }

  mutating func start() throws -> [RegionFetch.Flight] {
    guard case .send(let flights) = fetch.next() else { throw NothingSent() }
    return flights
  }

  /// The flights of a hedge, as the fetcher would send them.
  mutating func hedge(budget: Int) -> [RegionFetch.Flight] {
    fetch.launch(planned(budget: budget))
  }

  mutating func planned(budget: Int, burstMax: Int = 16) -> RegionFetch.Hedge {
    fetch.hedge(within: RegionFetch.HedgeLimits(available: budget, burstMax: burstMax))
  }

  func outcome(of flight: RegionFetch.Flight, lies: Bool = false) throws -> ReadOutcome {
    let sliver = encoded.sliver(flight.run.line.axis, flight.run.line.sliverIndex)
    let expanded = try sliver.expanded(parameters: cluster.parameters)
    var bytes = flight.run.symbols.flatMap { Array(expanded.symbol(at: $0)) }
    if lies { bytes[0] ^= 1 }
    let paths = flight.run.wantsPaths ? flight.run.symbols.map(expanded.tree.proof(ofLeaf:)) : []
    return .symbols(bytes: bytes, paths: paths)
  }

  mutating func answer(_ flights: some Sequence<RegionFetch.Flight>, lies: Bool = false) throws {
    for flight in flights {
      var jobs = fetch.received(flight.id, try outcome(of: flight, lies: lies))
      while !jobs.isEmpty {
        jobs = FetchJob.run(jobs, metadata: metadata).flatMap { fetch.verified($0) }
      }
    }
  }

  var isDone: Bool {
    var fetch = fetch
    return if case .done = fetch.next() { true } else { false }
  }

  /// Whether the block holds what the blob has in these cells.
  func isRight(cells: Range<Int>? = nil) -> Bool {
    let s = metadata.symbolByteCount
    let block = fetch.block
    let start = (cells?.lowerBound ?? 0) * s
    let end = min(cells.map { $0.upperBound * s } ?? bytes.count, bytes.count)
    let blockStart = (block.rows.lowerBound * cluster.k2 + block.columns.lowerBound) * s
    return Array(block.bytes[start - blockStart..<end - blockStart]) == Array(bytes[start..<end])
  }

  func nodes(_ flights: [RegionFetch.Flight]) -> Set<NodeID> { Set(flights.map(\.node)) }
}

struct NothingSent: Error {}
