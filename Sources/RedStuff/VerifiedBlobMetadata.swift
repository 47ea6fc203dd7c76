// VerifiedBlobMetadata.swift
//
// Metadata that was recomputed to its blob ID, with the numbers that follow from it. Checks of
// slivers and symbols take this type only: against unverified metadata they would prove nothing.

/// Why metadata does not describe a blob, in the order of the checks.
package enum BlobMetadataError: Error, Equatable {
  /// Made for another committee size, or mutilated.
  case hashCountMismatch(hashCount: Int, shardCount: Int)
  case blobTooLarge(byteCount: UInt64, byteCountMax: UInt64)
  /// Ask another node; this one lied or its disk did.
  case blobIDMismatch(claimed: BlobID, computed: BlobID)
}

/// Metadata that belongs to its blob ID.
package struct VerifiedBlobMetadata: Hashable, Sendable {
  package let parameters: EncodingParameters
  package let blobID: BlobID
  package let metadata: BlobMetadata
  package let symbolByteCount: Int

  /// Checks that `metadata` belongs to `blobID`. Cost: 2n hashes.
  package init(
    _ metadata: BlobMetadata, of blobID: BlobID, parameters: EncodingParameters
  ) throws(BlobMetadataError) {
    guard metadata.hashes.count == parameters.shardCount else {
      throw .hashCountMismatch(
        hashCount: metadata.hashes.count, shardCount: parameters.shardCount)
    }
    do {
      symbolByteCount = try parameters.symbolByteCount(forBlobOf: metadata.blobByteCount)
    } catch {
      throw .blobTooLarge(
        byteCount: metadata.blobByteCount, byteCountMax: parameters.blobByteCountMax)
    }
    let computed = metadata.computedBlobID
    guard computed == blobID else {
      throw .blobIDMismatch(claimed: blobID, computed: computed)
    }
    self.parameters = parameters
    self.blobID = blobID
    self.metadata = metadata
  }

  /// For metadata of our own making, whose ID is only now computed.
  init(computing metadata: BlobMetadata, parameters: EncodingParameters, symbolByteCount: Int) {
    self.parameters = parameters
    self.metadata = metadata
    self.symbolByteCount = symbolByteCount
    blobID = metadata.computedBlobID
  }

  package var blobByteCount: UInt64 { metadata.blobByteCount }
  package var shardCount: Int { parameters.shardCount }

  package var withID: BlobMetadataWithID {
    BlobMetadataWithID(blobID: blobID, metadata: metadata)
  }

  package func sliverByteCount(_ axis: SliverAxis) -> Int {
    parameters.sliverByteCount(axis, symbolByteCount: symbolByteCount)
  }
}

extension BlobMetadataWithID {
  package func verified(
    parameters: EncodingParameters
  ) throws(BlobMetadataError) -> VerifiedBlobMetadata {
    try VerifiedBlobMetadata(metadata, of: blobID, parameters: parameters)
  }
}

extension BlobMetadata {
  /// The Merkle root over the pairs of hashes.
  package var root: MerkleNode {
    guard !hashes.isEmpty else { return .empty }
    let pairByteCount = 2 * Digest.byteCount
    let pairs = Scratch(byteCount: hashes.count * pairByteCount)
    let trees = Scratch(byteCount: (hashes.count + 1) / 2 * 2 * Digest.byteCount)
    for (pair, hash) in hashes.enumerated() {
      let target = unsafe pairs.base + pair * pairByteCount
      unsafe hash.primary.hashedDigest.store(at: target)
      unsafe hash.secondary.hashedDigest.store(at: target + Digest.byteCount)
    }
    unsafe HashLanes.hashLeaves(
      pairs.base, symbolByteCount: pairByteCount, count: hashes.count, into: trees.base)
    if !hashes.count.isMultiple(of: 2) {
      unsafe Digest.zero.store(at: trees.base + hashes.count * Digest.byteCount)
    }
    unsafe HashLanes.reduceTrees(trees.base, treeCount: 1, leafCount: hashes.count)
    return .digest(unsafe Digest(at: trees.base))
  }

  /// The blob ID that belongs to this metadata: H(encoding type || length || root).
  package var computedBlobID: BlobID {
    var writer = BCSWriter(reservingCapacity: 41)
    writer.write(EncodingParameters.encodingType)
    writer.write(blobByteCount)
    writer.write(root.hashedDigest)
    return BlobID(Digest(hashing: writer.bytes))
  }
}
