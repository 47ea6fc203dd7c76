// NodeMessageCodec+Requests.swift
//
// Requests to method, path, query and body, and back. The way back checks, in this order: path and
// method, query, content type, body.

internal import RedStuff

extension NodeMessageCodec {
  func wireRequest(for request: NodeRequest) -> WireRequest {
    switch request {
    case .metadata(let blob):
      return .get(blob, "metadata")
    case .metadataStatus(let blob):
      return .get(blob, "metadata/status")
    case .storeMetadata(let blob, let metadata):
      return .binary("PUT", path(blob, "metadata"), body: encoded(metadata))
    case .sliver(let blob, let pair, let axis):
      return .get(blob, "slivers/\(pair.value)/\(axis)")
    case .sliverStatus(let blob, let pair, let axis):
      return .get(blob, "slivers/\(pair.value)/\(axis)/status")
    case .storeSliver(let blob, let pair, let sliver):
      return .binary(
        "PUT", path(blob, "slivers/\(pair.value)/\(sliver.axis)"), body: sliver.bcsDataBytes)
    case .confirmation(let blob, let target, let waitMilliseconds):
      let wait =
        waitMilliseconds == 0
        ? []
        : [
          WireField("wait_for_registration", "true"),
          WireField("wait_millis", "\(waitMilliseconds)"),
        ]
      return switch target {
      case .permanent: .get(blob, "confirmation/permanent", query: wait)
      case .deletable(let object): .get(blob, "confirmation/deletable/\(object)", query: wait)
      }
    case .recoverySymbols(let blob, let filter, let proofAxis):
      var query = recoveryQuery(filter)
      if let proofAxis { query.append(WireField("proofAxis", "\(proofAxis)")) }
      return .get(blob, "recoverySymbols", query: query)
    case .decodingSymbols(let blob, let targets, let targetAxis):
      let query = targets.map { WireField("targetSlivers", "\($0.value)") }
      return .get(
        blob, "decodingSymbols", query: query + [WireField("targetType", "\(targetAxis)")])
    case .inconsistencyProof(let blob, let proof):
      return .binary(
        "POST", path(blob, "inconsistencyProof/\(proof.targetAxis)"), body: encoded(proof))
    case .blobStatus(let blob):
      return .get(blob, "status")
    case .health(let detailed):
      return WireRequest(
        method: "GET", path: "/v1/health", query: detailed ? [WireField("detailed", "true")] : [])
    case .storeBatch(let entries):
      return .binary("POST", "/v1/batch/store", body: encodedStoreBatch(entries))
    case .readBatch(let items, let purpose):
      var wire = WireRequest.binary("POST", "/v1/batch/read", body: encodedReadBatch(items))
      if purpose != .read { wire.query = [WireField("purpose", purpose.rawValue)] }
      return wire
    }
  }

  private func recoveryQuery(_ filter: RecoverySymbolFilter) -> [WireField] {
    switch filter {
    case .symbols(let symbols):
      symbols.map { WireField("id", $0.text) }
    case .target(let index, let axis):
      [WireField("targetSliver", "\(index.value)"), WireField("targetType", "\(axis)")]
    }
  }

