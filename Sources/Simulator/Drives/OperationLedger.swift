// OperationLedger.swift
//
// Counts what a machine asks of its drive and its index, and knows at which of these operations what
// is to go wrong. A drive has one of its own; an index may share it, and then the power goes for both.

internal import Synchronization

struct ScheduledFault {
  var fault: DiskFault
  /// How the dice fall from then on; nil: as they would anyway.
  var seed: UInt64?
}

final class OperationLedger: Sendable {
  private struct State {
    var count = 0
    var faults: [Int: ScheduledFault] = [:]
    var hasCrashed = false
    var names: [String]?
    var lastFault: (number: Int, name: String)?
  }

  private let state = Mutex(State())

  /// Operations so far; the next one has this number.
  var count: Int { state.withLock { $0.count } }

  var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

  /// The operation that met the newest scheduled fault.
  var lastFault: (number: Int, name: String)? { state.withLock { $0.lastFault } }

  /// What all operations since `keepNames` were, in their order.
  var names: [String] { state.withLock { $0.names ?? [] } }

  func keepNames() { state.withLock { $0.names = [] } }

  func schedule(_ fault: ScheduledFault, atOperation number: Int) {
    state.withLock { $0.faults[number] = fault }
  }

  func schedule(_ fault: ScheduledFault, after count: Int) {
    state.withLock { $0.faults[$0.count + count] = fault }
  }

  /// Counts one operation.
  ///
  /// - Returns: what goes wrong with it; a crash has happened already then.
  func begin(_ name: @autoclosure () -> String) -> ScheduledFault? {
    state.withLock { state in
      defer { state.count += 1 }
      state.names?.append(name())
      guard let fault = state.faults.removeValue(forKey: state.count) else { return nil }
      state.lastFault = (state.count, name())
      if fault.fault == .crash { state.hasCrashed = true }
      return fault
    }
  }

  func cutPower() { state.withLock { $0.hasCrashed = true } }

  func clearSchedule() { state.withLock { $0.faults = [:] } }

  /// The power is back, and nothing that was to go wrong will.
  func restart() {
    state.withLock { state in
      state.hasCrashed = false
      state.faults = [:]
    }
  }
}
