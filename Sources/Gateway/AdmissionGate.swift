// AdmissionGate.swift
//
// The waiting around `Admission`: tasks sleep until they are admitted, refused, out of time or
// cancelled. What was admitted is an `AdmissionHold`, which gives itself back whatever happens.

import Synchronization
package import World

package final class AdmissionGate: Sendable {
  private struct State {
    var admission: Admission
    /// Admitted tickets are removed; those that still sleep have a continuation.
    var sleepers: [Admission.Ticket: CheckedContinuation<Void, Never>] = [:]
    /// Tickets that were told to wait and have not been admitted.
    var waiting: Set<Admission.Ticket> = []

    mutating func wake(_ tickets: [Admission.Ticket]) -> [CheckedContinuation<Void, Never>] {
      for ticket in tickets { waiting.remove(ticket) }
      return tickets.compactMap { sleepers.removeValue(forKey: $0) }
    }
  }

  private let state: Mutex<State>
  private let waitMax: Duration
  private let clock: any Clock

  /// Nobody waits longer than `waitMax`.
  package init(_ admission: Admission, waitMax: Duration, clock: any Clock) {
    state = Mutex(State(admission: admission))
    self.waitMax = waitMax
    self.clock = clock
  }

  package var heldCount: Int { state.withLock { $0.admission.heldCount } }
  package var waitingCount: Int { state.withLock { $0.admission.waitingCount } }

  /// Returns once `amount` is held.
  ///
  /// - Throws: `Admission.Refusal`, `CancellationError`.
  func hold(_ amount: Int) async throws -> AdmissionHold {
    let hold = AdmissionHold(gate: self, ticket: state.withLock { $0.admission.makeTicket() })
    do {
      try await decide(hold.ticket) { $0.ask(amount, for: hold.ticket) }
      return hold
    } catch {
      hold.release()
      throw error
    }
  }

  fileprivate func grow(_ ticket: Admission.Ticket, by amount: Int) async throws {
    try await decide(ticket) { $0.askMore(amount, for: ticket) }
  }

  fileprivate func shrink(_ ticket: Admission.Ticket, to amount: Int) {
    let woken = state.withLock { $0.wake($0.admission.shrink(ticket, to: amount)) }
    for sleeper in woken { sleeper.resume() }
  }

  fileprivate func leave(_ ticket: Admission.Ticket) {
    let woken = state.withLock { $0.wake($0.admission.leave(ticket)) }
    for sleeper in woken { sleeper.resume() }
  }

  private func decide(
    _ ticket: Admission.Ticket, _ ask: (inout Admission) -> Admission.Decision
  ) async throws {
    let decision = state.withLock { state in
      let decision = ask(&state.admission)
      if decision == .waiting { state.waiting.insert(ticket) }
      return decision
    }
    switch decision {
    case .admitted: return
    case .refused(let refusal): throw refusal
    case .waiting: break
    }
    do {
      try await withDeadline(clock.now + waitMax, clock: clock) { await self.sleep(ticket) }
    } catch is DeadlineExceeded {
      throw Admission.Refusal.deadlineExceeded
    }
    try Task.checkCancellation()
  }

  /// Returns when the ticket is admitted or the task is cancelled.
  private func sleep(_ ticket: Admission.Ticket) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let mustSleep = state.withLock { state in
          guard state.waiting.contains(ticket), !Task.isCancelled else { return false }
          state.sleepers[ticket] = continuation
          return true
        }
        if !mustSleep { continuation.resume() }
      }
    } onCancel: {
      // The caller leaves, which takes the ticket out of the waiting list.
      state.withLock { state in
        state.waiting.remove(ticket)
        return state.sleepers.removeValue(forKey: ticket)
      }?.resume()
    }
  }
}

/// What one caller holds of a gate. It is given back by `release`, or at the latest when nobody
/// remembers it.
final class AdmissionHold: Sendable {
  private let gate: AdmissionGate
  fileprivate let ticket: Admission.Ticket

  fileprivate init(gate: AdmissionGate, ticket: Admission.Ticket) {
    self.gate = gate
    self.ticket = ticket
  }

  deinit { release() }

  /// Returns once `amount` more is held.
  func grow(by amount: Int) async throws { try await gate.grow(ticket, by: amount) }
  func shrink(to amount: Int) { gate.shrink(ticket, to: amount) }
  /// Once or more often.
  func release() { gate.leave(ticket) }
}
