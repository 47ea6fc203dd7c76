// SimulatedEndpoint.swift
//
// One process's way into the simulated network, and a request of it under way.
//
// Invariant: whatever the network does, `send` returns by its deadline on the sender's own clock.

package import Cluster
import Synchronization
package import World

package struct SimulatedEndpoint: Transport {
  let network: SimulatedNetwork
  let life: ProcessLife
  let peer: NetworkPeer
  /// The process's own, which its deadlines are told by.
  let clock: any Clock
  /// Where the process works on what others ask.
  let executor: (any TaskExecutor)?

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    guard life.isAlive, !Task.isCancelled else { throw .cancelled }
    let exchange = network.begin(request, to: node, from: self)
    let result: Result<WireResponse, any Error>
    do {
      result = .success(
        try await withDeadline(deadline, clock: clock) { try await exchange.outcome() })
    } catch {
      result = .failure(error)
    }
    guard life.isAlive else { throw .cancelled }
    switch result {
    case .success(let answer):
      return try network.codec.understand(answer, to: request, from: node)
    case .failure(let error as TransportError): throw error
    case .failure(let error):
      network.abandon(exchange, of: self)
      if error is CancellationError { throw .cancelled }
      throw .deadlineExceeded(node)
    }
  }
}

/// A request whose sender waits.
final class NetworkExchange: Sendable {
  private enum State {
    case open
    case waiting(CheckedContinuation<WireResponse, any Error>)
    case settled(Result<WireResponse, any Error>)
  }

  let id: UInt64
  let node: NodeID
  private let state = Mutex(State.open)

  init(id: UInt64, node: NodeID) {
    self.id = id
    self.node = node
  }

  /// The first outcome stands; a second answer finds nobody.
  ///
  /// - Returns: whether this was it.
  @discardableResult
  func settle(_ outcome: Result<WireResponse, any Error>) -> Bool {
    let (isFirst, waiter) = state.withLock {
      state -> (Bool, CheckedContinuation<WireResponse, any Error>?) in
      switch state {
      case .settled: return (false, nil)
      case .open:
        state = .settled(outcome)
        return (true, nil)
      case .waiting(let waiter):
        state = .settled(outcome)
        return (true, waiter)
      }
    }
    waiter?.resume(with: outcome)
    return isFirst
  }

  /// To be called once.
  func outcome() async throws -> WireResponse {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<WireResponse, any Error>? in
          if case .settled(let outcome) = state { return outcome }
          state = .waiting(continuation)
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      settle(.failure(CancellationError()))
    }
  }
}
