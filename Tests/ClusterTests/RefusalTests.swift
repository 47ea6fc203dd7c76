// RefusalTests.swift
//
// What the codec refuses, with the reason that the reference gives, and answers that it does not
// take for answers.

import Cluster
import RedStuff
import Testing

@Suite struct RequestRefusalTests {
  private static let id = String(repeating: "A", count: 43)
  private let codec: NodeMessageCodec

  init() throws { codec = NodeMessageCodec(parameters: try EncodingParameters(shardCount: 4)) }

  @Test(
    arguments: [
      ("GET", "", .malformedRequest),
      ("GET", "/", .malformedRequest),
      ("GET", "/v2/health", .malformedRequest),
      ("GET", "v1/health", .malformedRequest),
      ("GET", "/v1/health/", .malformedRequest),
      ("POST", "/v1/health", .malformedRequest),
      ("GET", "/v1/health?detail=true", .malformedRequest),
      ("GET", "/v1/health?detailed=yes", .malformedRequest),
      ("GET", "/v1/health?detailed=true&detailed=false", .malformedRequest),
      ("GET", "/v1/blobs/\(id)", .malformedRequest),
      ("DELETE", "/v1/blobs/\(id)/metadata", .malformedRequest),
      ("GET", "/v1/blobs/\(id)A/metadata", .malformedRequest),
      ("GET", "/v1/blobs/\(id.dropLast())B/metadata", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/metadata?x=1", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/slivers/4/primary", .indexOutOfRange),
      ("GET", "/v1/blobs/\(id)/slivers/65536/primary", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/slivers/01/primary", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/slivers/+1/primary", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/slivers/1/tertiary", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/confirmation/deletable/0x12", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/confirmation/permanent?wait_millis=-1", .malformedRequest),
      ("GET", "/v1/blobs/\(id)/recoverySymbols", .noSymbolsSpecified),
      ("GET", "/v1/blobs/\(id)/recoverySymbols?id=1", .invalidFilter),
      ("GET", "/v1/blobs/\(id)/recoverySymbols?id=1-4", .indexOutOfRange),
      ("GET", "/v1/blobs/\(id)/recoverySymbols?targetSliver=1", .invalidFilter),
      ("GET", "/v1/blobs/\(id)/recoverySymbols?targetType=primary", .invalidFilter),
      (
        "GET", "/v1/blobs/\(id)/recoverySymbols?id=1-1&targetSliver=1&targetType=primary",
        .invalidFilter
      ),
      ("GET", "/v1/blobs/\(id)/decodingSymbols?targetType=primary", .noTargetSliversSpecified),
      ("GET", "/v1/blobs/\(id)/decodingSymbols?targetSlivers=1", .malformedRequest),
      (
        "GET", "/v1/blobs/\(id)/decodingSymbols?targetSlivers=4&targetType=primary",
        .recoverySymbolOutOfRange
      ),
      ("PUT", "/v1/blobs/\(id)/metadata", .invalidContentType),
      ("PUT", "/v1/blobs/\(id)/slivers/1/primary", .invalidContentType),
      ("POST", "/v1/blobs/\(id)/inconsistencyProof/primary", .invalidContentType),
      ("POST", "/v1/batch/store", .malformedRequest),
      ("POST", "/v1/batch/read", .malformedRequest),
      ("POST", "/v1/batch/erase", .malformedRequest),
    ] as [(String, String, NodeFailure.Reason)])
  func `a call that is none is refused by its reason`(
    method: String, target: String, reason: NodeFailure.Reason
  ) throws {
    let wire = try #require(
      WireRequest(method: method, target: target, headers: [], body: []))
    #expect(refusal(of: wire) == reason)
  }

  @Test func `binary bodies need their content type or none`() throws {
    let sliver = Sliver(axis: .primary, index: SliverIndex(0), symbolByteCount: 2, bytes: [])
    let request = NodeRequest.storeSliver(BlobID(.zero), SliverPairIndex(0), sliver)
    var wire = codec.encode(request)
    wire.headers = [WireField("Content-Type", " Application/Octet-Stream ; charset=x")]
    #expect(try codec.decode(wire) == request)
    wire.headers = []
    #expect(try codec.decode(wire) == request)
    wire.headers = [WireField("content-type", "text/plain")]
    #expect(refusal(of: wire) == .invalidContentType)
  }

