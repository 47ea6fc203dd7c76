// LyingClient.swift
//
// A client that speaks the formats well and means harm: it uploads what contradicts itself, asks for
// signatures under what it never sent, and shows the registry certificates of something else.
//
// Whatever it does, honest nodes and the registry must grant nothing that they should not; each lie
// says what it expected. Nodes that lie themselves may grant anything, so it asks honest ones.

package import Cluster
package import ControlPlane
import RedStuff
package import World

package struct LyingClient: Sendable {
  package enum Lie: Int, Sendable, CaseIterable, Hashable {
    case partialUpload
    case foreignSlivers
    case wrongMetadata
    case wrongSize
    case unsentConfirmation
    case unregistered
    case foreignShards
    case batchLimits
    case replayedCertificate
    case forgedCertificate
  }

  let registry: Registry
  let transport: any Transport
  let cluster: ClusterID
  let committee: Committee
  let clock: any Clock
  let randomness: any Randomness
  /// For each request.
  let patience: Duration

  package init(
    registry: Registry, transport: any Transport, cluster: ClusterID, committee: Committee,
    clock: any Clock, randomness: any Randomness, patience: Duration = .seconds(10)
  ) {
    self.registry = registry
    self.transport = transport
    self.cluster = cluster
    self.committee = committee
    self.clock = clock
    self.randomness = randomness
    self.patience = patience
  }

  var parameters: EncodingParameters { committee.parameters }

  /// Tells a lie about new content of `byteCount` bytes, at least 1.
  ///
  /// - Throws: what the registry or the codec says to the honest part of it.
  package func tell(_ lie: Lie, byteCount: Int, honest nodes: [NodeID]) async throws
    -> [LieOutcome]
  {
    let bytes = randomness.bytes(count: byteCount)
    switch lie {
    case .partialUpload: return [try await uploadPartially(bytes, to: nodes)]
    case .foreignSlivers: return try await sendForeignSlivers(bytes, to: nodes)
    case .wrongMetadata: return try await sendWrongMetadata(bytes, to: nodes)
    case .wrongSize: return try await registerWrongSize(bytes, honest: nodes)
    case .unsentConfirmation: return try await askForUnsentConfirmations(bytes, of: nodes)
    case .unregistered: return try await sendUnregistered(bytes, to: nodes)
    case .foreignShards: return try await askForForeignShards(bytes, of: nodes)
    case .batchLimits: return await exceedBatchLimits(at: nodes)
    case .replayedCertificate: return try await replayCertificate(bytes)
    case .forgedCertificate: return try await forgeCertificates(bytes)
    }
  }

  // MARK: What lies are made of

  func ask(_ request: NodeRequest, of node: NodeID) async -> Result<NodeResponse, TransportError> {
    do throws(TransportError) {
      return .success(
        try await transport.send(request, to: node, deadline: clock.now + patience))
    } catch {
      return .failure(error)
    }
  }

  func register(_ blob: BlobID, byteCount: Int) async throws -> Registration {
    try await registry.register(
      blob: blob, byteCount: UInt64(byteCount), persistence: .deletable, epochs: nil
    ).0
  }

  /// All that a node should have, asking for its signature.
  func entry(
    _ node: NodeID, _ registration: Registration, _ metadata: BlobMetadata?,
    _ sliver: (SliverAxis, SliverIndex) -> Sliver
  ) -> StoreEntry {
    let n = parameters.shardCount
    let pairs = committee.pairs(of: registration.blob, keptBy: node)
    return StoreEntry(
      blob: registration.blob, object: registration.object, metadata: metadata,
      slivers: pairs.flatMap { pair in
        SliverAxis.allCases.map { sliver($0, pair.sliver($0, shardCount: n)) }
      }, wantsConfirmation: true)
  }

  func encode(_ bytes: [UInt8]) throws -> EncodedBlob {
    try BlobEncoder.encodeSerially(bytes, parameters: parameters)
  }

  /// Uploads as a client should, and collects the signatures that are good.
  func upload(
    _ registration: Registration, _ metadata: BlobMetadata, to nodes: [NodeID],
    _ sliver: (SliverAxis, SliverIndex) -> Sliver
  ) async -> [StorageConfirmation] {
    var confirmations: [StorageConfirmation] = []
    for node in nodes {
      let entry = entry(node, registration, metadata, sliver)
      guard case .success(.storeBatch(let outcomes)) = await ask(.storeBatch([entry]), of: node),
        case .confirmed(let confirmation)? = outcomes.first,
        let key = committee.member(node)?.publicKey,
        confirmation.node == node, confirmation.epoch == registration.registeredEpoch,
        confirmation.verify(cluster: cluster, publicKey: key)
      else { continue }
      confirmations.append(confirmation)
    }
    return confirmations
  }

  // MARK: Inconsistent blobs

  /// Uploads a badly encoded blob, every sliver of which fits its metadata, and has it certified.
  ///
  /// - Returns: the registration; nil if too few nodes signed, as when too few answer.
  package func store(_ blob: InconsistentBlob) async throws -> Registration? {
    let registration = try await register(blob.blob, byteCount: Int(blob.metadata.blobByteCount))
    let confirmations = await upload(
      registration, blob.metadata, to: committee.members.map(\.id)
    ) { blob.sliver($0, $1) }
    do {
      return try await registry.certify(
        registration.object, of: blob.blob,
        certificate: Certificate(confirmations: confirmations))
    } catch is CertificateError {
      return nil
    } catch RegistryError.certificateRefused {
      return nil
    }
  }
}
