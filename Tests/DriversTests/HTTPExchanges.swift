// HTTPExchanges.swift
//
// One request of every kind, each with an answer to it.

import Cluster
import RedStuff

enum HTTPExchanges {
  static let node = NodeID(3)
  static let blob = BlobID(bytes: [UInt8](repeating: 9, count: 32)) ?? BlobID(.zero)
  static let object: ObjectID = {
    guard let object = ObjectID([UInt8](repeating: 8, count: 32)) else {
      preconditionFailure("an object ID has 32 bytes")
    }
    return object
  }()
  private static let failure = NodeFailure(.missingSlivers, "2 of 10 are missing")
  private static let confirmation = StorageConfirmation(
    node: node, epoch: 1, blob: blob, object: object, signature: [UInt8](repeating: 1, count: 64))
  private static let signed = SignedMessageAnswer(message: [1, 2], signature: [3])
  private static let proof = MerkleProof(path: [.digest(.zero), .empty])
  private static let symbol = DecodingSymbol(sourceIndex: SliverIndex(2), bytes: [1, 2])

  private static func sliver(_ axis: SliverAxis, symbolCount: Int = 3) -> Sliver {
    Sliver(
      axis: axis, index: SliverPairIndex(4).sliver(axis, shardCount: 10), symbolByteCount: 4,
      bytes: [UInt8](repeating: 5, count: 4 * symbolCount))
  }
  private static let metadata = BlobMetadata(
    blobByteCount: 100,
    hashes: (0..<10).map { _ in SliverPairHashes(primary: .digest(.zero), secondary: .empty) })

  /// Each request with an answer to it.
  static let all: [(NodeRequest, NodeResponse)] = [
    (.metadata(blob), .metadata(blob, metadata)),
    (.metadataStatus(blob), .storedStatus(.buffered)),
    (.storeMetadata(blob, metadata), .stored(isNew: true)),
    (.sliver(blob, SliverPairIndex(4), .secondary), .sliver(sliver(.secondary))),
    (.sliverStatus(blob, SliverPairIndex(4), .primary), .storedStatus(.stored)),
    (.storeSliver(blob, SliverPairIndex(4), sliver(.primary)), .stored(isNew: false)),
    (.confirmation(blob, .permanent, waitMilliseconds: 0), .confirmation(signed)),
    (.confirmation(blob, .deletable(object), waitMilliseconds: 500), .failure(failure)),
    (
      .recoverySymbols(
        blob,
        .symbols([SymbolID(primary: SliverIndex(1), secondary: SliverIndex(2))]),
        proofAxis: .primary),
      .recoverySymbols([
        GeneralRecoverySymbol(
          targetAxis: .primary, symbol: symbol, targetIndex: SliverIndex(1), proof: proof)
      ])
    ),
    (
      .recoverySymbols(blob, .target(SliverIndex(1), .secondary), proofAxis: nil),
      .recoverySymbols([])
    ),
    (
      .decodingSymbols(blob, targets: [SliverIndex(1), SliverIndex(7)], targetAxis: .primary),
      .decodingSymbols([SliverIndex(7): [symbol]], targetAxis: .primary)
    ),
    (
      .inconsistencyProof(
        blob,
        InconsistencyProof(
          targetAxis: .primary, targetIndex: SliverIndex(1),
          symbols: [RecoverySymbol(symbol: symbol, proof: proof)])),
      .inconsistencyAttested(signed)
    ),
    (
      .blobStatus(blob),
      .blobStatus(.deletable(initialCertifiedEpoch: 3, DeletableCounts(total: 2, certified: 1)))
    ),
    (
      .health(detailed: true),
      .health(
        NodeHealth(
          uptimeMilliseconds: 5, epoch: 1, publicKey: [UInt8](repeating: 2, count: 32),
          nodeStatus: "Active", cursor: Revision(7), shards: [(ShardIndex(0), .ready)],
          detail: NodeHealthDetail(
            sliverCount: 1, storedByteCount: 2, freeByteCount: 3, totalByteCount: 4,
            rottenCount: 5, driveProblems: ["gone"])))
    ),
    (
      .storeBatch([
        StoreEntry(
          blob: blob, object: object, metadata: metadata,
          slivers: [sliver(.primary), sliver(.secondary)], wantsConfirmation: true),
        StoreEntry(
          blob: blob, object: object, metadata: nil, slivers: [], wantsConfirmation: false),
      ]),
      .storeBatch([.confirmed(confirmation), .refused(failure)])
    ),
    (
      .readBatch([
        ReadItem(
          blob: blob, pair: SliverPairIndex(4), axis: .primary, symbols: 2..<4, wantsPaths: true),
        ReadItem(
          blob: blob, pair: SliverPairIndex(4), axis: .primary, symbols: 0..<1, wantsPaths: false),
      ]),
      .readBatch([.symbols(bytes: [1, 2, 3, 4], paths: [proof, proof]), .missing])
    ),
  ]
}
