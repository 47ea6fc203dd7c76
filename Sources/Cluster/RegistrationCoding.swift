// RegistrationCoding.swift
//
// A registration as the control store keeps it.
//
// | bytes  | field                                                                           |
// |--------|---------------------------------------------------------------------------------|
// | 1      | version, 01                                                                     |
// | 32     | blob ID                                                                         |
// | 32     | object ID                                                                       |
// | 8      | length of the blob                                                              |
// | 1      | 00 permanent, 01 deletable                                                      |
// | 4      | epoch of the registration                                                       |
// | 4      | end epoch                                                                       |
// | 8      | registered at, milliseconds since 1970                                          |
// | 8      | certify by, milliseconds since 1970                                             |
// | 1 +    | 00 registered; 01 certified: epoch u32, LEB128 length, certificate; 02 ended:   |
// |        | 00 deleted, 01 expired, 02 abandoned                                            |

package import RedStuff

extension Registration: BCSCodable {
  package static let version: UInt8 = 1

  package init(decoding bytes: [UInt8]) throws(BCSError) { try self.init(bcs: bytes) }

  package func encoded() -> [UInt8] { bcsBytes }

  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "Registration")
    self.init(
      blob: try reader.read(), object: try reader.read(), byteCount: try reader.readUInt64(),
      persistence: try reader.read(), registeredEpoch: try reader.readUInt32(),
      endEpoch: try reader.readUInt32(), registeredAtMilliseconds: try reader.readUInt64(),
      certifyByMilliseconds: try reader.readUInt64(), state: try reader.read())
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(blob)
    writer.write(object)
    writer.write(byteCount)
    writer.write(persistence)
    writer.write(registeredEpoch)
    writer.write(endEpoch)
    writer.write(registeredAtMilliseconds)
    writer.write(certifyByMilliseconds)
    writer.write(state)
  }
}

extension Persistence: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    switch try reader.readVariant() {
    case 0: self = .permanent
    case 1: self = .deletable
    case let variant: throw .unknownVariant(type: "Persistence", variant: variant)
    }
  }

  package func encode(to writer: inout BCSWriter) {
    switch self {
    case .permanent: writer.writeVariant(0 as UInt8)
    case .deletable: writer.writeVariant(1 as UInt8)
    }
  }
}

extension RegistrationState: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    switch try reader.readVariant() {
    case 0: self = .registered
    case 1:
      self = .certified(
        epoch: try reader.readUInt32(),
        certificate: try reader.readBytes(countMax: Certificate.byteCountMax))
    case 2: self = .ended(try reader.readVariant(of: RegistrationEnd.self))
    case let variant: throw .unknownVariant(type: "RegistrationState", variant: variant)
    }
  }

  package func encode(to writer: inout BCSWriter) {
    switch self {
    case .registered:
      writer.writeVariant(0 as UInt8)
    case .certified(let epoch, let certificate):
      writer.writeVariant(1 as UInt8)
      writer.write(epoch)
      writer.writeBytes(certificate)
    case .ended(let end):
      writer.writeVariant(2 as UInt8)
      writer.writeVariant(end.rawValue)
    }
  }
}
