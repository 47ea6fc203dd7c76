// Findings.swift
//
// What a run found wrong. The first finding is the one to look at; later ones often follow from it.

package import Simulator
import Synchronization

/// What the system promises; each check names the promise that it saw broken.
package enum Invariant: String, Sendable, CaseIterable {
  /// No wrong byte is ever returned by any read.
  case noWrongByte = "S1"
  /// A certified blob is readable while at most f shards are lost or lie.
  case readable = "S2"
  /// What was signed as stored survives any later crash, and stays until the registry has ended it
  /// (S5): a sliver of a living blob that is gone is found here, whoever removed it.
  case confirmationsHold = "S3"
  /// All correct readers of an inconsistently encoded blob agree.
  case readersAgree = "S4"
  /// After deletes and a grace period no sliver is left over.
  case nothingLeftOver = "S6"
  /// Capacities hold; a refused write leaves nothing behind.
  case limitsHold = "S7"
  /// The registry's answers fit together: nothing certified vanishes, nothing deleted returns.
  case registryTruthful = "S8"
  /// Clients that lie are granted nothing that they should not have.
  case liesRefused = "S9"
  /// With the network healed and at most f nodes dead for ever, pending work ends.
  case workEnds = "L1"
  /// Repair ends: whatever a node lacks of a certified blob comes back.
  case healed = "L2"
  /// Every call ends by its deadline, and every task when it is told to.
  case callsEnd = "L4"
  /// No crash loop: a node that stopped can start again.
  case nodesStart = "L3"
}

package struct Finding: Sendable, CustomStringConvertible {
  package var invariant: Invariant
  package var text: String
  /// The number of the last event before it.
  package var event: Int

  package var description: String {
    "\(invariant.rawValue) \(invariant) at event \(event): \(text)"
  }
}

package final class Findings: Sendable {
  /// More would only repeat the first ones.
  static let countMax = 20

  private let trace: Trace
  private let state = Mutex([Finding]())

  package init(trace: Trace) { self.trace = trace }

  package var all: [Finding] { state.withLock { $0 } }

  func add(_ invariant: Invariant, _ text: String) {
    let finding = Finding(invariant: invariant, text: text, event: trace.count)
    trace.record(.check, UInt64(invariant.hashValue.magnitude), "FOUND \(finding)")
    state.withLock { if $0.count < Self.countMax { $0.append(finding) } }
  }
}
