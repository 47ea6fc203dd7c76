// AdmissionTests.swift

import Simulator
import Testing
import World

@testable import Gateway

@Suite struct AdmissionTests {
  @Test func `what fits is admitted at once`() {
    var admission = Admission(capacity: 10, waitingCountMax: 2)
    #expect(admission.ask(6, for: admission.makeTicket()) == .admitted)
    #expect(admission.ask(4, for: admission.makeTicket()) == .admitted)
    #expect(admission.heldCount == 10)
  }

  @Test func `waiting is in order, and a small one does not overtake a large one`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let (first, large, small) = (
      admission.makeTicket(), admission.makeTicket(), admission.makeTicket()
    )
    #expect(admission.ask(8, for: first) == .admitted)
    #expect(admission.ask(9, for: large) == .waiting)
    #expect(admission.ask(1, for: small) == .waiting)
    #expect(admission.leave(first) == [large, small])
    #expect(admission.heldCount == 10)
  }

  @Test func `the waiting list is bounded`() {
    var admission = Admission(capacity: 1, waitingCountMax: 1)
    #expect(admission.ask(1, for: admission.makeTicket()) == .admitted)
    #expect(admission.ask(1, for: admission.makeTicket()) == .waiting)
    #expect(admission.ask(1, for: admission.makeTicket()) == .refused(.tooManyWaiting(1)))
  }

  @Test func `more than the capacity is refused at once`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let ticket = admission.makeTicket()
    #expect(admission.ask(11, for: ticket) == .refused(.aboveCapacity(asked: 11, capacity: 10)))
    #expect(admission.ask(6, for: ticket) == .admitted)
    #expect(admission.askMore(5, for: ticket) == .refused(.aboveCapacity(asked: 11, capacity: 10)))
  }

  @Test func `who waits and gives up lets the next ahead`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let (holder, large, small) = (
      admission.makeTicket(), admission.makeTicket(), admission.makeTicket()
    )
    #expect(admission.ask(5, for: holder) == .admitted)
    #expect(admission.ask(9, for: large) == .waiting)
    #expect(admission.ask(5, for: small) == .waiting)
    #expect(admission.leave(large) == [small])
  }

  @Test func `who holds something and needs more comes before those who hold nothing`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let (growing, other, new) = (
      admission.makeTicket(), admission.makeTicket(), admission.makeTicket()
    )
    #expect(admission.ask(2, for: growing) == .admitted)
    #expect(admission.ask(8, for: other) == .admitted)
    #expect(admission.ask(1, for: new) == .waiting)
    #expect(admission.askMore(8, for: growing) == .waiting)
    #expect(admission.leave(other) == [growing])
    #expect(admission.leave(growing) == [new])
  }

  @Test func `the last of those who all wait for more is refused`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let (left, right) = (admission.makeTicket(), admission.makeTicket())
    #expect(admission.ask(5, for: left) == .admitted)
    #expect(admission.ask(5, for: right) == .admitted)
    #expect(admission.askMore(1, for: left) == .waiting)
    #expect(admission.askMore(1, for: right) == .refused(.deadlock))
    #expect(admission.leave(right) == [left])
    #expect(admission.heldCount == 6)
  }

  @Test func `shrinking lets others in`() {
    var admission = Admission(capacity: 10, waitingCountMax: 5)
    let (holder, next) = (admission.makeTicket(), admission.makeTicket())
    #expect(admission.ask(10, for: holder) == .admitted)
    #expect(admission.ask(4, for: next) == .waiting)
    #expect(admission.shrink(holder, to: 6) == [next])
    #expect(admission.heldCount == 10)
    #expect(admission.leave(holder).isEmpty)
    #expect(admission.leave(holder).isEmpty)
    #expect(admission.heldCount == 4)
  }

  /// Random moves; the seed is printed with a failure.
  @Test(arguments: [UInt64](1...20))
  func `what is held is the sum of what was admitted, and never above the capacity`(seed: UInt64) {
    var random = SeededNumbers(seed: seed)
    var admission = Admission(capacity: 100, waitingCountMax: 8)
    var held: [Admission.Ticket: Int] = [:]
    var waiting: [Admission.Ticket: Int] = [:]
    for _ in 0..<2000 {
      var freed: [Admission.Ticket] = []
      switch random.below(4) {
      case 0, 1:
        let ticket = admission.makeTicket()
        let amount = random.below(60)
        switch admission.ask(amount, for: ticket) {
        case .admitted: held[ticket] = amount
        case .waiting: waiting[ticket] = amount
        case .refused: break
        }
      case 2:
        guard let ticket = held.keys.min(by: { $0.number < $1.number }) else { continue }
        held[ticket] = nil
        waiting[ticket] = nil
        freed = admission.leave(ticket)
      default:
        guard let ticket = held.keys.first(where: { waiting[$0] == nil }) else { continue }
        let amount = random.below(30)
        switch admission.askMore(amount, for: ticket) {
        case .admitted: held[ticket, default: 0] += amount
        case .waiting: waiting[ticket] = amount
        case .refused: break
        }
      }
      for ticket in freed { held[ticket, default: 0] += waiting.removeValue(forKey: ticket) ?? 0 }
      #expect(admission.heldCount == held.values.reduce(0, +), "seed \(seed)")
      #expect(admission.heldCount <= 100, "seed \(seed)")
    }
    for ticket in Set(held.keys).union(waiting.keys) { _ = admission.leave(ticket) }
    #expect(admission.heldCount == 0, "seed \(seed)")
    #expect(admission.waitingCount == 0, "seed \(seed)")
  }
}

