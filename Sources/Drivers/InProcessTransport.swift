// InProcessTransport.swift
//
// Messages to nodes of the same process: a direct call, no bytes made. The same deadlines and the
// same answers as over HTTP.

package import Cluster
import Synchronization
package import World

/// The first of several outcomes; later ones are dropped.
private final class FirstAnswer: Sendable {
  typealias Outcome = Result<NodeResponse, TransportError>

  private enum State {
    case open
    case awaited(CheckedContinuation<Outcome, Never>)
    case given(Outcome)
  }

  private let state = Mutex(State.open)

  func give(_ outcome: Outcome) {
    let waiting: CheckedContinuation<Outcome, Never>? = state.withLock { state in
      switch state {
      case .open:
        state = .given(outcome)
        return nil
      case .awaited(let continuation):
        state = .given(outcome)
        return continuation
      case .given: return nil
      }
    }
    waiting?.resume(returning: outcome)
  }

  /// To be awaited once.
  var value: Outcome {
    get async {
      await withCheckedContinuation { continuation in
        let given: Outcome? = state.withLock { state in
          if case .given(let outcome) = state { return outcome }
          state = .awaited(continuation)
          return nil
        }
        if let given { continuation.resume(returning: given) }
      }
    }
  }
}

package final class InProcessTransport: Transport {
  private let services = Mutex<[NodeID: any NodeService]>([:])
  private let clock: any Clock

  package init(clock: any Clock) { self.clock = clock }

  /// From now on messages to `node` reach `service`.
  package func connect(_ node: NodeID, to service: any NodeService) {
    services.withLock { $0[node] = service }
  }

  /// From now on `node` is unreachable; answers under way are still delivered.
  package func disconnect(_ node: NodeID) {
    services.withLock { $0[node] = nil }
  }

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    guard let service = services.withLock({ $0[node] }) else {
      throw .unreachable(node, "it does not run")
    }
    // A call into a drive that hangs cannot be cancelled, so the answer is awaited from outside its
    // task: as over a network, nobody waits longer than the deadline. What is left behind is bounded
    // by the node's own admission.
    let first = FirstAnswer()
    let answering = Task {
      first.give(.success(await service.answer(request, deadline: deadline)))
    }
    let timing = Task { [clock] in
      guard (try? await clock.sleep(until: deadline)) != nil else { return }
      first.give(.failure(.deadlineExceeded(node)))
    }
    let result = await withTaskCancellationHandler {
      await first.value
    } onCancel: {
      first.give(.failure(.cancelled))
    }
    answering.cancel()
    timing.cancel()
    return try result.get()
  }
}
