// StorageNode+Metadata.swift
//
// The metadata of blobs: taken, kept in memory, served. What comes from a peer or a drive is
// recomputed to its blob ID before anything is checked against it.

import Cluster
import Logging
import RedStuff
import SliverStore
import Synchronization
import World

extension StorageNode {
  /// The blob's metadata if the node has it; nil if not.
  func metadata(of blob: BlobID) async throws -> VerifiedBlobMetadata? {
    if let cached = metadataCache.withLock({ $0.value(for: blob) }) { return cached }
    let deletesSeen = lanes.deleteCount
    switch await drives.metadata(of: blob) {
    case .value(let bytes):
      guard let metadata = await decode(bytes, of: blob) else { return nil }
      remember(metadata, unlessDeletedSince: deletesSeen)
      return metadata
    case .missing:
      return nil
    case .unknown(let reason):
      throw NodeFailure(.unavailable, "a drive does not answer: \(reason)")
    }
  }

  func storedMetadata(of blob: BlobID) async throws -> VerifiedBlobMetadata {
    guard let metadata = try await metadata(of: blob) else {
      noteMissingMetadata(of: blob)
      throw NodeFailure(.metadataNotFound, "\(id) has no metadata of blob \(blob)")
    }
    return metadata
  }

  /// - Returns: whether it is new here.
  func store(
    _ metadata: BlobMetadata, of blob: BlobID, deadline: Instant
  ) async throws -> Bool {
    _ = try await registration(.any, of: blob, catchUpDeadline: catchUpDeadline(deadline))
    if try await self.metadata(of: blob) != nil { return false }
    let verified = try await verify(metadata, of: blob)
    return try await lanes.withLane(.shared, of: blob) {
      guard case .living = try await find(.any, of: blob) else {
        throw Self.notRegistered(blob, .any)
      }
      if let failure = await write(verified) { throw failure }
      remember(verified)
      return true
    }
  }

  /// Durable when this returns nil; else why not. The blob's lane is held by the caller.
  func write(_ metadata: VerifiedBlobMetadata) async -> NodeFailure? {
    guard let shard = metadataShard(of: metadata.blobID) else { return notAMember }
    return await drives.put(
      metadata: metadata.metadata.bcsBytes, of: metadata.blobID, for: shard)
  }

  func verify(_ metadata: BlobMetadata, of blob: BlobID) async throws -> VerifiedBlobMetadata {
    let parameters = parameters
    do {
      return try await compute.run { () throws(BlobMetadataError) in
        try VerifiedBlobMetadata(metadata, of: blob, parameters: parameters)
      }
    } catch {
      throw NodeFailure(.invalidMetadata, "not the metadata of blob \(blob): \(error)")
    }
  }

  /// To be called with the blob's lane held, or with the number of deletes from before the metadata was
  /// read: else a delete may have come between, and the cache would keep what is gone.
  func remember(_ metadata: VerifiedBlobMetadata, unlessDeletedSince deletesSeen: UInt64? = nil) {
    let byteCount = Self.byteCount(of: metadata.metadata)
    metadataCache.withLock {
      if let deletesSeen, lanes.deleteCount != deletesSeen { return }
      $0.insert(metadata, byteCount: byteCount, for: metadata.blobID)
    }
  }

  /// To be called with the blob's lane held alone, after its delete: whoever read the metadata before
  /// is told by the count, what was remembered before goes.
  func forgetMetadata(ofDeleted blob: BlobID) {
    lanes.countDelete()
    metadataCache.withLock { $0.remove(blob) }
  }

  var notAMember: NodeFailure {
    NodeFailure(.shardNotAssigned, "\(id) keeps no shards of this committee")
  }

  /// Nil, and a word in the log, if a drive gave us bytes that are not this blob's metadata.
  private func decode(_ bytes: [UInt8], of blob: BlobID) async -> VerifiedBlobMetadata? {
    do {
      return try await verify(try BlobMetadata(bcs: bytes), of: blob)
    } catch {
      logger.error(
        "stored metadata is not what was stored",
        metadata: ["node": "\(id)", "blob": "\(blob)", "error": "\(error)"])
      return nil
    }
  }

  /// Which shard's drive keeps metadata that comes without slivers: spread over the node's shards.
  private func metadataShard(of blob: BlobID) -> ShardIndex? {
    guard !shards.isEmpty else { return nil }
    let rotation = blob.shardRotation(shardCount: parameters.shardCount)
    return ShardIndex(UInt16(shards.lowerBound + rotation % shards.count))
  }
}
