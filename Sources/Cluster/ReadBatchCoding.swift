// ReadBatchCoding.swift
//
// Body of `POST /v1/batch/read` and of its answer: our own formats, in BCS. Whom it is for stands in
// the query: what is asked for is the same.
//
// | request bytes | field                                                            |
// |---------------|------------------------------------------------------------------|
// | 1             | version, 01                                                      |
// | LEB128        | number of items; per item:                                       |
// | 32            |   blob ID                                                        |
// | 2             |   pair                                                           |
// | 1             |   axis                                                           |
// | 2             |   first symbol                                                   |
// | 2             |   number of symbols, not zero                                    |
// | 1             |   00 bare, 01 with paths, 02 with paths and a signature          |
//
// | answer bytes  | field                                                            |
// |---------------|------------------------------------------------------------------|
// | 1             | version, 02                                                      |
// | 2             | load: other requests that the node was working on                |
// | LEB128        | number of outcomes, that of the items; per outcome:              |
// | 1 +           |   00 symbols: LEB128 length, bytes, LEB128 number of paths, each |
// |               |   LEB128 count and Merkle nodes                                  |
// | 1             |   01 missing                                                     |
// | 1 +           |   02 refused: reason string, message string                      |
// | 1 +           |   03 signed symbols: as 00, then 64 bytes of signature           |

internal import RedStuff

extension NodeMessageCodec {
  private static let readAnswerVersion: UInt8 = 2

  /// Symbol ranges are below n.
  func encodedReadBatch(_ items: [ReadItem]) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 8 + 40 * items.count)
    writer.write(Self.batchVersion)
    writer.writeSequence(items) { writer, item in
      writer.write(item.blob)
      writer.write(item.pair)
      writer.write(item.axis)
      writer.write(UInt16(item.symbols.lowerBound))
      writer.write(UInt16(item.symbols.count))
      writer.write(UInt8(item.wantsSignature ? 2 : item.wantsPaths ? 1 : 0))
    }
    return writer.bytes
  }

  func readItems(fromBatch body: [UInt8]) throws(NodeFailure) -> [ReadItem] {
    let items = try decodingBatch("read") { () throws(BCSError) in
      var reader = BCSReader(body)
      try reader.readVersion(Self.batchVersion, of: "read batch")
      let items = try reader.readSequence(countMax: NodeMessageLimits.batchItemCountMax) {
        (reader) throws(BCSError) in try readItem(from: &reader)
      }
      try reader.finish()
      return items
    }
    for item in items {
      try checkBelowN(item.pair.value, .indexOutOfRange)
      guard !item.symbols.isEmpty else {
        throw NodeFailure(.noSymbolsSpecified, "no symbols of \(item.pair) of \(item.blob)")
      }
      guard item.symbols.upperBound <= parameters.shardCount else {
        throw NodeFailure(
          .indexOutOfRange,
          "symbols \(item.symbols) of a sliver that has \(parameters.shardCount)")
      }
    }
    return items
  }

  private func readItem(from reader: inout BCSReader) throws(BCSError) -> ReadItem {
    let blob: BlobID = try reader.read()
    let pair: SliverPairIndex = try reader.read()
    let axis: SliverAxis = try reader.read()
    let first = Int(try reader.readUInt16())
    let count = Int(try reader.readUInt16())
    let form = try reader.readUInt8()
    guard form <= 2 else { throw .unknownVariant(type: "ReadItem", variant: UInt32(form)) }
    return ReadItem(
      blob: blob, pair: pair, axis: axis, symbols: first..<first + count, wantsPaths: form > 0,
      wantsSignature: form == 2)
  }

  func encodedReadOutcomes(_ outcomes: [ReadOutcome], load: UInt16) -> [UInt8] {
    var writer = BCSWriter(reservingCapacity: 8 + outcomes.reduce(0) { $0 + byteCount(of: $1) })
    write(outcomes, load: load, to: &writer)
    return writer.bytes
  }

  func write(_ outcomes: [ReadOutcome], load: UInt16, to writer: inout BCSWriter) {
    writer.write(Self.readAnswerVersion)
    writer.write(load)
    writer.writeSequence(outcomes) { writer, outcome in
      switch outcome {
      case .symbols(let bytes, let paths):
        writer.writeVariant(0 as UInt8)
        writer.writeBytes(bytes)
        writer.write(paths)
      case .missing:
        writer.writeVariant(1 as UInt8)
      case .refused(let failure):
        writer.writeVariant(2 as UInt8)
        writer.write(failure)
      case .signedSymbols(let bytes, let paths, let signature):
        writer.writeVariant(3 as UInt8)
        writer.writeBytes(bytes)
        writer.write(paths)
        writer.writeFixed(signature)
      }
    }
  }

  /// An upper bound but for refusals, so that the body is allocated once.
  private func byteCount(of outcome: ReadOutcome) -> Int {
    switch outcome {
    case .symbols: 11 + outcome.symbolByteCount + outcome.pathByteCount
    case .signedSymbols(_, _, let signature):
      11 + outcome.symbolByteCount + outcome.pathByteCount + signature.count
    case .missing: 1
    case .refused: 128
    }
  }

  func readOutcomes(
    from body: [UInt8], to items: [ReadItem]
  ) throws(WireError) -> ([ReadOutcome], load: UInt16) {
    try decoding("read batch answer") { () throws(BCSError) in
      var reader = BCSReader(body)
      try reader.readVersion(Self.readAnswerVersion, of: "read batch answer")
      let load = try reader.readUInt16()
      var remaining = items[...]
      let outcomes = try reader.readSequence(countMax: items.count) { (reader) throws(BCSError) in
        try readOutcome(from: &reader, to: remaining.removeFirst())
      }
      try reader.finish()
      guard remaining.isEmpty else {
        throw BCSError.invalidValue(
          type: "read batch answer",
          reason: "\(outcomes.count) outcomes for \(items.count) items")
      }
      return (outcomes, load)
    }
  }

  private func readOutcome(
    from reader: inout BCSReader, to item: ReadItem
  ) throws(BCSError) -> ReadOutcome {
    switch try reader.readVariant() {
    case 0 where !item.wantsSignature:
      let (bytes, paths) = try readSymbols(from: &reader, to: item)
      return .symbols(bytes: bytes, paths: paths)
    case 1: return .missing
    case 2: return .refused(try reader.read())
    case 3 where item.wantsSignature:
      let (bytes, paths) = try readSymbols(from: &reader, to: item)
      return .signedSymbols(
        bytes: bytes, paths: paths,
        signature: try reader.readFixed(StorageConfirmation.signatureByteCount))
    case let variant: throw .unknownVariant(type: "ReadOutcome", variant: variant)
    }
  }

  private func readSymbols(
    from reader: inout BCSReader, to item: ReadItem
  ) throws(BCSError) -> ([UInt8], [MerkleProof]) {
    let symbolCount = item.symbols.count
    let bytes = try reader.readBytes()
    let paths: [MerkleProof] = try reader.readArray(countMax: symbolCount)
    // Readers cut the bytes into symbols, so that a remainder would misplace them.
    guard symbolCount > 0, !bytes.isEmpty, bytes.count.isMultiple(of: symbolCount) else {
      throw .invalidValue(
        type: "ReadOutcome", reason: "\(bytes.count) bytes for \(symbolCount) symbols")
    }
    guard paths.count == (item.wantsPaths ? symbolCount : 0) else {
      throw .invalidValue(
        type: "ReadOutcome", reason: "\(paths.count) paths for \(symbolCount) symbols")
    }
    return (bytes, paths)
  }
}
