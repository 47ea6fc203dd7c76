// MessageTargets.swift
//
// What nodes of the reference network sign and send, and texts that become values.

import Cluster
import RedStuff

extension FuzzTarget {
  static let messages = FuzzTarget("messages") {
    let fixture = try Fixture.shared.get()
    let (blob, digest) = (fixture.blob.blobID, fixture.blob.blobID.digest)
    var map = BCSWriter()
    map.write(["a": "1", "bb": "ü", "c": ""])
    func signable(_ kind: UInt8, _ body: some SignableMessageBody) -> [UInt8] {
      seed(kind, SignableMessage(epoch: 3, body: body))
    }
    var seeds = [
      signable(0, StorageConfirmationBody(blobID: blob, persistence: .permanent)),
      signable(0, StorageConfirmationBody(blobID: blob, persistence: .deletable(objectID: digest))),
      signable(1, InvalidBlobIDBody(blobID: blob)),
      signable(2, DenyListUpdateBody(nodeID: digest, sequenceNumber: 1, size: 2, root: digest)),
      signable(3, DenyListedBlobDeletedBody(blobID: blob)),
      signable(4, ProtocolVersionBody(startEpoch: 1, version: 2)),
      [8] + map.bytes,
    ]
    if let body = ProofOfPossession(address: digest, publicKey: .init(repeating: 1, count: 48)) {
      seeds.append(signable(5, body))
    }
    if let signed = SignedMessage(message: [1, 2, 3], signature: .init(repeating: 9, count: 96)) {
      seeds.append(seed(6, SignedConfirmation.signed(signed)))
      seeds.append(seed(7, MessageCertificate(signers: [1, 2, 500], signed: signed)))
    }
    return seeds
  } check: { bytes in
    var input = FuzzInput(bytes)
    let kind = input.below(9)
    let body = input.remainder()
    switch kind {
    case 0: return try canonical(SignableMessage<StorageConfirmationBody>.self, body)
    case 1: return try canonical(SignableMessage<InvalidBlobIDBody>.self, body)
    case 2: return try canonical(SignableMessage<DenyListUpdateBody>.self, body)
    case 3: return try canonical(SignableMessage<DenyListedBlobDeletedBody>.self, body)
    case 4: return try canonical(SignableMessage<ProtocolVersionBody>.self, body)
    case 5: return try canonical(SignableMessage<ProofOfPossession>.self, body)
    case 6: return try canonical(SignedConfirmation.self, body)
    case 7: return try canonical(MessageCertificate.self, body)
    default:
      var reader = BCSReader(body)
      guard let map = try? reader.readStringMap(), reader.remainingCount == 0 else {
        return .refused
      }
      var writer = BCSWriter()
      writer.write(map)
      try require(writer.bytes == body, "another map comes back")
      return .accepted
    }
  }

  static let sync = FuzzTarget("sync") {
    let fixture = try Fixture.shared.get()
    let request = SyncShardRequest(
      shard: ShardIndex(1), axis: .primary, startingBlobID: fixture.blob.blobID, sliverCount: 5,
      epoch: 2)
    let entries = SliverAxis.allCases.map {
      SyncShardResponse.Entry(
        blobID: fixture.blob.blobID, sliver: fixture.blob.sliver($0, SliverIndex(6)))
    }
    return [
      seed(0, request), seed(1, SignableMessage(epoch: 2, body: request)),
      seed(2, SyncShardResponse(entries: entries)), seed(2, SyncShardResponse(entries: [])),
    ]
  } check: { bytes in
    let fixture = try Fixture.shared.get()
    var input = FuzzInput(bytes)
    switch input.below(3) {
    case 0: return try canonical(SyncShardRequest.self, input.remainder())
    case 1: return try canonical(SignableMessage<SyncShardRequest>.self, input.remainder())
    default:
      return try canonical(SyncShardResponse.self, input.remainder()) { response in
        let failures = Sliver.failures(response.entries.map(\.sliver), against: fixture.metadata)
        return failures.allSatisfy { $0 == nil }
      }
    }
  }

  /// IDs in URLs, hexadecimal, base64 and percent-encoding: one text for one value.
  static let texts = FuzzTarget("texts", inputByteCountMax: 256) {
    let fixture = try Fixture.shared.get()
    return [
      fixture.blob.blobID.text, "12-65535", String(repeating: "0f", count: 32),
      "0x" + String(repeating: "a1", count: 32), "AQID", "-_8", "+/8=", "%20a%C3%BC",
    ].map { Array($0.utf8) }
  } check: { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    var isAccepted = false
    func holds(_ form: String?, _ kind: String) throws {
      guard let form else { return }
      isAccepted = true
      try require(form == text, "\(kind) comes back as \(form)")
    }
    try holds(BlobID(text: text)?.text, "a blob ID")
    try holds(SymbolID(text: text)?.text, "a symbol ID")
    try holds(Base64URL.decode(text).map(Base64URL.encode), "base64url")
    try holds(Base64.decode(text).map(Base64.encode), "base64")
    if let bytes = [UInt8](hex: text) {
      try holds(bytes.hex == text.lowercased() ? text : bytes.hex, "hexadecimal")
    }
    _ = ObjectID(text: text)
    _ = ClusterID(hex: text)
    if let decoded = PercentEncoding.decode(text) {
      isAccepted = true
      try require(
        PercentEncoding.decode(PercentEncoding.encode(decoded)) == decoded, "another escaped text")
    }
    return Verdict(isAccepted: isAccepted)
  }
}
