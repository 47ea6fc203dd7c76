// StorageNode+Confirm.swift
//
// Signing that the node has what it should. A signature survives any crash, so it is given only for
// what the drives say is synced, and only while no delete can come between.
//
// Confirmations carry the epoch in which the blob was registered: all nodes know it from the
// registration itself, so that confirmations fit together however their epochs turn.

import Cluster
import CoreMetrics
import Logging
import RedStuff
import Synchronization
import World

extension StorageNode {
  /// The reference's confirmation, for one kind of registration.
  func confirmation(
    of blob: BlobID, for target: ConfirmationTarget, waitMilliseconds: UInt64, deadline: Instant
  ) async throws -> SignedMessageAnswer {
    let wish: RegistrationWish
    let persistence: BlobPersistence
    switch target {
    case .permanent:
      wish = .permanent
      persistence = .permanent
    case .deletable(let object):
      guard let digest = Digest(bytes: object.bytes) else {
        throw NodeFailure(.malformedRequest, "\(object) is no object ID")
      }
      wish = .deletable(object)
      persistence = .deletable(objectID: digest)
    }
    let waitMax = UInt64(NodeMessageLimits.registrationWaitMillisecondsMax)
    let wait = Duration.milliseconds(Int64(min(waitMilliseconds, waitMax)))
    _ = try await registration(
      wish, of: blob, patience: min(deadline, clock.now + wait),
      catchUpDeadline: catchUpDeadline(deadline))
    return try await lanes.withLane(.shared, of: blob) {
      guard case .living(let registration) = try await find(wish, of: blob) else {
        throw Self.notRegistered(blob, wish)
      }
      try await checkWhole([blob])[blob]?.get()
      let body = StorageConfirmationBody(blobID: blob, persistence: persistence)
      return sign(SignableMessage(epoch: registration.registeredEpoch, body: body))
    }
  }

  /// By blob, whether its metadata and all slivers that this node should have are durable here. The
  /// blobs' lanes are held by the caller.
  func checkWhole(_ blobs: [BlobID]) async throws -> [BlobID: Result<Void, NodeFailure>] {
    let places = blobs.map(places)
    let isThere = await drives.contains(places.flatMap { $0.map(\.key) })
    var results: [BlobID: Result<Void, NodeFailure>] = [:]
    var next = 0
    for (blob, expected) in zip(blobs, places) {
      let present = isThere[next..<next + expected.count]
      next += expected.count
      let missingCount =
        PlantedBug.missingSliversConfirmed.isPlanted ? 0 : present.count { !$0 }
      if expected.isEmpty {
        results[blob] = .failure(notAMember)
      } else if missingCount > 0 {
        sometimes(.missingSliversAtConfirmation)
        results[blob] = .failure(
          NodeFailure(
            .missingSlivers,
            "\(id) lacks \(missingCount) of its \(expected.count) slivers of blob \(blob)"))
      } else if try await metadata(of: blob) == nil {
        results[blob] = .failure(
          NodeFailure(.missingSlivers, "\(id) has no readable metadata of blob \(blob)"))
      } else {
        results[blob] = .success(())
      }
    }
    return results
  }

  func confirm(_ registration: Registration) -> StorageConfirmation {
    metrics.confirmations.increment()
    return signer.confirm(
      cluster: cluster, epoch: registration.registeredEpoch, blob: registration.blob,
      object: registration.object)
  }

  /// Attests that a blob was encoded badly, if the proof proves it.
  func attestInconsistency(
    of blob: BlobID, _ proof: InconsistencyProof
  ) async throws -> SignedMessageAnswer {
    let metadata = try await storedMetadata(of: blob)
    do {
      try await compute.run { () throws(InconsistencyProofError) in
        try proof.verify(against: metadata)
      }
    } catch {
      throw NodeFailure(.invalidProof, "blob \(blob) is not shown to be inconsistent: \(error)")
    }
    logger.warning(
      "a blob was encoded badly", metadata: ["node": "\(id)", "blob": "\(blob)"])
    return sign(SignableMessage(epoch: committee.epoch, body: InvalidBlobIDBody(blobID: blob)))
  }

  private func sign(_ message: SignableMessage<some SignableMessageBody>) -> SignedMessageAnswer {
    let bytes = message.bcsBytes
    return SignedMessageAnswer(message: bytes, signature: signer.sign(bytes))
  }
}
