// NodeMessageCodec+Bodies.swift
//
// The binary bodies of the reference's requests, from bytes to values, with the refusal that the
// reference gives for each fault.

internal import RedStuff

extension NodeMessageCodec {
  /// Of the two hashes of a pair when neither is empty.
  static let hashesByteCount = 66

  func metadata(fromBodyOf wire: WireRequest) throws(NodeFailure) -> BlobMetadata {
    try wire.requireBinaryBody()
    let byteCountMax = 13 + Self.hashesByteCount * parameters.shardCount
    guard wire.body.count <= byteCountMax else {
      throw NodeFailure(
        .invalidContentType,
        "the metadata has \(wire.body.count) bytes, with \(parameters.shardCount) pairs it has at "
          + "most \(byteCountMax)")
    }
    let metadata: BlobMetadata
    do {
      metadata = try BlobMetadata(bcs: wire.body)
    } catch .unknownVariant(type: "EncodingType", let variant) {
      throw NodeFailure(
        .unsupportedEncodingType,
        "encoding type \(variant), known is \(EncodingParameters.encodingType)")
    } catch {
      throw NodeFailure(.invalidContentType, "the body is no metadata: \(error)")
    }
    try check(metadata)
    return metadata
  }

  /// Only what keeps later arithmetic from failing: the hashes are the node's to check.
  func check(_ metadata: BlobMetadata) throws(NodeFailure) {
    guard metadata.hashes.count == parameters.shardCount else {
      throw NodeFailure(
        .invalidMetadata,
        "metadata of \(metadata.hashes.count) pairs, the committee has \(parameters.shardCount)")
    }
    guard metadata.blobByteCount <= parameters.blobByteCountMax else {
      throw NodeFailure(
        .invalidMetadata,
        "a blob of \(metadata.blobByteCount) bytes, the longest has \(parameters.blobByteCountMax)")
    }
  }

  func sliver(_ axis: SliverAxis, fromBodyOf wire: WireRequest) throws(NodeFailure) -> Sliver {
    try wire.requireBinaryBody()
    // The reference's bound: the longest sliver and generous room for its fields.
    let byteCountMax = parameters.sliverByteCountMax + 128
    guard wire.body.count <= byteCountMax else {
      throw NodeFailure(
        .requestTooLarge, "the sliver has \(wire.body.count) bytes, at most \(byteCountMax) exist")
    }
    let sliver: Sliver
    do {
      sliver = try Sliver(axis: axis, bcsData: wire.body)
    } catch {
      throw NodeFailure(.invalidContentType, "the body is no sliver: \(error)")
    }
    try checkBelowN(sliver.index.value, .sliverIndexMismatch)
    return sliver
  }

  func inconsistencyProof(
    _ axis: SliverAxis, fromBodyOf wire: WireRequest
  ) throws(NodeFailure) -> InconsistencyProof {
    try wire.requireBinaryBody()
    let proof: InconsistencyProof
    do {
      var reader = BCSReader(wire.body)
      proof = InconsistencyProof(
        targetAxis: axis, targetIndex: try reader.read(),
        // Evidence is as many symbols as decode a sliver, fewer than n.
        symbols: try reader.readArray(countMax: parameters.shardCount))
      try reader.finish()
    } catch {
      throw NodeFailure(.invalidContentType, "the body is no inconsistency proof: \(error)")
    }
    try checkBelowN(proof.targetIndex.value, .invalidProof)
    for symbol in proof.symbols { try checkBelowN(symbol.symbol.sourceIndex.value, .invalidProof) }
    return proof
  }
}
