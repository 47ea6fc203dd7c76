// RecordTests.swift
//
// Keys and values as they stand in the store: order, exact bytes, and refusal of anything else.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite struct RecordTests {
  private let key: RegistrationKey

  init() throws {
    key = RegistrationKey(
      blob: try #require(BlobID(bytes: [UInt8](repeating: 0xFF, count: 32))),
      object: try #require(ObjectID([UInt8](repeating: 0xFF, count: 32))))
  }

  private func record(_ state: RegistrationState, endEpoch: Epoch = 7) -> RegistrationRecord {
    var record = RegistrationRecord(
      registration: Registration(
        blob: key.blob, object: key.object, byteCount: 5, persistence: .deletable,
        registeredEpoch: 1, endEpoch: endEpoch, registeredAtMilliseconds: 1,
        certifyByMilliseconds: 258, state: state),
      epochsAsked: 6, endedAtMilliseconds: nil)
    if record.registration.hasEnded { record.endedAtMilliseconds = 515 }
    return record
  }

  @Test func `numbers in keys are ordered as numbers`() throws {
    let numbers: [UInt64] = [0, 1, 255, 256, 65_535, 1 << 32, 1 << 63, .max]
    let deadlines = numbers.map { RegistryKeys.deadline($0, key) }
    #expect(zip(deadlines, deadlines.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
    for (position, number) in numbers.enumerated() {
      let due = RegistryKeys.deadlines(upTo: number)
      let found = deadlines.filter {
        !$0.lexicographicallyPrecedes(due.lower) && $0.lexicographicallyPrecedes(due.upper)
      }
      #expect(found.count == position + 1)
    }
    #expect(
      RegistryKeys.expiry(.max, key).lexicographicallyPrecedes(
        RegistryKeys.expiries(upTo: .max).upper))
  }

  @Test func `the last of all blobs has a range that ends`() {
    let range = RegistryKeys.registrations(of: key.blob)
    #expect(range.lower.lexicographicallyPrecedes(range.upper))
    #expect(RegistryKeys.registration(key).lexicographicallyPrecedes(range.upper))
    #expect(range.upper == RegistryKeys.registrations.upper)
    #expect(RegistryKeys.registrations(after: key.blob).lower == range.upper)
  }

  @Test func `keys name their registration`() {
    for row in [
      RegistryKeys.registration(key), RegistryKeys.deadline(1, key), RegistryKeys.expiry(1, key),
      RegistryKeys.ended(1, key),
    ] {
      #expect(RegistrationKey(endOf: row) == key)
    }
    #expect(RegistrationKey(endOf: [1, 2, 3]) == nil)
  }

  @Test func `index entries follow from the state`() {
    let object = RegistryKeys.object(key.object)
    let deadline = RegistryKeys.deadline(258, key)
    let expiry = RegistryKeys.expiry(7, key)
    #expect(Set(record(.registered).indexEntries.keys) == [object, deadline, expiry])
    #expect(
      Set(record(.registered, endEpoch: epochWithoutEnd).indexEntries.keys) == [object, deadline])
    let certified = RegistrationState.certified(epoch: 1, certificate: [])
    #expect(Set(record(certified).indexEntries.keys) == [object, expiry])
    #expect(
      Set(record(.ended(.deleted)).indexEntries.keys) == [object, RegistryKeys.ended(515, key)])
  }

  @Test func `a record survives its bytes, and no part of them passes for one`() throws {
    for state in [
      RegistrationState.registered, .certified(epoch: 2, certificate: [1, 2, 3]),
      .ended(.abandoned),
    ] {
      let original = record(state)
      let bytes = original.bcsBytes
      #expect(try RegistrationRecord(bcs: bytes) == original)
      for count in 0..<bytes.count {
        #expect(throws: BCSError.self) { try RegistrationRecord(bcs: Array(bytes[..<count])) }
      }
      #expect(throws: BCSError.self) { try RegistrationRecord(bcs: bytes + [0]) }
      #expect(throws: BCSError.self) { try RegistrationRecord(bcs: [2] + bytes.dropFirst()) }
    }
  }

  @Test func `an end without a time, or the reverse, is refused`() throws {
    var odd = record(.ended(.deleted))
    odd.endedAtMilliseconds = nil
    #expect(throws: BCSError.self) { try RegistrationRecord(bcs: odd.bcsBytes) }
    odd = record(.registered)
    odd.endedAtMilliseconds = 5
    #expect(throws: BCSError.self) { try RegistrationRecord(bcs: odd.bcsBytes) }
  }

  @Test func `a record under another's key is refused`() throws {
    let other = RegistrationKey(
      blob: key.blob, object: try #require(ObjectID([UInt8](repeating: 1, count: 32))))
    let entry = ControlEntry(
      key: RegistryKeys.registration(other), value: record(.registered).bcsBytes,
      version: Revision(1))
    #expect(throws: RegistryError.self) { try StoredRegistration(entry) }
  }

  @Test func `a description survives its bytes, and no part of them passes for one`() async throws {
    for epochs in [RegistryBench.EpochKind.ending, .endless] {
      let description = try await RegistryBench(epochs: epochs).description
      let bytes = description.bcsBytes
      #expect(try ClusterDescription(bcs: bytes) == description)
      for count in 0..<bytes.count {
        #expect(throws: BCSError.self) { try ClusterDescription(bcs: Array(bytes[..<count])) }
      }
    }
  }

  @Test func `an epoch survives its bytes`() throws {
    let record = EpochRecord(epoch: 3, startMilliseconds: .max)
    #expect(try EpochRecord(bcs: record.bcsBytes) == record)
    #expect(record.bcsBytes == [1, 3, 0, 0, 0] + [UInt8](repeating: 255, count: 8))
    #expect(throws: BCSError.self) { try EpochRecord(bcs: [2] + record.bcsBytes.dropFirst()) }
  }

  @Test(arguments: UInt64(1)...20) func `bytes gone wrong are refused or read, never fatal`(
    seed: UInt64
  ) async throws {
    let dice = SeededRandomness(seed: seed)
    let description = try await RegistryBench().description.bcsBytes
    let record = record(.certified(epoch: 2, certificate: dice.bytes(count: 70))).bcsBytes
    for _ in 0..<200 {
      var spoiled = (description, record)
      for _ in 0...dice.number(below: 3) {
        spoiled.0[dice.number(below: description.count)] = UInt8(truncatingIfNeeded: dice.next())
        spoiled.1[dice.number(below: record.count)] = UInt8(truncatingIfNeeded: dice.next())
      }
      _ = try? ClusterDescription(bcs: spoiled.0)
      _ = try? RegistrationRecord(bcs: spoiled.1)
    }
  }
}
