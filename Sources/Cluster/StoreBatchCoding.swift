// StoreBatchCoding.swift
//
// Body of `POST /v1/batch/store` and of its answer: our own formats, in BCS.
//
// | request bytes | field                                                                    |
// |---------------|--------------------------------------------------------------------------|
// | 1             | version, 01                                                              |
// | LEB128        | number of entries; per entry:                                            |
// | 32            |   blob ID                                                                |
// | 32            |   object ID of the registration                                          |
// | 1             |   01 if a confirmation is wanted, else 00                                |
// | 1 +           |   00, or 01 and BlobMetadata                                             |
// | LEB128 +      |   number of slivers, then each: axis, length, bytes, symbol size, index  |
//
// | answer bytes  | field                                                                    |
// |---------------|--------------------------------------------------------------------------|
// | 1             | version, 01                                                              |
// | LEB128        | number of outcomes, that of the entries; per outcome:                    |
// | 1             |   00 stored                                                              |
// | 1 + 134       |   01 confirmed: node u16, epoch u32, blob ID, object ID, signature [64]  |
// | 1 +           |   02 refused: reason string, message string                              |

package import RedStuff

/// Memory that the values of one message may take. Empty fields take a byte on the wire and much
/// more in memory: without this, a body of the allowed length could fill a machine.
struct DecodingBudget {
  /// Twice the longest body: what a body of whole slivers needs and as much for small values.
  private var remainingByteCount = 2 * NodeMessageLimits.bodyByteCountMax

  /// For the headers of a value and its arrays.
  static let valueByteCount = 64

  mutating func spend(_ byteCount: Int) throws(BCSError) {
    remainingByteCount -= byteCount
    guard remainingByteCount >= 0 else {
      throw .invalidValue(type: "batch", reason: "too many small values: split it")
    }
  }
}

extension NodeMessageCodec {
  static let batchVersion: UInt8 = 1

  func encodedStoreBatch(_ entries: [StoreEntry]) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 8 + entries.reduce(0) { $0 + byteCount(of: $1) })
    write(entries, to: &writer)
    return writer.bytes
  }

  func write(_ entries: [StoreEntry], to writer: inout BCSWriter) {
    writer.write(Self.batchVersion)
    writer.writeSequence(entries) { writer, entry in
      writer.write(entry.blob)
      writer.write(entry.object)
      writer.write(entry.wantsConfirmation)
      writer.write(entry.metadata)
      writer.write(entry.slivers)
    }
  }

  /// An upper bound, so that the body is allocated once.
  private func byteCount(of entry: StoreEntry) -> Int {
    let metadata = entry.metadata.map { 13 + Self.hashesByteCount * $0.hashes.count } ?? 0
    return entry.slivers.reduce(80 + metadata) { $0 + $1.bytes.count + 10 }
  }

  func storeEntries(fromBatch body: [UInt8]) throws(NodeFailure) -> [StoreEntry] {
    let entries = try decodingBatch("store") { () throws(BCSError) in
      var reader = BCSReader(body)
      var budget = DecodingBudget()
      try reader.readVersion(Self.batchVersion, of: "store batch")
      let entries = try reader.readSequence(countMax: NodeMessageLimits.batchItemCountMax) {
        (reader) throws(BCSError) in try storeEntry(from: &reader, &budget)
      }
      try reader.finish()
      return entries
    }
    for entry in entries {
      if let metadata = entry.metadata { try check(metadata) }
      for sliver in entry.slivers { try checkBelowN(sliver.index.value, .indexOutOfRange) }
    }
    return entries
  }

  private func storeEntry(
    from reader: inout BCSReader, _ budget: inout DecodingBudget
  ) throws(BCSError) -> StoreEntry {
    let blob: BlobID = try reader.read()
    let object: ObjectID = try reader.read()
    let wantsConfirmation = try reader.readBool()
    let metadata = try reader.readOptional { (reader) throws(BCSError) in
      let metadata: BlobMetadata = try reader.read()
      try budget.spend(metadata.hashes.count * MemoryLayout<SliverPairHashes>.stride)
      return metadata
    }
    // A node never has more than all slivers of a blob.
    let sliverCountMax = 2 * parameters.shardCount
    let slivers = try reader.readSequence(countMax: sliverCountMax) { (reader) throws(BCSError) in
      let sliver: Sliver = try reader.read()
      try budget.spend(sliver.bytes.count + DecodingBudget.valueByteCount)
      return sliver
    }
    return StoreEntry(
      blob: blob, object: object, metadata: metadata, slivers: slivers,
      wantsConfirmation: wantsConfirmation)
  }

  func encodedStoreOutcomes(_ outcomes: [StoreOutcome]) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 8 + 140 * outcomes.count)
    writer.write(Self.batchVersion)
    writer.writeSequence(outcomes) { writer, outcome in
      switch outcome {
      case .stored:
        writer.writeVariant(0 as UInt8)
      case .confirmed(let confirmation):
        writer.writeVariant(1 as UInt8)
        writer.write(confirmation)
      case .refused(let failure):
        writer.writeVariant(2 as UInt8)
        writer.write(failure)
      }
    }
    return writer.bytes
  }

  func storeOutcomes(
    from body: [UInt8], to entries: [StoreEntry]
  ) throws(WireError) -> [StoreOutcome] {
    let outcomes = try decoding("store batch answer") { () throws(BCSError) in
      var reader = BCSReader(body)
      try reader.readVersion(Self.batchVersion, of: "store batch answer")
      let outcomes = try reader.readSequence(countMax: entries.count) {
        (reader) throws(BCSError) in try storeOutcome(from: &reader)
      }
      try reader.finish()
      return outcomes
    }
    guard outcomes.count == entries.count else {
      throw .malformed("\(outcomes.count) outcomes for \(entries.count) entries")
    }
    for (outcome, entry) in zip(outcomes, entries) {
      guard case .confirmed(let confirmation) = outcome else { continue }
      guard confirmation.blob == entry.blob, confirmation.object == entry.object else {
        throw .malformed("a confirmation of \(confirmation.blob) for \(entry.blob)")
      }
    }
    return outcomes
  }

  private func storeOutcome(from reader: inout BCSReader) throws(BCSError) -> StoreOutcome {
    switch try reader.readVariant() {
    case 0: return .stored
    case 1: return .confirmed(try reader.read())
    case 2: return .refused(try reader.read())
    case let variant: throw .unknownVariant(type: "StoreOutcome", variant: variant)
    }
  }

  func decodingBatch<Value>(
    _ name: String, _ decode: () throws(BCSError) -> Value
  ) throws(NodeFailure) -> Value {
    do {
      return try decode()
    } catch {
      throw NodeFailure(.malformedRequest, "the body is no \(name) batch: \(error)")
    }
  }
}

extension NodeFailure: BCSCodable {
  private static let reasonByteCountMax = 64

  package init(from reader: inout BCSReader) throws(BCSError) {
    let reason = try reader.readString(byteCountMax: Self.reasonByteCountMax)
    let message = try reader.readString(byteCountMax: ErrorEnvelope.messageByteCountMax + 3)
    self = ErrorEnvelope.refusal(reason: reason, message: message)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(reason.rawValue)
    writer.write(ErrorEnvelope.cut(message))
  }
}
