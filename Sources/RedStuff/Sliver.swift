// Sliver.swift
//
// One row (primary) or column (secondary) of a blob's matrix: what a shard keeps.
//
// A sliver read from outside is only a claim: nothing but its symbol size being nonzero is checked
// until `verify(against:)`, so its byte count need not be a multiple of its symbol size.
//
// | bytes    | field                                             |
// |----------|---------------------------------------------------|
// | 1        | axis, 00 primary or 01 secondary (enum form only) |
// | LEB128   | number of bytes                                   |
// | that many| the symbols, one after the other                  |
// | 2        | symbol size, not zero                             |
// | 2        | sliver index on its own axis                      |

/// A sliver and its place in the matrix.
package struct Sliver: Hashable, Sendable {
  package let axis: SliverAxis
  package let index: SliverIndex
  package let symbolByteCount: Int
  package let bytes: [UInt8]

  /// `symbolByteCount` is in 1...65535.
  package init(axis: SliverAxis, index: SliverIndex, symbolByteCount: Int, bytes: [UInt8]) {
    precondition((1...Int(UInt16.max)).contains(symbolByteCount))
    self.axis = axis
    self.index = index
    self.symbolByteCount = symbolByteCount
    self.bytes = bytes
  }

  /// The form without the axis, where both sides know it.
  package init(axis: SliverAxis, dataFrom reader: inout BCSReader) throws(BCSError) {
    let bytes = try reader.readBytes()
    let symbolByteCount = Int(try reader.readUInt16())
    guard symbolByteCount > 0 else {
      throw .invalidValue(type: "Sliver", reason: "the symbol size is 0")
    }
    self.axis = axis
    self.bytes = bytes
    self.symbolByteCount = symbolByteCount
    index = try reader.read()
  }

  package init(axis: SliverAxis, bcsData bytes: [UInt8]) throws(BCSError) {
    var reader = BCSReader(bytes)
    try self.init(axis: axis, dataFrom: &reader)
    try reader.finish()
  }

  package func encodeData(to writer: inout BCSWriter) {
    writer.writeBytes(bytes)
    writer.write(UInt16(symbolByteCount))
    writer.write(index)
  }

  /// The form without the axis.
  package var bcsDataBytes: [UInt8] {
    var writer = BCSWriter(reservingCapacity: bytes.count + 9)
    encodeData(to: &writer)
    return writer.bytes
  }
}

extension Sliver: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    let axis: SliverAxis = try reader.read()
    try self.init(axis: axis, dataFrom: &reader)
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(axis)
    encodeData(to: &writer)
  }
}

/// Both slivers of a pair.
package struct SliverPair: Hashable, Sendable {
  package let primary: Sliver
  package let secondary: Sliver

  package init(primary: Sliver, secondary: Sliver) {
    precondition(primary.axis == .primary && secondary.axis == .secondary)
    self.primary = primary
    self.secondary = secondary
  }
}

extension SliverPair: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    primary = try Sliver(axis: .primary, dataFrom: &reader)
    secondary = try Sliver(axis: .secondary, dataFrom: &reader)
  }

  package func encode(to writer: inout BCSWriter) {
    primary.encodeData(to: &writer)
    secondary.encodeData(to: &writer)
  }
}
