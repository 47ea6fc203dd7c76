// SimulatedNetwork.swift
//
// The network between simulated processes. Messages are bytes on links that have troubles drawn from
// dice (LinkTrouble.swift); what happens to a message under way stands in SimulatedNetwork+Carrying.
//
// Invariants: a node works on a request in a task of its own process, which ends with the process and
// not with the asker; nothing leaves a dead process; what left before its end may still arrive.
//
// Tasks here are unstructured, since a message outlives its sender and a server's work its asker.
// Each is kept in `State` until it has ended, and `end` and `shutDown` wait for them.

package import Cluster
package import RedStuff
import Synchronization
package import World

package final class SimulatedNetwork: Sendable {
  /// Called with each answer of an honest node at the moment it leaves.
  package typealias Observer =
    @Sendable (NodeRequest, NodeResponse, _ from: ProcessLife, NodeID) -> Void

  /// As long as the real server gives its node.
  package static let answerDurationMax = Duration.seconds(60)
  /// Old requests kept to be told again; further ones are not kept.
  static let replayCountMax = 64

  struct Listener: Sendable {
    var life: ProcessLife
    var peer: NetworkPeer
    var clock: any Clock
    var executor: (any TaskExecutor)?
    var service: any NodeService
    var isHonest: Bool
  }

  struct Serving: Sendable {
    var life: ProcessLife
    var node: NodeID
    var exchange: NetworkExchange?
    var asker: NetworkPeer
    var peer: NetworkPeer
    var task: Task<Void, Never>
  }

  struct State {
    /// By the names of their lives.
    var endpoints: [String: SimulatedEndpoint] = [:]
    var listeners: [NodeID: Listener] = [:]
    /// Where a node was last, running or not.
    var places: [NodeID: NetworkPeer] = [:]
    var troubles = LinkTroubles()
    var serving: [UInt64: Serving] = [:]
    var carrying: [UInt64: Task<Void, Never>] = [:]
    var nextID: UInt64 = 0
    var replayCount = 0
    var traffic: [TrafficPath: NetworkTraffic] = [:]
    var observer: Observer?
    var isShutDown = false

    mutating func newID() -> UInt64 {
      nextID += 1
      return nextID
    }
  }

  package let clock: VirtualClock
  let codec: NodeMessageCodec
  let randomness: any Randomness
  let trace: Trace
  let executor: (any TaskExecutor)?
  let state = Mutex(State())

  /// - Parameter executor: where messages are carried; nil: wherever the run is.
  package init(
    parameters: EncodingParameters, clock: VirtualClock, randomness: any Randomness, trace: Trace,
    executor: (any TaskExecutor)? = nil
  ) {
    self.executor = executor
    codec = NodeMessageCodec(parameters: parameters)
    self.clock = clock
    self.randomness = randomness
    self.trace = trace
  }

  // MARK: Processes

  /// The network as the process sees it. `processClock` is the one that its deadlines are told by;
  /// its work on requests runs on `executor`, nil being the run's own.
  package func endpoint(
    of life: ProcessLife, zone: String, clock processClock: any Clock,
    executor: (any TaskExecutor)? = nil
  ) -> SimulatedEndpoint {
    let endpoint = SimulatedEndpoint(
      network: self, life: life, peer: NetworkPeer(name: life.name, zone: zone),
      clock: processClock, executor: executor)
    state.withLock { $0.endpoints[life.name] = endpoint }
    return endpoint
  }

  /// From now on messages to `node` reach `service`, which is part of the process `life`; it must have
  /// an endpoint. A process may listen for several nodes.
  package func listen(
    _ node: NodeID, service: any NodeService, life: ProcessLife, isHonest: Bool = true
  ) {
    state.withLock { state in
      guard let endpoint = state.endpoints[life.name], endpoint.life === life else {
        preconditionFailure("\(life.name) listens for \(node) and has no endpoint")
      }
      state.listeners[node] = Listener(
        life: life, peer: endpoint.peer, clock: endpoint.clock,
        executor: endpoint.executor, service: service, isHonest: isHonest)
      state.places[node] = endpoint.peer
    }
    trace.record(.network, traceValue(1, UInt64(node.value)), "\(life.name) listens for \(node)")
  }

  /// New connections are refused; what was asked before is still answered.
  package func unlisten(_ node: NodeID, life: ProcessLife) {
    state.withLock { state in
      if state.listeners[node]?.life === life { state.listeners[node] = nil }
    }
  }

  /// To be called when the process crashes or stops: takes nothing more for it, cancels its work on
  /// requests, and returns when that has ended. Those who wait for an answer may or may not learn
  /// that the connection is gone.
  package func end(_ life: ProcessLife) async {
    let ended = state.withLock { state in
      state.listeners = state.listeners.filter { $0.value.life !== life }
      if state.endpoints[life.name]?.life === life { state.endpoints[life.name] = nil }
      return state.serving.filter { $0.value.life === life }.sorted { $0.key < $1.key }
        .map(\.value)
    }
    trace.record(
      .network, traceValue(2, UInt64(ended.count)),
      "\(life.name) ends with \(ended.count) requests under way")
    for serving in ended {
      serving.task.cancel()
      if let exchange = serving.exchange, randomness.chance(0.5) {
        carryBack(
          .failure(TransportError.unreachable(serving.node, "the connection broke")), of: exchange,
          from: serving.peer, to: serving.asker)
      }
    }
    for serving in ended { await serving.task.value }
  }

  /// Ends all that is under way; later messages reach nobody.
  package func shutDown() async {
    let tasks = state.withLock { state in
      state.isShutDown = true
      state.listeners = [:]
      return state.serving.sorted { $0.key < $1.key }.map(\.value.task)
        + state.carrying.sorted { $0.key < $1.key }.map(\.value)
    }
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  // MARK: Trouble

  /// For messages from `source` to `target` sent from now on; nil takes back what was said of just
  /// these. What was said of two processes counts before what was said of one, then zones, then
  /// everywhere, and takes its place whole.
  package func setTrouble(
    _ trouble: LinkTrouble?, from source: NetworkPlace = .everywhere,
    to target: NetworkPlace = .everywhere
  ) {
    state.withLock { $0.troubles.set(trouble, from: source, to: target) }
    trace.record(
      .fault, traceValue(3, trouble == nil ? 0 : 1),
      "from \(source) to \(target): \(trouble.map { "\($0)" } ?? "as elsewhere")")
  }

  /// Nothing is wrong anywhere. Messages that were clogged go on; those kept to be told again later
  /// still will be.
  package func heal() {
    state.withLock { $0.troubles.clear() }
    trace.record(.fault, 4, "the network is healed")
  }

  /// Where a node is or was last, for `setTrouble`.
  package func place(of node: NodeID) -> NetworkPlace? {
    state.withLock { $0.places[node].map { .process($0.name) } }
  }

  // MARK: Looking on

  package func observe(_ observer: Observer?) { state.withLock { $0.observer = observer } }

  /// The sum over the paths that are wanted.
  package func traffic(where isWanted: (TrafficPath) -> Bool = { _ in true }) -> NetworkTraffic {
    state.withLock { state in
      var sum = NetworkTraffic()
      for (path, part) in state.traffic where isWanted(path) { sum += part }
      return sum
    }
  }

  /// Requests that nodes work on now.
  package var servingCount: Int { state.withLock { $0.serving.count } }

  /// Messages under way now, those kept to be told again included.
  package var carryingCount: Int { state.withLock { $0.carrying.count } }
}
