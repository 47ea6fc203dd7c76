// StorageNode+Registration.swift
//
// Finding the registration that a request speaks of, and waiting until the cursor has reached it.

import Cluster
import ControlPlane
import CoreMetrics
import RedStuff
import World

extension StorageNode {
  /// The registration that `wish` names, once it lives and the cursor has reached it.
  ///
  /// Waits for the cursor until `catchUpDeadline`, and for a registration that is not there until
  /// `patience`, if that is given.
  func registration(
    _ wish: RegistrationWish, of blob: BlobID, patience: Instant? = nil, catchUpDeadline: Instant
  ) async throws -> Registration {
    while true {
      // Before the look-up: whatever it does not show yet moves the cursor past this.
      let seen = cursor.revision
      switch try await find(wish, of: blob) {
      case .living(let registration):
        return registration
      case .ahead(let revision):
        try await follow(to: revision, until: catchUpDeadline)
      case .none:
        guard let patience, clock.now < patience else { throw Self.notRegistered(blob, wish) }
        sometimes(.registrationAwaited)
        do {
          try await cursor.wait(for: Revision(seen.value + 1), until: patience, clock: clock)
        } catch is DeadlineExceeded {
          throw Self.notRegistered(blob, wish)
        }
      }
    }
  }

  /// How long a request that began now may wait for the cursor.
  func catchUpDeadline(_ deadline: Instant) -> Instant {
    min(deadline, clock.now + configuration.registrationWaitMax)
  }

  /// As the registry says now, without waiting.
  func find(_ wish: RegistrationWish, of blob: BlobID) async throws -> RegistrationFinding {
    RegistrationRule.find(
      wish, among: try await registrations(of: blob), cursor: cursor.revision,
      epoch: committee.epoch, now: clock.wallTime)
  }

  func registrations(of blob: BlobID) async throws -> [(Registration, Revision)] {
    do {
      return try await registry.registrations(of: blob)
    } catch {
      metrics.registryErrors.increment()
      throw NodeFailure(.unavailable, "the registry does not answer: \(error)")
    }
  }

  func blobStatus(of blob: BlobID) async throws -> BlobStatus {
    do {
      return try await registry.status(of: blob).blobStatus
    } catch {
      metrics.registryErrors.increment()
      throw NodeFailure(.unavailable, "the registry does not answer: \(error)")
    }
  }

  static func notRegistered(_ blob: BlobID, _ wish: RegistrationWish) -> NodeFailure {
    let what =
      switch wish {
      case .any: "blob \(blob) has no living registration"
      case .permanent: "blob \(blob) has no living permanent registration"
      case .object(let object): "registration \(object) of blob \(blob) does not live"
      case .deletable(let object): "deletable registration \(object) of blob \(blob) does not live"
      }
    return NodeFailure(.notRegistered, "\(what); register it first")
  }

  private func follow(to revision: Revision, until deadline: Instant) async throws {
    do {
      try await cursor.wait(for: revision, until: deadline, clock: clock)
    } catch is DeadlineExceeded {
      throw NodeFailure(
        .unavailable,
        "\(id) has followed the registry to \(cursor.revision), and this needs \(revision); "
          + "try later or elsewhere")
    }
  }
}
