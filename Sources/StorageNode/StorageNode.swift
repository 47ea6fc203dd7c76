// StorageNode.swift
//
// Keeps the slivers of a committee member's shards: takes them, confirms them, serves them and their
// symbols, repairs what it lost, and drops all when the registry says that a blob has ended. Requests are answered in
// files by group (StorageNode+...); this one holds the state and the way in.
//
// Invariants:
// - Nothing is written that was not checked against verified metadata, and nothing is confirmed that
//   was not synced.
// - Slivers are deleted only when the registry says so while the blob's lane is held.
// - Every request is bounded in bytes and time; what does not fit is refused.

package import Cluster
package import ControlPlane
package import Logging
import RedStuff
import Repair
package import Routing
import SliverStore
import Synchronization
package import World

package final class StorageNode: NodeService {
  let configuration: StorageNodeConfiguration
  let signer: NodeSigner
  let cluster: ClusterID
  let committee: Committee
  let shards: Range<Int>
  let drives: DriveSet
  let registry: Registry
  let clock: any Clock
  let randomness: any Randomness
  let compute: any Compute
  let logger: Logger
  let metrics: NodeMetrics

  let admission: Admission
  let lanes = BlobLanes()
  let cursor = EventCursor(.start)
  let events: Mutex<EventProgress>
  let scrubProgress = Mutex(ScrubProgress())
  let metadataCache: Mutex<BoundedCache<BlobID, VerifiedBlobMetadata>>
  let expansionCache: Mutex<BoundedCache<SliverKey, ExpandedSliver>>
  let computed = Mutex(ServingWork())
  let transport: any Transport
  let peers: PeerTable
  let missing: MissingSet
  let healing: Mutex<HealingState>
  /// How much repair yields to what the node is asked for.
  let pace = Mutex(RepairPace())
  /// Moves on when there may be something to repair.
  let healingSignal = EventCursor(.start)
  private let startedAt: Instant

  /// The node answers at once, but takes slivers only while `run()` follows the registry.
  ///
  /// - Parameters:
  ///   - drives: all drives that belong to the node, those that are gone included.
  ///   - transport: to the other nodes, for repair.
  ///   - missingIndex: where the node remembers what it lacks; not the index of a drive.
  package init(
    configuration: StorageNodeConfiguration, signer: NodeSigner, cluster: ClusterID,
    committee: Committee, drives: [StorageDrive], transport: any Transport,
    missingIndex: any Index, registry: Registry, clock: any Clock, randomness: any Randomness,
    compute: any Compute, logger: Logger
  ) {
    let shards = committee.member(signer.node)?.shards ?? 0..<0
    self.configuration = configuration
    self.signer = signer
    self.cluster = cluster
    self.committee = committee
    self.shards = shards
    self.drives = DriveSet(drives, shards: shards, logger: logger)
    self.registry = registry
    self.clock = clock
    self.randomness = randomness
    self.compute = compute
    self.logger = logger
    metrics = NodeMetrics(node: committee.member(signer.node)?.name ?? "\(signer.node)")
    admission = Admission(
      requestCountMax: configuration.runningRequestCountMax,
      byteCountMax: configuration.runningByteCountMax)
    events = Mutex(EventProgress(backlogCountMax: configuration.pendingDeleteCountMax))
    metadataCache = Mutex(BoundedCache(byteCountMax: configuration.metadataCacheByteCountMax))
    expansionCache = Mutex(BoundedCache(byteCountMax: configuration.expansionCacheByteCountMax))
    self.transport = transport
    let here = committee.member(signer.node)?.topology ?? Topology()
    peers = PeerTable(
      parameters: committee.parameters, clock: clock, randomness: randomness, here: here,
      metrics: TrafficMetrics(from: here, to: committee.members))
    missing = MissingSet(index: missingIndex, parameters: committee.parameters)
    healing = Mutex(HealingState(byteRateMax: configuration.repairByteRateMax))
    startedAt = clock.now
  }

  var id: NodeID { signer.node }
  var parameters: EncodingParameters { committee.parameters }
  var uptime: Duration { clock.now - startedAt }

  /// What it asked of other nodes, and got, since it started.
  package var traffic: Traffic { peers.traffic }
  package var servingWork: ServingWork { computed.withLock { $0 } }

  package func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    let start = clock.now
    do {
      let response = try await admitted(request, deadline: deadline)
      served(request, response, since: start)
      return response
    } catch let failure as NodeFailure {
      metrics.countRefusal(failure.reason)
      return .failure(failure)
    } catch is DeadlineExceeded {
      sometimes(.requestCutAtDeadline)
      return .failure(NodeFailure(.unavailable, "\(id) did not finish by the deadline"))
    } catch is CancellationError {
      return .failure(NodeFailure(.unavailable, "the request was cancelled"))
    } catch {
      logger.error("a request failed", metadata: ["node": "\(id)", "error": "\(error)"])
      return .failure(NodeFailure(.internalError, "\(id) failed on this request; see its log"))
    }
  }

  /// Refuses new requests, lets the running ones end, saves the cursor and how far the scrub is, and
  /// closes the drives. `run()` must have been cancelled before.
  package func close() async {
    await admission.close()
    await saveCursor()
    await saveScrub()
    await drives.close()
  }

  private func admitted(_ request: NodeRequest, deadline: Instant) async throws -> NodeResponse {
    let latest = min(deadline, clock.now + configuration.requestDurationMax)
    // Always answered: a busy node must not look like a dead one.
    if case .health(let isDetailed) = request {
      return try await withDeadline(latest, clock: clock) { [self] in
        .health(await health(isDetailed: isDetailed))
      }
    }
    let reservation = try admission.enter(byteCount: Self.byteCount(of: request))
    defer {
      let isKept = PlantedBug.cancelledRequestKeepsPlace.isPlanted && Task.isCancelled
      if !isKept { reservation.end() }
    }
    return try await withDeadline(latest, clock: clock) { [self] in
      try await respond(to: request, within: reservation, deadline: latest)
    }
  }

  private func respond(
    to request: NodeRequest, within reservation: Admission.Reservation, deadline: Instant
  ) async throws -> NodeResponse {
    switch request {
    case .metadata(let blob):
      .metadata(blob, try await storedMetadata(of: blob).metadata)
    case .metadataStatus(let blob):
      .storedStatus(try await metadata(of: blob) == nil ? .nonexistent : .stored)
    case .storeMetadata(let blob, let metadata):
      .stored(isNew: try await store(metadata, of: blob, deadline: deadline))
    case .sliver(let blob, let pair, let axis):
      .sliver(try await sliver(of: blob, at: pair, axis, within: reservation))
    case .sliverStatus(let blob, let pair, let axis):
      .storedStatus(try await isStored(blob, pair, axis) ? .stored : .nonexistent)
    case .storeSliver(let blob, let pair, let sliver):
      .stored(isNew: try await store(sliver, of: blob, at: pair, deadline: deadline))
    case .confirmation(let blob, let target, let waitMilliseconds):
      .confirmation(
        try await confirmation(
          of: blob, for: target, waitMilliseconds: waitMilliseconds, deadline: deadline))
    case .recoverySymbols(let blob, let filter, let proofAxis):
      .recoverySymbols(
        try await recoverySymbols(of: blob, filter, proofAxis: proofAxis, within: reservation))
    case .decodingSymbols(let blob, let targets, let targetAxis):
      .decodingSymbols(
        try await decodingSymbols(of: blob, for: targets, targetAxis, within: reservation),
        targetAxis: targetAxis)
    case .inconsistencyProof(let blob, let proof):
      .inconsistencyAttested(try await attestInconsistency(of: blob, proof))
    case .blobStatus(let blob):
      .blobStatus(try await blobStatus(of: blob))
    case .health(let isDetailed):
      .health(await health(isDetailed: isDetailed))
    case .storeBatch(let entries):
      .storeBatch(try await store(entries, deadline: deadline))
    case .readBatch(let items, let purpose):
      .readBatch(
        try await read(items, for: purpose, within: reservation), load: admission.otherRequestCount)
    }
  }

  /// What a request holds in memory, small change left out.
  static func byteCount(of request: NodeRequest) -> Int {
    switch request {
    case .storeSliver(_, _, let sliver): sliver.bytes.count
    case .storeMetadata(_, let metadata): byteCount(of: metadata)
    case .storeBatch(let entries):
      entries.reduce(0) { sum, entry in
        sum + entry.slivers.reduce(0) { $0 + $1.bytes.count }
          + (entry.metadata.map(byteCount) ?? 0)
      }
    case .inconsistencyProof(_, let proof):
      proof.symbols.reduce(0) { $0 + $1.symbol.bytes.count }
    default: 0
    }
  }

  static func byteCount(of metadata: BlobMetadata) -> Int {
    metadata.hashes.count * MemoryLayout<SliverPairHashes>.stride
  }
}
