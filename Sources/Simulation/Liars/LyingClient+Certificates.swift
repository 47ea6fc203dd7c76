// LyingClient+Certificates.swift
//
// Certificates that certify something else, or nothing.

import Cluster
import ControlPlane
import RedStuff
import World

extension LyingClient {
  /// Stores a blob as it should be, and shows its certificate for other registrations.
  func replayCertificate(_ bytes: [UInt8]) async throws -> [LieOutcome] {
    guard let (registration, good) = try await storeHonestly(bytes) else { return [] }
    let blob = registration.blob
    let again = try await register(blob, byteCount: bytes.count)
    let otherBlob = BlobID(Digest(hashing: randomness.bytes(count: 32)))
    let other = try await register(otherBlob, byteCount: bytes.count)
    let redated = try Certificate(
      confirmations: good.confirmations.map {
        StorageConfirmation(
          node: $0.node, epoch: $0.epoch + 1, blob: $0.blob, object: again.object,
          signature: $0.signature)
      })
    let renamed = try Certificate(
      confirmations: good.confirmations.map {
        StorageConfirmation(
          node: $0.node, epoch: $0.epoch, blob: $0.blob, object: again.object,
          signature: $0.signature)
      })
    let outcomes = [
      await outcome("the certificate of another registration", good, for: again),
      await outcome("the certificate of another blob", good, for: other),
      await outcome("a certificate with the object's name put in", renamed, for: again),
      await outcome("a certificate with another epoch put in", redated, for: again),
    ]
    try await registry.giveUp(again.object, of: blob)
    try await registry.giveUp(other.object, of: otherBlob)
    return outcomes
  }

  /// Certificates with too few, repeated, mixed or forged signatures.
  func forgeCertificates(_ bytes: [UInt8]) async throws -> [LieOutcome] {
    guard let (registration, good) = try await storeHonestly(bytes) else { return [] }
    let blob = registration.blob
    let fresh = try await register(blob, byteCount: bytes.count)
    let encoded = try encode(bytes)
    let own = await upload(
      fresh, encoded.metadata.metadata, to: committee.members.map(\.id)
    ) { encoded.sliver($0, $1) }
    guard let first = own.first else { return [] }
    var few: [StorageConfirmation] = []
    var shardCount = 0
    let needed = parameters.shardCount - parameters.faultyShardCountMax
    for confirmation in own {
      let count = committee.member(confirmation.node)?.shards.count ?? 0
      guard shardCount + count < needed else { continue }
      few.append(confirmation)
      shardCount += count
    }
    var forged = own
    forged[forged.count - 1].signature[17] ^= 4
    let invented = own.map {
      StorageConfirmation(
        node: $0.node, epoch: $0.epoch, blob: $0.blob, object: $0.object,
        signature: randomness.bytes(count: 64))
    }
    // One signature under everybody's name.
    let borrowed = own.map {
      StorageConfirmation(
        node: $0.node, epoch: $0.epoch, blob: $0.blob, object: $0.object,
        signature: first.signature)
    }
    var strangers = few
    for number in 0..<parameters.shardCount {
      strangers.append(
        StorageConfirmation(
          node: NodeID(UInt16(1000 + number)), epoch: first.epoch, blob: blob,
          object: fresh.object, signature: first.signature))
    }
    let lies: [(String, [StorageConfirmation])] = [
      ("no confirmations", []),
      ("confirmations of \(shardCount) of \(needed) shards", few),
      ("one confirmation many times", few + few + few),
      ("a flipped bit in one signature", forged),
      ("signatures of dice", invented),
      ("one node's signature under all names", borrowed),
      ("signatures of nodes that do not exist", strangers),
      ("confirmations of two registrations", few + good.confirmations),
    ]
    var outcomes: [LieOutcome] = []
    for (what, confirmations) in lies {
      outcomes.append(
        await LieOutcome(what) {
          _ = try await registry.certify(
            fresh.object, of: blob, certificate: Certificate(confirmations: confirmations))
        })
    }
    try await registry.giveUp(fresh.object, of: blob)
    return outcomes
  }

  private func storeHonestly(_ bytes: [UInt8]) async throws -> (Registration, Certificate)? {
    let encoded = try encode(bytes)
    let registration = try await register(encoded.blobID, byteCount: bytes.count)
    let confirmations = await upload(
      registration, encoded.metadata.metadata, to: committee.members.map(\.id)
    ) { encoded.sliver($0, $1) }
    do {
      let certificate = try Certificate(confirmations: confirmations)
      let certified = try await registry.certify(
        registration.object, of: encoded.blobID, certificate: certificate)
      return (certified, certificate)
    } catch is CertificateError {
      return nil
    } catch RegistryError.certificateRefused {
      return nil
    }
  }

  private func outcome(_ what: String, _ certificate: Certificate, for registration: Registration)
    async -> LieOutcome
  {
    await LieOutcome(what) {
      _ = try await registry.certify(
        registration.object, of: registration.blob, certificate: certificate)
    }
  }
}
