// CommitteeCoding.swift
//
// A member of a committee as the control store keeps it. Strings are a length and UTF-8.
//
// | bytes   | field                                  |
// |---------|----------------------------------------|
// | 1       | version, 01                            |
// | 2       | node                                   |
// | string  | name                                   |
// | 1-5 +   | LEB128 length, Ed25519 public key      |
// | string  | address                                |
// | 4 strings | region, zone, rack, host             |
// | 4       | first shard                            |
// | 4       | end of the shards (exclusive)          |

package import RedStuff

extension CommitteeMember: BCSCodable {
  package static let version: UInt8 = 1
  /// For names, addresses and labels: longer than any host name (253); bounds the record. Whoever
  /// takes them from people checks it.
  package static let textByteCountMax = 1024

  package init(decoding bytes: [UInt8]) throws(BCSError) { try self.init(bcs: bytes) }

  package func encoded() -> [UInt8] { bcsBytes }

  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "CommitteeMember")
    id = try reader.read()
    name = try reader.readString(byteCountMax: Self.textByteCountMax)
    publicKey = try reader.readBytes(countMax: NodeSigner.keyByteCount)
    address = try reader.readString(byteCountMax: Self.textByteCountMax)
    topology = Topology(
      region: try reader.readString(byteCountMax: Self.textByteCountMax),
      zone: try reader.readString(byteCountMax: Self.textByteCountMax),
      rack: try reader.readString(byteCountMax: Self.textByteCountMax),
      host: try reader.readString(byteCountMax: Self.textByteCountMax))
    let first = Int(try reader.readUInt32())
    let end = Int(try reader.readUInt32())
    guard first <= end else {
      throw .invalidValue(type: "CommitteeMember", reason: "shards from \(first) to \(end)")
    }
    shards = first..<end
  }

  /// Shards are not negative; texts and key are within the limits above.
  package func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(id)
    writer.write(name)
    writer.writeBytes(publicKey)
    writer.write(address)
    for label in [topology.region, topology.zone, topology.rack, topology.host] {
      writer.write(label)
    }
    writer.write(UInt32(shards.lowerBound))
    writer.write(UInt32(shards.upperBound))
  }
}