struct SeededNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
}

@Suite(.timeLimit(.minutes(1))) struct AdmissionGateTests {
  private func gate(_ capacity: Int, clock: VirtualClock) -> AdmissionGate {
    AdmissionGate(
      Admission(capacity: capacity, waitingCountMax: 2), waitMax: .seconds(10), clock: clock)
  }

  @Test func `a waiter is admitted when the holder releases`() async throws {
    let gate = gate(1, clock: VirtualClock())
    let hold = try await gate.hold(1)
    async let second = gate.hold(1)
    while gate.waitingCount == 0 { await Task.yield() }
    hold.release()
    let held = try await second
    #expect(gate.heldCount == 1)
    held.release()
    held.release()
    #expect(gate.heldCount == 0)
  }

  @Test func `a waiter is refused at its deadline and leaves nothing behind`() async throws {
    let clock = VirtualClock()
    let gate = gate(1, clock: clock)
    let hold = try await gate.hold(1)
    let second = Task { try await gate.hold(1) }
    while clock.sleeperCount == 0 { await Task.yield() }
    clock.advance(by: .seconds(10))
    await #expect(throws: Admission.Refusal.deadlineExceeded) { _ = try await second.value }
    #expect(gate.waitingCount == 0)
    hold.release()
    #expect(gate.heldCount == 0)
  }

  @Test func `a cancelled waiter leaves nothing behind`() async throws {
    let gate = gate(1, clock: VirtualClock())
    let hold = try await gate.hold(1)
    let second = Task { try await gate.hold(1) }
    while gate.waitingCount == 0 { await Task.yield() }
    second.cancel()
    await #expect(throws: CancellationError.self) { _ = try await second.value }
    #expect(gate.waitingCount == 0)
    hold.release()
    #expect(gate.heldCount == 0)
  }

  @Test func `a hold that is forgotten is given back`() async throws {
    let gate = gate(1, clock: VirtualClock())
    func forget() async throws { _ = try await gate.hold(1) }
    try await forget()
    #expect(gate.heldCount == 0)
  }

  @Test func `many tasks share a small gate and all get through`() async throws {
    let gate = AdmissionGate(
      Admission(capacity: 3, waitingCountMax: 1000), waitMax: .seconds(10), clock: VirtualClock())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<500 {
        group.addTask {
          let hold = try await gate.hold(1 + number % 3)
          await Task.yield()
          #expect(gate.heldCount <= 3)
          hold.release()
        }
      }
      try await group.waitForAll()
    }
    #expect(gate.heldCount == 0)
  }
}
