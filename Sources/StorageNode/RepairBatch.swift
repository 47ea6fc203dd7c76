// RepairBatch.swift
//
// Rebuilds what this node lacks of a few blobs: asks for the symbols that JointRecovery wants, one
// request to each helper for all blobs, until nothing more can be had, and stores what came out.
//
// Every sliver is checked against the metadata before it is written, and written only while the
// registry says that its blob is kept.

import Cluster
import CoreMetrics
import Logging
import RedStuff
import Repair
import Routing
import SliverStore
import Synchronization
import World

/// One blob under repair.
struct RepairJob: Sendable {
  let metadata: VerifiedBlobMetadata
  var recovery: JointRecovery
  let sources: SliverSources
  /// What to ask for next.
  var plan: JointRecovery.Plan
  /// What has come since the last rebuilding.
  var arrived: [(run: SymbolRun, outcome: ReadOutcome)] = []
  /// What it asks others for in vain is to be repaired there if the last attempt could not do
  /// without.
  let purpose: ReadPurpose
  /// What its slivers will take.
  let byteCount: Int
  /// Liars, suspects and rotten own slivers that were noted.
  var liarCount = 0
  var suspectCount = 0
  var rottenCount = 0
  var isOver = false
  var problem = ""

  var blob: BlobID { metadata.blobID }
  var isBadlyEncoded: Bool {
    if case .inconsistent = recovery.state { true } else { false }
  }
}

/// What one helper is asked in one message.
private struct RepairRequest: Sendable {
  let node: NodeID
  let purpose: ReadPurpose
  var runs: [(job: Int, run: SymbolRun)] = []
  /// Of the answer, but for its frame.
  var byteCount = 0
}

