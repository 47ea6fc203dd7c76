// SimulatedNetwork+Carrying.swift
//
// The way of a message: drawn troubles, delay, arrival, the node's work, and the answer's way back.
// A fault is drawn when a message is sent; changing the troubles leaves what is under way alone, but
// for clogs.

import Cluster
import Synchronization
import World

extension SimulatedNetwork {
  /// A request under way.
  private struct Parcel: Sendable {
    var wire: WireRequest?
    var node: NodeID
    var asker: NetworkPeer
    var target: NetworkPeer
    /// Nil: nobody waits for the answer.
    var exchange: NetworkExchange?
  }

  /// Sends a request; what becomes of it settles the exchange, or nothing does.
  func begin(_ request: NodeRequest, to node: NodeID, from endpoint: SimulatedEndpoint)
    -> NetworkExchange
  {
    let wire = codec.encode(request)
    let byteCount = wire.wireByteCount
    let (exchange, target, trouble) = state.withLock { state in
      let exchange = NetworkExchange(id: state.newID(), node: node)
      let target = state.places[node] ?? NetworkPeer(name: "\(node)", zone: "")
      let path = TrafficPath(asker: endpoint.peer, node: node, target: target)
      state.traffic[path, default: NetworkTraffic()].requestCount += 1
      state.traffic[path, default: NetworkTraffic()].requestByteCount += byteCount
      return (exchange, target, state.troubles.trouble(from: endpoint.peer, to: target))
    }
    record(
      10, exchange.id, node, byteCount,
      "\(endpoint.peer.name) asks \(node): \(wire.method) \(wire.path)")
    let parcel = Parcel(
      wire: wire, node: node, asker: endpoint.peer, target: target, exchange: exchange)
    send(parcel, trouble)
    return exchange
  }

  /// The asker has gone: by dice the node notices that, and stops.
  func abandon(_ exchange: NetworkExchange, of endpoint: SimulatedEndpoint) {
    let trouble = state.withLock { state in
      let target = state.places[exchange.node] ?? endpoint.peer
      return state.troubles.trouble(from: endpoint.peer, to: target)
    }
    record(11, exchange.id, exchange.node, 0, "\(endpoint.peer.name) waits no longer for it")
    guard randomness.chance(trouble.noticedCloses), !randomness.chance(trouble.loss) else { return }
    let delay = trouble.delayAcrossZones.draw(from: randomness)
    carry(after: delay) { [self] in
      let tasks = state.withLock { state in
        state.serving.filter { $0.value.exchange === exchange }.sorted { $0.key < $1.key }
          .map(\.value.task)
      }
      for task in tasks { task.cancel() }
    }
  }

  // MARK: There

  private func send(_ parcel: Parcel, _ trouble: LinkTrouble) {
    var parcel = parcel
    if randomness.chance(trouble.refusals) {
      return fail(parcel, "the connection was refused", trouble)
    }
    if randomness.chance(trouble.halfOpen) || randomness.chance(trouble.loss) {
      return record(12, parcel, "a request vanishes")
    }
    if randomness.chance(trouble.resets) {
      return fail(parcel, "the connection broke under the request", trouble)
    }
    let original = parcel
    if let wire = parcel.wire, randomness.chance(trouble.flips) {
      parcel.wire = wire.withFlippedBit(randomness)
      record(13, parcel, "a bit of a request is flipped")
    }
    if let wire = parcel.wire, randomness.chance(trouble.truncation) {
      parcel.wire = wire.truncated()
      record(14, parcel, "a request is cut off")
    }
    carry(parcel, after: delay(from: parcel.asker, to: parcel.target, trouble))
    if randomness.chance(trouble.duplication) {
      record(15, original, "a request is sent twice")
      let delay = delay(from: parcel.asker, to: parcel.target, trouble)
      carry(original, after: delay + delay)
    }
    if randomness.chance(trouble.replays) { keep(original, trouble) }
  }

  /// The request will be told once more when everybody has forgotten it.
  private func keep(_ parcel: Parcel, _ trouble: LinkTrouble) {
    let isKept = state.withLock { state in
      guard state.replayCount < Self.replayCountMax else { return false }
      state.replayCount += 1
      return true
    }
    guard isKept else { return }
    var old = parcel
    old.exchange = nil
    let delay = randomness.duration(
      from: trouble.replayDelay / 2, below: trouble.replayDelay / 2 + trouble.replayDelay)
    carry(old, after: delay) { [self] in
      state.withLock { $0.replayCount -= 1 }
      record(16, parcel, "an old request is told again")
    }
  }

  private func fail(_ parcel: Parcel, _ reason: String, _ trouble: LinkTrouble) {
    record(17, parcel, reason)
    guard let exchange = parcel.exchange else { return }
    let delay = delay(from: parcel.asker, to: parcel.target, trouble)
    carry(after: delay + delay) {
      exchange.settle(.failure(TransportError.unreachable(parcel.node, reason)))
    }
  }

  private func carry(
    _ parcel: Parcel, after delay: Duration, _ arriving: @escaping @Sendable () -> Void = {}
  ) {
    carry(after: delay, from: parcel.asker, to: parcel.target) { [self] in
      arriving()
      arrive(parcel)
    }
  }

  private func arrive(_ parcel: Parcel) {
    let isTaken = state.withLock { state in
      guard let listener = state.listeners[parcel.node], listener.life.isAlive else { return false }
      let id = state.newID()
      let task = Task(executorPreference: listener.executor) { [self] in
        await serve(id, parcel, listener)
      }
      state.serving[id] = Serving(
        life: listener.life, node: parcel.node, exchange: parcel.exchange, asker: parcel.asker,
        peer: listener.peer, task: task)
      return true
    }
    if isTaken { return record(18, parcel, "a request arrives") }
    record(19, parcel, "a request finds nobody")
    guard let exchange = parcel.exchange else { return }
    carryBack(
      .failure(TransportError.unreachable(parcel.node, "nobody listens there")), of: exchange,
      from: parcel.target, to: parcel.asker)
  }

