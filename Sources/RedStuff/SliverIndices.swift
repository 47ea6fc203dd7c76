// SliverIndices.swift
//
// Which pair of a blob, which sliver of it, and which shard keeps it. All are numbers below n, and
// mixing them up reads a valid but wrong sliver without any trap: hence a type for each, and the
// only conversions between them.
//
// Invariant: pair p holds primary sliver p and secondary sliver n-1-p. Pair to shard is a rotation
// of 0..<n by the blob ID that never changes for a blob.

/// The two directions of the matrix: a primary sliver is a row, a secondary one a column.
package enum SliverAxis: UInt8, Hashable, Sendable, CaseIterable {
  case primary = 0
  case secondary = 1

  package var other: SliverAxis { self == .primary ? .secondary : .primary }
}

extension SliverAxis: CustomStringConvertible {
  package var description: String { self == .primary ? "primary" : "secondary" }
}

/// One of the n sliver pairs of a blob.
package struct SliverPairIndex: Hashable, Sendable {
  package let value: UInt16

  package init(_ value: UInt16) {
    self.value = value
  }

  /// The index of this pair's sliver on `axis`; the pair must exist.
  package func sliver(_ axis: SliverAxis, shardCount: Int) -> SliverIndex {
    SliverIndex(mirrored(value, axis, shardCount: shardCount))
  }

  /// Where this pair of a blob is kept. Total: a pair beyond n wraps around.
  package func shard(of blob: BlobID, shardCount: Int) -> ShardIndex {
    shard(rotatedBy: blob.shardRotation(shardCount: shardCount), shardCount: shardCount)
  }

  /// As above, for callers that map many pairs of one blob.
  package func shard(rotatedBy rotation: Int, shardCount: Int) -> ShardIndex {
    ShardIndex(UInt16((Int(value) + rotation) % shardCount))
  }
}

/// The index of a sliver on its own axis: row or column number of the expanded matrix.
package struct SliverIndex: Hashable, Sendable {
  package let value: UInt16

  package init(_ value: UInt16) {
    self.value = value
  }

  /// The pair that holds this sliver of `axis`; the sliver must exist.
  package func pair(_ axis: SliverAxis, shardCount: Int) -> SliverPairIndex {
    SliverPairIndex(mirrored(value, axis, shardCount: shardCount))
  }
}

/// One of the n shards of a committee.
package struct ShardIndex: Hashable, Sendable {
  package let value: UInt16

  package init(_ value: UInt16) {
    self.value = value
  }

  /// Which pair of a blob this shard keeps. Total: a shard beyond n wraps around.
  package func pair(of blob: BlobID, shardCount: Int) -> SliverPairIndex {
    pair(rotatedBy: blob.shardRotation(shardCount: shardCount), shardCount: shardCount)
  }

  /// As above, for callers that map many shards of one blob.
  package func pair(rotatedBy rotation: Int, shardCount: Int) -> SliverPairIndex {
    SliverPairIndex(UInt16((shardCount + Int(value) - rotation) % shardCount))
  }
}

/// Primary indices stay, secondary ones count from the other end.
private func mirrored(_ value: UInt16, _ axis: SliverAxis, shardCount: Int) -> UInt16 {
  precondition(Int(value) < shardCount, "index \(value) does not exist among \(shardCount) shards")
  return axis == .primary ? value : UInt16(shardCount - 1) - value
}

extension SliverPairIndex: Comparable, CustomStringConvertible {
  package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
  package var description: String { "pair \(value)" }
}

extension SliverIndex: Comparable, CustomStringConvertible {
  package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
  package var description: String { "sliver \(value)" }
}

extension ShardIndex: Comparable, CustomStringConvertible {
  package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
  package var description: String { "shard \(value)" }
}

extension SliverAxis: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    self = try reader.readVariant(of: SliverAxis.self)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.writeVariant(rawValue)
  }
}

extension SliverPairIndex: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { value = try reader.readUInt16() }
  package func encode(to writer: inout BCSWriter) { writer.write(value) }
}

extension SliverIndex: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { value = try reader.readUInt16() }
  package func encode(to writer: inout BCSWriter) { writer.write(value) }
}

extension ShardIndex: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { value = try reader.readUInt16() }
  package func encode(to writer: inout BCSWriter) { writer.write(value) }
}

/// A cell of the expanded matrix: row = primary sliver, column = secondary sliver.
package struct SymbolID: Hashable, Sendable {
  package let primary: SliverIndex
  package let secondary: SliverIndex

  package init(primary: SliverIndex, secondary: SliverIndex) {
    self.primary = primary
    self.secondary = secondary
  }

  /// Two decimal numbers without leading zeros, joined by a dash.
  package init?(text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let primary = UInt16(parts[0]), let secondary = UInt16(parts[1]),
      String(primary) == parts[0], String(secondary) == parts[1]
    else { return nil }
    self.init(primary: SliverIndex(primary), secondary: SliverIndex(secondary))
  }

  package var text: String { "\(primary.value)-\(secondary.value)" }
}

extension SymbolID: CustomStringConvertible, BCSCodable {
  package var description: String { text }

  package init(from reader: inout BCSReader) throws(BCSError) {
    primary = try SliverIndex(from: &reader)
    secondary = try SliverIndex(from: &reader)
  }

  package func encode(to writer: inout BCSWriter) {
    primary.encode(to: &writer)
    secondary.encode(to: &writer)
  }
}
