// StorageNode+Restore.swift
//
// What a batch of repair needs of its node: metadata, sources, and a place for what it restored.

import Cluster
import ControlPlane
import RedStuff
import Repair
import Routing
import SliverStore
import Synchronization
import World

extension StorageNode {
  /// The node's own, else from whichever peer has it; nil if nobody gives it.
  func metadataForRepair(of blob: BlobID) async throws -> VerifiedBlobMetadata? {
    if let known = try await metadata(of: blob) { return known }
    return try await fetchMetadata(of: blob)
  }

  /// From whichever peer has it; nil if nobody gives it.
  func fetchMetadata(of blob: BlobID) async throws -> VerifiedBlobMetadata? {
    for member in peers.ordered(committee.members.filter { $0.id != id }) {
      try Task.checkCancellation()
      let answer = await peers.send(
        .metadata(blob), for: .metadata, to: member.id,
        deadline: clock.now + configuration.repairRequestDeadline, over: transport,
        as: .read(byteCount: parameters.shardCount * MemoryLayout<SliverPairHashes>.stride))
      guard case .success(.metadata(blob, let claimed)) = answer else { continue }
      do {
        return try await verify(claimed, of: blob)
      } catch is NodeFailure {
        peers.distrust(member.id)
      }
    }
    return nil
  }

  /// Stores metadata that no drive has, while the blob is kept; durable when this returns.
  func restore(_ metadata: VerifiedBlobMetadata) async throws {
    let blob = metadata.blobID
    try await lanes.withLane(.shared, of: blob) {
      switch try await find(.any, of: blob) {
      case .living:
        if let failure = await write(metadata) { throw failure }
        remember(metadata)
      case .ahead:
        // The node has to catch up: at the next look.
        healing.withLock { _ = $0.lacksMetadata(of: blob) }
      case .none:
        break
      }
    }
  }

  /// All slivers of other nodes, those of near and healthy ones first. Those that are slow or
  /// lack much are as good as others: nobody waits for repair, and a far node would cost more than time.
  func repairSources(of blob: BlobID, ranks: [NodeID: PeerRank]) -> SliverSources {
    var sources = SliverSources(parameters: parameters)
    for member in committee.members {
      for pair in committee.pairs(of: blob, keptBy: member.id) {
        if member.id == id {
          sources.exclude(pair)
        } else if var rank = ranks[member.id] {
          rank.isSlow = false
          rank.isLacking = false
          sources.setRank(rank, of: pair)
        }
      }
    }
    return sources
  }

  /// Stores slivers that were rebuilt and checked; durable when this returns.
  ///
  /// - Returns: their bytes.
  /// - Throws: `NodeFailure`, also if the blob has ended meanwhile.
  func storeRestored(
    _ slivers: [Sliver], _ metadata: VerifiedBlobMetadata
  ) async throws -> Int {
    let blob = metadata.blobID
    let metadataBytes = metadata.metadata.bcsBytes
    let verified = try slivers.map { sliver in
      let place = try place(of: sliver, blob)
      return VerifiedSliver(
        shard: place.shard, key: place.key, symbolByteCount: sliver.symbolByteCount,
        bytes: sliver.bytes, metadataBytes: metadataBytes)
    }
    if PlantedBug.foundBeforeStored.isPlanted { await noteFound(verified.map(\.key)) }
    try await lanes.withLane(.shared, of: blob) {
      // Else the event that ends the blob may have been settled already, and nobody would delete it.
      if !PlantedBug.restoredWithoutRegistry.isPlanted {
        guard case .living = try await find(.any, of: blob) else {
          throw NodeFailure(.notRegistered, "the blob has ended, or the node has to catch up")
        }
      }
      for failure in try await drives.put(verified) {
        if let failure { throw failure }
      }
      remember(metadata)
    }
    sometimes(.sliversRestored)
    await remember { set, _ throws(IndexError) in
      try await set.found(verified.map(\.key.missing), of: blob)
    }
    return slivers.reduce(0) { $0 + $1.bytes.count }
  }
}
