// RecordCodingTests.swift
//
// Registrations and members as the control store keeps them, and identifiers as text.

import Cluster
import RedStuff
import Testing

@Suite struct RecordCodingTests {
  @Test func `a registration survives its bytes`() throws {
    for seed in UInt64(0)..<300 {
      var dice = Dice(seed: seed)
      let registration = dice.registration()
      #expect(try Registration(decoding: registration.encoded()) == registration, "seed \(seed)")
    }
  }

  @Test func `a registration has the documented bytes`() throws {
    let registration = Registration(
      blob: BlobID(.zero), object: try #require(ObjectID([UInt8](repeating: 7, count: 32))),
      byteCount: 0x0102, persistence: .deletable, registeredEpoch: 3, endEpoch: epochWithoutEnd,
      registeredAtMilliseconds: 4, certifyByMilliseconds: 5,
      state: .certified(epoch: 6, certificate: [8, 9]))
    let zero = [UInt8](repeating: 0, count: 32)
    let head = joined(
      [1], zero, [UInt8](repeating: 7, count: 32), [2, 1, 0, 0, 0, 0, 0, 0, 1])
    let times: [UInt8] = [
      3, 0, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,
    ]
    #expect(registration.encoded() == joined(head, times, [1, 6, 0, 0, 0, 2, 8, 9]))
    var ended = registration
    ended.state = .ended(.abandoned)
    #expect(ended.encoded() == joined(head, times, [2, 2]))
  }

  @Test func `a member survives its bytes`() throws {
    for seed in UInt64(0)..<300 {
      var dice = Dice(seed: seed)
      let member = dice.member(shards: dice.below(100)..<100 + dice.below(900))
      #expect(try CommitteeMember(decoding: member.encoded()) == member, "seed \(seed)")
    }
  }

  @Test func `records of another version are refused`() {
    var dice = Dice(seed: 1)
    var registration = dice.registration().encoded()
    registration[0] = 2
    #expect(throws: BCSError.self) { try Registration(decoding: registration) }
    var member = dice.member().encoded()
    member[0] = 2
    #expect(throws: BCSError.self) { try CommitteeMember(decoding: member) }
  }

  @Test func `a member with shards from back to front is refused`() {
    var dice = Dice(seed: 1)
    var member = dice.member(shards: 5..<6).encoded()
    member[member.count - 4] = 4
    #expect(throws: BCSError.self) { try CommitteeMember(decoding: member) }
  }

  @Test func `identifiers have one text form`() throws {
    let object = try #require(ObjectID([UInt8](0..<32)))
    #expect(object.description == "0x" + [UInt8](0..<32).hex)
    #expect(ObjectID(text: object.description) == object)
    #expect(ObjectID(text: object.description.dropLast()) == nil)
    #expect(ObjectID(text: "0y" + [UInt8](0..<32).hex) == nil)
    #expect(ObjectID(text: "0x" + String(repeating: "g", count: 64)) == nil)
    #expect(ObjectID([1, 2, 3]) == nil)
    let cluster = try #require(ClusterID(hex: [UInt8](0..<32).hex))
    #expect(ClusterID(hex: cluster.description) == cluster)
    #expect(ClusterID(hex: "00") == nil)
    #expect(ClusterID([]) == nil)
  }
}