  private func encoded(_ metadata: BlobMetadata) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 13 + Self.hashesByteCount * metadata.hashes.count)
    writer.write(metadata)
    return writer.bytes
  }

  /// Without the axis, which stands in the path.
  private func encoded(_ proof: InconsistencyProof) -> [UInt8] {
    var writer = BCSWriter()
    writer.write(proof.targetIndex)
    writer.write(proof.symbols)
    return writer.bytes
  }

  func nodeRequest(from wire: WireRequest) throws(NodeFailure) -> NodeRequest {
    let segments = wire.path.split(separator: "/", omittingEmptySubsequences: false)
    guard segments.count >= 3, segments[0].isEmpty, segments[1] == "v1" else {
      throw wire.unknownCall
    }
    switch (wire.method, segments[2], segments.count - 3) {
    case ("GET", "health", 0):
      try wire.allowQuery(["detailed"])
      return .health(detailed: try wire.flag("detailed"))
    case ("POST", "batch", 1) where segments[3] == "store":
      try wire.allowQuery([])
      try wire.requireBinaryBody()
      return .storeBatch(try storeEntries(fromBatch: wire.body))
    case ("POST", "batch", 1) where segments[3] == "read":
      try wire.allowQuery(["purpose"])
      try wire.requireBinaryBody()
      return .readBatch(try readItems(fromBatch: wire.body), for: try purpose(wire))
    case (_, "blobs", 2...):
      guard let blob = BlobID(text: segments[3]) else {
        throw NodeFailure(
          .malformedRequest, "\"\(segments[3].prefix(64))\" is no blob ID: 43 base64url characters")
      }
      return try blobRequest(blob, wire, call: segments[4], arguments: Array(segments[5...]))
    default:
      throw wire.unknownCall
    }
  }

  private func blobRequest(
    _ blob: BlobID, _ wire: WireRequest, call: Substring, arguments: [Substring]
  ) throws(NodeFailure) -> NodeRequest {
    switch (wire.method, call, arguments.count) {
    case ("GET", "metadata", 0):
      try wire.allowQuery([])
      return .metadata(blob)
    case ("GET", "metadata", 1) where arguments[0] == "status":
      try wire.allowQuery([])
      return .metadataStatus(blob)
    case ("PUT", "metadata", 0):
      try wire.allowPending()
      return .storeMetadata(blob, try metadata(fromBodyOf: wire))
    case ("GET", "slivers", 2):
      try wire.allowQuery([])
      return .sliver(blob, try pair(arguments[0]), try axis(arguments[1]))
    case ("GET", "slivers", 3) where arguments[2] == "status":
      try wire.allowQuery([])
      return .sliverStatus(blob, try pair(arguments[0]), try axis(arguments[1]))
    case ("PUT", "slivers", 2):
      try wire.allowPending()
      let pair = try pair(arguments[0])
      return .storeSliver(blob, pair, try sliver(try axis(arguments[1]), fromBodyOf: wire))
    case ("GET", "confirmation", 1) where arguments[0] == "permanent":
      return .confirmation(blob, .permanent, waitMilliseconds: try wait(wire))
    case ("GET", "confirmation", 2) where arguments[0] == "deletable":
      guard let object = ObjectID(text: arguments[1]) else {
        throw NodeFailure(
          .malformedRequest,
          "\"\(arguments[1].prefix(80))\" is no object ID: 0x and 64 hexadecimal digits")
      }
      return .confirmation(blob, .deletable(object), waitMilliseconds: try wait(wire))
    case ("GET", "recoverySymbols", 0):
      try wire.allowQuery(["id", "targetSliver", "targetType", "proofAxis"])
      let proofAxis = try wire.value("proofAxis").map { text throws(NodeFailure) in
        try axis(text)
      }
      return .recoverySymbols(blob, try recoveryFilter(wire), proofAxis: proofAxis)
    case ("GET", "decodingSymbols", 0):
      return try decodingSymbolsRequest(blob, wire)
    case ("POST", "inconsistencyProof", 1):
      try wire.allowQuery([])
      return .inconsistencyProof(
        blob, try inconsistencyProof(try axis(arguments[0]), fromBodyOf: wire))
    case ("GET", "status", 0):
      try wire.allowQuery([])
      return .blobStatus(blob)
    default:
      throw wire.unknownCall
    }
  }

  private func recoveryFilter(_ wire: WireRequest) throws(NodeFailure) -> RecoverySymbolFilter {
    let texts = wire.values("id")
    let target = try wire.value("targetSliver")
    let targetType = try wire.value("targetType")
    switch (target, targetType) {
    case (let target?, let targetType?) where texts.isEmpty:
      return .target(try sliverIndex(target, refusal: .indexOutOfRange), try axis(targetType))
    case (nil, nil):
      guard !texts.isEmpty else {
        throw NodeFailure(
          .noSymbolsSpecified, "name symbols by id, or a sliver by targetSliver and targetType")
      }
      try checkItemCount(texts.count)
      var symbols: [SymbolID] = []
      symbols.reserveCapacity(texts.count)
      for text in texts {
        guard let symbol = SymbolID(text: text) else {
          throw NodeFailure(.invalidFilter, "\"\(text.prefix(32))\" is no symbol ID: P-S, decimal")
        }
        try checkBelowN(max(symbol.primary.value, symbol.secondary.value), .indexOutOfRange)
        symbols.append(symbol)
      }
      return .symbols(symbols)
    default:
      throw NodeFailure(
        .invalidFilter, "use either id or both of targetSliver and targetType")
    }
  }

  private func decodingSymbolsRequest(
    _ blob: BlobID, _ wire: WireRequest
  ) throws(NodeFailure) -> NodeRequest {
    try wire.allowQuery(["targetSlivers", "targetType"])
    let texts = wire.values("targetSlivers")
    guard !texts.isEmpty else {
      throw NodeFailure(.noTargetSliversSpecified, "name at least one sliver by targetSlivers")
    }
    try checkItemCount(texts.count)
    guard let targetType = try wire.value("targetType") else {
      throw NodeFailure(.malformedRequest, "targetType is missing: primary or secondary")
    }
    var targets: [SliverIndex] = []
    targets.reserveCapacity(texts.count)
    for text in texts {
      targets.append(try sliverIndex(text, refusal: .recoverySymbolOutOfRange))
    }
    return .decodingSymbols(blob, targets: targets, targetAxis: try axis(targetType))
  }

  private func purpose(_ wire: WireRequest) throws(NodeFailure) -> ReadPurpose {
    guard let text = try wire.value("purpose") else { return .read }
    guard let purpose = ReadPurpose(rawValue: text) else {
      throw NodeFailure(
        .malformedRequest, "purpose is \"\(text.prefix(32))\": read or repair")
    }
    return purpose
  }

  private func wait(_ wire: WireRequest) throws(NodeFailure) -> UInt64 {
    try wire.allowQuery(["wait_for_registration", "wait_millis"])
    let waitMax = UInt64(NodeMessageLimits.registrationWaitMillisecondsMax)
    let text = try wire.value("wait_millis")
    guard let wait = text.map({ UInt64($0) }) ?? waitMax else {
      throw NodeFailure(.malformedRequest, "wait_millis is no number of milliseconds")
    }
    return try wire.flag("wait_for_registration") ? min(wait, waitMax) : 0
  }
}

