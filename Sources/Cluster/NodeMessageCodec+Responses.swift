// NodeMessageCodec+Responses.swift
//
// Answers to status and body, and back. The way back holds the answer against the question: a node
// cannot make a client hold more than it asked for, or take an answer for another blob.

internal import RedStuff

extension NodeMessageCodec {
  func wireResponse(for response: NodeResponse, to request: NodeRequest) -> WireResponse {
    switch response {
    case .metadata(let blob, let metadata):
      return .binary(BlobMetadataWithID(blobID: blob, metadata: metadata).bcsBytes)
    case .storedStatus(let status):
      return SuccessEnvelope.response(data: .string(status.rawValue))
    case .stored(let isNew):
      return SuccessEnvelope.response(
        status: isNew ? 201 : 200, data: isNew ? "stored" : "was already stored")
    case .sliver(let sliver):
      return .binary(sliver.bcsDataBytes)
    case .confirmation(let answer):
      return SuccessEnvelope.response(data: ["signed": signedMessageJSON(answer)])
    case .recoverySymbols(let symbols):
      return .binary(encodedRecoverySymbols(symbols))
    case .decodingSymbols(let symbols, let targetAxis):
      return .binary(encodedDecodingSymbols(symbols, targetAxis: targetAxis))
    case .inconsistencyAttested(let answer):
      return SuccessEnvelope.response(data: signedMessageJSON(answer))
    case .blobStatus(let status):
      return SuccessEnvelope.response(data: blobStatusJSON(status))
    case .health(let health):
      return SuccessEnvelope.response(data: healthJSON(health))
    case .storeBatch(let outcomes):
      return .binary(encodedStoreOutcomes(outcomes))
    case .readBatch(let outcomes, let load):
      return .binary(encodedReadOutcomes(outcomes, load: load))
    case .failure(let failure):
      return ErrorEnvelope.response(for: failure, to: request)
    }
  }

  func nodeResponse(
    from wire: WireResponse, to request: NodeRequest
  ) throws(WireError) -> NodeResponse {
    let statuses: ClosedRange<Int> =
      switch request {
      case .storeMetadata, .storeSliver: 200...201
      default: 200...200
      }
    guard statuses.contains(wire.status) else {
      let start = String(decoding: wire.body.prefix(200), as: UTF8.self)
      throw .unexpectedAnswer(status: wire.status, text: start)
    }
    switch request {
    case .metadata(let blob):
      return try metadataResponse(wire.body, blob: blob)
    case .metadataStatus, .sliverStatus:
      let data = try SuccessEnvelope.data(from: wire)
      guard let status = data.string.flatMap({ StoredStatus(rawValue: $0) }) else {
        throw .malformed("the answer is no stored status")
      }
      return .storedStatus(status)
    case .storeMetadata, .storeSliver:
      _ = try SuccessEnvelope.data(from: wire)
      return .stored(isNew: wire.status == 201)
    case .sliver(_, let pair, let axis):
      return try sliverResponse(wire.body, pair: pair, axis: axis)
    case .confirmation:
      guard let signed = try SuccessEnvelope.data(from: wire)["signed"] else {
        throw .malformed("the answer has no signed message")
      }
      return .confirmation(try signedMessage(from: signed))
    case .recoverySymbols(_, let filter, _):
      return try recoverySymbolsResponse(wire.body, filter: filter)
    case .decodingSymbols(_, let targets, let targetAxis):
      return try decodingSymbolsResponse(wire.body, targets: targets, targetAxis: targetAxis)
    case .inconsistencyProof:
      return .inconsistencyAttested(try signedMessage(from: try SuccessEnvelope.data(from: wire)))
    case .blobStatus:
      return .blobStatus(try blobStatus(from: try SuccessEnvelope.data(from: wire)))
    case .health:
      return .health(try health(from: try SuccessEnvelope.data(from: wire)))
    case .storeBatch(let entries):
      return .storeBatch(try storeOutcomes(from: wire.body, to: entries))
    case .readBatch(let items, _):
      let (outcomes, load) = try readOutcomes(from: wire.body, to: items)
      return .readBatch(outcomes, load: load)
    }
  }
}

extension NodeMessageCodec {
  private func metadataResponse(
    _ body: [UInt8], blob: BlobID
  ) throws(WireError) -> NodeResponse {
    let answer: BlobMetadataWithID = try decoding("metadata") { () throws(BCSError) in
      try BlobMetadataWithID(bcs: body)
    }
    guard answer.blobID == blob else {
      throw .malformed("metadata of \(answer.blobID), asked for \(blob)")
    }
    do {
      try check(answer.metadata)
    } catch {
      throw .malformed(error.message)
    }
    return .metadata(blob, answer.metadata)
  }

