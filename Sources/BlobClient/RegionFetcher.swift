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
    /// Time to look what is late.
    case lateDue
    case verified([FetchResult])
    case rested
    /// Time to look whether the budget allows a hedge now.
    case budgetDue
    /// A timer that nobody needs any more.
    case dropped
  }

  /// When it returns, the fetch's block is complete.
  func run(_ fetch: inout RegionFetch) async throws(FetchFailure) {
    let result = await withTaskGroup(of: Event.self, returning: Result<Void, FetchFailure>.self) {
      group in
      defer { group.cancelAll() }
      var run = Run()
      for node in services.peers.takeProbes() {
        let services = services
        let deadline = services.clock.now + services.configuration.requestDeadline
        group.addTask {
          await services.peers.probe(node, deadline: deadline, over: services.transport)
          return .dropped
        }
      }
      while true {
        switch fetch.next() {
        case .done: return .success(())
        case .send(let flights): run.queue += batches(of: flights, fetch)
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
        hedge(&run, &fetch, in: &group)
        send(&run, in: &group)
        watch(&run, in: &group)
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
    var queue: [FetchBatch] = []
    var inFlight: [Int: Request] = [:]
    var requestCount = 0
    var retryCount = 0
    /// Waiting before another try of what failed in passing.
    var isResting = false
    /// Waiting for the budget of hedges.
    var awaitsBudget = false
    /// The next look at what is late.
    var looksAt: Instant?
  }

  private struct Request {
    let batch: FetchBatch
    let lateAt: Instant
    var isLate = false
  }

  private func handle(_ event: Event, _ run: inout Run, _ fetch: inout RegionFetch) -> [FetchJob] {
    switch event {
    case .answered(let request, let result):
      guard let request = run.inFlight.removeValue(forKey: request) else { return [] }
      return answered(request.batch, result, &fetch)
    case .lateDue:
      run.looksAt = nil
      for batch in late(&run) { fetch.late(batch.flights.map(\.id)) }
      return []
    case .budgetDue:
      run.awaitsBudget = false
      fetch.hedgeIsDue = true
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

  /// Those that have become late, each once.
  private func late(_ run: inout Run) -> [FetchBatch] {
    let now = services.clock.now
    var late: [FetchBatch] = []
    for (id, request) in run.inFlight.sorted(by: { $0.key < $1.key })
    where !request.isLate && request.lateAt <= now {
      run.inFlight[id]?.isLate = true
      late.append(request.batch)
    }
    return late
  }

  private func answered(
    _ batch: FetchBatch, _ result: Result<NodeResponse, TransportError>, _ fetch: inout RegionFetch
  ) -> [FetchJob] {
    let ids = batch.flights.map(\.id)
    switch result {
    case .success(.readBatch(let outcomes, _)) where outcomes.count == ids.count:
      let missingCount = outcomes.count { $0 == .missing }
      services.peers.noteHoldings(
        of: batch.node, presentCount: outcomes.count - missingCount, missingCount: missingCount)
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

  private func batches(
    of flights: [RegionFetch.Flight], _ fetch: RegionFetch
  ) -> [FetchBatch] {
    FetchBatch.batches(
      of: flights, planner: fetch.planner, lines: fetch.lineKinds,
      byteCountMax: services.configuration.batchByteCountTarget)
  }

  /// Asks others for what is late, as far as the budget goes. Hedges do not queue behind requests
  /// that wait for their turn, or they would be late as well.
  private func hedge(
    _ run: inout Run, _ fetch: inout RegionFetch, in group: inout TaskGroup<Event>
  ) {
    let (available, burstMax) = services.peers.hedgesAvailable
    var hedge = fetch.hedge(
      within: RegionFetch.HedgeLimits(available: available, burstMax: burstMax))
    if services.peers.takeHedges(hedge.requestCount) {
      let batches = batches(of: fetch.launch(hedge), fetch)
      fetch.hedgeCount += batches.count
      for batch in batches { send(batch, &run, in: &group) }
    } else {
      // Another read was faster.
      hedge.waitsForBudget = true
    }
    guard hedge.waitsForBudget, !run.awaitsBudget else { return }
    run.awaitsBudget = true
    let services = services
    let end = services.clock.now + services.configuration.hedgeRetryDelay
    group.addTask { await services.sleeps(until: end) ? .budgetDue : .dropped }
  }

  private func send(_ run: inout Run, in group: inout TaskGroup<Event>) {
    let room = services.configuration.requestsInFlightMax - run.inFlight.count
    let sent = run.queue.prefix(max(room, 0))
    run.queue.removeFirst(sent.count)
    for batch in sent { send(batch, &run, in: &group) }
  }

  private func send(_ batch: FetchBatch, _ run: inout Run, in group: inout TaskGroup<Event>) {
    let id = run.requestCount
    run.requestCount += 1
    let items = batch.flights.map { flight in
      ReadItem(
        blob: metadata.blobID, pair: flight.run.line.pair(shardCount: metadata.shardCount),
        axis: flight.run.line.axis, symbols: flight.run.symbols,
        wantsPaths: flight.run.wantsPaths)
    }
    let services = services
    let now = services.clock.now
    run.inFlight[id] = Request(
      batch: batch,
      lateAt: now + services.hedgeDelay(for: batch.node, byteCount: batch.byteCount))
    group.addTask {
      .answered(
        request: id,
        await services.peers.send(
          .readBatch(items), for: batch.purpose, to: batch.node,
          deadline: now + services.configuration.requestDeadline, over: services.transport,
          as: batch.request))
    }
  }

  /// One timer for all requests: most are answered before they are late.
  private func watch(_ run: inout Run, in group: inout TaskGroup<Event>) {
    guard let next = run.inFlight.values.lazy.filter({ !$0.isLate }).map(\.lateAt).min(),
      run.looksAt.map({ next < $0 }) ?? true
    else { return }
    run.looksAt = next
    let services = services
    group.addTask { await services.sleeps(until: next) ? .lateDue : .dropped }
  }

  private func verify(_ jobs: [FetchJob], in group: inout TaskGroup<Event>) {
    for start in stride(from: 0, to: jobs.count, by: FetchJob.batchCount) {
      let batch = Array(jobs[start..<min(start + FetchJob.batchCount, jobs.count)])
      let (compute, metadata) = (services.compute, metadata)
      group.addTask {
        if FetchJob.areBrief(batch, metadata) {
          return .verified(FetchJob.run(batch, metadata: metadata))
        }
        return .verified(await compute.run { FetchJob.run(batch, metadata: metadata) })
      }
    }
  }

  private func rest(retry: Int, in group: inout TaskGroup<Event>) {
    let services = services
    let end = services.clock.now + services.retryDelay(retry)
    group.addTask { await services.sleeps(until: end) ? .rested : .dropped }
  }
}