  @Test func `metadata of another shape is refused`() throws {
    let hashes = SliverPairHashes(primary: .empty, secondary: .empty)
    func refusal(pairs: Int, blobByteCount: UInt64 = 1) -> NodeFailure.Reason? {
      let metadata = BlobMetadata(
        blobByteCount: blobByteCount, hashes: Array(repeating: hashes, count: pairs))
      return self.refusal(of: codec.encode(.storeMetadata(BlobID(.zero), metadata)))
    }
    #expect(refusal(pairs: 4) == nil)
    #expect(refusal(pairs: 3) == .invalidMetadata)
    #expect(refusal(pairs: 5) == .invalidMetadata)
    #expect(refusal(pairs: 200) == .invalidContentType)
    let blobByteCountMax = codec.parameters.blobByteCountMax
    #expect(refusal(pairs: 4, blobByteCount: blobByteCountMax) == nil)
    #expect(refusal(pairs: 4, blobByteCount: blobByteCountMax + 1) == .invalidMetadata)
  }

  @Test func `another encoding type is named as such`() throws {
    let hashes = SliverPairHashes(primary: .empty, secondary: .empty)
    let metadata = BlobMetadata(blobByteCount: 1, hashes: Array(repeating: hashes, count: 4))
    var wire = codec.encode(.storeMetadata(BlobID(.zero), metadata))
    wire.body[1] = 0
    #expect(refusal(of: wire) == .unsupportedEncodingType)
  }

  @Test func `slivers that no pair holds are refused`() throws {
    let sliver = Sliver(axis: .primary, index: SliverIndex(4), symbolByteCount: 2, bytes: [])
    let blob = BlobID(.zero)
    #expect(
      refusal(of: codec.encode(.storeSliver(blob, SliverPairIndex(0), sliver)))
        == .sliverIndexMismatch)
    let entry = StoreEntry(
      blob: blob, object: try #require(ObjectID([UInt8](repeating: 0, count: 32))), metadata: nil,
      slivers: [sliver], wantsConfirmation: false)
    #expect(refusal(of: codec.encode(.storeBatch([entry]))) == .indexOutOfRange)
  }

  @Test func `a sliver longer than any is too large`() throws {
    let byteCount = codec.parameters.sliverByteCountMax
    func refusal(byteCount: Int) -> NodeFailure.Reason? {
      let sliver = Sliver(
        axis: .primary, index: SliverIndex(0), symbolByteCount: 65534,
        bytes: [UInt8](repeating: 0, count: byteCount))
      return self.refusal(
        of: codec.encode(.storeSliver(BlobID(.zero), SliverPairIndex(0), sliver)))
    }
    #expect(refusal(byteCount: byteCount) == nil)
    #expect(refusal(byteCount: byteCount + 128) == .requestTooLarge)
  }

  @Test func `a body above the limit is too large`() {
    let body = [UInt8](repeating: 0, count: NodeMessageLimits.bodyByteCountMax + 1)
    #expect(
      refusal(of: WireRequest(method: "POST", path: "/v1/batch/store", body: body))
        == .requestTooLarge)
  }

  @Test func `read items outside the sliver are refused`() {
    func refusal(pair: UInt16 = 0, symbols: Range<Int>) -> NodeFailure.Reason? {
      let item = ReadItem(
        blob: BlobID(.zero), pair: SliverPairIndex(pair), axis: .primary, symbols: symbols,
        wantsPaths: false)
      return self.refusal(of: codec.encode(.readBatch([item])))
    }
    #expect(refusal(symbols: 0..<4) == nil)
    #expect(refusal(symbols: 0..<5) == .indexOutOfRange)
    #expect(refusal(symbols: 65535..<131_070) == .indexOutOfRange)
    #expect(refusal(symbols: 2..<2) == .noSymbolsSpecified)
    #expect(refusal(pair: 4, symbols: 0..<4) == .indexOutOfRange)
  }

  @Test(arguments: ["purpose=read", "purpose=repair", "purpose=scrub", "purpose=", "for=repair"])
  func `a batch is read for readers or for repair, and for nothing else`(query: String) throws {
    let item = ReadItem(
      blob: BlobID(.zero), pair: SliverPairIndex(0), axis: .primary, symbols: 0..<1,
      wantsPaths: false)
    let wire = try #require(
      WireRequest(
        method: "POST", target: "/v1/batch/read?" + query, headers: [],
        body: codec.encode(.readBatch([item])).body))
    switch query {
    case "purpose=read": #expect(try codec.decode(wire) == .readBatch([item]))
    case "purpose=repair": #expect(try codec.decode(wire) == .readBatch([item], for: .repair))
    default: #expect(refusal(of: wire) == .malformedRequest)
    }
  }

  @Test func `batches of too many items are refused`() {
    let item = ReadItem(
      blob: BlobID(.zero), pair: SliverPairIndex(0), axis: .primary, symbols: 0..<1,
      wantsPaths: false)
    let countMax = NodeMessageLimits.batchItemCountMax
    let full = Array(repeating: item, count: countMax)
    #expect(refusal(of: codec.encode(.readBatch(full))) == nil)
    #expect(refusal(of: codec.encode(.readBatch(full + [item]))) == .malformedRequest)
  }

  @Test func `a small body cannot take much memory`() throws {
    // Metadata of empty hashes: two bytes a pair on the wire, and some forty times that in memory.
    let codec = NodeMessageCodec(parameters: try EncodingParameters(shardCount: 1000))
    let hashes = SliverPairHashes(primary: .empty, secondary: .empty)
    let entry = StoreEntry(
      blob: BlobID(.zero), object: try #require(ObjectID([UInt8](repeating: 0, count: 32))),
      metadata: BlobMetadata(blobByteCount: 1, hashes: Array(repeating: hashes, count: 1000)),
      slivers: [], wantsConfirmation: false)
    let body = codec.encode(.storeBatch(Array(repeating: entry, count: 4000)))
    #expect(body.body.count < 10_000_000)
    #expect(refusal(of: body, by: codec) == .malformedRequest)
    let few = codec.encode(.storeBatch(Array(repeating: entry, count: 1000)))
    #expect(refusal(of: few, by: codec) == nil)
  }

  private func refusal(
    of wire: WireRequest, by other: NodeMessageCodec? = nil
  ) -> NodeFailure.Reason? {
    do throws(NodeFailure) {
      _ = try (other ?? codec).decode(wire)
      return nil
    } catch {
      return error.reason
    }
  }
}

