// Fixture.swift
//
// One small blob with everything that belongs to it: what a decoder accepts is held against it. A
// hash cannot be forged, so that whatever passes a check against the metadata must be the truth.

import RedStuff

struct Fixture: Sendable {
  let parameters: EncodingParameters
  let bytes: [UInt8]
  let blob: EncodedBlob
  /// Symbols of the expanded matrix, row by row.
  let symbols: [[[UInt8]]]

  var metadata: VerifiedBlobMetadata { blob.metadata }
  var n: Int { parameters.shardCount }

  /// n = 7, symbols of 14 bytes.
  static let shared = Result { try Fixture() }

  private init() throws {
    parameters = try EncodingParameters(shardCount: 7)
    bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 * $0 + 3 * $0 + 1) }
    blob = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
    symbols = try (UInt16(0)..<7).map { [blob, parameters] row in
      let expanded = try blob.sliver(.primary, SliverIndex(row)).expanded(parameters: parameters)
      return (0..<7).map { Array(expanded.symbol(at: $0)) }
    }
  }

  var indices: [SliverIndex] { (0..<n).map { SliverIndex(UInt16($0)) } }

  func slivers(_ axis: SliverAxis) -> [Sliver] { indices.map { blob.sliver(axis, $0) } }

  func expanded(_ axis: SliverAxis, _ index: UInt16) throws -> ExpandedSliver {
    try blob.sliver(axis, SliverIndex(index)).expanded(parameters: parameters)
  }

  /// The symbol where a sliver of `axis` crosses one of the other axis.
  func symbol(_ axis: SliverAxis, _ index: SliverIndex, crossing other: SliverIndex) -> [UInt8] {
    let (row, column) = axis == .primary ? (index, other) : (other, index)
    return symbols[Int(row.value)][Int(column.value)]
  }
}

/// Takes the whole of `bytes` as one value, which must be their only form, and asks on.
func canonical<Value: BCSCodable & Equatable>(
  _: Value.Type, _ bytes: [UInt8], _ isAccepted: (Value) throws -> Bool = { _ in true }
) throws -> Verdict {
  guard let value = try? Value(bcs: bytes) else { return .refused }
  try require(value.bcsBytes == bytes, "\(Value.self): other bytes come back")
  return Verdict(isAccepted: try isAccepted(value))
}

/// The seed of one kind of input: a byte that names it, and a value.
func seed(_ kind: UInt8, _ value: some BCSCodable) -> [UInt8] { [kind] + value.bcsBytes }