package struct RepairBatch {
  /// The problem of a blob that nobody can repair.
  package static let badlyEncoded =
    "the blob was encoded badly: some of its slivers do not exist"
  /// Asking for symbols, for others instead, for proofs, and for others instead of liars'.
  private static let roundCountMax = 24
  private static let requestsInFlightMax = 16
  private static let blobsStoredAtOnceMax = 16

  let node: StorageNode
  var sawLiar = false
  private(set) var restoredSliverCount = 0
  var jobs: [RepairJob] = []

  init(node: StorageNode) { self.node = node }

  mutating func run(_ blobs: [MissingBlob]) async throws {
    let silent = node.peers.takeProbes()
    _ = try await fanOut(count: silent.count, width: Self.requestsInFlightMax) { [node] in
      await node.peers.probe(
        silent[$0], deadline: node.clock.now + PeerStatistics.suspicionMin, over: node.transport)
    }
    // One for all blobs: then they share their helpers.
    let ranks = node.peers.ranks(of: node.committee.members)
    let prepared = try await fanOut(
      count: blobs.count, width: node.configuration.lookUpCountMax
    ) { [node] in
      try await RepairBatch.prepare(blobs[$0], ranks, node)
    }
    jobs = fitting(prepared.compactMap(\.self))
    for _ in 0..<Self.roundCountMax where !jobs.allSatisfy(\.isOver) {
      try Task.checkCancellation()
      let requests = try await plan()
      if !requests.isEmpty { try await waitForBudget() }
      try await round(requests)
    }
    for job in jobs { await conclude(job) }
  }

  /// Fetches and rebuilds, and then rests if others felt it.
  private mutating func round(_ requests: [RepairRequest]) async throws {
    let start = node.clock.now
    node.pace.withLock { $0.roundBegan() }
    let result: Result<Void, any Error>
    do {
      try await send(requests)
      result = .success(try await rebuild())
    } catch {
      result = .failure(error)
    }
    let rest = node.roundEnded(from: start)
    try result.get()
    if rest > .zero {
      sometimes(.repairYielded)
      try await node.clock.sleep(for: rest)
    }
  }

  /// As many as fit the memory of a batch, one at least; the others stay due.
  private func fitting(_ jobs: [RepairJob]) -> [RepairJob] {
    var byteCount = 0
    return Array(
      jobs.prefix { job in
        let fits = byteCount == 0 || byteCount < node.configuration.repairBatchByteCountMax
        byteCount += job.byteCount
        return fits
      })
  }

  /// Nil if there is nothing to repair of it.
  private static func prepare(
    _ missing: MissingBlob, _ ranks: [NodeID: PeerRank], _ node: StorageNode
  ) async throws -> RepairJob? {
    let blob = missing.blob
    guard try await node.isKept(blob) else {
      await node.forgetMissing(blob)
      return nil
    }
    let places = node.places(of: blob)
    let isHere = await node.drives.contains(places.map(\.key))
    let n = node.parameters.shardCount
    var lost: [MatrixLine] = []
    var own: [MatrixLine] = []
    var present: [MissingSliver] = []
    let pausedShards = node.healing.withLock { $0.pausedShards }
    for (place, isHere) in zip(places, isHere) {
      let line = place.line(shardCount: n)
      if isHere {
        own.append(line)
        present.append(place.key.missing)
      } else if !pausedShards.contains(place.shard) {
        lost.append(line)
      }
    }
    // Also what is noted and does not belong here.
    let known = Set(places.map(\.key.missing))
    present += missing.sortedSlivers.filter { !known.contains($0) }
    let found = present
    await node.remember { set, _ throws(IndexError) in try await set.found(found, of: blob) }
    guard !lost.isEmpty else { return nil }
    guard let metadata = try await node.metadataForRepair(of: blob) else {
      await fail(blob, node, attempts: missing.failedAttemptCount, "no node gives its metadata")
      return nil
    }
    // Of a very large blob a part at a time, columns first: rows build on them.
    let lineByteCount = metadata.parameters.secondarySourceCount * metadata.symbolByteCount
    let lineCountMax = max(node.configuration.repairBatchByteCountMax / lineByteCount, 1)
    let part = lost.sorted { $0.axis != $1.axis ? $0.axis == .secondary : $0 < $1 }
      .prefix(lineCountMax)
    var recovery = JointRecovery(metadata: metadata, lost: Array(part), own: own)
    let sources = node.repairSources(of: blob, ranks: ranks)
    let plan = recovery.plan(from: sources)
    return RepairJob(
      metadata: metadata, recovery: recovery, sources: sources, plan: plan,
      purpose: missing.isUnrecoverable ? .read : .repair,
      byteCount: part.count * lineByteCount)
  }

  /// Reads what own slivers give, and collects what helpers are to be asked.
  private mutating func plan() async throws -> [RepairRequest] {
    var requests: [NodeID: [RepairRequest]] = [:]
    for index in jobs.indices where !jobs[index].isOver {
      let plan = jobs[index].plan
      for run in plan.own { try await readOwn(run, job: index) }
      if plan.own.isEmpty, plan.remote.isEmpty { jobs[index].isOver = true }
      for run in plan.remote { add(run, job: index, to: &requests) }
    }
    return requests.sorted { $0.key < $1.key }.flatMap(\.value)
  }

  private func add(_ run: SymbolRun, job: Int, to requests: inout [NodeID: [RepairRequest]]) {
    let (metadata, purpose) = (jobs[job].metadata, jobs[job].purpose)
    let helper = keeper(of: run.line, metadata.blobID)
    var queue = requests[helper] ?? []
    let byteCount = byteCount(of: run, metadata)
    let fits = queue.last.map {
      $0.purpose == purpose && $0.runs.count < NodeMessageLimits.batchItemCountMax
        && $0.byteCount + byteCount <= NodeMessageLimits.batchByteCountTarget
    }
    if fits != true { queue.append(RepairRequest(node: helper, purpose: purpose)) }
    queue[queue.count - 1].runs.append((job, run))
    queue[queue.count - 1].byteCount += byteCount
    requests[helper] = queue
  }

  private func byteCount(of run: SymbolRun, _ metadata: VerifiedBlobMetadata) -> Int {
    let planner = ReadPlanner(
      parameters: metadata.parameters, symbolByteCount: metadata.symbolByteCount)
    return run.symbols.count
      * (run.wantsPaths ? planner.provenSymbolByteCount : planner.symbolByteCount)
  }

  private mutating func readOwn(_ run: SymbolRun, job: Int) async throws {
    let reservation = try node.admission.enter(byteCount: 0)
    defer { reservation.end() }
    let outcomes = try await node.read(
      [item(run, jobs[job].metadata)], for: .repair, within: reservation)
    jobs[job].arrived.append((run, outcomes.first ?? .missing))
  }

  func item(_ run: SymbolRun, _ metadata: VerifiedBlobMetadata) -> ReadItem {
    ReadItem(
      blob: metadata.blobID, pair: run.line.pair(shardCount: metadata.shardCount),
      axis: run.line.axis, symbols: run.symbols, wantsPaths: run.wantsPaths,
      wantsSignature: run.wantsPaths)
  }

  private mutating func send(_ requests: [RepairRequest]) async throws {
    guard !requests.isEmpty else { return }
    let items = requests.map { request in
      request.runs.map { item($0.run, jobs[$0.job].metadata) }
    }
    let node = node
    let answers = try await fanOut(
      count: requests.count, width: Self.requestsInFlightMax
    ) { index in
      await node.peers.send(
        .readBatch(items[index], for: requests[index].purpose), for: .repair,
        to: requests[index].node,
        deadline: node.clock.now + node.configuration.repairRequestDeadline, over: node.transport,
        as: .read(byteCount: requests[index].byteCount))
    }
    try Task.checkCancellation()
    var byteCount = 0
    for (request, answer) in zip(requests, answers) {
      let outcomes: [ReadOutcome]
      switch answer {
      case .success(.readBatch(let given, _)) where given.count == request.runs.count:
        outcomes = given
      case .success(.failure), .failure:
        outcomes = request.runs.map { _ in .missing }
      case .success:
        node.peers.distrust(request.node)
        outcomes = request.runs.map { _ in .missing }
      }
      for ((job, run), outcome) in zip(request.runs, outcomes) {
        byteCount += outcome.symbolByteCount + outcome.pathByteCount
        jobs[job].arrived.append((run, outcome))
      }
    }
    let (received, now) = (byteCount, node.clock.now)
    node.metrics.repairReceivedBytes.increment(by: received)
    node.healing.withLock {
      $0.budget.spend(received, at: now)
      $0.receivedByteCount += received
      $0.requestCount += requests.count
    }
  }

  private func waitForBudget() async throws {
    while true {
      let now = node.clock.now
      let wait = node.healing.withLock { $0.isPaused ? .seconds(1) : $0.budget.wait(at: now) }
      guard wait > .zero else { return }
      try await node.clock.sleep(for: min(wait, .seconds(1)))
    }
  }

  /// Decodes and stores whatever has come together, and plans what is still to come.
  private mutating func rebuild() async throws {
    let open = jobs.indices.filter { !jobs[$0].isOver }
    let current = open.map { jobs[$0] }
    for index in open { jobs[index].arrived = [] }
    let compute = node.compute
    let rebuilt = try await fanOut(count: open.count, width: max(compute.width, 1)) { number in
      await compute.run {
        let job = current[number]
        var recovery = job.recovery
        for (run, outcome) in job.arrived { recovery.receive(outcome, run) }
        let slivers = recovery.rebuild()
        let plan = recovery.plan(from: job.sources)
        return (recovery, plan, slivers)
      }
    }
    for (index, (recovery, plan, _)) in zip(open, rebuilt) {
      jobs[index].recovery = recovery
      jobs[index].plan = plan
      noteLiars(job: index)
      await noteRotten(job: index)
      if recovery.state != .recovering { jobs[index].isOver = true }
    }
    try await store(
      zip(open, rebuilt).map { (job: $0, slivers: $1.2) }.filter { !$0.slivers.isEmpty })
  }

  func keeper(of line: MatrixLine, _ blob: BlobID) -> NodeID {
    node.committee.node(keeping: line.pair(shardCount: node.parameters.shardCount), of: blob)
  }

  /// Many blobs at once: then drives sync for all of them together.
  private mutating func store(_ rebuilt: [(job: Int, slivers: [Sliver])]) async throws {
    let metadata = rebuilt.map { jobs[$0.job].metadata }
    let results = try await fanOut(
      count: rebuilt.count, width: Self.blobsStoredAtOnceMax
    ) { [node] number -> Result<Int, NodeFailure> in
      do {
        return .success(
          try await node.storeRestored(rebuilt[number].slivers, metadata[number]))
      } catch let failure as NodeFailure {
        return .failure(failure)
      }
    }
    for ((job, slivers), result) in zip(rebuilt, results) {
      switch result {
      case .success(let byteCount):
        restoredSliverCount += slivers.count
        node.metrics.repairRestoredBytes.increment(by: byteCount)
        node.healing.withLock {
          $0.restoredByteCount += byteCount
          $0.restoredSliverCount += slivers.count
        }
      case .failure(let failure):
        jobs[job].isOver = true
        jobs[job].problem = failure.message
      }
    }
  }

  private func conclude(_ job: RepairJob) async {
    let isComplete = job.recovery.state == .complete && job.problem.isEmpty
    node.healing.withLock {
      if isComplete {
        $0.neededByteCount += job.recovery.neededByteCount
      } else {
        $0.failedAttemptCount += 1
      }
    }
    guard !isComplete else { return }
    let missing: MissingBlob?
    do throws(IndexError) {
      missing = try await node.missing.missing(of: job.blob)
    } catch {
      // Nor could the failure be noted: the blob is due again at once, after a pause.
      node.logger.error(
        "what is missing cannot be read",
        metadata: ["node": "\(node.id)", "blob": "\(job.blob)", "error": "\(error.message)"])
      return
    }
    // It has ended, or what was missing is here by another way.
    guard let missing else { return }
    let problem =
      job.isBadlyEncoded
      ? Self.badlyEncoded
      : job.problem.isEmpty ? "too few other slivers answer" : job.problem
    await Self.fail(
      job.blob, node, attempts: missing.failedAttemptCount, problem,
      isUnrecoverable: job.problem.isEmpty)
  }

  private static func fail(
    _ blob: BlobID, _ node: StorageNode, attempts: Int, _ problem: String,
    isUnrecoverable: Bool = true
  ) async {
    sometimes(.repairFailed)
    let configuration = node.configuration
    let delay = min(
      configuration.repairRetryDelayMin * (1 << min(attempts, 16)),
      configuration.repairRetryDelayMax, MissingSet.parkedMax)
    node.logger.warning(
      "a blob was not repaired",
      metadata: ["node": "\(node.id)", "blob": "\(blob)", "problem": "\(problem)"])
    await node.remember { set, now throws(IndexError) in
      try await set.failed(
        blob, isUnrecoverable: isUnrecoverable, problem: problem, next: now + delay)
    }
  }
}

extension JointRecovery {
  fileprivate mutating func receive(_ outcome: ReadOutcome, _ run: SymbolRun) {
    switch outcome {
    case .symbols(let bytes, let paths): receive(run, bytes: bytes, paths: paths)
    case .signedSymbols(let bytes, let paths, let signature):
      receive(run, bytes: bytes, paths: paths, signature: signature)
    case .missing, .refused: missing(run)
    }
  }
}
