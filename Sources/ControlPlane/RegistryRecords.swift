// RegistryRecords.swift
//
// The values of the control store, and the transaction that takes a registration from one to the
// next together with its index entries. Each value starts with a version byte; one of another
// version is an error, never a guess.
//
//   registration (BCS): version 01, `Registration`, epochs asked for (optional u32),
//                       time of its end in milliseconds since 1970 (optional u64)
//   epoch (BCS):        version 01, epoch u32, start in milliseconds since 1970 u64

import Cluster
import RedStuff
import World

struct RegistrationRecord: Hashable, Sendable {
  static let version: UInt8 = 1

  var registration: Registration
  /// What the user asked for, also where epochs do not end.
  var epochsAsked: UInt32?
  /// Set once the registration has ended; its grace period counts from here.
  var endedAtMilliseconds: UInt64?

  var key: RegistrationKey {
    RegistrationKey(blob: registration.blob, object: registration.object)
  }

  /// Everything that stands in the store for this registration besides itself.
  var indexEntries: [[UInt8]: [UInt8]] {
    var entries = [RegistryKeys.object(registration.object): registration.blob.bytes]
    if let endedAtMilliseconds {
      entries[RegistryKeys.ended(endedAtMilliseconds, key)] = []
      return entries
    }
    if registration.state == .registered {
      entries[RegistryKeys.deadline(registration.certifyByMilliseconds, key)] = []
    }
    if registration.endEpoch != epochWithoutEnd {
      entries[RegistryKeys.expiry(registration.endEpoch, key)] = []
    }
    return entries
  }

  func ended(_ end: RegistrationEnd, at now: WallTime) -> RegistrationRecord {
    var record = self
    record.registration.state = .ended(end)
    record.endedAtMilliseconds = now.milliseconds
    return record
  }
}

extension RegistrationRecord: BCSCodable {
  init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "RegistrationRecord")
    registration = try reader.read()
    epochsAsked = try reader.readOptional { (reader) throws(BCSError) in try reader.readUInt32() }
    endedAtMilliseconds = try reader.readOptional { (reader) throws(BCSError) in
      try reader.readUInt64()
    }
    guard registration.hasEnded == (endedAtMilliseconds != nil) else {
      throw .invalidValue(type: "RegistrationRecord", reason: "its end has no time, or the reverse")
    }
  }

  func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(registration)
    writer.writeOptional(epochsAsked) { (writer, epochs) in writer.write(epochs) }
    writer.writeOptional(endedAtMilliseconds) { (writer, time) in writer.write(time) }
  }
}

/// A record as it was read.
struct StoredRegistration: Hashable, Sendable {
  var record: RegistrationRecord
  var version: Revision

  init(_ entry: ControlEntry) throws(RegistryError) {
    guard let key = RegistrationKey(endOf: entry.key) else {
      throw .unreadable(key: entry.key.hex, "not the key of a registration")
    }
    do {
      record = try RegistrationRecord(bcs: entry.value)
    } catch {
      throw .unreadable(key: "registration \(key.object) of blob \(key.blob)", "\(error)")
    }
    guard record.key == key else {
      throw .unreadable(
        key: "registration \(key.object) of blob \(key.blob)", "it names \(record.key)")
    }
    version = entry.version
  }
}

/// One registration on its way from `before` to `after`; nil: it does not exist.
struct RegistrationStep {
  var before: StoredRegistration?
  var after: RegistrationRecord?
}

extension ControlTransaction {
  /// All steps or none; none if one of the registrations has changed since it was read.
  init(_ steps: [RegistrationStep]) {
    self.init(conditions: [], changes: [])
    for step in steps { append(step) }
  }

  private mutating func append(_ step: RegistrationStep) {
    guard let key = step.before?.record.key ?? step.after?.key else { return }
    let old = step.before?.record.indexEntries ?? [:]
    let new = step.after?.indexEntries ?? [:]
    let row = RegistryKeys.registration(key)
    if !PlantedBug.changesUnconditioned.isPlanted {
      conditions.append((row, step.before?.version))
    }
    changes.append((row, step.after?.bcsBytes))
    // Sorted, so that a run can be repeated: the order of a dictionary is not.
    for key in old.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) where new[key] == nil {
      changes.append((key, nil))
    }
    for key in new.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) where old[key] != new[key]
    {
      changes.append((key, new[key]))
    }
  }
}

/// Which epoch it is, and since when.
struct EpochRecord: Hashable, Sendable {
  static let version: UInt8 = 1

  var epoch: Epoch
  var startMilliseconds: UInt64
}

extension EpochRecord: BCSCodable {
  init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "EpochRecord")
    epoch = try reader.readUInt32()
    startMilliseconds = try reader.readUInt64()
  }

  func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(epoch)
    writer.write(startMilliseconds)
  }
}

extension BCSReader {
  mutating func readVersion(_ known: UInt8, of type: String) throws(BCSError) {
    let version = try readUInt8()
    guard version == known else {
      throw .invalidValue(type: type, reason: "version \(version), known is \(known)")
    }
  }
}
