// UploadState.swift
//
// An upload as values: what each node has been sent, who confirmed, whether the certificate can
// still be reached. Pure; Upload.swift sends and waits.
//
// Invariant: a confirmation counts only if its signature is the node's, over this registration.

import Cluster
import RedStuff
import World

struct UploadState: Sendable {
  enum Step: Equatable {
    /// Send the next request of this node.
    case send
    /// Send it again, later.
    case retry
    /// Confirmed or given up.
    case finished
  }

  struct SliverName: Hashable, Sendable {
    let axis: SliverAxis
    let index: SliverIndex
  }

  private enum Stage {
    /// Asks whether the node has everything already.
    case probing
    case sending(batch: Int)
    case confirmed
    case failed(String)
  }

  private struct NodeProgress {
    let member: CommitteeMember
    let batches: [[SliverName]]
    var stage: Stage
    var failureCount = 0
    var lastReason = "not reached yet"
  }

  let registration: Registration
  let cluster: ClusterID
  /// n - f.
  let requiredShardCount: Int
  private let attemptCountMax: Int
  private(set) var confirmations: [StorageConfirmation] = []
  private(set) var confirmedShardCount = 0
  private(set) var isForbidden = false
  private var nodes: [NodeProgress]

  /// - Parameter isCertified: another registration of the blob is certified, so nodes may have it.
  init(
    registration: Registration, metadata: VerifiedBlobMetadata, committee: Committee,
    cluster: ClusterID, isCertified: Bool, configuration: BlobClientConfiguration
  ) {
    attemptCountMax = configuration.storeAttemptCountMax
    self.registration = registration
    self.cluster = cluster
    let parameters = committee.parameters
    requiredShardCount =
      PlantedBug.quorumTooSmall.isPlanted
      ? parameters.faultyShardCountMax + 1
      : parameters.shardCount - parameters.faultyShardCountMax
    nodes = committee.members.filter { !$0.shards.isEmpty }.map { member in
      NodeProgress(
        member: member,
        batches: Self.batches(
          of: committee.pairs(of: registration.blob, keptBy: member.id), metadata,
          byteCountTarget: configuration.batchByteCountTarget),
        stage: isCertified ? .probing : .sending(batch: 0))
    }
  }

  /// Both slivers of each pair, in batches of at most the target, at least one each.
  private static func batches(
    of pairs: [SliverPairIndex], _ metadata: VerifiedBlobMetadata, byteCountTarget: Int
  ) -> [[SliverName]] {
    var batches: [[SliverName]] = []
    var batch: [SliverName] = []
    var byteCount = 0
    for pair in pairs {
      for axis in SliverAxis.allCases {
        let sliverByteCount = metadata.sliverByteCount(axis)
        if !batch.isEmpty, byteCount + sliverByteCount > byteCountTarget {
          batches.append(batch)
          batch = []
          byteCount = 0
        }
        batch.append(
          SliverName(axis: axis, index: pair.sliver(axis, shardCount: metadata.shardCount)))
        byteCount += sliverByteCount
      }
    }
    batches.append(batch)
    return batches
  }

  var nodeCount: Int { nodes.count }

  func member(_ node: Int) -> CommitteeMember { nodes[node].member }

  func failureCount(_ node: Int) -> Int { nodes[node].failureCount }

  var hasQuorum: Bool { confirmedShardCount >= requiredShardCount }

  /// Whether the nodes that refused nothing for good, and did not fail again and again, are enough.
  /// The latter are still tried as long as the upload goes on.
  var canReachQuorum: Bool {
    let possible = nodes.reduce(0) { count, node in
      if case .failed = node.stage { return count }
      return node.failureCount < attemptCountMax ? count + node.member.shards.count : count
    }
    return possible >= requiredShardCount
  }

  /// Whether another try makes sense: a node that failed again and again is waited for only as long
  /// as the certificate may depend on it, so that dead nodes do not hold memory for the whole tail.
  func mayGoOn(_ node: Int) -> Bool {
    !hasQuorum || nodes[node].failureCount < attemptCountMax
  }

  /// Why each node that has not confirmed has not.
  var reasons: [NodeID: String] {
    var reasons: [NodeID: String] = [:]
    for node in nodes {
      switch node.stage {
      case .confirmed: break
      case .failed(let reason): reasons[node.member.id] = reason
      case .probing, .sending: reasons[node.member.id] = node.lastReason
      }
    }
    return reasons
  }

  /// What to send to a node next; nil once it has finished.
  func request(for node: Int) -> (slivers: [SliverName], sendsMetadata: Bool, isLast: Bool)? {
    switch nodes[node].stage {
    case .probing: ([], false, true)
    case .sending(let batch):
      (nodes[node].batches[batch], batch == 0, batch == nodes[node].batches.count - 1)
    case .confirmed, .failed: nil
    }
  }

  mutating func answered(_ node: Int, _ result: Result<NodeResponse, TransportError>) -> Step {
    switch result {
    case .success(.storeBatch(let outcomes)) where outcomes.count == 1:
      switch outcomes[0] {
      case .stored: return stored(node)
      case .confirmed(let confirmation): return confirmed(node, confirmation)
      case .refused(let failure): return refused(node, failure)
      }
    case .success(.failure(let failure)): return refused(node, failure)
    case .success: return retry(node, "the answer does not fit the request")
    case .failure(let error): return retry(node, "\(error)")
    }
  }

  private mutating func stored(_ node: Int) -> Step {
    guard case .sending(let batch) = nodes[node].stage, batch + 1 < nodes[node].batches.count else {
      return retry(node, "it stored the last slivers and did not confirm them")
    }
    nodes[node].stage = .sending(batch: batch + 1)
    nodes[node].failureCount = 0
    return .send
  }

  private mutating func confirmed(_ node: Int, _ confirmation: StorageConfirmation) -> Step {
    let member = nodes[node].member
    guard confirmation.node == member.id, confirmation.blob == registration.blob,
      confirmation.object == registration.object,
      confirmation.epoch == registration.registeredEpoch,
      PlantedBug.confirmationUnchecked.isPlanted
        || confirmation.verify(cluster: cluster, publicKey: member.publicKey)
    else {
      return fail(node, "its confirmation is not signed by it for this registration")
    }
    nodes[node].stage = .confirmed
    confirmations.append(confirmation)
    confirmedShardCount += member.shards.count
    return .finished
  }

  private mutating func refused(_ node: Int, _ failure: NodeFailure) -> Step {
    let reason = "\(failure.reason.rawValue): \(failure.message)"
    if case .probing = nodes[node].stage,
      failure.reason == .missingSlivers || failure.reason == .metadataNotFound
    {
      sometimes(.probedNodeIncomplete)
      nodes[node].stage = .sending(batch: 0)
      return .send
    }
    if failure.isPassing { return retry(node, reason) }
    if failure.reason == .forbiddenBlob { isForbidden = true }
    return fail(node, reason)
  }

  private mutating func retry(_ node: Int, _ reason: String) -> Step {
    nodes[node].failureCount += 1
    nodes[node].lastReason = reason
    return .retry
  }

  private mutating func fail(_ node: Int, _ reason: String) -> Step {
    sometimes(.uploadRefused)
    nodes[node].stage = .failed(reason)
    return .finished
  }
}
