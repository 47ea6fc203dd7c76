// RegistrationRules.swift
//
// What may happen to a registration, as values: the record as it stands, the epoch and the time go
// in, the next record or the reason against it comes out. Registry.swift reads, asks here, and
// writes by compare-and-set.
//
//   registered -> certified -> ended (deleted, expired)
//   registered -> ended (deleted, expired, abandoned)
//
// Invariant: an end is final. No clock, however it jumps, undoes one, since it is a stored state and
// not a comparison. What a jump of the wall clock can do: forward, it abandons uploads that are under
// way (they fail with `abandoned` and are stored again) and shortens grace periods; backward, it
// prolongs both. Certified registrations end by epoch only.

import Cluster
import RedStuff
import World

struct RegistrationRules {
  /// Uploads of the largest blob over a slow line end within it; what a dead client left behind does
  /// not stay longer than twice of it.
  static let certificationTime = Duration.seconds(60 * 60)
  /// How long one can still ask why a registration is gone.
  static let gracePeriod = Duration.seconds(24 * 60 * 60)

  var epoch: Epoch
  /// Whether epochs end at all.
  var epochsEnd: Bool
  var now: WallTime

  func registering(
    _ key: RegistrationKey, byteCount: UInt64, persistence: Persistence, epochs: UInt32?
  ) throws(RegistryError) -> RegistrationRecord {
    guard epochs != 0 else { throw .epochsNeeded(key.blob) }
    if persistence == .permanent {
      guard epochs != nil else { throw .epochsNeeded(key.blob) }
      guard epochsEnd else { throw .noEpochDuration }
    }
    var endEpoch = epochWithoutEnd
    if epochsEnd, let epochs { endEpoch = try end(epochs, epochsAfter: epoch, of: key.blob) }
    return RegistrationRecord(
      registration: Registration(
        blob: key.blob, object: key.object, byteCount: byteCount, persistence: persistence,
        registeredEpoch: epoch, endEpoch: endEpoch, registeredAtMilliseconds: now.milliseconds,
        certifyByMilliseconds: (now + Self.certificationTime).milliseconds, state: .registered),
      epochsAsked: epochs, endedAtMilliseconds: nil)
  }

  /// The record once certified; nil if it is already. The certificate has been verified.
  ///
  /// A deadline that has passed does not matter until the registration *is* abandoned: its slivers
  /// are still there, and whoever comes second, certifier or maintainer, loses by compare-and-set.
  func certifying(_ record: RegistrationRecord, with certificate: Certificate)
    throws(RegistryError) -> RegistrationRecord?
  {
    let registration = try living(record)
    guard registration.state == .registered else { return nil }
    var certified = record
    certified.registration.state = .certified(epoch: epoch, certificate: certificate.encoded())
    return certified
  }

  /// Whether a certificate of `certificateEpoch` can speak of this registration.
  func accepts(certificateEpoch: Epoch, for record: RegistrationRecord) -> Bool {
    // A slow upload may be signed in any epoch between its registration and now; the object ID in
    // what is signed already rules out confirmations of anything else.
    certificateEpoch >= record.registration.registeredEpoch && certificateEpoch <= epoch
  }

  /// The record once deleted; nil if it has ended already.
  func deleting(_ record: RegistrationRecord) throws(RegistryError) -> RegistrationRecord? {
    guard !current(record).hasEnded else { return nil }
    let registration = record.registration
    guard registration.persistence == .deletable else {
      throw .permanentUntil(registration.endEpoch, registration.blob, registration.object)
    }
    return record.ended(.deleted, at: now)
  }

  func extending(_ record: RegistrationRecord, byEpochs epochs: UInt32)
    throws(RegistryError) -> RegistrationRecord
  {
    let registration = try living(record)
    guard epochsEnd else { throw .noEpochDuration }
    guard epochs > 0 else { throw .epochsNeeded(registration.blob) }
    guard registration.isCertified else {
      throw .notCertified(registration.blob, registration.object)
    }
    guard registration.endEpoch != epochWithoutEnd else {
      throw .withoutEnd(registration.blob, registration.object)
    }
    var extended = record
    extended.registration.endEpoch = try end(
      epochs, epochsAfter: registration.endEpoch, of: registration.blob)
    extended.epochsAsked = record.epochsAsked.map { $0.addingReportingOverflow(epochs) }
      .map { $0.overflow ? .max : $0.partialValue }
    return extended
  }

