// NodeTargets.swift
//
// What nodes, clients and the control store hand each other: requests and answers as HTTP carries
// them, batches, JSON.

import Cluster
import RedStuff

/// One request of each kind, and an answer to it.
private struct Exchanges {
  static let binary = "application/octet-stream"
  let codec: NodeMessageCodec
  let all: [(request: NodeRequest, answer: NodeResponse)]

  static let shared = Result { try Exchanges() }

  private init() throws {
    let fixture = try Fixture.shared.get()
    let (blob, metadata) = (fixture.blob.blobID, fixture.metadata.metadata)
    guard let object = ObjectID(blob.bytes) else { throw Violation(description: "no object ID") }
    let pair = SliverPairIndex(2)
    let (row, column) = (
      fixture.blob.sliver(.primary, SliverIndex(2)), fixture.blob.sliver(.secondary, SliverIndex(4))
    )
    let helper = try fixture.expanded(.primary, 4)
    let target = SliverIndex(5)
    let proof = InconsistencyProof(
      targetAxis: .secondary, targetIndex: target, symbols: [helper.recoverySymbol(for: target)])
    let signed = SignedMessageAnswer(message: [1, 2, 3], signature: .init(repeating: 7, count: 64))
    let confirmation = StorageConfirmation(
      node: NodeID(1), epoch: 2, blob: blob, object: object, signature: signed.signature)
    let counts = DeletableCounts(total: 2, certified: 1)
    let items = [0, 1, 2].map {
      ReadItem(
        blob: blob, pair: pair, axis: .primary, symbols: 5..<7, wantsPaths: $0 > 0,
        wantsSignature: $0 > 1)
    }
    let proven = try fixture.expanded(.primary, 2).provenSymbols(at: [5, 6])
    let statement = SymbolStatement(
      node: NodeID(3), item: items[2], bytes: proven.bytes, paths: proven.paths,
      signature: signed.signature)
    let detail = NodeHealthDetail(
      sliverCount: 1, storedByteCount: 2, freeByteCount: 3, totalByteCount: 5, rottenCount: 0,
      driveProblems: ["drive-1: gone"],
      liars: [LiarReport(node: NodeID(3), count: 2, evidence: statement)])
    let health = NodeHealth(
      uptimeMilliseconds: 1, epoch: 1, publicKey: .init(repeating: 3, count: 32),
      nodeStatus: "Active", cursor: Revision(9), shards: [(ShardIndex(1), .ready)], detail: detail)
    let entry = StoreEntry(
      blob: blob, object: object, metadata: metadata, slivers: [row, column],
      wantsConfirmation: true)
    let bare = StoreEntry(
      blob: blob, object: object, metadata: nil, slivers: [], wantsConfirmation: false)
    codec = NodeMessageCodec(parameters: fixture.parameters)
    all = [
      (.metadata(blob), .metadata(blob, metadata)),
      (.metadataStatus(blob), .storedStatus(.stored)),
      (.storeMetadata(blob, metadata), .stored(isNew: true)),
      (.sliver(blob, pair, .secondary), .sliver(column)),
      (.sliverStatus(blob, pair, .primary), .storedStatus(.nonexistent)),
      (.storeSliver(blob, pair, row), .stored(isNew: false)),
      (.confirmation(blob, .deletable(object), waitMilliseconds: 500), .confirmation(signed)),
      (
        .confirmation(blob, .permanent, waitMilliseconds: 0),
        .failure(NodeFailure(.unavailable, "b"))
      ),
      (
        .recoverySymbols(blob, .target(target, .secondary), proofAxis: .primary),
        .recoverySymbols([helper.generalRecoverySymbol(for: target)])
      ),
      (
        .recoverySymbols(
          blob, .symbols([SymbolID(primary: SliverIndex(4), secondary: target)]), proofAxis: nil),
        .recoverySymbols([])
      ),
      (
        .decodingSymbols(blob, targets: [target, SliverIndex(6)], targetAxis: .secondary),
        .decodingSymbols([target: [helper.decodingSymbol(for: target)]], targetAxis: .secondary)
      ),
      (.inconsistencyProof(blob, proof), .inconsistencyAttested(signed)),
      (
        .blobStatus(blob),
        .blobStatus(
          .permanent(endEpoch: 4, isCertified: true, initialCertifiedEpoch: 2, deletable: counts))
      ),
      (.blobStatus(blob), .blobStatus(.deletable(initialCertifiedEpoch: nil, counts))),
      (.health(detailed: true), .health(health)),
      (
        .storeBatch([entry, bare, bare]),
        .storeBatch([
          .confirmed(confirmation), .stored, .refused(NodeFailure(.storageFull, "full")),
        ])
      ),
      (
        .readBatch(items + items),
        .readBatch([
          .symbols(bytes: proven.bytes, paths: []),
          .symbols(bytes: proven.bytes, paths: proven.paths),
          .signedSymbols(
            bytes: proven.bytes, paths: proven.paths, signature: signed.signature),
          .missing, .refused(NodeFailure(.indexOutOfRange, "7")), .missing,
        ])
      ),
    ]
  }
}

