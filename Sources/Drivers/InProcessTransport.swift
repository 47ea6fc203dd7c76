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
  private struct State {
    var services: [NodeID: any NodeService] = [:]
    var waiting: [UInt64: (deadline: Instant, node: NodeID, answer: FirstAnswer)] = [:]
    var lastNumber: UInt64 = 0
    /// Ends who waits too long; set to the earliest deadline or before it.
    var timer: (deadline: Instant, task: Task<Void, Never>)?
  }

  private let state = Mutex(State())
  private let clock: any Clock

  package init(clock: any Clock) { self.clock = clock }

  /// Questions without an answer so far.
  var waitingCount: Int { state.withLock { $0.waiting.count } }

  /// From now on messages to `node` reach `service`.
  package func connect(_ node: NodeID, to service: any NodeService) {
    state.withLock { $0.services[node] = service }
  }

  /// From now on `node` is unreachable; answers under way are still delivered.
  package func disconnect(_ node: NodeID) {
    state.withLock { $0.services[node] = nil }
  }

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    guard let service = state.withLock({ $0.services[node] }) else {
      throw .unreachable(node, "it does not run")
    }
    // A call into a drive that hangs cannot be cancelled, so the answer is awaited from outside its
    // task: as over a network, nobody waits longer than the deadline. What is left behind is bounded
    // by the node's own admission.
    let first = FirstAnswer()
    let answering = Task {
      first.give(.success(await service.answer(request, deadline: deadline)))
    }
    let number = add(first, node, until: deadline)
    let result = await withTaskCancellationHandler {
      await first.value
    } onCancel: {
      first.give(.failure(.cancelled))
    }
    remove(number)
    answering.cancel()
    return try result.get()
  }

  private func add(_ answer: FirstAnswer, _ node: NodeID, until deadline: Instant) -> UInt64 {
    state.withLock { state in
      state.lastNumber += 1
      state.waiting[state.lastNumber] = (deadline, node, answer)
      setTimer(&state, deadline)
      return state.lastNumber
    }
  }

  private func remove(_ number: UInt64) {
    let unused = state.withLock { state -> Task<Void, Never>? in
      state.waiting[number] = nil
      guard state.waiting.isEmpty, let timer = state.timer else { return nil }
      state.timer = nil
      return timer.task
    }
    unused?.cancel()
  }

  private func setTimer(_ state: inout State, _ deadline: Instant) {
    if let timer = state.timer {
      guard deadline < timer.deadline else { return }
      timer.task.cancel()
    }
    let task = Task { [clock, weak self] in
      guard (try? await clock.sleep(until: deadline)) != nil else { return }
      self?.endLate(deadline)
    }
    state.timer = (deadline, task)
  }

  private func endLate(_ deadline: Instant) {
    let late = state.withLock { state -> [(deadline: Instant, node: NodeID, answer: FirstAnswer)] in
      // A timer that was replaced has nothing to end.
      guard state.timer?.deadline == deadline else { return [] }
      state.timer = nil
      let late = state.waiting.filter { $0.value.deadline <= deadline }
      for number in late.keys { state.waiting[number] = nil }
      if let next = state.waiting.values.map(\.deadline).min() { setTimer(&state, next) }
      return Array(late.values)
    }
    for wait in late { wait.answer.give(.failure(.deadlineExceeded(wait.node))) }
  }
}
