// NodeBatches.swift
//
// Batches: many slivers or symbols of many blobs in one request, with one sync, one answer, and one
// confirmation per registration. The node loses nothing by refusing one entry of a batch: outcomes
// are per entry.

package import RedStuff

/// Slivers of one blob for one node, sent for one registration.
package struct StoreEntry: Sendable, Equatable {
  package var blob: BlobID
  package var object: ObjectID
  /// Needed unless the node has it already; harmless if it has.
  package var metadata: BlobMetadata?
  /// With their pair, since the path of a sliver to its shard goes through it.
  package var slivers: [Sliver]
  /// Ask for the signed confirmation once these slivers are durable; refused with
  /// `missingSlivers` unless the node then has all of its slivers of the blob.
  package var wantsConfirmation: Bool

  package init(
    blob: BlobID, object: ObjectID, metadata: BlobMetadata?, slivers: [Sliver],
    wantsConfirmation: Bool
  ) {
    self.blob = blob
    self.object = object
    self.metadata = metadata
    self.slivers = slivers
    self.wantsConfirmation = wantsConfirmation
  }
}

package enum StoreOutcome: Sendable, Equatable {
  /// Durable.
  case stored
  case confirmed(StorageConfirmation)
  case refused(NodeFailure)
}

/// A run of symbols of one *expanded* sliver (n symbols): below k they are slices of the sliver,
/// from k on the node computes them.
package struct ReadItem: Sendable, Equatable {
  package var blob: BlobID
  package var pair: SliverPairIndex
  package var axis: SliverAxis
  /// Below n, not empty.
  package var symbols: Range<Int>
  /// Ask for the Merkle path of each symbol, for readers that cannot check a whole sliver.
  package var wantsPaths: Bool
  /// Ask for the answer signed, see `SymbolStatement`; only with paths.
  package var wantsSignature: Bool

  package init(
    blob: BlobID, pair: SliverPairIndex, axis: SliverAxis, symbols: Range<Int>, wantsPaths: Bool,
    wantsSignature: Bool = false
  ) {
    self.blob = blob
    self.pair = pair
    self.axis = axis
    self.symbols = symbols
    self.wantsPaths = wantsPaths
    self.wantsSignature = wantsSignature
  }
}

package enum ReadOutcome: Sendable, Equatable {
  /// The symbols one after the other; a path per symbol if they were asked for, else none.
  case symbols(bytes: [UInt8], paths: [MerkleProof])
  /// The same, with a path per symbol and the node's signature, 64 bytes, of it all.
  case signedSymbols(bytes: [UInt8], paths: [MerkleProof], signature: [UInt8])
  /// The node should have this sliver and has not: lost, rotten, or never received.
  case missing
  case refused(NodeFailure)
}

extension ReadOutcome {
  /// Bytes of symbols.
  package var symbolByteCount: Int {
    switch self {
    case .symbols(let bytes, _), .signedSymbols(let bytes, _, _): bytes.count
    case .missing, .refused: 0
    }
  }

  /// As many more on the wire: a byte before each node of a path, and one before each path.
  package var pathByteCount: Int {
    switch self {
    case .symbols(_, let paths), .signedSymbols(_, let paths, _):
      paths.reduce(0) { $0 + 1 + 33 * $1.path.count }
    case .missing, .refused: 0
    }
  }
}
