// Registry+Cluster.swift
//
// The description of the cluster, its members, and which epoch it is. Read with one small range; what
// it says is decoded again only when it has changed.

package import Cluster
import RedStuff
import Synchronization
package import World

/// The cluster as it was last read.
struct ClusterState: Sendable {
  var description: ClusterDescription
  var descriptionVersion: Revision
  var epochRecord: EpochRecord
  var epochVersion: Revision
  var committee: Committee

  var epoch: Epoch { epochRecord.epoch }
}

extension Registry {
  /// Writes the description of a new cluster, whose first epoch, 1, starts now.
  ///
  /// - Throws: `alreadyExists` if the store holds a cluster, whichever.
  package static func createCluster(
    _ description: ClusterDescription, store: any ControlStore, clock: any Clock
  ) async throws(RegistryError) {
    let epoch = EpochRecord(epoch: 1, startMilliseconds: clock.wallTime.milliseconds)
    let transaction = ControlTransaction(
      conditions: [(RegistryKeys.description, nil), (RegistryKeys.epoch, nil)],
      changes: [
        (RegistryKeys.description, description.bcsBytes), (RegistryKeys.epoch, epoch.bcsBytes),
      ])
    let result: ControlTransactionResult
    do {
      result = try await store.transact(transaction)
    } catch {
      throw RegistryError(error)
    }
    guard result == .conflict else { return }
    throw .alreadyExists(
      try await ClusterState.read(from: store, reusing: nil).description.clusterID)
  }

  /// Nil: the store holds no cluster.
  package func cluster() async throws(RegistryError) -> ClusterDescription? {
    do {
      return try await state(fresh: true).description
    } catch .clusterMissing {
      return nil
    }
  }

  /// The committee of the current epoch.
  package func committee() async throws(RegistryError) -> Committee {
    try await state(fresh: true).committee
  }

  package func currentEpoch() async throws(RegistryError) -> Epoch {
    try await state(fresh: true).epoch
  }

  /// Changes where a member is reached or stands; nil leaves it as it is.
  package func updateMember(_ node: NodeID, address: String?, topology: Topology?)
    async throws(RegistryError)
  {
    try await attempting("update \(node)") { (_) async throws(RegistryError) -> Void? in
      let state = try await self.state(fresh: true)
      let updated = try state.description.updating(node, address: address, topology: topology)
      if updated == state.description { return () }
      let transaction = ControlTransaction(
        conditions: [(RegistryKeys.description, state.descriptionVersion)],
        changes: [(RegistryKeys.description, updated.bcsBytes)])
      return try await self.transact(transaction) == nil ? nil : ()
    }
  }

  /// `fresh: false` may be what was last read: good for what is then conditioned on its versions.
  func state(fresh: Bool) async throws(RegistryError) -> ClusterState {
    let cached = cachedState.withLock { $0 }
    if !fresh, let cached { return cached }
    let state = try await ClusterState.read(from: store, reusing: cached)
    cachedState.withLock { current in
      // A slower reader must not bring back what a faster one has replaced.
      guard let newest = current, state.epochVersion <= newest.epochVersion,
        state.descriptionVersion <= newest.descriptionVersion
      else { return current = state }
    }
    return state
  }

  func rules(_ state: ClusterState) -> RegistrationRules {
    RegistrationRules(
      epoch: state.epoch, epochsEnd: state.description.epochDuration != nil, now: clock.wallTime)
  }
}

extension ClusterState {
  static func read(from store: any ControlStore, reusing cached: ClusterState?)
    async throws(RegistryError) -> ClusterState
  {
    let keys = RegistryKeys.cluster
    let found: ControlRange
    do {
      found = try await store.range(from: keys.lower, below: keys.upper, limit: 16)
    } catch {
      throw RegistryError(error)
    }
    guard let description = found.entries.first(where: { $0.key == RegistryKeys.description }),
      let epoch = found.entries.first(where: { $0.key == RegistryKeys.epoch })
    else { throw .clusterMissing }
    if let cached, cached.descriptionVersion == description.version,
      cached.epochVersion == epoch.version
    {
      return cached
    }
    do {
      return try ClusterState(
        ClusterDescription(bcs: description.value), version: description.version,
        epoch: EpochRecord(bcs: epoch.value), version: epoch.version)
    } catch let error as RegistryError {
      throw error
    } catch {
      throw .unreadable(key: "cluster", "\(error)")
    }
  }

  private init(
    _ description: ClusterDescription, version descriptionVersion: Revision,
    epoch: EpochRecord, version epochVersion: Revision
  ) throws(RegistryError) {
    self.init(
      description: description, descriptionVersion: descriptionVersion, epochRecord: epoch,
      epochVersion: epochVersion, committee: try description.committee(of: epoch.epoch))
  }
}
