// Registry+Maintenance.swift
//
// What becomes due with time: the next epoch, missed deadlines, expired registrations, and removal
// of ended ones after their grace period. Any process may do this at any time, several at once:
// every step is a compare-and-set, and one that somebody else took first is skipped.
//
// One registration that cannot be read holds nothing else up; it is reported and left as it is.

package import Cluster
import RedStuff
import World

/// What one round did.
package struct MaintenanceReport: Hashable, Sendable {
  /// The epoch that this round began.
  package var begunEpoch: Epoch?
  package var abandonedCount = 0
  package var expiredCount = 0
  package var removedCount = 0
  /// More is due than one round does: come again soon.
  package var hasMore = false
  /// Registrations that could not be read, at most `Registry.reportedProblemCountMax`.
  package var problems: [String] = []

  package init() {}
}

extension Registry {
  /// About ten seconds' worth of synced transactions for each kind of work.
  static let maintenanceBatchCountMax = 1024
  package static let reportedProblemCountMax = 16

  /// One round, to be called about every minute, and at once when a report says `hasMore`.
  ///
  /// Takes at most one step of the epoch, since the wall clock is not to be trusted with more.
  package func maintain() async throws(RegistryError) -> MaintenanceReport {
    var report = MaintenanceReport()
    report.begunEpoch = try await advanceEpoch()
    if report.begunEpoch != nil { sometimes(.epochAdvanced) }
    let rules = rules(try await state(fresh: true))
    report.abandonedCount = try await settle(
      RegistryKeys.deadlines(upTo: rules.now.milliseconds), into: &report
    ) { rules.abandoning($0).map { .write($0) } }
    if report.abandonedCount > 0 { sometimes(.registrationAbandoned) }
    report.expiredCount = try await settle(
      RegistryKeys.expiries(upTo: rules.epoch), into: &report
    ) { rules.expiring($0).map { .write($0) } }
    if report.expiredCount > 0 { sometimes(.registrationExpired) }
    if let horizon = rules.removalHorizonMilliseconds {
      report.removedCount = try await settle(
        RegistryKeys.ended(upTo: horizon), into: &report
      ) { rules.mayRemove($0) ? .remove : nil }
      if report.removedCount > 0 { sometimes(.endedRemovedAfterGrace) }
    }
    return report
  }

  private enum Settlement {
    case write(RegistrationRecord)
    case remove
  }

  private func advanceEpoch() async throws(RegistryError) -> Epoch? {
    let state = try await state(fresh: true)
    guard let duration = state.description.epochDuration,
      let next = EpochRules.next(after: state.epochRecord, duration: duration, now: clock.wallTime)
    else { return nil }
    let transaction = ControlTransaction(
      conditions: [(RegistryKeys.epoch, state.epochVersion)],
      changes: [(RegistryKeys.epoch, next.bcsBytes)])
    // A conflict means that another process took this step.
    guard try await transact(transaction) != nil else { return nil }
    return next.epoch == state.epoch ? nil : next.epoch
  }

  /// Goes through the registrations that a range of index entries names.
  private func settle(
    _ due: KeyRange, into report: inout MaintenanceReport,
    _ decide: (RegistrationRecord) -> Settlement?
  ) async throws(RegistryError) -> Int {
    var settledCount = 0
    var rest = due
    for _ in 0..<Self.maintenanceBatchCountMax {
      let page = try await range(rest, limit: Self.transactionRegistrationCountMax)
      var steps: [RegistrationStep] = []
      for entry in page.entries {
        guard let key = RegistrationKey(endOf: entry.key) else { continue }
        do {
          guard let stored = try await stored(key), let settlement = decide(stored.record) else {
            continue
          }
          switch settlement {
          case .write(let record): steps.append(RegistrationStep(before: stored, after: record))
          case .remove: steps.append(RegistrationStep(before: stored, after: nil))
          }
        } catch .unreadable(let key, let reason) {
          if report.problems.count < Self.reportedProblemCountMax {
            report.problems.append("\(key): \(reason)")
          }
        }
      }
      settledCount += try await takeWhatHolds(steps[...])
      guard page.hasMore, let last = page.entries.last else { return settledCount }
      rest.lower = successor(of: last.key)
    }
    report.hasMore = true
    return settledCount
  }

  /// Takes the steps, leaving out those whose registration changed meanwhile.
  private func takeWhatHolds(_ steps: ArraySlice<RegistrationStep>)
    async throws(RegistryError) -> Int
  {
    if try await take(Array(steps)) { return steps.count }
    guard steps.count > 1 else { return 0 }
    sometimes(.batchSplit)
    let middle = steps.startIndex + steps.count / 2
    let first = try await takeWhatHolds(steps[..<middle])
    return first + (try await takeWhatHolds(steps[middle...]))
  }
}
