// ClientServices.swift
//
// What every part of the client works with: the world as it was passed in, and the shared memory of
// this client.

import Cluster
import ControlPlane
import Logging
import RedStuff
import Routing
import World

struct ClientServices: Sendable {
  let configuration: BlobClientConfiguration
  let registry: Registry
  let cluster: ClusterID
  let committee: Committee
  let transport: any Transport
  let clock: any Clock
  let randomness: any Randomness
  let compute: any Compute
  let spool: any Disk
  let logger: Logger
  let peers: PeerTable
  let metadataCache: ContentCache<VerifiedBlobMetadata>
  let quiltIndexCache: ContentCache<QuiltIndex>

  var parameters: EncodingParameters { committee.parameters }

  /// False: the task was cancelled before.
  func sleeps(until deadline: Instant) async -> Bool {
    do {
      try await clock.sleep(until: deadline)
      return true
    } catch {
      // The only error of a clock is cancellation.
      return false
    }
  }

  /// Doubles with each retry, and is then drawn between half of it and all of it, so that those who
  /// failed together do not come back together.
  func retryDelay(_ retry: Int) -> Duration {
    let doubled = configuration.retryDelayMin * (1 << min(max(retry - 1, 0), 16))
    let longest = min(doubled, configuration.retryDelayMax)
    let half = longest.wholeNanoseconds / 2
    return .nanoseconds(half + Int64(randomness.number(below: Int(half) + 1)))
  }

  /// How long to wait for an answer of so many bytes before others are asked as well.
  func hedgeDelay(for node: NodeID, byteCount: Int) -> Duration {
    peers.hedgeDelay(
      for: node, byteCount: byteCount, min: configuration.hedgeDelayMin,
      initial: configuration.hedgeDelayInitial)
  }

  /// Runs the jobs of all phases on Compute.
  func run(_ phases: [JobPhase]) async {
    await compute.runAll(phases: phases.map(\.jobCount)) { phases[$0].run($1) }
  }
}