extension FuzzTarget {
  private static let methods = ["GET", "PUT", "POST", "DELETE"]
  private static let statuses = [200, 201, 204, 301, 400, 404, 413, 451, 500, 503]

  /// A byte for the method, the target and its line end, the body.
  static let requests = FuzzTarget("requests", inputByteCountMax: 4096) {
    let exchanges = try Exchanges.shared.get()
    return exchanges.all.map { request, _ in
      let wire = exchanges.codec.encode(request)
      let method = methods.firstIndex(of: wire.method) ?? 3
      return [UInt8(method)] + Array(wire.target.utf8) + Array("\n".utf8) + wire.body
    }
  } check: { bytes in
    let codec = try Exchanges.shared.get().codec
    var input = FuzzInput(bytes)
    let method = methods[input.below(methods.count)]
    let line = input.bytes(input.rest.firstIndex(of: UInt8(ascii: "\n")).map { $0 - 1 } ?? 0)
    _ = input.byte()
    let target = String(decoding: line, as: UTF8.self)
    guard
      let wire = WireRequest(
        method: method, target: target,
        headers: [WireField("Content-Type", Exchanges.binary)], body: input.remainder())
    else { return .refused }
    let request: NodeRequest
    do throws(NodeFailure) {
      request = try codec.decode(wire)
    } catch {
      try require(
        (400...499).contains(error.httpStatus), "a bad request is answered by \(error.httpStatus)")
      return .refused
    }
    let again = codec.encode(request)
    try require(again.body == wire.body || method == "GET", "another body comes back")
    try require((try? codec.decode(again)) == request, "another request comes back")
    return .accepted
  }

  /// A byte for the request, one for the status, the body.
  static let answers = FuzzTarget("answers", inputByteCountMax: 4096) {
    let exchanges = try Exchanges.shared.get()
    return exchanges.all.enumerated().map { kind, exchange in
      let wire = exchanges.codec.encode(exchange.answer, to: exchange.request)
      return [UInt8(kind), UInt8(statuses.firstIndex(of: wire.status) ?? 0)] + wire.body
    }
  } check: { bytes in
    let exchanges = try Exchanges.shared.get()
    var input = FuzzInput(bytes)
    let request = exchanges.all[input.below(exchanges.all.count)].request
    let wire = WireResponse(
      status: statuses[input.below(statuses.count)],
      headers: [WireField("content-type", Exchanges.binary)], body: input.remainder())
    guard let answer = try? exchanges.codec.decode(wire, to: request) else { return .refused }
    let again = exchanges.codec.encode(answer, to: request)
    try require(
      (try? exchanges.codec.decode(again, to: request)) == answer, "another answer comes back")
    return .accepted
  }