extension NodeMessageCodec {
  private func path(_ blob: BlobID, _ call: String) -> String { "/v1/blobs/\(blob.text)/\(call)" }

  private func pair(_ text: Substring) throws(NodeFailure) -> SliverPairIndex {
    let value = try number(text)
    try checkBelowN(value, .indexOutOfRange)
    return SliverPairIndex(value)
  }

  private func sliverIndex(
    _ text: String, refusal: NodeFailure.Reason
  ) throws(NodeFailure) -> SliverIndex {
    let value = try number(text)
    try checkBelowN(value, refusal)
    return SliverIndex(value)
  }

  /// Decimal, without sign and leading zeros.
  private func number(_ text: some StringProtocol) throws(NodeFailure) -> UInt16 {
    guard let value = UInt16(text), "\(value)" == text else {
      throw NodeFailure(
        .malformedRequest, "\"\(text.prefix(32))\" is no index: decimal, below 65536")
    }
    return value
  }

  private func axis(_ text: some StringProtocol) throws(NodeFailure) -> SliverAxis {
    guard let axis = SliverAxis.allCases.first(where: { "\($0)" == text }) else {
      throw NodeFailure(
        .malformedRequest, "\"\(text.prefix(32))\" is no sliver type: primary or secondary")
    }
    return axis
  }

  func checkBelowN(_ value: UInt16, _ refusal: NodeFailure.Reason) throws(NodeFailure) {
    guard Int(value) < parameters.shardCount else {
      throw NodeFailure(refusal, "index \(value) does not exist among \(parameters.shardCount)")
    }
  }

  func checkItemCount(_ count: Int) throws(NodeFailure) {
    guard count <= NodeMessageLimits.batchItemCountMax else {
      throw NodeFailure(
        .requestTooLarge,
        "\(count) items, at most \(NodeMessageLimits.batchItemCountMax) are taken: split the request"
      )
    }
  }
}

extension WireRequest {
  static func get(_ blob: BlobID, _ call: String, query: [WireField] = []) -> WireRequest {
    WireRequest(method: "GET", path: "/v1/blobs/\(blob.text)/\(call)", query: query)
  }

  static func binary(_ method: String, _ path: String, body: [UInt8]) -> WireRequest {
    WireRequest(
      method: method, path: path, headers: [WireField("content-type", WireContent.binary)],
      body: body)
  }

  var unknownCall: NodeFailure {
    NodeFailure(.malformedRequest, "there is no \(method.prefix(16)) \(path.prefix(200))")
  }

  func values(_ name: String) -> [String] {
    query.filter { $0.name == name }.map(\.value)
  }

  func value(_ name: String) throws(NodeFailure) -> String? {
    let values = values(name)
    guard values.count <= 1 else {
      throw NodeFailure(.malformedRequest, "\(name) stands \(values.count) times in the query")
    }
    return values.first
  }

  func flag(_ name: String) throws(NodeFailure) -> Bool {
    switch try value(name) {
    case nil, "false": return false
    case "true": return true
    case let text?:
      throw NodeFailure(.malformedRequest, "\(name) is \"\(text.prefix(32))\": true or false")
    }
  }

  /// A misspelt name would change what is asked without a word.
  func allowQuery(_ names: [String]) throws(NodeFailure) {
    for field in query where !names.contains(field.name) {
      throw NodeFailure(.malformedRequest, "unknown query field \"\(field.name.prefix(64))\"")
    }
  }

  /// `pending=true` asks to buffer what is not registered yet. It is taken and means nothing here:
  /// nodes learn of registrations at once, and refuse what is not registered.
  func allowPending() throws(NodeFailure) {
    try allowQuery(["pending"])
    _ = try flag("pending")
  }

  /// Also none at all.
  func requireBinaryBody() throws(NodeFailure) {
    guard let type = headers.value(ofHeader: "content-type") else { return }
    let mediaType = type.prefix { $0 != ";" }.lowercased()
    guard mediaType.trimmed == WireContent.binary else {
      throw NodeFailure(
        .invalidContentType,
        "the content type is \(type.prefix(64)), expected \(WireContent.binary)")
    }
  }
}

enum WireContent {
  static let binary = "application/octet-stream"
  static let json = "application/json"
}

extension String {
  fileprivate var trimmed: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
    return start[...end]
  }
}