  private func serve(_ id: UInt64, _ parcel: Parcel, _ listener: Listener) async {
    let deadline = listener.clock.now + Self.answerDurationMax
    let served = await codec.serve(parcel.wire, with: listener.service, deadline: deadline)
    let observer = state.withLock { state in
      state.serving[id] = nil
      return state.observer
    }
    guard listener.life.isAlive else {
      return record(20, parcel, "an answer dies with its process")
    }
    if let request = served.request, listener.isHonest {
      observer?(request, served.response, listener.life, parcel.node)
    }
    let byteCount = served.answer.wireByteCount
    record(
      21, parcel.exchange?.id ?? 0, parcel.node, byteCount,
      "\(parcel.node) answers \(parcel.asker.name): \(served.answer.status), \(byteCount) bytes")
    guard let exchange = parcel.exchange else { return }
    let path = TrafficPath(asker: parcel.asker, node: parcel.node, target: listener.peer)
    state.withLock { state in
      state.traffic[path, default: NetworkTraffic()].answerCount += 1
      state.traffic[path, default: NetworkTraffic()].answerByteCount += byteCount
    }
    carryBack(.success(served.answer), of: exchange, from: listener.peer, to: parcel.asker)
  }

  // MARK: And back

  /// Takes an answer, or the news that there is none, to the asker.
  func carryBack(
    _ outcome: Result<WireResponse, any Error>, of exchange: NetworkExchange,
    from source: NetworkPeer, to asker: NetworkPeer
  ) {
    let trouble = state.withLock { $0.troubles.trouble(from: source, to: asker) }
    guard !randomness.chance(trouble.loss) else {
      return record(22, exchange.id, exchange.node, 0, "an answer vanishes")
    }
    var outcome = outcome
    if case .success(var answer) = outcome {
      if randomness.chance(trouble.resets) {
        record(23, exchange.id, exchange.node, 0, "the connection breaks under an answer")
        outcome = .failure(
          TransportError.unreachable(exchange.node, "the connection broke under the answer"))
      } else {
        if randomness.chance(trouble.flips) {
          answer.flipBit(randomness)
          record(24, exchange.id, exchange.node, 0, "a bit of an answer is flipped")
        }
        if randomness.chance(trouble.truncation) {
          answer.truncate()
          record(25, exchange.id, exchange.node, 0, "an answer is cut off")
        }
        outcome = .success(answer)
      }
    }
    let arriving = outcome
    carry(after: delay(from: source, to: asker, trouble), from: source, to: asker) { [self] in
      let isHeard = exchange.settle(arriving)
      record(isHeard ? 26 : 27, exchange.id, exchange.node, 0, "an answer arrives")
    }
  }

  // MARK: Time

  private func delay(from source: NetworkPeer, to target: NetworkPeer, _ trouble: LinkTrouble)
    -> Duration
  {
    let distribution =
      source.zone == target.zone ? trouble.delayInsideZone : trouble.delayAcrossZones
    let delay = distribution.draw(from: randomness)
    guard randomness.chance(trouble.reordering) else { return delay }
    return delay + distribution.median * 8
  }

  /// Calls `arrive` after the delay, and not while the link is clogged.
  private func carry(
    after delay: Duration, from source: NetworkPeer, to target: NetworkPeer,
    _ arrive: @escaping @Sendable () -> Void
  ) {
    let arrival = clock.now + delay
    startCarrying { [self] in
      try await clock.sleep(until: arrival)
      while let end = clogEnd(from: source, to: target), end > clock.now {
        // Healing may unclog it before.
        try await clock.sleep(until: min(end, clock.now + .seconds(1)))
      }
      arrive()
    }
  }

  private func carry(after delay: Duration, _ arrive: @escaping @Sendable () -> Void) {
    let arrival = clock.now + delay
    startCarrying { [self] in
      try await clock.sleep(until: arrival)
      arrive()
    }
  }

  private func clogEnd(from source: NetworkPeer, to target: NetworkPeer) -> Instant? {
    state.withLock { $0.troubles.trouble(from: source, to: target).cloggedUntil }
  }

  private func startCarrying(_ body: @escaping @Sendable () async throws -> Void) {
    state.withLock { state in
      guard !state.isShutDown else { return }
      let id = state.newID()
      state.carrying[id] = Task(executorPreference: executor) { [self] in
        // Only the end of the run cancels a message; it is lost then.
        try? await body()
        self.state.withLock { $0.carrying[id] = nil }
      }
    }
  }

  private func record(_ kind: UInt64, _ parcel: Parcel, _ text: @autoclosure () -> String) {
    record(
      kind, parcel.exchange?.id ?? 0, parcel.node, 0,
      "\(text()): \(parcel.asker.name) to \(parcel.node)")
  }

  private func record(
    _ kind: UInt64, _ exchange: UInt64, _ node: NodeID, _ byteCount: Int,
    _ text: @autoclosure () -> String
  ) {
    trace.record(
      .network, traceValue(kind, exchange, UInt64(node.value), UInt64(byteCount)),
      "#\(exchange) \(text())")
  }
}

extension TrafficPath {
  fileprivate init(asker: NetworkPeer, node: NodeID, target: NetworkPeer) {
    self.init(
      process: asker.name, processZone: asker.zone, node: node, nodeZone: target.zone)
  }
}
