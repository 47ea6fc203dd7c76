// SimulatedTransport.swift
//
// A network without sockets for scripted tests: a node answers in its caller's task, and can be made
// to fail in the ways a peer fails. Messages pass through their real bytes (SimulatedWire.swift);
// what draws its faults from dice is SimulatedNetwork.
//
// A fault is looked up when a request arrives; changing it does not touch requests under way.

package import Cluster
package import RedStuff
import Synchronization
package import World

package final class SimulatedTransport: Transport {
  /// What is wrong with a node, or with the way to it.
  package enum Fault: Sendable, Hashable {
    /// Refuses at once; the node never sees the request.
    case down
    /// Swallows the request: no answer until the deadline, and the node never sees it.
    case hanging
    /// The node does what it is asked, but its answer is lost on the way.
    case answerLost
    /// The request arrives this much later.
    case delayed(Duration)
    /// One bit of the answer's body is flipped (of its status, if there is no body).
    case answerFlipped
    /// The answer's body ends in the middle.
    case answerTruncated
  }

  /// What went to a node, and what came back.
  package struct Traffic: Sendable, Hashable {
    package var requestCount = 0
    package var requestByteCount = 0
    package var answerByteCount = 0
  }

  private struct State {
    var services: [NodeID: any NodeService] = [:]
    var faults: [NodeID: Fault] = [:]
    var traffic: [NodeID: Traffic] = [:]
    var interceptor: (@Sendable (NodeRequest, NodeID) async -> Fault?)?
  }

  private let codec: NodeMessageCodec
  private let clock: any Clock
  private let randomness: any Randomness
  private let state = Mutex(State())

  package init(parameters: EncodingParameters, clock: any Clock, randomness: any Randomness) {
    codec = NodeMessageCodec(parameters: parameters)
    self.clock = clock
    self.randomness = randomness
  }

  /// From now on messages to `node` reach `service`.
  package func connect(_ node: NodeID, to service: any NodeService) {
    state.withLock { $0.services[node] = service }
  }

  /// From now on the node is not there at all, as after the end of its process.
  package func disconnect(_ node: NodeID) {
    state.withLock { $0.services[node] = nil }
  }

  /// Nil: the node is well.
  package func setFault(_ fault: Fault?, of node: NodeID) {
    state.withLock { $0.faults[node] = fault }
  }

  /// Called with every request before it is sent; may wait, and may name a fault for this one.
  package func setInterceptor(_ interceptor: (@Sendable (NodeRequest, NodeID) async -> Fault?)?) {
    state.withLock { $0.interceptor = interceptor }
  }

  package func traffic(of node: NodeID) -> Traffic {
    state.withLock { $0.traffic[node] ?? Traffic() }
  }

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    do {
      return try await withDeadline(deadline, clock: clock) { [self] in
        try await exchange(request, with: node, deadline: deadline)
      }
    } catch let error as TransportError {
      throw error
    } catch is CancellationError {
      throw .cancelled
    } catch {
      throw .deadlineExceeded(node)
    }
  }

  private func exchange(_ request: NodeRequest, with node: NodeID, deadline: Instant)
    async throws -> NodeResponse
  {
    let interceptor = state.withLock { $0.interceptor }
    let single = await interceptor?(request, node)
    let (service, lasting) = state.withLock { ($0.services[node], $0.faults[node]) }
    let fault = single ?? lasting
    guard let service, fault != .down else {
      throw TransportError.unreachable(node, "the simulated node is down")
    }
    if case .delayed(let delay) = fault { try await clock.sleep(for: delay) }
    if fault == .hanging { throw try await noAnswer(until: deadline) }
    let wire = codec.encode(request)
    state.withLock {
      $0.traffic[node, default: Traffic()].requestCount += 1
      $0.traffic[node, default: Traffic()].requestByteCount += wire.wireByteCount
    }
    var answer = await codec.serve(wire, with: service, deadline: deadline).answer
    if fault == .answerLost { throw try await noAnswer(until: deadline) }
    state.withLock { $0.traffic[node, default: Traffic()].answerByteCount += answer.wireByteCount }
    if fault == .answerFlipped { answer.flipBit(randomness) }
    if fault == .answerTruncated { answer.truncate() }
    return try codec.understand(answer, to: request, from: node)
  }

  private func noAnswer(until deadline: Instant) async throws -> DeadlineExceeded {
    try await clock.sleep(until: deadline)
    return DeadlineExceeded()
  }
}
