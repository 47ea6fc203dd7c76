// MessageTests.swift
//
// Every serialised message, sliver and metadata of the reference implementation: built from its
// fields it has these bytes, and these bytes read back to it.

import Testing

@testable import RedStuff

@Suite struct MessageTests {
  private struct File: Decodable {
    struct Message: Decodable {
      var name: String
      var bcs: String
    }
    var messages: [Message]
  }

  private struct Fixture {
    let blobID: BlobID
    let objectID: Digest
    let blob: EncodedBlob
    let confirmation: [UInt8]
    let signature: [UInt8]

    init() throws {
      blobID = try #require(BlobID(bytes: [UInt8](repeating: 7, count: 32)))
      objectID = try #require(Digest(bytes: [UInt8](repeating: 0x2A, count: 32)))
      blob = try BlobEncoder.encodeSerially(
        generatedBytes(seed: 700, count: 40), parameters: EncodingParameters(shardCount: 7))
      confirmation =
        SignableMessage(
          epoch: 21, body: StorageConfirmationBody(blobID: blobID, persistence: .permanent)
        ).bcsBytes
      signature = try bytes(
        hex: "67779991f3f00abb2f2548a5639bdd223b94f2998be1af437a3cfee92dd9037177560f26301b0512ee6e"
          + "56b57d93b0c2fb00e86088bb3ad81d715b9a7c8afce9131e1264778ee9f01955753c545dea9497b642cd"
          + "df482c3024fb0005b61ef460")
    }

    func syncRequest(_ axis: SliverAxis) -> SyncShardRequest {
      SyncShardRequest(
        shard: ShardIndex(301), axis: axis, startingBlobID: blobID, sliverCount: 100, epoch: 21)
    }

    func signed() throws -> SignedMessage {
      try #require(SignedMessage(message: confirmation, signature: signature))
    }
  }

  private func check<Value: BCSCodable & Equatable>(_ value: Value, _ hex: String) throws {
    #expect(value.bcsBytes.hex == hex)
    #expect(try Value(bcs: bytes(hex: hex)) == value)
  }

  private func checkData(_ sliver: Sliver, _ hex: String) throws {
    #expect(sliver.bcsDataBytes.hex == hex)
    #expect(try Sliver(axis: sliver.axis, bcsData: bytes(hex: hex)) == sliver)
  }

  @Test func `every message has the bytes of the reference`() throws {
    let fixture = try Fixture()
    let primary = fixture.blob.sliver(.primary, SliverIndex(3))
    let secondary = fixture.blob.sliver(.secondary, SliverIndex(3))
    let metadata = fixture.blob.metadata
    let publicKey = try bytes(
      hex: "cb54d312c40208bb7762e679075feb932f4d1be4520d87bd34d93ef5b47b06c7b8b56030ecc0d593b513461"
        + "3fa1cc1d4")
    let address = try #require(Digest(bytes: [UInt8](repeating: 9, count: 32)))
    let possession = try #require(ProofOfPossession(address: address, publicKey: publicKey))
    let entries = [
      SyncShardResponse.Entry(blobID: fixture.blob.blobID, sliver: primary),
      SyncShardResponse.Entry(
        blobID: fixture.blob.blobID, sliver: fixture.blob.sliver(.secondary, SliverIndex(6))),
    ]
    let checks: [(String, (String) throws -> Void)] = [
      (
        "Confirmation permanent",
        {
          try check(
            SignableMessage(
              epoch: 21,
              body: StorageConfirmationBody(blobID: fixture.blobID, persistence: .permanent)), $0)
        }
      ),
      (
        "Confirmation deletable",
        {
          try check(
            SignableMessage(
              epoch: 21,
              body: StorageConfirmationBody(
                blobID: fixture.blobID, persistence: .deletable(objectID: fixture.objectID))), $0)
        }
      ),
      (
        "InvalidBlobIdMsg",
        {
          try check(
            SignableMessage(epoch: 21, body: InvalidBlobIDBody(blobID: fixture.blobID)), $0)
        }
      ),
      (
        "ProofOfPossessionMsg", { try check(SignableMessage(epoch: 21, body: possession), $0) }
      ),
      ("SyncShardRequest", { try check(fixture.syncRequest(.primary), $0) }),
      (
        "SyncShardMsg",
        { try check(SignableMessage(epoch: 21, body: fixture.syncRequest(.primary)), $0) }
      ),
      ("SyncShardRequest", { try check(fixture.syncRequest(.secondary), $0) }),
      (
        "SyncShardMsg",
        { try check(SignableMessage(epoch: 21, body: fixture.syncRequest(.secondary)), $0) }
      ),
      ("SignedMessage<Confirmation>", { try check(try fixture.signed(), $0) }),
      (
        "StorageConfirmation::Signed",
        { try check(SignedConfirmation.signed(try fixture.signed()), $0) }
      ),
      (
        "ProtocolMessageCertificate",
        { try check(MessageCertificate(signers: [0, 3, 258], signed: fixture.signed()), $0) }
      ),
      ("SliverData<Primary> (PrimarySliver)", { try checkData(primary, $0) }),
      ("SliverData<Secondary> (SecondarySliver)", { try checkData(secondary, $0) }),
      ("Sliver enum Primary", { try check(primary, $0) }),
      ("Sliver enum Secondary", { try check(secondary, $0) }),
      ("SliverPair", { try check(fixture.blob.pair(SliverPairIndex(3)), $0) }),
      ("SyncShardResponse", { try check(SyncShardResponse(entries: entries), $0) }),
      ("SyncShardResponse empty", { try check(SyncShardResponse(entries: []), $0) }),
      ("BlobMetadata", { try check(metadata.metadata, $0) }),
      ("BlobMetadataWithId", { try check(metadata.withID, $0) }),
      (
        "SliverPairMetadata new_empty (Node::Empty twice)",
        { try check(SliverPairHashes(primary: .empty, secondary: .empty), $0) }
      ),
      (
        "SymbolId binary",
        { try check(SymbolID(primary: SliverIndex(17), secondary: SliverIndex(21)), $0) }
      ),
    ]
    let messages = try vectors("messages", as: File.self).messages
    #expect(messages.map(\.name) == checks.map(\.0))
    #expect(messages.count == 22)
    for (message, (_, check)) in zip(messages, checks) { try check(message.bcs) }
  }

