// RegistryKeys.swift
//
// Where everything stands in the control store. Numbers in keys are big-endian, so that the order of
// keys is the order of time; values start with a version byte (RegistryRecords.swift).
//
//   key                                          value            present
//   cluster/description                          description      always
//   cluster/epoch                                epoch            always
//   registration/ blob (32) object (32)          registration     until removed after its end
//   object/ object (32)                          blob (32)        as long as the registration
//   deadline/ milliseconds (8) blob object       empty            while not certified and living
//   expiry/ end epoch (4) blob object            empty            while living, if it has an end
//   ended/ milliseconds (8) blob object          empty            once ended
//
// So the registrations of a blob are one range, and so are all that are due: deadlines and grace
// periods up to a time, ends up to an epoch.
//
// Invariant: the last four kinds follow from the registration alone (`indexEntries`), and change in
// its transaction. If they did not, a registration would never be abandoned, expired or removed.

package import Cluster
package import RedStuff

/// A range of keys with bounds as `ControlStore.range` takes them.
struct KeyRange: Equatable {
  var lower: [UInt8]
  var upper: [UInt8]
}

/// The first key after all keys that start with `prefix`, whose last byte is not 255.
private func end(of prefix: [UInt8]) -> [UInt8] {
  var upper = prefix
  while let last = upper.popLast() {
    if last < 255 { return upper + [last + 1] }
  }
  return [255]
}

/// The key right after `key`.
func successor(of key: [UInt8]) -> [UInt8] { key + [0] }

enum RegistryKeys {
  static let cluster = range(of: Array("cluster/".utf8))
  static let description = Array("cluster/description".utf8)
  static let epoch = Array("cluster/epoch".utf8)
  static let registrationPrefix = Array("registration/".utf8)

  private static let object = Array("object/".utf8)
  private static let deadline = Array("deadline/".utf8)
  private static let expiry = Array("expiry/".utf8)
  private static let ended = Array("ended/".utf8)

  static func range(of prefix: [UInt8]) -> KeyRange {
    KeyRange(lower: prefix, upper: end(of: prefix))
  }

  static func registration(_ key: RegistrationKey) -> [UInt8] { registrationPrefix + key.bytes }

  static var registrations: KeyRange { range(of: registrationPrefix) }

  static func registrations(of blob: BlobID) -> KeyRange {
    range(of: registrationPrefix + blob.bytes)
  }

  /// All registrations of all blobs after `blob`.
  static func registrations(after blob: BlobID?) -> KeyRange {
    var all = registrations
    if let blob { all.lower = registrations(of: blob).upper }
    return all
  }

  static func object(_ id: ObjectID) -> [UInt8] { object + id.bytes }

  static func deadline(_ milliseconds: UInt64, _ key: RegistrationKey) -> [UInt8] {
    deadline + bigEndian(milliseconds) + key.bytes
  }

  static func expiry(_ epoch: Epoch, _ key: RegistrationKey) -> [UInt8] {
    expiry + bigEndian(epoch) + key.bytes
  }

  static func ended(_ milliseconds: UInt64, _ key: RegistrationKey) -> [UInt8] {
    ended + bigEndian(milliseconds) + key.bytes
  }

  static var deadlines: KeyRange { range(of: deadline) }

  static func deadlines(upTo milliseconds: UInt64) -> KeyRange {
    KeyRange(lower: deadline, upper: end(of: deadline + bigEndian(milliseconds)))
  }

  static func expiries(upTo epoch: Epoch) -> KeyRange {
    KeyRange(lower: expiry, upper: end(of: expiry + bigEndian(epoch)))
  }

  static func ended(upTo milliseconds: UInt64) -> KeyRange {
    KeyRange(lower: ended, upper: end(of: ended + bigEndian(milliseconds)))
  }

  private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: value.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> $0)
    }
  }
}

/// The name of a registration within the registry, in the order of its keys.
package struct RegistrationKey: Hashable, Comparable, Sendable {
  package var blob: BlobID
  package var object: ObjectID

  package init(blob: BlobID, object: ObjectID) {
    self.blob = blob
    self.object = object
  }

  /// From the last 64 bytes of a key; all keys that name a registration end with them.
  init?(endOf key: [UInt8]) {
    guard key.count >= 64,
      let blob = BlobID(bytes: Array(key[(key.count - 64)..<(key.count - 32)])),
      let object = ObjectID(Array(key.suffix(32)))
    else { return nil }
    self.init(blob: blob, object: object)
  }

  var bytes: [UInt8] { blob.bytes + object.bytes }

  package static func < (left: RegistrationKey, right: RegistrationKey) -> Bool {
    left.blob == right.blob ? left.object < right.object : left.blob < right.blob
  }
}
