// EncodingParameters.swift
//
// The shape of the code for a committee of n shards: how many source symbols a row and a column
// hold, and how long a symbol is for a blob of a given length. Every node and client must compute
// the same numbers, or their slivers do not fit together.
//
// n = number of shards, f = shards that may be lost or lying, k1 = symbols in a secondary sliver
// (rows of the message matrix), k2 = symbols in a primary sliver (columns of it).

/// Why a blob or a committee cannot be encoded.
package enum EncodingParametersError: Error, Equatable {
  /// Choose a shard count within `EncodingParameters.shardCountMin ... shardCountMax`.
  case shardCountUnsupported(shardCount: Int)
  /// Split the blob; no symbol size fits it.
  case blobTooLarge(byteCount: UInt64, byteCountMax: UInt64)
}

/// The numbers that follow from the shard count.
package struct EncodingParameters: Hashable, Sendable {
  /// Below four shards there are no repair symbols at all.
  package static let shardCountMin = 4
  /// Above this the field of 65536 elements has too few points for the code on one of the axes.
  package static let shardCountMax = 49_155
  /// Symbol sizes are even, because a field element takes two bytes.
  package static let symbolByteAlignment = 2
  /// The largest even number that fits a 16-bit symbol size.
  package static let symbolByteCountMax = 65_534
  /// The only encoding in use: RedStuff over Reed-Solomon ("RS2").
  package static let encodingType: UInt8 = 1

  /// n: shards, sliver pairs, and symbols in an expanded row or column.
  package let shardCount: Int
  /// f: shards that may be lost or lying.
  package let faultyShardCountMax: Int
  /// k1: rows of the message matrix; that many primary slivers rebuild a blob.
  package let primarySourceCount: Int
  /// k2: columns of the message matrix; that many secondary slivers rebuild a blob.
  package let secondarySourceCount: Int

  package init(shardCount: Int) throws(EncodingParametersError) {
    guard (Self.shardCountMin...Self.shardCountMax).contains(shardCount) else {
      throw .shardCountUnsupported(shardCount: shardCount)
    }
    let f = (shardCount - 1) / 3
    self.init(
      shardCount: shardCount, faultyShardCountMax: f,
      primarySourceCount: shardCount - 2 * f, secondarySourceCount: shardCount - f)
  }

  /// Any shape at all; tests use shapes that no committee has.
  init(
    shardCount: Int, faultyShardCountMax: Int, primarySourceCount: Int, secondarySourceCount: Int
  ) {
    precondition(primarySourceCount > 0 && primarySourceCount < shardCount)
    precondition(secondarySourceCount > 0 && secondarySourceCount < shardCount)
    self.shardCount = shardCount
    self.faultyShardCountMax = faultyShardCountMax
    self.primarySourceCount = primarySourceCount
    self.secondarySourceCount = secondarySourceCount
  }

  /// k1 * k2: cells of the message matrix.
  package var sourceSymbolCount: Int { primarySourceCount * secondarySourceCount }

  /// The longest blob that this committee can hold.
  package var blobByteCountMax: UInt64 {
    UInt64(sourceSymbolCount) * UInt64(Self.symbolByteCountMax)
  }

  /// The longest sliver of either axis.
  package var sliverByteCountMax: Int { secondarySourceCount * Self.symbolByteCountMax }

  /// Two hashes per pair plus a blob ID: the pricing formula, not the serialised size.
  package var pricedMetadataByteCount: Int { 64 * shardCount + 32 }

  /// Slivers of `axis` that rebuild the blob, which is also the count of source symbols in the
  /// code along that axis.
  package func sourceCount(_ axis: SliverAxis) -> Int {
    axis == .primary ? primarySourceCount : secondarySourceCount
  }

  /// Symbols in a sliver of `axis`: k2 in a primary, k1 in a secondary one.
  package func symbolCount(inSliverOf axis: SliverAxis) -> Int {
    sourceCount(axis.other)
  }

  package func sliverByteCount(_ axis: SliverAxis, symbolByteCount: Int) -> Int {
    symbolCount(inSliverOf: axis) * symbolByteCount
  }

  /// s, the bytes in each symbol of a blob of `byteCount` bytes.
  package func symbolByteCount(forBlobOf byteCount: UInt64) throws(EncodingParametersError) -> Int {
    guard byteCount <= blobByteCountMax else {
      throw .blobTooLarge(byteCount: byteCount, byteCountMax: blobByteCountMax)
    }
    return symbolByteCount(forBlobOf: byteCount, alignment: Self.symbolByteAlignment)
  }

  /// The same for a code whose symbols are a multiple of `alignment` bytes. The blob is not above the
  /// limit, so nothing overflows.
  func symbolByteCount(forBlobOf byteCount: UInt64, alignment: Int) -> Int {
    let cells = UInt64(sourceSymbolCount)
    let needed = Int((max(byteCount, 1) + cells - 1) / cells)
    return (needed + alignment - 1) / alignment * alignment
  }

  /// Bytes over all shards that the system charges for a blob of `byteCount` bytes.
  package func encodedByteCount(forBlobOf byteCount: UInt64) throws(EncodingParametersError)
    -> UInt64
  {
    let s = try symbolByteCount(forBlobOf: byteCount)
    let perPair = (primarySourceCount + secondarySourceCount) * s + pricedMetadataByteCount
    return UInt64(shardCount) * UInt64(perPair)
  }
}
