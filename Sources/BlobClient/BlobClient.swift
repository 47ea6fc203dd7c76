// BlobClient.swift
//
// Storing and reading blobs: the one way in for gateways and commands. This file holds what a
// client is made of and how it ends; storing and reading are in files of their own.
//
// Invariants: a store that returned is certified. A read that returned gave exactly the bytes asked
// for, each checked before it was given away.

package import Cluster
package import ControlPlane
package import Logging
package import RedStuff
package import Routing
package import World

package final class BlobClient: Sendable {
  package let configuration: BlobClientConfiguration
  let services: ClientServices
  let uploads: UploadTasks
  let spoolBudget: SpoolBudget

  /// - Parameter spool: a drive for the files of reads that do not fit into memory; nothing in it
  ///   has to survive.
  package init(
    configuration: BlobClientConfiguration, registry: Registry, cluster: ClusterID,
    committee: Committee, transport: any Transport, clock: any Clock, randomness: any Randomness,
    compute: any Compute, spool: any Disk, logger: Logger
  ) {
    self.configuration = configuration
    services = ClientServices(
      configuration: configuration, registry: registry, cluster: cluster, committee: committee,
      transport: transport, clock: clock, randomness: randomness, compute: compute, spool: spool,
      logger: logger,
      peers: PeerTable(
        parameters: committee.parameters, clock: clock, randomness: randomness,
        here: configuration.topology,
        hedges: HedgeBudget(
          hedgesPerThousand: configuration.hedgesPerThousand,
          burstMax: configuration.hedgeBurstMax),
        metrics: TrafficMetrics(from: configuration.topology, to: committee.members)),
      metadataCache: ContentCache(byteCountMax: configuration.metadataCacheByteCountMax),
      quiltIndexCache: ContentCache(byteCountMax: configuration.quiltIndexCacheByteCountMax))
    uploads = UploadTasks(tailCountMax: configuration.tailCountMax)
    spoolBudget = SpoolBudget(byteCountMax: configuration.spoolByteCountMax)
  }

  package var parameters: EncodingParameters { services.parameters }
  /// What it asked of nodes, and got, since it was made.
  package var traffic: Traffic { services.peers.traffic }

  /// Removes spool files that a process left behind which did not end well. To be called once,
  /// before the first read.
  package func removeSpoolLeftovers() async throws(BlobClientError) {
    do {
      let count = try await Spool.removeLeftovers(on: services.spool)
      if count > 0 { services.logger.info("removed \(count) spool files of an earlier run") }
    } catch {
      throw .unavailable(reason: "the spool cannot be cleared: \(error)")
    }
  }

  /// Waits until all that is being sent has been sent or given up.
  package func waitForTails() async {
    await uploads.wait()
  }

  package enum Shutdown: Sendable {
    /// Lets tails go on to their end, which is at most `tailDuration` away.
    case waitingForTails
    /// Stops them. Their blobs are certified; repair sends what they did not.
    case cancellingTails
  }

  /// Takes no more work, and returns when nothing is being sent any more. Stores without their
  /// certificate are always waited for; who does not want that cancels their tasks.
  package func shutdown(_ mode: Shutdown) async {
    uploads.close(cancellingTails: mode == .cancellingTails)
    await uploads.wait()
  }

  func checkOpen() throws(BlobClientError) {
    if uploads.isClosed { throw .shuttingDown }
  }
}