  /// The record once its uploader has given up; nil if it is certified or has ended.
  func givingUp(_ record: RegistrationRecord) -> RegistrationRecord? {
    record.registration.state == .registered ? record.ended(.abandoned, at: now) : nil
  }

  /// The record once abandoned; nil unless it is uncertified past its deadline.
  func abandoning(_ record: RegistrationRecord) -> RegistrationRecord? {
    if PlantedBug.abandonedNeverEnded.isPlanted { return nil }
    guard record.registration.state == .registered,
      now.milliseconds >= record.registration.certifyByMilliseconds
    else { return nil }
    return record.ended(.abandoned, at: now)
  }

  /// The record once expired; nil unless it lives and its end epoch has come.
  func expiring(_ record: RegistrationRecord) -> RegistrationRecord? {
    guard !record.registration.hasEnded, hasExpired(record.registration) else { return nil }
    return record.ended(.expired, at: now)
  }

  /// Whether the grace period of an ended registration is over.
  func mayRemove(_ record: RegistrationRecord) -> Bool {
    guard let end = record.endedAtMilliseconds else { return false }
    return now >= WallTime(milliseconds: end) + Self.gracePeriod
  }

  /// Ends up to here have had their grace period; nil if none can have.
  var removalHorizonMilliseconds: UInt64? {
    let grace = WallTime(milliseconds: 0) + Self.gracePeriod
    return now < grace ? nil : now.milliseconds - grace.milliseconds
  }

  /// What the registration is in this epoch, also before its end has been written down.
  func current(_ record: RegistrationRecord) -> Registration {
    var registration = record.registration
    if !registration.hasEnded, hasExpired(registration) { registration.state = .ended(.expired) }
    return registration
  }

  /// The registration if it has not ended, else the reason.
  private func living(_ record: RegistrationRecord) throws(RegistryError) -> Registration {
    let registration = current(record)
    switch registration.state {
    case .ended(.abandoned): throw .abandoned(registration.blob, registration.object)
    case .ended(let end): throw .ended(end, registration.blob, registration.object)
    case .registered, .certified: return registration
    }
  }

  private func hasExpired(_ registration: Registration) -> Bool {
    let early: Epoch = PlantedBug.expiredOneEpochEarly.isPlanted ? 1 : 0
    return registration.endEpoch != epochWithoutEnd && epoch + early >= registration.endEpoch
  }

  private func end(_ epochs: UInt32, epochsAfter start: Epoch, of blob: BlobID)
    throws(RegistryError) -> Epoch
  {
    let (end, overflow) = start.addingReportingOverflow(epochs)
    guard !overflow, end != epochWithoutEnd else { throw .tooManyEpochs(epochs, blob) }
    return end
  }
}

/// When an epoch is over.
enum EpochRules {
  /// The record to write at `now`; nil: the one that stands is right.
  ///
  /// An epoch lasts at least `duration` as the wall clock shows it, and one step is taken at a time: a
  /// clock that jumps forward by a year, or a cluster that was off for one, costs one epoch and not
  /// hundreds. While the steps are on time they keep to the schedule of the first.
  static func next(after record: EpochRecord, duration: Duration, now: WallTime) -> EpochRecord? {
    let start = WallTime(milliseconds: record.startMilliseconds)
    let end = start + duration
    if now >= end {
      guard record.epoch < epochWithoutEnd - 1 else { return nil }
      let isOnTime = now < end + duration
      return EpochRecord(
        epoch: record.epoch + 1, startMilliseconds: (isOnTime ? end : now).milliseconds)
    }
    // Written by a clock that ran ahead: without this the epoch would last until that time comes.
    if now + duration < start {
      sometimes(.clockRanAhead)
      return EpochRecord(epoch: record.epoch, startMilliseconds: now.milliseconds)
    }
    return nil
  }
}
