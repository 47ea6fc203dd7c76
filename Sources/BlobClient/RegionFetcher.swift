// RegionFetcher.swift
//
// Drives a RegionFetch: sends what it asks for in batches per node, waits for whatever comes first
// (an answer, a node taking too long, a finished verification), and tells it.

import Cluster
import RedStuff
import Routing
import World

enum FetchFailure: Error {
  /// What answers does not suffice; the notes of the fetch say why.
  case exhausted
  case inconsistent
  case cancelled
}

struct RegionFetcher: Sendable {
  let metadata: VerifiedBlobMetadata
  let services: ClientServices

  private enum Event: Sendable {
    case answered(request: Int, Result<NodeResponse, TransportError>)
    case late(request: Int)
    case verified([FetchResult])
    case rested
    /// A timer that nobody needs any more.
    case dropped
  }

  private struct Batch: Sendable {
    let node: NodeID
    let flights: [RegionFetch.Flight]
    let purpose: TrafficPurpose

    init(node: NodeID, flights: [RegionFetch.Flight], lines: ReadPlanner.Lines) {
      self.node = node
      self.flights = flights
      let isDegraded = flights.contains { $0.run.standsIn(forLines: lines) }
      purpose = isDegraded ? .degradedRead : .read
    }
  }

  /// When it returns, the fetch's block is complete.
  func run(_ fetch: inout RegionFetch) async throws(FetchFailure) {
    let result = await withTaskGroup(of: Event.self, returning: Result<Void, FetchFailure>.self) {
      group in
      defer { group.cancelAll() }
      var run = Run()
      while true {
        switch fetch.next() {
        case .done: return .success(())
        case .send(let flights): run.queue += batches(of: flights, fetch.lineKinds)
        case .wait: break
        case .exhausted:
          guard !run.isResting else { break }
          guard fetch.lineKinds != .rows, fetch.health.hasFailures,
            run.retryCount < services.configuration.retryCountMax
          else { return .failure(.exhausted) }
          sometimes(.readRetried)
          run.retryCount += 1
          run.isResting = true
          rest(retry: run.retryCount, in: &group)
        }
        send(&run, in: &group)
        fetch.requestCount = run.requestCount
        guard let event = await group.next() else { return .failure(.exhausted) }
        if Task.isCancelled { return .failure(.cancelled) }
        let jobs = handle(event, &run, &fetch)
        if fetch.isInconsistent { return .failure(.inconsistent) }
        verify(jobs, in: &group)
        for pair in fetch.newLiars {
          services.peers.distrust(fetch.health.placement.node(keeping: pair))
        }
        fetch.newLiars = []
      }
    }
    return try result.get()
  }

  /// Requests of one run.
  private struct Run {
    var queue: [Batch] = []
    var inFlight: [Int: Batch] = [:]
    var requestCount = 0
    var retryCount = 0
    /// Waiting before another try of what failed in passing.
    var isResting = false
  }

  private func handle(_ event: Event, _ run: inout Run, _ fetch: inout RegionFetch) -> [FetchJob] {
    switch event {
    case .answered(let request, let result):
      guard let batch = run.inFlight.removeValue(forKey: request) else { return [] }
      return answered(batch, result, &fetch)
    case .late(let request):
      if let batch = run.inFlight[request] { fetch.late(batch.node) }
      return []
    case .verified(let results):
      return results.flatMap { fetch.verified($0) }
    case .rested:
      run.isResting = false
      fetch.forgetFailures()
      return []
    case .dropped:
      return []
    }
  }

  private func answered(
    _ batch: Batch, _ result: Result<NodeResponse, TransportError>, _ fetch: inout RegionFetch
  ) -> [FetchJob] {
    let ids = batch.flights.map(\.id)
    switch result {
    case .success(.readBatch(let outcomes)) where outcomes.count == ids.count:
      return zip(ids, outcomes).flatMap { fetch.received($0, $1) }
    case .success(.failure(let failure)):
      fetch.notes.add(failure, from: batch.node)
      fetch.failed(batch.node, ids, reason: failure.message)
    case .success:
      services.peers.distrust(batch.node)
      fetch.failed(batch.node, ids, reason: "the answer does not fit the request")
    case .failure(let error):
      fetch.failed(batch.node, ids, reason: "\(error)")
    }
    return []
  }

  /// One batch per node, cut at the limits of a message.
  private func batches(of flights: [RegionFetch.Flight], _ lines: ReadPlanner.Lines) -> [Batch] {
    let planner = ReadPlanner(
      parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount)
    var byNode: [NodeID: [RegionFetch.Flight]] = [:]
    for flight in flights { byNode[flight.node, default: []].append(flight) }
    var batches: [Batch] = []
    for (node, flights) in byNode.sorted(by: { $0.key < $1.key }) {
      var part: [RegionFetch.Flight] = []
      var byteCount = 0
      for flight in flights {
        let expected =
          flight.run.symbols.count
          * (flight.run.wantsPaths ? planner.provenSymbolByteCount : planner.symbolByteCount)
        if !part.isEmpty,
          part.count >= NodeMessageLimits.batchItemCountMax
            || byteCount + expected > services.configuration.batchByteCountTarget
        {
          batches.append(Batch(node: node, flights: part, lines: lines))
          part = []
          byteCount = 0
        }
        part.append(flight)
        byteCount += expected
      }
      if !part.isEmpty { batches.append(Batch(node: node, flights: part, lines: lines)) }
    }
    return batches
  }

  private func send(_ run: inout Run, in group: inout TaskGroup<Event>) {
    let room = services.configuration.requestsInFlightMax - run.inFlight.count
    for batch in run.queue.prefix(max(room, 0)) {
      let id = run.requestCount
      run.requestCount += 1
      run.inFlight[id] = batch
      let items = batch.flights.map { flight in
        ReadItem(
          blob: metadata.blobID, pair: flight.run.line.pair(shardCount: metadata.shardCount),
          axis: flight.run.line.axis, symbols: flight.run.symbols,
          wantsPaths: flight.run.wantsPaths)
      }
      let services = services
      let now = services.clock.now
      let hedge = now + services.hedgeDelay(for: batch.node)
      group.addTask {
        .answered(
          request: id,
          await services.peers.send(
            .readBatch(items), for: batch.purpose, to: batch.node,
            deadline: now + services.configuration.requestDeadline, over: services.transport))
      }
      group.addTask { await services.sleeps(until: hedge) ? .late(request: id) : .dropped }
    }
    run.queue.removeFirst(min(max(room, 0), run.queue.count))
  }

  private func verify(_ jobs: [FetchJob], in group: inout TaskGroup<Event>) {
    for start in stride(from: 0, to: jobs.count, by: FetchJob.batchCount) {
      let batch = Array(jobs[start..<min(start + FetchJob.batchCount, jobs.count)])
      let (compute, metadata) = (services.compute, metadata)
      group.addTask {
        .verified(await compute.run { FetchJob.run(batch, metadata: metadata) })
      }
    }
  }

  private func rest(retry: Int, in group: inout TaskGroup<Event>) {
    let services = services
    let end = services.clock.now + services.retryDelay(retry)
    group.addTask { await services.sleeps(until: end) ? .rested : .dropped }
  }
}
