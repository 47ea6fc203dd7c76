// Identifiers.swift
//
// The numbers and names by which parts of a cluster know each other. One type each: a node number
// where a shard number is meant compiles nowhere.

package import RedStuff

/// A storage node's number, unique in its cluster and never used again.
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let value: UInt16

  package init(_ value: UInt16) { self.value = value }

  package static func < (left: NodeID, right: NodeID) -> Bool { left.value < right.value }
  package var description: String { "node \(value)" }
}

/// 32 random bytes that name a cluster. They stand in everything that is signed or stored, so that
/// two clusters can never mistake each other's data.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  /// 64 hex digits.
  package init?(hex text: some StringProtocol) {
    guard text.utf8.count == 64, let bytes = [UInt8](hex: text) else { return nil }
    self.bytes = bytes
  }

  package var description: String { bytes.hex }
}

/// 32 random bytes that name one registration of a blob; text form `0x` and 64 hex digits.
package struct ObjectID: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  package init?(text: some StringProtocol) {
    guard text.utf8.count == 66, text.hasPrefix("0x"), let bytes = [UInt8](hex: text.dropFirst(2))
    else { return nil }
    self.bytes = bytes
  }

  package static func < (left: ObjectID, right: ObjectID) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
  package var description: String { "0x" + bytes.hex }
}

package typealias Epoch = UInt32

/// The end of what has no end.
package let epochWithoutEnd = Epoch.max

/// A point in the history of the control store; only grows.
package struct Revision: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let value: UInt64

  package init(_ value: UInt64) { self.value = value }

  package static let start = Revision(0)
  package static func < (left: Revision, right: Revision) -> Bool { left.value < right.value }
  package var description: String { "revision \(value)" }
}

/// Lower-case digits; RedStuff's text form under the name that reads best at its call.
package func hexEncoded(_ bytes: [UInt8]) -> String { bytes.hex }

/// Digits of either case, an even number of them.
package func hexDecoded(_ text: some StringProtocol) -> [UInt8]? { [UInt8](hex: text) }

extension NodeID: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { value = try reader.readUInt16() }
  package func encode(to writer: inout BCSWriter) { writer.write(value) }
}

extension ClusterID: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { bytes = try reader.readFixed(32) }
  package func encode(to writer: inout BCSWriter) { writer.writeFixed(bytes) }
}

extension ObjectID: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) { bytes = try reader.readFixed(32) }
  package func encode(to writer: inout BCSWriter) { writer.writeFixed(bytes) }
}