  static let json = FuzzTarget("json") {
    let texts = [
      #"{"a":[1,-2,3.5e-7,true,null],"\u00fc\ud83d\udc0b":{"":"\n\\\"/"}}"#,
      "[18446744073709551615,-9223372036854775808,1e300,0,-0]", #" "x" "#,
      String(repeating: "[", count: 31) + String(repeating: "]", count: 31),
    ]
    return texts.map { Array($0.utf8) }
  } check: { bytes in
    guard let value = try? JSONValue(parsing: bytes) else { return .refused }
    let text = value.encoded()
    guard let again = try? JSONValue(parsing: text) else {
      throw Violation(description: "its own text is refused: \(value.text)")
    }
    try require(again == value && again.encoded() == text, "another value comes back")
    return .accepted
  }

  static let certificates = FuzzTarget("certificates") {
    let signers = try Signers.shared.get()
    let certificate = try Certificate(confirmations: Array(signers.confirmations.prefix(3)))
    let registration = Registration(
      blob: certificate.blob, object: certificate.object, byteCount: 200, persistence: .deletable,
      registeredEpoch: 1, endEpoch: 9, registeredAtMilliseconds: 5, certifyByMilliseconds: 6,
      state: .certified(epoch: 1, certificate: certificate.encoded()))
    var ended = registration
    ended.state = .ended(.abandoned)
    return [
      seed(0, certificate), seed(1, signers.confirmations[0]), seed(2, registration),
      seed(2, ended), seed(3, signers.committee.members[1]),
    ]
  } check: { bytes in
    let signers = try Signers.shared.get()
    var input = FuzzInput(bytes)
    let kind = input.below(4)
    let body = input.remainder()
    switch kind {
    case 0:
      return try canonical(Certificate.self, body) { certificate in
        let again = try Certificate(confirmations: certificate.confirmations.reversed())
        try require(again == certificate, "its confirmations make another certificate")
        let isValid =
          (try? certificate.verify(committee: signers.committee, cluster: signers.cluster)) != nil
        guard isValid else { return false }
        // Three of four nodes hold at least five of seven shards; nobody signed anything else.
        try require(
          certificate.confirmations.count >= 3
            && certificate.confirmations.allSatisfy(signers.confirmations.contains),
          "a certificate that nobody signed")
        return true
      }
    case 1:
      return try canonical(StorageConfirmation.self, body) { confirmation in
        guard let member = signers.committee.member(confirmation.node),
          confirmation.verify(cluster: signers.cluster, publicKey: member.publicKey)
        else { return false }
        try require(signers.confirmations.contains(confirmation), "nobody signed this")
        return true
      }
    case 2: return try canonical(Registration.self, body)
    default:
      return try canonical(CommitteeMember.self, body) { member in
        let committee = try? Committee(
          epoch: 1, parameters: signers.committee.parameters,
          members: signers.committee.members.filter { $0.id != member.id } + [member])
        guard let committee else { return false }
        for shard in (UInt16(0)..<7).map(ShardIndex.init) {
          try require(
            committee.member(keeping: shard).shards.contains(Int(shard.value)), "\(shard) strayed")
        }
        return true
      }
    }
  }
}

/// Four nodes with seven shards, and what they signed.
private struct Signers {
  let cluster: ClusterID
  let committee: Committee
  let confirmations: [StorageConfirmation]

  static let shared = Result { try Signers() }

  private init() throws {
    let fixture = try Fixture.shared.get()
    let blob = fixture.blob.blobID
    guard let cluster = ClusterID(.init(repeating: 5, count: 32)), let object = ObjectID(blob.bytes)
    else { throw Violation(description: "no IDs") }
    let signers = try (UInt16(0)..<4).map {
      try NodeSigner(node: NodeID($0), privateKey: .init(repeating: UInt8($0 + 1), count: 32))
    }
    let runs = Committee.evenRuns(shardCount: fixture.n, nodeCount: signers.count)
    self.cluster = cluster
    committee = try Committee(
      epoch: 1, parameters: fixture.parameters,
      members: zip(signers, runs).map { signer, run in
        CommitteeMember(
          id: signer.node, name: "\(signer.node)", publicKey: signer.publicKey, address: "",
          topology: Topology(zone: "z"), shards: run)
      })
    // The certificate at hand holds 1 + 2 + 2 shards with the first three nodes.
    confirmations = signers.map {
      $0.confirm(cluster: cluster, epoch: 1, blob: blob, object: object)
    }
  }
}
