// FuzzTests.swift
//
// Bytes from outside never trap: random bytes, truncated messages and flipped bits go through every
// decoder, and whatever still decodes goes through the checks that take it. The seed is printed
// when an expectation fails; a trap kills the test run.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct FuzzTests {
  static let seed: UInt64 = 0xF022
  /// Rounds per decoder: enough to reach every branch of these small formats, within a second.
  static let roundCount = 1500

  private let blob: EncodedBlob

  init() throws {
    blob = try BlobEncoder.encodeSerially(
      generatedBytes(seed: 31, count: 200), parameters: EncodingParameters(shardCount: 7))
  }

  private func damaged(_ good: [UInt8], _ dice: inout Dice) -> [UInt8] {
    var bytes = good
    switch dice.below(5) {
    case 0:
      return generatedBytes(seed: dice.next(), count: dice.below(64))
    case 1:
      return Array(good.prefix(dice.below(good.count + 1)))
    case 2:
      return good + generatedBytes(seed: dice.next(), count: 1 + dice.below(8))
    case 3:
      // Lengths and counts are single bytes in small messages; try extreme ones.
      guard !bytes.isEmpty else { return [0xFF] }
      let position = dice.below(bytes.count)
      bytes.replaceSubrange(position...position, with: [0xFF, 0xFF, 0xFF, 0xFF, 0x07])
      return bytes
    default:
      guard !bytes.isEmpty else { return [0xFF] }
      for _ in 0...dice.below(3) { bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8)) }
      return bytes
    }
  }

  /// Feeds damaged forms of `good` to its decoder; what decodes must have one form only.
  private func fuzz<Value: BCSCodable>(
    _ good: Value, then use: (Value) -> Void = { _ in }
  ) {
    var dice = Dice(seed: Self.seed)
    let bytes = good.bcsBytes
    var refusedCount = 0
    for round in 0..<Self.roundCount {
      let input = damaged(bytes, &dice)
      do {
        let value = try Value(bcs: input)
        #expect(value.bcsBytes == input, "\(Value.self) seed \(Self.seed) round \(round)")
        use(value)
      } catch {
        refusedCount += 1
      }
    }
    #expect(refusedCount > Self.roundCount / 10, "\(Value.self) seed \(Self.seed)")
  }

  @Test func `identifiers and tree nodes`() {
    fuzz(blob.blobID)
    fuzz(SliverAxis.secondary)
    fuzz(SymbolID(primary: SliverIndex(1), secondary: SliverIndex(2)))
    fuzz(MerkleNode.digest(blob.blobID.digest))
  }

  @Test func `metadata`() {
    fuzz(blob.metadata.metadata) { metadata in
      _ = try? VerifiedBlobMetadata(
        metadata, of: metadata.computedBlobID, parameters: blob.parameters)
      _ = metadata.hash(of: .secondary, at: SliverIndex(.max))
    }
    fuzz(blob.metadata.withID)
  }

  @Test func `slivers`() {
    for axis in SliverAxis.allCases {
      fuzz(blob.sliver(axis, SliverIndex(2))) { sliver in
        _ = try? sliver.verify(against: blob.metadata)
        _ = try? sliver.expanded(parameters: blob.parameters)
        _ = try? sliver.symbol(crossing: SliverIndex(6), parameters: blob.parameters)
        _ = try? BlobDecoder.decodeSerially(
          [sliver, blob.sliver(axis, SliverIndex(0))], axis: axis, metadata: blob.metadata)
      }
    }
    fuzz(blob.pair(SliverPairIndex(1)))
    fuzz(
      SyncShardResponse(entries: [
        .init(blobID: blob.blobID, sliver: blob.sliver(.primary, SliverIndex(1)))
      ]))
  }

  @Test func `symbols and proofs`() throws {
    let expanded = try blob.sliver(.primary, SliverIndex(2)).expanded(parameters: blob.parameters)
    let target = SliverIndex(5)
    let metadata = blob.metadata
    fuzz(expanded.decodingSymbol(for: target)) { symbol in
      _ = try? Sliver.rebuilt(
        .secondary, target, from: [symbol, symbol, symbol], metadata: metadata)
    }
    fuzz(AxisTagged(expanded.recoverySymbol(for: target), targetAxis: .secondary)) { symbol in
      _ = try? symbol.value.verify(
        targetAxis: symbol.targetAxis, targetIndex: target, metadata: metadata)
    }
    fuzz(expanded.generalRecoverySymbol(for: target)) { symbol in
      _ = try? symbol.verified(forSliver: target, of: .secondary, metadata: metadata)
    }
    fuzz(
      RecoverySymbolPair(
        primary: expanded.recoverySymbol(for: target),
        secondary: expanded.recoverySymbol(for: target)))
    fuzz(expanded.tree.proof(ofLeaf: 3)) { proof in
      _ = try? proof.verify([1, 2], leafIndex: 3, leafCount: 7, root: expanded.root)
      _ = try? ProvenSymbols(
        axis: .primary, index: SliverIndex(2), positions: [3],
        bytes: Array(expanded.symbol(at: 3)), paths: [proof]
      ).verify(against: metadata)
    }
    let symbols = try [0, 2, 4].map {
      try blob.sliver(.primary, SliverIndex($0)).expanded(parameters: blob.parameters)
        .recoverySymbol(for: target)
    }
    fuzz(
      InconsistencyProof(targetAxis: .secondary, targetIndex: target, symbols: symbols)
    ) { proof in
      _ = try? proof.verify(against: metadata)
    }
  }

  @Test func `signed messages`() throws {
    let id = blob.blobID
    fuzz(
      SignableMessage(
        epoch: 3,
        body: StorageConfirmationBody(blobID: id, persistence: .deletable(objectID: id.digest))))
    fuzz(SignableMessage(epoch: 3, body: InvalidBlobIDBody(blobID: id)))
    fuzz(
      SignableMessage(
        epoch: 3,
        body: DenyListUpdateBody(nodeID: id.digest, sequenceNumber: 1, size: 2, root: id.digest)))
    fuzz(SignableMessage(epoch: 3, body: DenyListedBlobDeletedBody(blobID: id)))
    fuzz(SignableMessage(epoch: 3, body: ProtocolVersionBody(startEpoch: 1, version: 2)))
    let possession = ProofOfPossession(
      address: id.digest, publicKey: [UInt8](repeating: 1, count: 48))
    fuzz(SignableMessage(epoch: 3, body: try #require(possession)))
    fuzz(
      SyncShardRequest(
        shard: ShardIndex(1), axis: .primary, startingBlobID: id, sliverCount: 5, epoch: 2))
    let signed = try #require(
      SignedMessage(message: [1, 2, 3], signature: [UInt8](repeating: 9, count: 96)))
    fuzz(SignedConfirmation.signed(signed))
    fuzz(MessageCertificate(signers: [1, 2, 500], signed: signed))
  }

  @Test func `maps and strings`() {
    var writer = BCSWriter()
    writer.write(["a": "1", "bb": "ü", "c": ""])
    var dice = Dice(seed: Self.seed)
    for round in 0..<Self.roundCount {
      let input = damaged(writer.bytes, &dice)
      var reader = BCSReader(input)
      guard let map = try? reader.readStringMap(), reader.remainingCount == 0 else { continue }
      var again = BCSWriter()
      again.write(map)
      #expect(again.bytes == input, "seed \(Self.seed) round \(round)")
    }
  }

  @Test func `text forms`() {
    var dice = Dice(seed: Self.seed)
    for round in 0..<Self.roundCount {
      let utf8 = damaged(Array(blob.blobID.text.utf8), &dice)
      let text = String(decoding: utf8, as: UTF8.self)
      if let id = BlobID(text: text) {
        #expect(id.text == text, "seed \(Self.seed) round \(round)")
      }
      if let bytes = Base64URL.decode(text) {
        #expect(Base64URL.encode(bytes) == text, "seed \(Self.seed) round \(round)")
      }
      _ = [UInt8](hex: text)
      _ = SymbolID(text: text)
    }
  }
}
