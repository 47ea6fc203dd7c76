// NodeMessageCodecTests.swift
//
// Requests and answers keep their meaning through bytes, and the bytes are those that the
// reference's clients know.

import Cluster
import RedStuff
import Testing

@Suite struct NodeMessageCodecTests {
  static let shardCounts = [4, 7, 10, 31, 100]

  @Test(arguments: shardCounts, 0..<Dice.requestKindCount)
  func `every request survives its bytes`(shardCount: Int, kind: Int) throws {
    let parameters = try EncodingParameters(shardCount: shardCount)
    let codec = NodeMessageCodec(parameters: parameters)
    for seed in UInt64(0)..<20 {
      var dice = Dice(seed: seed << 8 | UInt64(kind))
      let request = dice.request(kind: kind, parameters)
      let wire = codec.encode(request)
      #expect(try codec.decode(wire) == request, "seed \(seed), kind \(kind)")
      let parsed = try #require(
        WireRequest(
          method: wire.method, target: wire.target, headers: wire.headers, body: wire.body))
      #expect(parsed == wire, "seed \(seed), kind \(kind)")
    }
  }

  @Test(arguments: shardCounts, 0..<Dice.requestKindCount)
  func `every answer survives its bytes`(shardCount: Int, kind: Int) throws {
    let parameters = try EncodingParameters(shardCount: shardCount)
    let codec = NodeMessageCodec(parameters: parameters)
    for seed in UInt64(0)..<20 {
      var dice = Dice(seed: seed << 8 | UInt64(kind))
      let request = dice.request(kind: kind, parameters)
      let response = dice.response(to: request, parameters)
      let wire = codec.encode(response, to: request)
      #expect(try codec.decode(wire, to: request) == response, "seed \(seed), kind \(kind)")
    }
  }

  @Test(arguments: shardCounts, 0..<Dice.requestKindCount)
  func `the size of every message is known without making it`(shardCount: Int, kind: Int) throws {
    let parameters = try EncodingParameters(shardCount: shardCount)
    let codec = NodeMessageCodec(parameters: parameters)
    for seed in UInt64(0)..<20 {
      var dice = Dice(seed: seed << 8 | UInt64(kind))
      let request = dice.request(kind: kind, parameters)
      let response = dice.response(to: request, parameters)
      let (sent, received) = (codec.encode(request), codec.encode(response, to: request))
      #expect(codec.wireByteCount(of: request) == sent.wireByteCount, "seed \(seed)")
      #expect(
        codec.wireByteCount(of: response, to: request) == received.wireByteCount, "seed \(seed)")
    }
  }

  @Test(arguments: NodeFailure.Reason.allCases)
  func `every refusal survives its bytes`(reason: NodeFailure.Reason) throws {
    let codec = try codec()
    let failure = NodeFailure(reason, "why \"it\" failed\n")
    let wire = codec.encode(.failure(failure), to: .blobStatus(blob))
    #expect(wire.status == failure.httpStatus)
    #expect(try codec.decode(wire, to: .blobStatus(blob)) == .failure(failure))
  }

  @Test func `reference calls have the reference's paths`() throws {
    let codec = try codec()
    let object = try #require(ObjectID([UInt8](repeating: 0xAB, count: 32)))
    let id = String(repeating: "A", count: 43)
    let symbols = [(1, 2), (3, 0)].map {
      SymbolID(primary: SliverIndex($0.0), secondary: SliverIndex($0.1))
    }
    let targets: [String: String] = [
      codec.encode(.metadata(blob)).target: "/v1/blobs/\(id)/metadata",
      codec.encode(.metadataStatus(blob)).target: "/v1/blobs/\(id)/metadata/status",
      codec.encode(.sliver(blob, SliverPairIndex(3), .secondary)).target:
        "/v1/blobs/\(id)/slivers/3/secondary",
      codec.encode(.sliverStatus(blob, SliverPairIndex(0), .primary)).target:
        "/v1/blobs/\(id)/slivers/0/primary/status",
      codec.encode(.confirmation(blob, .permanent, waitMilliseconds: 0)).target:
        "/v1/blobs/\(id)/confirmation/permanent",
      codec.encode(.confirmation(blob, .deletable(object), waitMilliseconds: 5)).target:
        "/v1/blobs/\(id)/confirmation/deletable/0x\(String(repeating: "ab", count: 32))"
        + "?wait_for_registration=true&wait_millis=5",
      codec.encode(.recoverySymbols(blob, .symbols(symbols), proofAxis: .secondary)).target:
        "/v1/blobs/\(id)/recoverySymbols?id=1-2&id=3-0&proofAxis=secondary",
      codec.encode(
        .recoverySymbols(blob, .target(SliverIndex(2), .primary), proofAxis: nil)
      ).target: "/v1/blobs/\(id)/recoverySymbols?targetSliver=2&targetType=primary",
      codec.encode(
        .decodingSymbols(blob, targets: [SliverIndex(1), SliverIndex(2)], targetAxis: .primary)
      ).target:
        "/v1/blobs/\(id)/decodingSymbols?targetSlivers=1&targetSlivers=2&targetType=primary",
      codec.encode(.blobStatus(blob)).target: "/v1/blobs/\(id)/status",
      codec.encode(.health(detailed: false)).target: "/v1/health",
      codec.encode(.health(detailed: true)).target: "/v1/health?detailed=true",
    ]
    for (target, expected) in targets { #expect(target == expected) }
  }

  @Test func `a sliver goes out as the reference writes it`() throws {
    let sliver = Sliver(
      axis: .secondary, index: SliverIndex(1), symbolByteCount: 2, bytes: [1, 2, 3, 4])
    let wire = try codec().encode(.storeSliver(blob, SliverPairIndex(2), sliver))
    #expect(wire.method == "PUT")
    #expect(wire.path.hasSuffix("/slivers/2/secondary"))
    #expect(wire.headers == [WireField("content-type", "application/octet-stream")])
    #expect(wire.body == [4, 1, 2, 3, 4, 2, 0, 1, 0])
  }

  @Test func `metadata goes out as the reference writes it`() throws {
    let hashes = SliverPairHashes(primary: .digest(.zero), secondary: .empty)
    let metadata = BlobMetadata(
      blobByteCount: 0x0102, hashes: Array(repeating: hashes, count: 4))
    let zero = [UInt8](repeating: 0, count: 32)
    let pair: [UInt8] = [1] + zero + [0]
    let head: [UInt8] = [0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 4]
    let body = joined(head, pair, pair, pair, pair)
    let codec = try codec()
    #expect(codec.encode(.storeMetadata(blob, metadata)).body == body)
    #expect(codec.encode(.metadata(blob, metadata), to: .metadata(blob)).body == joined(zero, body))
  }

  @Test func `answers in JSON stand in the success envelope`() throws {
    let codec = try codec()
    func answer(_ response: NodeResponse, to request: NodeRequest) -> (Int, String) {
      let wire = codec.encode(response, to: request)
      #expect(wire.headers == [WireField("content-type", "application/json")])
      return (wire.status, String(decoding: wire.body, as: UTF8.self))
    }
    #expect(
      answer(.storedStatus(.stored), to: .metadataStatus(blob))
        == (200, #"{"success":{"code":200,"data":"stored"}}"#))
    let sliver = Sliver(axis: .primary, index: SliverIndex(0), symbolByteCount: 2, bytes: [])
    let store = NodeRequest.storeSliver(blob, SliverPairIndex(0), sliver)
    #expect(
      answer(.stored(isNew: true), to: store)
        == (201, #"{"success":{"code":201,"data":"stored"}}"#))
    #expect(
      answer(.stored(isNew: false), to: store)
        == (200, #"{"success":{"code":200,"data":"was already stored"}}"#))
    let signed = SignedMessageAnswer(message: [0xFB, 0xFF], signature: [1])
    #expect(
      answer(
        .confirmation(signed), to: .confirmation(blob, .permanent, waitMilliseconds: 0))
        == (
          200,
          #"{"success":{"code":200,"data":{"signed":{"serializedMessage":"+/8=","signature":"AQ=="}}}}"#
        ))
    #expect(
      answer(
        .blobStatus(
          .permanent(
            endEpoch: 40, isCertified: true, initialCertifiedEpoch: nil,
            deletable: DeletableCounts(total: 2, certified: 1))), to: .blobStatus(blob)
      ).1
        == #"{"success":{"code":200,"data":{"permanent":{"endEpoch":40,"isCertified":true,"#
        + #""statusEvent":{"txDigest":"","eventSeq":"0"},"deletableCounts":{"#
        + #""count_deletable_total":2,"count_deletable_certified":1},"initialCertifiedEpoch":null}}}}"#
    )
  }

  @Test func `health has the reference's fields and ours beside them`() throws {
    let health = NodeHealth(
      uptimeMilliseconds: 120_001, epoch: 7, publicKey: [1, 2, 3], nodeStatus: "Active",
      cursor: Revision(900),
      shards: [
        (ShardIndex(1), .ready), (ShardIndex(2), .ready), (ShardIndex(3), .inRecovery),
      ], detail: nil)
    let request = NodeRequest.health(detailed: false)
    let wire = try codec().encode(.health(health), to: request)
    #expect(
      String(decoding: wire.body, as: UTF8.self)
        == #"{"success":{"code":200,"data":{"uptime":{"secs":120,"nanos":1000000},"epoch":7,"#
        + #""publicKey":"AQID","nodeStatus":"Active","eventProgress":{"persisted":900,"#
        + #""pending":0,"highestFinishedEventIndex":899},"shardSummary":{"owned":3,"#
        + #""ownedShardStatus":{"unknown":0,"ready":2,"inTransfer":0,"inRecovery":1},"#
        + #""readOnly":0},"shardRuns":[{"first":1,"count":2,"status":"ready"},"#
        + #"{"first":3,"count":1,"status":"inRecovery"}]}}}"#)
  }

  @Test func `refusals stand in the error envelope`() throws {
    let codec = try codec()
    let refusal = NodeResponse.failure(NodeFailure(.sliverNotFound, "no \"sliver\" 3"))
    let wire = codec.encode(refusal, to: .sliver(blob, SliverPairIndex(3), .primary))
    #expect(wire.status == 404)
    #expect(
      String(decoding: wire.body, as: UTF8.self)
        == #"{"error":{"status":"NOT_FOUND","code":404,"message":"no \"sliver\" 3","details":["#
        + #"{"@type":"ErrorInfo","reason":"SLIVER_NOT_FOUND","domain":"storage.walrus.space","#
        + #""metadata":{}}]}}"#)
  }

  @Test func `missing metadata is a bad request where slivers need it`() throws {
    let codec = try codec()
    let refusal = NodeResponse.failure(NodeFailure(.metadataNotFound, ""))
    let sliver = Sliver(axis: .primary, index: SliverIndex(0), symbolByteCount: 2, bytes: [])
    let store = NodeRequest.storeSliver(blob, SliverPairIndex(0), sliver)
    let wire = codec.encode(refusal, to: store)
    #expect(wire.status == 400)
    #expect(try codec.decode(wire, to: store) == refusal)
    #expect(codec.encode(refusal, to: .metadata(blob)).status == 404)
  }

  @Test func `batches have the documented bytes`() throws {
    let codec = try codec()
    let zero = [UInt8](repeating: 0, count: 32)
    let one = [UInt8](repeating: 1, count: 32)
    let object = try #require(ObjectID(one))
    let sliver = Sliver(
      axis: .secondary, index: SliverIndex(3), symbolByteCount: 2, bytes: [9, 8])
    let store = NodeRequest.storeBatch([
      StoreEntry(
        blob: blob, object: object, metadata: nil, slivers: [sliver], wantsConfirmation: true)
    ])
    #expect(codec.encode(store).target == "/v1/batch/store")
    let entry: [UInt8] = [1, 0, 1, 1, 2, 9, 8, 2, 0, 3, 0]
    #expect(codec.encode(store).body == joined([1, 1], zero, one, entry))
    let outcomes: [StoreOutcome] = [.stored, .refused(NodeFailure(.storageFull, "!"))]
    #expect(
      codec.encode(.storeBatch(outcomes), to: store).body
        == joined([1, 2, 0, 2, 12], Array("STORAGE_FULL".utf8), [1, 33]))
    let items = [
      ReadItem(
        blob: blob, pair: SliverPairIndex(2), axis: .secondary, symbols: 1..<3, wantsPaths: true)
    ]
    let read = NodeRequest.readBatch(items)
    #expect(codec.encode(read).target == "/v1/batch/read")
    let repair = codec.encode(.readBatch(items, for: .repair))
    #expect(repair.target == "/v1/batch/read?purpose=repair")
    #expect(repair.body == codec.encode(read).body)
    #expect(codec.encode(read).body == joined([1, 1], zero, [2, 0, 1, 1, 0, 2, 0, 1]))
    let paths = [MerkleProof(path: [.empty]), MerkleProof(path: [])]
    let answers: [ReadOutcome] = [.symbols(bytes: [5, 6], paths: paths), .missing]
    #expect(
      codec.encode(.readBatch(answers, load: 515), to: read).body
        == [2, 3, 2, 2, 0, 2, 5, 6, 2, 1, 0, 0, 1])
  }

  @Test func `pending is taken and means nothing`() throws {
    let codec = try codec()
    let sliver = Sliver(axis: .primary, index: SliverIndex(0), symbolByteCount: 2, bytes: [])
    let request = NodeRequest.storeSliver(blob, SliverPairIndex(0), sliver)
    var wire = codec.encode(request)
    wire.query = [WireField("pending", "true")]
    #expect(try codec.decode(wire) == request)
  }

  @Test func `waits for a registration are cut to the limit`() throws {
    let codec = try codec()
    let waitMax = UInt64(NodeMessageLimits.registrationWaitMillisecondsMax)
    let long = NodeRequest.confirmation(blob, .permanent, waitMilliseconds: .max)
    let cut = NodeRequest.confirmation(blob, .permanent, waitMilliseconds: waitMax)
    #expect(try codec.decode(codec.encode(long)) == cut)
    var wire = codec.encode(long)
    wire.query = [WireField("wait_for_registration", "true")]
    #expect(try codec.decode(wire) == cut)
    wire.query = [WireField("wait_millis", "7")]
    let none = NodeRequest.confirmation(blob, .permanent, waitMilliseconds: 0)
    #expect(try codec.decode(wire) == none)
  }

  @Test func `head and body are counted as HTTP writes them`() throws {
    let request = WireRequest(
      method: "PUT", path: "/a", query: [WireField("q", "ü")],
      headers: [WireField("content-type", "x")], body: [1, 2, 3])
    let requestText = "PUT /a?q=%C3%BC HTTP/1.1\r\ncontent-type: x\r\ncontent-length: 3\r\n\r\n"
    #expect(request.wireByteCount == requestText.utf8.count + 3)
    let response = WireResponse(status: 200, headers: [], body: Array(repeating: 0, count: 10))
    let responseText = "HTTP/1.1 200 \r\ncontent-length: 10\r\n\r\n"
    #expect(response.wireByteCount == responseText.utf8.count + 10)
  }

  private let blob = BlobID(.zero)

  private func codec() throws -> NodeMessageCodec {
    NodeMessageCodec(parameters: try EncodingParameters(shardCount: 4))
  }
}
