// BlobTargets.swift
//
// Metadata and slivers.

import RedStuff

extension FuzzTarget {
  static let metadata = FuzzTarget("metadata") {
    let fixture = try Fixture.shared.get()
    let four = try BlobEncoder.encodeSerially(
      [1], parameters: EncodingParameters(shardCount: 4))
    return [
      seed(0, fixture.metadata.metadata), seed(1, fixture.metadata.withID),
      seed(0, four.metadata.metadata), seed(1, four.metadata.withID),
    ]
  } check: { bytes in
    var input = FuzzInput(bytes)
    switch input.below(2) {
    case 0: return try canonical(BlobMetadata.self, input.remainder(), checkMetadata)
    default:
      return try canonical(BlobMetadataWithID.self, input.remainder()) { claim in
        guard
          let parameters = try? EncodingParameters(shardCount: claim.metadata.shardCount),
          let verified = try? claim.verified(parameters: parameters)
        else { return false }
        try require(
          verified.blobID == claim.metadata.computedBlobID && verified.withID == claim,
          "verified metadata of another blob")
        return true
      }
    }
  }

  private static func checkMetadata(_ metadata: BlobMetadata) throws -> Bool {
    let n = metadata.shardCount
    for index in (0..<n).map({ SliverIndex(UInt16($0)) }) {
      let mirrored = n - 1 - Int(index.value)
      try require(
        metadata.hash(of: .primary, at: index) == metadata.hashes[Int(index.value)].primary
          && metadata.hash(of: .secondary, at: index) == metadata.hashes[mirrored].secondary,
        "the hash of \(index) is another's")
    }
    if n <= Int(UInt16.max) {
      try require(metadata.hash(of: .primary, at: SliverIndex(UInt16(n))) == nil, "a hash beyond n")
    }
    guard let parameters = try? EncodingParameters(shardCount: n) else { return false }
    let blobID = metadata.computedBlobID
    var other = blobID.bytes
    other[31] ^= 1
    if let otherID = BlobID(bytes: other) {
      try require(
        (try? VerifiedBlobMetadata(metadata, of: otherID, parameters: parameters)) == nil,
        "verified against another blob ID")
    }
    guard
      let verified = try? VerifiedBlobMetadata(metadata, of: blobID, parameters: parameters)
    else {
      try require(
        metadata.blobByteCount > parameters.blobByteCountMax, "refused its own blob ID")
      return false
    }
    let s = verified.symbolByteCount
    try require(
      (2...EncodingParameters.symbolByteCountMax).contains(s) && s.isMultiple(of: 2)
        && UInt64(s * parameters.sourceSymbolCount) >= verified.blobByteCount,
      "a symbol size of \(s)")
    return true
  }

  static let slivers = FuzzTarget("slivers") {
    let fixture = try Fixture.shared.get()
    let (row, column) = (
      fixture.blob.sliver(.primary, SliverIndex(2)), fixture.blob.sliver(.secondary, SliverIndex(6))
    )
    return [
      seed(0, row), seed(0, column), [1] + row.bcsDataBytes, [2] + column.bcsDataBytes,
      seed(3, fixture.blob.pair(SliverPairIndex(1))),
    ]
  } check: { bytes in
    let fixture = try Fixture.shared.get()
    var input = FuzzInput(bytes)
    switch input.below(4) {
    case 0: return try canonical(Sliver.self, input.remainder()) { try check($0, in: fixture) }
    case 3:
      return try canonical(SliverPair.self, input.remainder()) { pair in
        let primary = try check(pair.primary, in: fixture)
        return try check(pair.secondary, in: fixture) && primary
      }
    case let kind:
      let data = input.remainder()
      let axis: SliverAxis = kind == 1 ? .primary : .secondary
      guard let sliver = try? Sliver(axis: axis, bcsData: data) else { return .refused }
      try require(sliver.bcsDataBytes == data, "other bytes come back")
      return Verdict(isAccepted: try check(sliver, in: fixture))
    }
  }

  private static func check(_ sliver: Sliver, in fixture: Fixture) throws -> Bool {
    let isTrue =
      Int(sliver.index.value) < fixture.n
      && sliver == fixture.blob.sliver(sliver.axis, sliver.index)
    let honest = fixture.slivers(sliver.axis)
    let failures = Sliver.failures([honest[3], sliver, honest[0]], against: fixture.metadata)
    try require(
      failures[0] == nil && failures[2] == nil && (failures[1] == nil) == isTrue,
      "\(isTrue ? "true" : "false") sliver: \(failures)")
    try require(
      ((try? sliver.verify(against: fixture.metadata)) != nil) == isTrue, "alone it is judged else")

    if let expanded = try? sliver.expanded(parameters: fixture.parameters) {
      for index in fixture.indices {
        let alone = try sliver.symbol(crossing: index, parameters: fixture.parameters)
        try require(alone[...] == expanded.symbol(at: Int(index.value)), "symbol \(index) differs")
      }
    } else {
      try require(!isTrue, "a true sliver has no shape")
    }
    // First in line, so that it is taken wherever its shape fits.
    let decoded = try? BlobDecoder.decodeSerially(
      [sliver] + honest, axis: sliver.axis, metadata: fixture.metadata, check: .strict)
    if let decoded { try require(decoded.bytes == fixture.bytes, "another blob was decoded") }
    try require(decoded != nil || !isTrue, "the blob was not decoded")
    return isTrue
  }
}
