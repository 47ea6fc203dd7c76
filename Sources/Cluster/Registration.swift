// Registration.swift
//
// One promise to keep a blob: made when an upload is accepted, certified when enough shards have
// signed, ended by a delete, its last epoch or a missed deadline. A blob may have many; its slivers
// go when the last one has ended.

package import RedStuff

package enum Persistence: Hashable, Sendable {
  /// Cannot be deleted before its end.
  case permanent
  case deletable
}

package enum RegistrationEnd: UInt8, Hashable, Sendable {
  case deleted = 0
  case expired = 1
  /// Not certified by its deadline.
  case abandoned = 2
}

package enum RegistrationState: Hashable, Sendable {
  case registered
  /// `certificate` is the encoded `Certificate`.
  case certified(epoch: Epoch, certificate: [UInt8])
  case ended(RegistrationEnd)
}

package struct Registration: Hashable, Sendable {
  package var blob: BlobID
  package var object: ObjectID
  /// Of the blob itself.
  package var byteCount: UInt64
  package var persistence: Persistence
  package var registeredEpoch: Epoch
  /// The first epoch in which the blob is no longer kept; `epochWithoutEnd` for none.
  package var endEpoch: Epoch
  /// Milliseconds since 1970.
  package var registeredAtMilliseconds: UInt64
  /// Milliseconds since 1970; from then on it may be abandoned.
  package var certifyByMilliseconds: UInt64
  package var state: RegistrationState

  package init(
    blob: BlobID, object: ObjectID, byteCount: UInt64, persistence: Persistence,
    registeredEpoch: Epoch, endEpoch: Epoch, registeredAtMilliseconds: UInt64,
    certifyByMilliseconds: UInt64, state: RegistrationState
  ) {
    self.blob = blob
    self.object = object
    self.byteCount = byteCount
    self.persistence = persistence
    self.registeredEpoch = registeredEpoch
    self.endEpoch = endEpoch
    self.registeredAtMilliseconds = registeredAtMilliseconds
    self.certifyByMilliseconds = certifyByMilliseconds
    self.state = state
  }

  package var isCertified: Bool {
    if case .certified = state { true } else { false }
  }
  package var hasEnded: Bool {
    if case .ended = state { true } else { false }
  }
}
