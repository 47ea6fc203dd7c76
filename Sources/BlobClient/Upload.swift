// Upload.swift
//
// Sends the slivers of one blob to all nodes: a batch at a time to each, a bounded number of nodes
// at once, failed ones again after a while. First until enough have confirmed, or that cannot be
// any more, or the deadline; then the rest for a bounded time.

import Cluster
import RedStuff
import Routing
import World

struct Upload: Sendable {
  enum News: Sendable {
    /// Enough for a certificate; the upload goes on.
    case quorum([StorageConfirmation], byteCount: Int)
    case failed(BlobClientError)
  }

  let services: ClientServices
  let encoded: EncodedBlob
  let initialState: UploadState
  let news: AsyncStream<News>.Continuation

  private enum Event: Sendable {
    case answered(Int, Result<NodeResponse, TransportError>)
    case retry(Int)
    case storeDeadline
    case tailDeadline
    case dropped
  }

  private struct Run {
    var state: UploadState
    /// Nodes whose turn it is to be sent something, in order.
    var ready: [Int]
    var inFlightCount = 0
    /// Nodes that wait for another try.
    var restingCount = 0
    var byteCount = 0
    var toldQuorum = false
  }

  func run() async {
    let failure = await withTaskGroup(of: Event.self, returning: BlobClientError?.self) { group in
      defer { group.cancelAll() }
      var run = Run(state: initialState, ready: order())
      timer(.storeDeadline, after: services.configuration.storeDeadline, in: &group)
      while true {
        send(&run, in: &group)
        guard run.state.hasQuorum || run.state.canReachQuorum else {
          sometimes(.quorumOutOfReach)
          return error(run)
        }
        if run.inFlightCount + run.restingCount == 0 { break }
        guard let event = await group.next() else { break }
        if Task.isCancelled { return .cancelled }
        switch event {
        case .answered(let node, let result): answered(node, result, &run, in: &group)
        case .retry(let node):
          run.restingCount -= 1
          if run.state.mayGoOn(node) { run.ready.append(node) }
        case .storeDeadline where !run.toldQuorum: return error(run)
        case .tailDeadline:
          sometimes(.tailCutOff)
          return nil
        case .storeDeadline, .dropped: break
        }
      }
      return run.state.hasQuorum ? nil : error(run)
    }
    if let failure { news.yield(.failed(failure)) }
    news.finish()
  }

  /// Nodes that are well first: they make the quorum.
  private func order() -> [Int] {
    let members = (0..<initialState.nodeCount).map { initialState.member($0) }
    let ranked = services.peers.ordered(members)
    let positions = Dictionary(
      uniqueKeysWithValues: members.enumerated().map { ($0.element.id, $0.offset) })
    return ranked.compactMap { positions[$0.id] }
  }

  private func answered(
    _ node: Int, _ result: Result<NodeResponse, TransportError>, _ run: inout Run,
    in group: inout TaskGroup<Event>
  ) {
    run.inFlightCount -= 1
    switch run.state.answered(node, result) {
    case .send: run.ready.append(node)
    case .finished: break
    case .retry:
      sometimes(.uploadRetried)
      run.restingCount += 1
      timer(
        .retry(node), after: services.retryDelay(run.state.failureCount(node)), in: &group)
    }
    if run.state.hasQuorum, !run.toldQuorum {
      run.toldQuorum = true
      news.yield(.quorum(run.state.confirmations, byteCount: run.byteCount))
      timer(.tailDeadline, after: services.configuration.tailDuration, in: &group)
    }
  }

  private func send(_ run: inout Run, in group: inout TaskGroup<Event>) {
    while run.inFlightCount < services.configuration.uploadsInFlightMax, !run.ready.isEmpty {
      let node = run.ready.removeFirst()
      guard let request = run.state.request(for: node) else { continue }
      run.inFlightCount += 1
      let byteCount = request.slivers.reduce(0) {
        $0 + encoded.metadata.sliverByteCount($1.axis)
      }
      run.byteCount += byteCount
      let registration = run.state.registration
      let id = run.state.member(node).id
      let (services, source) = (services, encoded)
      group.addTask {
        // Copied out only now, and gone when the answer is there.
        let entry = StoreEntry(
          blob: registration.blob, object: registration.object,
          metadata: request.sendsMetadata ? source.metadata.metadata : nil,
          slivers: request.slivers.map { source.sliver($0.axis, $0.index) },
          wantsConfirmation: request.isLast)
        return .answered(
          node,
          await services.peers.send(
            .storeBatch([entry]), for: .write, to: id,
            deadline: services.clock.now + services.configuration.requestDeadline,
            over: services.transport, as: .store(byteCount: byteCount)))
      }
    }
  }

  private func timer(
    _ event: Event, after delay: Duration, in group: inout TaskGroup<Event>
  ) {
    let services = services
    let end = services.clock.now + delay
    group.addTask { await services.sleeps(until: end) ? event : .dropped }
  }

  private func error(_ run: Run) -> BlobClientError {
    if run.state.isForbidden { return .forbidden(run.state.registration.blob) }
    return .insufficientConfirmations(
      shards: run.state.confirmedShardCount, required: run.state.requiredShardCount,
      reasons: run.state.reasons)
  }
}