  // No reference bytes exist for these; the layout is the one of the message table.
  @Test func `the bodies without vectors have the layout of the table`() throws {
    let fixture = try Fixture()
    let id = fixture.blobID.digest
    try check(
      SignableMessage(
        epoch: 1, body: DenyListUpdateBody(nodeID: id, sequenceNumber: 2, size: 3, root: id)),
      "04000301000000" + id.hex + "0200000000000000" + "0300000000000000" + id.hex)
    try check(
      SignableMessage(epoch: 1, body: DenyListedBlobDeletedBody(blobID: fixture.blobID)),
      "05000301000000" + id.hex)
    try check(
      SignableMessage(epoch: 1, body: ProtocolVersionBody(startEpoch: 5, version: 6)),
      "06000301000000" + "05000000" + "0600000000000000")
    let symbol = DecodingSymbol(sourceIndex: SliverIndex(3), bytes: [1, 2])
    try check(AxisTagged(symbol, targetAxis: .secondary), "01" + "0300" + "020102")
    let recovery = RecoverySymbol(symbol: symbol, proof: MerkleProof(path: [.empty]))
    try check(AxisTagged(recovery, targetAxis: .primary), "00" + "0300" + "020102" + "0100")
    try check(
      RecoverySymbolPair(primary: recovery, secondary: recovery),
      "0300" + "020102" + "0100" + "0300" + "020102" + "0100")
  }

  @Test(arguments: [0, 1, 2]) func `a foreign intent, version or application is refused`(
    position: Int
  ) throws {
    let fixture = try Fixture()
    var message = fixture.confirmation
    message[position] += 1
    #expect(throws: BCSError.self) {
      try SignableMessage<StorageConfirmationBody>(bcs: message)
    }
    #expect(throws: Never.self) {
      try SignableMessage<StorageConfirmationBody>(bcs: fixture.confirmation)
    }
  }

  @Test func `encoding type 0 is refused`() throws {
    var metadata = try Fixture().blob.metadata.metadata.bcsBytes
    metadata[1] = 0
    #expect(throws: BCSError.unknownVariant(type: "EncodingType", variant: 0)) {
      try BlobMetadata(bcs: metadata)
    }
  }

  @Test func `a sliver with symbol size 0 is refused`() {
    #expect(throws: BCSError.invalidValue(type: "Sliver", reason: "the symbol size is 0")) {
      try Sliver(axis: .primary, bcsData: [0, 0, 0, 0, 0])
    }
  }

  @Test(arguments: [0, 47, 49, 95, 97]) func `keys and signatures of other lengths are refused`(
    count: Int
  ) {
    let bytes = [UInt8](repeating: 0, count: count)
    #expect(ProofOfPossession(address: .zero, publicKey: bytes) == nil)
    #expect(SignedMessage(message: [], signature: bytes) == nil)
  }
}
