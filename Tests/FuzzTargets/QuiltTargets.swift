// QuiltTargets.swift
//
// Quilts: whoever stored one decides what is in it, and its hashes only say that he did.

import RedStuff

/// A quilt of five patches at n = 10, some with tags.
private struct QuiltFixture {
  let parameters: EncodingParameters
  let patches: [QuiltPatch]
  let built: BuiltQuilt

  static let shared = Result { try QuiltFixture() }

  private init() throws {
    parameters = try EncodingParameters(shardCount: 10)
    patches = try (0..<5).map { number in
      QuiltPatch(
        identifier: try QuiltIdentifier("patch-\(number)"),
        tags: number.isMultiple(of: 2)
          ? .none
          : try QuiltTags([QuiltTag(name: "n", value: "\(number)"), QuiltTag(name: "ü", value: "")]
          ),
        data: .init(repeating: UInt8(number), count: 9 * number))
    }
    built = try BuiltQuilt(patches, parameters: parameters)
  }
}

extension FuzzTarget {
  /// A byte for the kind and the symbol size, then an index stream or the metadata of a quilt.
  static let quiltIndex = FuzzTarget("quilt-index") {
    let quilt = try QuiltFixture.shared.get()
    let encoded = try BlobEncoder.encodeSerially(quilt.built.blob, parameters: quilt.parameters)
    let metadata = QuiltMetadata(
      quilt: encoded.blobID, metadata: encoded.metadata.metadata, index: quilt.built.index)
    return [
      [UInt8(quilt.built.shape.symbolByteCount / 2)] + quilt.built.index.streamBytes,
      seed(0, metadata),
    ]
  } check: { bytes in
    let quilt = try QuiltFixture.shared.get()
    var input = FuzzInput(bytes)
    let half = input.below(64)
    guard half > 0 else {
      return try canonical(QuiltMetadata.self, input.remainder()) {
        try checkColumns(of: $0.index, columnCount: $0.metadata.shardCount)
        return true
      }
    }
    let stream = input.remainder()
    let shape = QuiltShape(parameters: quilt.parameters, symbolByteCount: 2 * half)
    guard let index = try? QuiltIndex(stream: stream, shape: shape) else { return .refused }
    let again = index.streamBytes
    try require(again[...] == stream.prefix(again.count), "another index comes back")
    try require(
      try QuiltIndex.streamByteCount(announcedBy: Array(stream.prefix(5)), shape: shape)
        == again.count, "another length was announced")
    try checkColumns(of: index, columnCount: shape.columnCount)
    try require(
      index.entries.first.map {
        $0.columns.lowerBound == shape.columnCount(forStreamOf: again.count)
      } ?? true, "the first patch does not follow the index")
    for entry in index.entries {
      let first = index.entry(identifiedBy: entry.identifier)
      try require(first?.identifier == entry.identifier, "\(entry.identifier) is not found")
      for tag in entry.tags.tags {
        let found = index.entries(taggedBy: tag.name, value: tag.value)
        try require(found.contains(entry), "\(entry.identifier) is not found by its tag")
      }
    }
    return .accepted
  }

  private static func checkColumns(of index: QuiltIndex, columnCount: Int) throws {
    for (left, right) in zip(index.entries, index.entries.dropFirst()) {
      try require(left.columns.upperBound == right.columns.lowerBound, "columns with a gap")
    }
    try require(
      index.entries.allSatisfy { !$0.columns.isEmpty && $0.columns.upperBound <= columnCount },
      "columns that there are not")
  }