  private func sliverResponse(
    _ body: [UInt8], pair: SliverPairIndex, axis: SliverAxis
  ) throws(WireError) -> NodeResponse {
    let sliver: Sliver = try decoding("sliver") { () throws(BCSError) in
      try Sliver(axis: axis, bcsData: body)
    }
    guard Int(pair.value) < parameters.shardCount,
      sliver.index == pair.sliver(axis, shardCount: parameters.shardCount)
    else { throw .malformed("\(axis) \(sliver.index), asked for that of \(pair)") }
    return .sliver(sliver)
  }

  private func encodedRecoverySymbols(_ symbols: [GeneralRecoverySymbol]) -> [UInt8] {
    var writer = BCSWriter()
    writer.write(symbols)
    return writer.bytes
  }

  private func recoverySymbolsResponse(
    _ body: [UInt8], filter: RecoverySymbolFilter
  ) throws(WireError) -> NodeResponse {
    let countMax =
      switch filter {
      case .symbols(let symbols): symbols.count
      case .target: parameters.shardCount
      }
    let symbols = try decoding("list of recovery symbols") { () throws(BCSError) in
      var reader = BCSReader(body)
      let symbols: [GeneralRecoverySymbol] = try reader.readArray(countMax: countMax)
      try reader.finish()
      return symbols
    }
    for symbol in symbols {
      try checkIndex(symbol.targetIndex)
      try checkIndex(symbol.symbol.sourceIndex)
    }
    return .recoverySymbols(symbols)
  }

  private func encodedDecodingSymbols(
    _ symbols: [SliverIndex: [DecodingSymbol]], targetAxis: SliverAxis
  ) -> [UInt8] {
    var writer = BCSWriter()
    writer.writeMap(symbols, key: { $0.write($1) }) { writer, symbols in
      writer.writeSequence(symbols) { $0.write(AxisTagged($1, targetAxis: targetAxis)) }
    }
    return writer.bytes
  }

  private func decodingSymbolsResponse(
    _ body: [UInt8], targets: [SliverIndex], targetAxis: SliverAxis
  ) throws(WireError) -> NodeResponse {
    let tagged = try decoding("map of decoding symbols") { () throws(BCSError) in
      var reader = BCSReader(body)
      let map = try reader.readMap(
        countMax: targets.count,
        key: { (reader) throws(BCSError) in try reader.read(SliverIndex.self) },
        value: { (reader) throws(BCSError) in
          try reader.readArray(
            of: AxisTagged<DecodingSymbol>.self, countMax: parameters.shardCount)
        })
      try reader.finish()
      return map
    }
    let asked = Set(targets)
    var symbols: [SliverIndex: [DecodingSymbol]] = [:]
    for (target, list) in tagged {
      guard asked.contains(target) else { throw .malformed("symbols of \(target), not asked for") }
      for symbol in list {
        guard symbol.targetAxis == targetAxis else {
          throw .malformed("\(symbol.targetAxis) symbols, asked for \(targetAxis) ones")
        }
        try checkIndex(symbol.value.sourceIndex)
      }
      symbols[target] = list.map(\.value)
    }
    return .decodingSymbols(symbols, targetAxis: targetAxis)
  }

  private func checkIndex(_ index: SliverIndex) throws(WireError) {
    guard Int(index.value) < parameters.shardCount else {
      throw .malformed("\(index) does not exist among \(parameters.shardCount)")
    }
  }

  private func signedMessageJSON(_ answer: SignedMessageAnswer) -> JSONValue {
    [
      "serializedMessage": .string(Base64.encode(answer.message)),
      "signature": .string(Base64.encode(answer.signature)),
    ]
  }

  private func signedMessage(from json: JSONValue) throws(WireError) -> SignedMessageAnswer {
    guard let message = json["serializedMessage"]?.string.flatMap({ Base64.decode($0) }),
      let signature = json["signature"]?.string.flatMap({ Base64.decode($0) })
    else { throw .malformed("message or signature are missing or no base64") }
    return SignedMessageAnswer(message: message, signature: signature)
  }

  func decoding<Value>(
    _ name: String, _ decode: () throws(BCSError) -> Value
  ) throws(WireError) -> Value {
    do {
      return try decode()
    } catch {
      throw .malformed("the answer is no \(name): \(error)")
    }
  }
}

extension WireResponse {
  static func binary(_ body: [UInt8]) -> WireResponse {
    WireResponse(
      status: 200, headers: [WireField("content-type", WireContent.binary)], body: body)
  }
}
