// Registry.swift
//
// The registry of blobs: one registration per accepted upload, certified, extended, and ended by a
// delete, by its last epoch or by a missed deadline. This file is the thin shell: it reads, asks
// RegistrationRules, and writes by compare-and-set, a bounded number of times.
//
// Invariant: every change is one transaction conditioned on the versions that the decision was made
// from, so it does not matter how many processes do this at once, nor where one of them dies.

package import Cluster
package import RedStuff
import Synchronization
package import World

package final class Registry: Sendable {
  /// Each lost attempt means that somebody else's change of the same registration went through;
  /// there are only a handful of changes a registration can see.
  package static let attemptCountMax = 16
  /// Uploads in flight of one process. Far above what a gateway can work on, low enough that what a
  /// client abandons on purpose stays small.
  package static let outstandingCountMax = 4096
  /// Registrations of one blob ID. Each is read when the blob's status is asked.
  package static let registrationsPerBlobMax = 1000
  /// Entries read at once.
  static let pageCountMax = 1000
  /// Registrations changed in one transaction: etcd takes 128 operations in one by default, and a
  /// registration may change with four keys of its index.
  static let transactionRegistrationCountMax = 24

  let store: any ControlStore
  let clock: any Clock
  let randomness: any Randomness
  let cachedState = Mutex<ClusterState?>(nil)
  let outstanding = Mutex(OutstandingRegistrations(countMax: Registry.outstandingCountMax))

  package init(store: any ControlStore, clock: any Clock, randomness: any Randomness) {
    self.store = store
    self.clock = clock
    self.randomness = randomness
  }

  /// Makes a registration with a new object ID. It must be certified within
  /// `RegistrationRules.certificationTime`, or it is abandoned.
  ///
  /// `epochs` counts from the current one, which is the first. Nil: no end, until it is deleted.
  /// - Returns: the registration, and the revision that nodes must have followed to accept slivers.
  package func register(
    blob: BlobID, byteCount: UInt64, persistence: Persistence, epochs: UInt32?
  ) async throws(RegistryError) -> (Registration, Revision) {
    try await admit(blob)
    return try await attempting("register blob \(blob)") {
      (attempt) async throws(RegistryError) -> (Registration, Revision)? in
      let state = try await self.state(fresh: attempt > 0)
      guard let object = ObjectID(self.randomness.bytes(count: 32)) else { return nil }
      let record = try self.rules(state).registering(
        RegistrationKey(blob: blob, object: object), byteCount: byteCount,
        persistence: persistence, epochs: epochs)
      try await self.reserve(object)
      var transaction = ControlTransaction([RegistrationStep(before: nil, after: record)])
      // The new ID must be new in the whole cluster, and the epoch the one that it counts from.
      transaction.conditions.append((RegistryKeys.object(object), nil))
      transaction.conditions.append((RegistryKeys.epoch, state.epochVersion))
      let revision: Revision?
      do throws(RegistryError) {
        revision = try await self.transact(transaction)
      } catch {
        // It may have happened: counted until a scan no longer finds it.
        self.outstanding.withLock { $0.committed(object) }
        throw error
      }
      guard let revision else {
        self.outstanding.withLock { $0.settled(object) }
        return nil
      }
      self.outstanding.withLock { $0.committed(object) }
      return (record.registration, revision)
    }
  }

  /// Certifies a registration if `certificate` is one for it. Again is harmless: the first stands.
  ///
  /// Checks every signature, on the caller's thread.
  package func certify(_ object: ObjectID, of blob: BlobID, certificate: Certificate)
    async throws(RegistryError) -> Registration
  {
    var isVerified = false
    for attempt in 0..<Self.attemptCountMax {
      if attempt > 0 { sometimes(.conflictRetried) }
      let state = try await state(fresh: attempt > 0)
      guard let stored = try await stored(RegistrationKey(blob: blob, object: object)) else {
        throw .notFound(blob, object)
      }
      // The epoch may have moved on in another process after we cached it; ask again before refusing.
      let rules = rules(state)
      guard let certified = try rules.certifying(stored.record, with: certificate) else {
        return stored.record.registration
      }
      if !rules.accepts(certificateEpoch: certificate.epoch, for: stored.record) {
        if attempt == 0 { continue }
        throw .certificateRefused(
          "it is of epoch \(certificate.epoch), the registration of "
            + "\(stored.record.registration.registeredEpoch), now is \(state.epoch)", blob, object)
      }
      if !isVerified {
        try verify(certificate, blob: blob, object: object, state: state)
        isVerified = true
      }
      var transaction = ControlTransaction([RegistrationStep(before: stored, after: certified)])
      transaction.conditions.append((RegistryKeys.epoch, state.epochVersion))
      if try await transact(transaction) != nil {
        outstanding.withLock { $0.settled(object) }
        return certified.registration
      }
    }
    throw .conflict("certify blob \(blob)", attempts: Self.attemptCountMax)
  }

  /// Ends a registration whose upload failed, so that it takes no room until its deadline. One that
  /// is certified, or has ended, stays as it is.
  package func giveUp(_ object: ObjectID, of blob: BlobID) async throws(RegistryError) {
    let rules = rules(try await state(fresh: false))
    let endedCount = try await change(
      [RegistrationKey(blob: blob, object: object)], "give up blob \(blob)"
    ) { (stored) throws(RegistryError) -> RegistrationStep? in
      rules.givingUp(stored.record).map { RegistrationStep(before: stored, after: $0) }
    }
    if endedCount > 0 { sometimes(.registrationGivenUp) }
  }

  /// Moves the end of one registration: of `object`, else of the certified one that ends last.
  package func extend(blob: BlobID, object: ObjectID?, byEpochs epochs: UInt32)
    async throws(RegistryError) -> Registration
  {
    try await attempting("extend blob \(blob)") {
      (_) async throws(RegistryError) -> Registration? in
      let state = try await self.state(fresh: true)
      let rules = self.rules(state)
      let stored: StoredRegistration?
      if let object {
        stored = try await self.stored(RegistrationKey(blob: blob, object: object))
      } else {
        stored = try await self.allStored(of: blob).filter { rules.current($0.record).isCertified }
          .max { $0.record.registration.endEpoch < $1.record.registration.endEpoch }
      }
      guard let stored else { throw .notFound(blob, object) }
      let extended = try rules.extending(stored.record, byEpochs: epochs)
      var transaction = ControlTransaction([RegistrationStep(before: stored, after: extended)])
      transaction.conditions.append((RegistryKeys.epoch, state.epochVersion))
      return try await self.transact(transaction) == nil ? nil : extended.registration
    }
  }

  /// Ends one registration, or all deletable ones that the blob has now.
  ///
  /// - Returns: how many this call ended; 0 if there was nothing (left) to end.
  /// - Throws: `permanentUntil` if `object` is permanent; without `object` such ones are left alone.
  package func delete(blob: BlobID, object: ObjectID?) async throws(RegistryError) -> Int {
    let rules = rules(try await state(fresh: true))
    let keys: [RegistrationKey]
    if let object {
      keys = [RegistrationKey(blob: blob, object: object)]
    } else {
      keys = try await allStored(of: blob).map(\.record.key)
    }
    return try await change(keys, "delete blob \(blob)") {
      (stored) throws(RegistryError) -> RegistrationStep? in
      if object == nil, stored.record.registration.persistence == .permanent { return nil }
      guard let deleted = try rules.deleting(stored.record) else { return nil }
      return RegistrationStep(before: stored, after: deleted)
    }
  }

  private func verify(
    _ certificate: Certificate, blob: BlobID, object: ObjectID, state: ClusterState
  ) throws(RegistryError) {
    let committee = try state.description.committee(of: certificate.epoch)
    do {
      if PlantedBug.otherCertificateAccepted.isPlanted {
        return try certificate.verify(
          committee: committee, cluster: state.description.clusterID)
      }
      try certificate.verify(
        blob: blob, object: object, committee: committee, cluster: state.description.clusterID)
    } catch {
      if PlantedBug.quorumTooSmall.isPlanted, case .tooFewShards = error { return }
      sometimes(.certificateRefused)
      throw .certificateRefused("\(error)", blob, object)
    }
  }

  /// Refuses a blob that has too many registrations already, after removing ended ones: they only
  /// wait for somebody who asks why they ended.
  private func admit(_ blob: BlobID) async throws(RegistryError) {
    let all = RegistryKeys.registrations(of: blob)
    let count = try await range(all, limit: Self.registrationsPerBlobMax).entries.count
    guard count >= Self.registrationsPerBlobMax else { return }
    let ended = try await allStored(of: blob).filter(\.record.registration.hasEnded)
    guard !ended.isEmpty else {
      throw .tooManyRegistrations(blob, countMax: Self.registrationsPerBlobMax)
    }
    sometimes(.endedRemovedForRoom)
    _ = try await change(ended.map(\.record.key), "register blob \(blob)") {
      (stored) throws(RegistryError) -> RegistrationStep? in
      stored.record.registration.hasEnded ? RegistrationStep(before: stored, after: nil) : nil
    }
  }
}