  /// The bytes of the columns of one patch.
  static let quiltPatches = FuzzTarget("quilt-patches") {
    let patches = try QuiltFixture.shared.get().patches
    return patches.map { $0.header.bytes + $0.data + [0, 0, 0] }
  } check: { bytes in
    let header = try? QuiltPatchHeader(bytes, columnsByteCount: bytes.count)
    guard let patch = try? QuiltPatch(columns: bytes) else {
      try require(header == nil, "a patch with a good header is refused")
      return .refused
    }
    guard let header else { throw Violation(description: "a patch without a header") }
    // The stream is version, length, mask, and as many bytes as the length says: data are its end.
    let length = bytes[1..<5].reversed().reduce(0) { $0 << 8 | Int($1) }
    try require(
      patch.data.count == header.dataByteCount && header.streamByteCount == 6 + length
        && patch.data[...] == bytes[..<(6 + length)].suffix(header.dataByteCount),
      "other data of \(patch.identifier)")
    try require(
      header.identifier == patch.identifier && header.tags == patch.tags, "another header")
    let alone = try QuiltPatchHeader(
      Array(bytes.prefix(header.byteCount)), columnsByteCount: bytes.count)
    try require(alone == header, "the header alone reads differently")
    let again = try QuiltPatch(columns: patch.header.bytes + patch.data)
    try require(again == patch, "another patch comes back")
    return .accepted
  }

  /// A whole quilt at n = 10, filled up with zeros to whole symbols.
  static let quilts = FuzzTarget("quilts") {
    [try QuiltFixture.shared.get().built.blob]
  } check: { bytes in
    let parameters = try QuiltFixture.shared.get().parameters
    let unit = 2 * parameters.sourceSymbolCount
    let missing = (unit - bytes.count % unit) % unit
    let blob = bytes + [UInt8](repeating: 0, count: bytes.isEmpty ? unit : missing)
    guard let reader = try? QuiltReader(blob, parameters: parameters) else { return .refused }
    try checkColumns(of: reader.index, columnCount: reader.shape.columnCount)
    let s = reader.shape.symbolByteCount
    var isAccepted = true
    for entry in reader.index.entries {
      // The same from the columns alone, put together symbol by symbol.
      let columns = entry.columns.flatMap { column in
        (0..<reader.shape.rowCount).flatMap { row in
          let start = (row * reader.shape.columnCount + column) * s
          return blob[start..<start + s]
        }
      }
      let patch = try? reader.patch(entry)
      if let patch {
        try require((try? QuiltPatch(columns: columns)) == patch, "the columns say otherwise")
        try require(
          patch.identifier == entry.identifier && patch.tags == entry.tags, "not what was asked for"
        )
      }
      isAccepted = isAccepted && patch != nil
    }
    return Verdict(isAccepted: isAccepted)
  }

  static let quiltNames = FuzzTarget("quilt-names", inputByteCountMax: 512) {
    let quilt = try QuiltFixture.shared.get()
    let id = QuiltPatchID(quilt: try Fixture.shared.get().blob.blobID, columns: 1..<4)
    return [
      [0] + id.bytes, [1] + Array(id.text.utf8), seed(2, quilt.patches[1].identifier),
      seed(3, quilt.patches[1].tags), seed(3, QuiltTags.none),
    ]
  } check: { bytes in
    var input = FuzzInput(bytes)
    let kind = input.below(4)
    let body = input.remainder()
    switch kind {
    case 0:
      guard let id = try? QuiltPatchID(bytes: body) else { return .refused }
      try require(id.bytes == body && (try? QuiltPatchID(text: id.text)) == id, "another ID")
      return .accepted
    case 1:
      let text = String(decoding: body, as: UTF8.self)
      guard let id = try? QuiltPatchID(text: text) else { return .refused }
      try require(id.text == text, "another text comes back")
      return .accepted
    case 2:
      return try canonical(QuiltIdentifier.self, body) { identifier in
        try require((try? QuiltIdentifier(identifier.text)) == identifier, "writers refuse it")
        return true
      }
    default:
      return try canonical(QuiltTags.self, body) { tags in
        let again = try? QuiltTags(tags.tags.reversed())
        try require(again == tags, "writers make other tags of them")
        for tag in tags.tags {
          try require(tags[tag.name] == tag.value, "\(tag.name) is not found")
        }
        return true
      }
    }
  }
}
