// NodeMessages.swift
//
// Everything a storage node can be asked, and its answers, as values. NodeMessageCodec gives each
// its method, path, headers and body; servers, clients and the simulator share that one mapping.
//
// Limits: a request or answer body is at most `NodeMessageLimits.bodyByteCountMax`; whoever has
// more splits it.

package import RedStuff

package enum NodeMessageLimits {
  /// The largest sliver is 49155 symbols of 65534 bytes, which no message carries; at n = 1000 it is
  /// 44 MB. Batches are cut at `batchByteCountTarget`; one oversized sliver may stand alone.
  package static let bodyByteCountMax = 96 << 20
  /// Large enough that per-request costs vanish, small enough that a few in flight stay bounded.
  package static let batchByteCountTarget = 8 << 20
  /// Entries of one store batch, items of one read batch.
  package static let batchItemCountMax = 8192
  /// Longest wait for a registration that a confirmation may ask for.
  package static let registrationWaitMillisecondsMax = 10_000
}

package enum NodeRequest: Sendable, Equatable {
  // The reference's calls.
  case metadata(BlobID)
  case metadataStatus(BlobID)
  case storeMetadata(BlobID, BlobMetadata)
  case sliver(BlobID, SliverPairIndex, SliverAxis)
  case sliverStatus(BlobID, SliverPairIndex, SliverAxis)
  case storeSliver(BlobID, SliverPairIndex, Sliver)
  case confirmation(BlobID, ConfirmationTarget, waitMilliseconds: UInt64)
  case recoverySymbols(BlobID, RecoverySymbolFilter, proofAxis: SliverAxis?)
  case decodingSymbols(BlobID, targets: [SliverIndex], targetAxis: SliverAxis)
  case inconsistencyProof(BlobID, InconsistencyProof)
  case blobStatus(BlobID)
  case health(detailed: Bool)
  // Ours: many slivers or symbols of many blobs in one request.
  case storeBatch([StoreEntry])
  case readBatch([ReadItem], for: ReadPurpose = .read)
}

package enum NodeResponse: Sendable, Equatable {
  case metadata(BlobID, BlobMetadata)
  case storedStatus(StoredStatus)
  /// For storeMetadata and storeSliver. False: it was already there.
  case stored(isNew: Bool)
  case sliver(Sliver)
  case confirmation(SignedMessageAnswer)
  case recoverySymbols([GeneralRecoverySymbol])
  case decodingSymbols([SliverIndex: [DecodingSymbol]], targetAxis: SliverAxis)
  case inconsistencyAttested(SignedMessageAnswer)
  case blobStatus(BlobStatus)
  case health(NodeHealth)
  /// One outcome per entry, in order.
  case storeBatch([StoreOutcome])
  /// One outcome per item, in order. `load`: how many other requests the node was working on.
  case readBatch([ReadOutcome], load: UInt16 = 0)
  case failure(NodeFailure)
}

/// Whom a batch of symbols is for. What readers ask for in vain is repaired first. Nobody waits for
/// what another node's repair asks for, unless it found too few others: then it asks as a reader does.
package enum ReadPurpose: String, CaseIterable, Hashable, Sendable {
  case read, repair
}

/// Which registration a confirmation of the reference's shape speaks of.
package enum ConfirmationTarget: Hashable, Sendable {
  case permanent
  case deletable(ObjectID)
}

package enum StoredStatus: String, Sendable {
  case nonexistent, buffered, stored
}

package struct SignedMessageAnswer: Sendable, Equatable {
  package var message: [UInt8]
  package var signature: [UInt8]

  package init(message: [UInt8], signature: [UInt8]) {
    self.message = message
    self.signature = signature
  }
}

package enum RecoverySymbolFilter: Hashable, Sendable {
  /// Symbols by primary and secondary sliver index.
  case symbols([SymbolID])
  /// All symbols the node can give for one sliver.
  case target(SliverIndex, SliverAxis)
}

package enum BlobStatus: Sendable, Equatable {
  case nonexistent
  case invalid
  case permanent(
    endEpoch: Epoch, isCertified: Bool, initialCertifiedEpoch: Epoch?, deletable: DeletableCounts)
  case deletable(initialCertifiedEpoch: Epoch?, DeletableCounts)
}

package struct DeletableCounts: Hashable, Sendable {
  package var total: Int
  package var certified: Int

  package init(total: Int, certified: Int) {
    self.total = total
    self.certified = certified
  }
}

package struct NodeHealth: Sendable, Equatable {
  package enum ShardState: String, Sendable {
    case unknown, ready, inTransfer, inRecovery, readOnly
  }

  package var uptimeMilliseconds: UInt64
  package var epoch: Epoch
  package var publicKey: [UInt8]
  /// `Active`, `Standby`, ... as the reference words it.
  package var nodeStatus: String
  /// The event cursor.
  package var cursor: Revision
  /// Every shard of the node with its state; the JSON form sums it up.
  package var shards: [(shard: ShardIndex, state: ShardState)]
  /// Nil unless detailed was asked.
  package var detail: NodeHealthDetail?

  package init(
    uptimeMilliseconds: UInt64, epoch: Epoch, publicKey: [UInt8], nodeStatus: String,
    cursor: Revision, shards: [(shard: ShardIndex, state: ShardState)], detail: NodeHealthDetail?
  ) {
    self.uptimeMilliseconds = uptimeMilliseconds
    self.epoch = epoch
    self.publicKey = publicKey
    self.nodeStatus = nodeStatus
    self.cursor = cursor
    self.shards = shards
    self.detail = detail
  }

  package static func == (left: NodeHealth, right: NodeHealth) -> Bool {
    left.uptimeMilliseconds == right.uptimeMilliseconds && left.epoch == right.epoch
      && left.publicKey == right.publicKey && left.nodeStatus == right.nodeStatus
      && left.cursor == right.cursor && left.shards.elementsEqual(right.shards, by: ==)
      && left.detail == right.detail
  }
}

/// What only our nodes tell: extra fields of the health answer.
package struct NodeHealthDetail: Sendable, Equatable {
  package var sliverCount: Int
  package var storedByteCount: Int
  package var freeByteCount: Int
  package var totalByteCount: Int
  /// Records whose checksum failed when read, since start.
  package var rottenCount: Int
  /// Drives that are gone or unreadable, with the reason.
  package var driveProblems: [String]
  /// Nodes that gave it false symbols since its start.
  package var liars: [LiarReport]

  package init(
    sliverCount: Int, storedByteCount: Int, freeByteCount: Int, totalByteCount: Int,
    rottenCount: Int, driveProblems: [String], liars: [LiarReport] = []
  ) {
    self.sliverCount = sliverCount
    self.storedByteCount = storedByteCount
    self.freeByteCount = freeByteCount
    self.totalByteCount = totalByteCount
    self.rottenCount = rottenCount
    self.driveProblems = driveProblems
    self.liars = liars
  }
}

package struct LiarReport: Hashable, Sendable {
  package var node: NodeID
  /// Symbols of it that were shown to be false.
  package var count: Int
  /// One of its false answers, if it signed any.
  package var evidence: SymbolStatement?

  package init(node: NodeID, count: Int, evidence: SymbolStatement?) {
    self.node = node
    self.count = count
    self.evidence = evidence
  }
}