@Suite struct AnswerRefusalTests {
  private let codec: NodeMessageCodec
  private let blob = BlobID(.zero)
  private let otherBlob = BlobID.repeating(1)

  init() throws { codec = NodeMessageCodec(parameters: try EncodingParameters(shardCount: 4)) }

  @Test func `an answer about another blob is none`() {
    var dice = Dice(seed: 1)
    let metadata = dice.metadata(codec.parameters)
    expectMalformed(.metadata(otherBlob, metadata), to: .metadata(blob))
  }

  @Test func `a sliver of another pair is none`() {
    let sliver = Sliver(axis: .secondary, index: SliverIndex(1), symbolByteCount: 2, bytes: [])
    expectMalformed(.sliver(sliver), to: .sliver(blob, SliverPairIndex(1), .secondary))
    #expect(
      throws: Never.self,
      performing: {
        try roundTrip(.sliver(sliver), to: .sliver(blob, SliverPairIndex(2), .secondary))
      })
  }

  @Test func `a confirmation of another registration is none`() throws {
    var dice = Dice(seed: 2)
    let entry = dice.storeEntry(codec.parameters)
    let other = dice.confirmation(blob: entry.blob, object: dice.object())
    expectMalformed(.storeBatch([.confirmed(other)]), to: .storeBatch([entry]))
  }

  @Test func `a batch is answered entry by entry`() {
    var dice = Dice(seed: 3)
    let entries = [dice.storeEntry(codec.parameters), dice.storeEntry(codec.parameters)]
    expectMalformed(.storeBatch([.stored]), to: .storeBatch(entries))
    expectMalformed(.storeBatch([.stored, .stored, .stored]), to: .storeBatch(entries))
    let items = [dice.readItem(4), dice.readItem(4)]
    expectMalformed(.readBatch([.missing]), to: .readBatch(items))
    expectMalformed(.readBatch([.missing, .missing, .missing]), to: .readBatch(items))
  }

  @Test func `symbols come whole and with the paths asked for`() {
    let proof = MerkleProof(path: [])
    func item(wantsPaths: Bool) -> NodeRequest {
      .readBatch([
        ReadItem(
          blob: blob, pair: SliverPairIndex(0), axis: .primary, symbols: 0..<2,
          wantsPaths: wantsPaths)
      ])
    }
    func answer(_ byteCount: Int, paths: Int) -> NodeResponse {
      .readBatch([
        .symbols(
          bytes: [UInt8](repeating: 0, count: byteCount),
          paths: Array(repeating: proof, count: paths))
      ])
    }
    expectMalformed(answer(0, paths: 0), to: item(wantsPaths: false))
    expectMalformed(answer(3, paths: 0), to: item(wantsPaths: false))
    expectMalformed(answer(4, paths: 2), to: item(wantsPaths: false))
    expectMalformed(answer(4, paths: 0), to: item(wantsPaths: true))
    expectMalformed(answer(4, paths: 1), to: item(wantsPaths: true))
    expectMalformed(answer(4, paths: 3), to: item(wantsPaths: true))
    #expect(throws: Never.self) { try roundTrip(answer(4, paths: 2), to: item(wantsPaths: true)) }
  }

  @Test func `more recovery symbols than asked for are none`() {
    let symbol = GeneralRecoverySymbol(
      targetAxis: .primary, symbol: DecodingSymbol(sourceIndex: SliverIndex(0), bytes: [1]),
      targetIndex: SliverIndex(0), proof: MerkleProof(path: []))
    let asked = SymbolID(primary: SliverIndex(0), secondary: SliverIndex(0))
    let request = NodeRequest.recoverySymbols(blob, .symbols([asked]), proofAxis: nil)
    #expect(throws: Never.self) { try roundTrip(.recoverySymbols([symbol]), to: request) }
    expectMalformed(.recoverySymbols([symbol, symbol]), to: request)
  }

  @Test func `decoding symbols nobody asked for are none`() {
    let symbols = [DecodingSymbol(sourceIndex: SliverIndex(0), bytes: [1])]
    let request = NodeRequest.decodingSymbols(
      blob, targets: [SliverIndex(1), SliverIndex(2)], targetAxis: .primary)
    expectMalformed(.decodingSymbols([SliverIndex(0): symbols], targetAxis: .primary), to: request)
    expectMalformed(
      .decodingSymbols([SliverIndex(1): symbols], targetAxis: .secondary), to: request)
  }

  @Test(arguments: [
    #"{"first":0,"count":5,"status":"ready"}"#, #"{"first":4,"count":0,"status":"ready"}"#,
    #"{"first":0,"count":4,"status":"ready"},{"first":0,"count":1,"status":"ready"}"#,
    #"{"first":-1,"count":1,"status":"ready"}"#, #"{"first":0,"count":1,"status":"great"}"#,
    #"{"first":3,"count":9223372036854775807,"status":"ready"}"#, #"{}"#, "1",
  ])
  func `health of shards that cannot be is no answer`(runs: String) throws {
    func answer(secs: String = "1", _ runs: String) -> WireResponse {
      let text = """
        {"success":{"code":200,"data":{"uptime":{"secs":\(secs),"nanos":0},"epoch":1,\
        "publicKey":"","nodeStatus":"","eventProgress":{"persisted":0},"shardRuns":[\(runs)]}}}
        """
      return WireResponse(status: 200, body: Array(text.utf8))
    }
    let request = NodeRequest.health(detailed: true)
    let possible = #"{"first":0,"count":4,"status":"ready"}"#
    #expect(throws: Never.self) { try codec.decode(answer(possible), to: request) }
    #expect(throws: WireError.self) { try codec.decode(answer(runs), to: request) }
    #expect(throws: WireError.self) {
      try codec.decode(answer(secs: "18446744073709551615", possible), to: request)
    }
  }

  @Test func `text of a proxy is no answer`() {
    let wire = WireResponse(
      status: 502, headers: [WireField("content-type", "text/html")],
      body: Array("<h1>Bad gateway".utf8))
    #expect(throws: WireError.unexpectedAnswer(status: 502, text: "<h1>Bad gateway")) {
      try codec.decode(wire, to: .blobStatus(blob))
    }
    #expect(throws: WireError.unexpectedAnswer(status: 204, text: "")) {
      try codec.decode(WireResponse(status: 204), to: .blobStatus(blob))
    }
  }

  @Test(arguments: [(400, NodeFailure.Reason.internalError), (503, .unavailable)])
  func `a refusal with an unknown reason stays one`(status: Int, reason: NodeFailure.Reason) throws
  {
    let text = #"{"error":{"details":[{"@type":"ErrorInfo","reason":"MOON"}],"message":"full"}}"#
    let wire = WireResponse(status: status, body: Array(text.utf8))
    #expect(
      try codec.decode(wire, to: .blobStatus(blob)) == .failure(NodeFailure(reason, "MOON: full")))
  }

  @Test func `long messages are cut`() throws {
    let text = String(repeating: "ü", count: 5000)
    let request = NodeRequest.readBatch([Dice.item])
    for response: NodeResponse in [
      .failure(NodeFailure(.unavailable, text)),
      .readBatch([.refused(NodeFailure(.unavailable, text))]),
    ] {
      let wire = codec.encode(response, to: request)
      #expect(wire.body.count < 5000)
      #expect(throws: Never.self) { try codec.decode(wire, to: request) }
    }
  }

  private func roundTrip(_ response: NodeResponse, to request: NodeRequest) throws {
    #expect(try codec.decode(codec.encode(response, to: request), to: request) == response)
  }

  private func expectMalformed(
    _ response: NodeResponse, to request: NodeRequest,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    do throws(WireError) {
      _ = try codec.decode(codec.encode(response, to: request), to: request)
      Issue.record("taken for an answer", sourceLocation: sourceLocation)
    } catch .malformed {
    } catch {
      Issue.record(error, sourceLocation: sourceLocation)
    }
  }
}

extension Dice {
  fileprivate static var item: ReadItem {
    var dice = Dice(seed: 0)
    return dice.readItem(4)
  }
}
