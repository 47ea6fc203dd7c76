// Admission.swift
//
// Who may go ahead when there is not room for all: bytes of memory for uploads, running reads for
// reads. Pure: `AdmissionGate` does the waiting.
//
// Invariants: what is held never exceeds the capacity; nobody overtakes in the waiting list, except
// that those who already hold something and need more come first, because they end sooner. An
// upload of unknown length grows what it holds as it arrives. If all that hold something wait for
// more, nobody would ever give anything back, so the last one to ask is refused.

package struct Admission: Sendable {
  package struct Ticket: Hashable, Sendable {
    let number: UInt64
  }

  package enum Decision: Equatable, Sendable {
    case admitted
    case waiting
    case refused(Refusal)
  }

  package enum Refusal: Error, Equatable, Sendable {
    /// More than there will ever be.
    case aboveCapacity(asked: Int, capacity: Int)
    /// As many wait already as may.
    case tooManyWaiting(Int)
    /// It would wait for others that all wait for more.
    case deadlock
    /// It waited until its deadline.
    case deadlineExceeded
  }

  package let capacity: Int
  package let waitingCountMax: Int
  package private(set) var heldCount = 0

  private struct Waiter {
    let ticket: Ticket
    let amount: Int
  }
  private var nextNumber: UInt64 = 0
  private var held: [Ticket: Int] = [:]
  /// Tickets that hold something and want more.
  private var growing: [Waiter] = []
  private var waiting: [Waiter] = []

  package init(capacity: Int, waitingCountMax: Int) {
    self.capacity = capacity
    self.waitingCountMax = waitingCountMax
  }

  package var waitingCount: Int { waiting.count }
  package var admittedCount: Int { held.count }

  package mutating func makeTicket() -> Ticket {
    nextNumber += 1
    return Ticket(number: nextNumber)
  }

  /// The first request of a ticket.
  package mutating func ask(_ amount: Int, for ticket: Ticket) -> Decision {
    guard amount <= capacity else {
      return .refused(.aboveCapacity(asked: amount, capacity: capacity))
    }
    if growing.isEmpty, waiting.isEmpty, amount <= capacity - heldCount {
      hold(amount, ticket)
      return .admitted
    }
    guard waiting.count < waitingCountMax else { return .refused(.tooManyWaiting(waiting.count)) }
    waiting.append(Waiter(ticket: ticket, amount: amount))
    return .waiting
  }

  /// More for a ticket that was admitted.
  package mutating func askMore(_ amount: Int, for ticket: Ticket) -> Decision {
    guard amount <= capacity - (held[ticket] ?? 0) else {
      return .refused(.aboveCapacity(asked: amount + (held[ticket] ?? 0), capacity: capacity))
    }
    if growing.isEmpty, amount <= capacity - heldCount {
      hold(amount, ticket)
      return .admitted
    }
    guard growing.count + 1 < held.count else { return .refused(.deadlock) }
    growing.append(Waiter(ticket: ticket, amount: amount))
    return .waiting
  }

  /// Keeps only `amount` of what the ticket holds. Returns those whose wait has ended.
  package mutating func shrink(_ ticket: Ticket, to amount: Int) -> [Ticket] {
    guard let before = held[ticket], before > amount else { return [] }
    held[ticket] = amount
    heldCount -= before - amount
    return admitNext()
  }

  /// Gives back everything and stops waiting. Returns those whose wait has ended.
  package mutating func leave(_ ticket: Ticket) -> [Ticket] {
    waiting.removeAll { $0.ticket == ticket }
    growing.removeAll { $0.ticket == ticket }
    heldCount -= held.removeValue(forKey: ticket) ?? 0
    return admitNext()
  }

  private mutating func hold(_ amount: Int, _ ticket: Ticket) {
    held[ticket, default: 0] += amount
    heldCount += amount
  }

  private mutating func admitNext() -> [Ticket] {
    var admitted: [Ticket] = []
    while let next = growing.first ?? waiting.first, next.amount <= capacity - heldCount {
      if growing.isEmpty { waiting.removeFirst() } else { growing.removeFirst() }
      hold(next.amount, next.ticket)
      admitted.append(next.ticket)
    }
    return admitted
  }
}
