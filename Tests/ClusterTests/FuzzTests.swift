// FuzzTests.swift
//
// Bytes from anyone: whatever they are, decoders answer or throw. What a canonical decoder takes, it
// writes back as it was.

import Cluster
import RedStuff
import Testing

@Suite struct FuzzTests {
  private static let seeds = UInt64(0)..<4000
  private let parameters: EncodingParameters
  private let codec: NodeMessageCodec

  init() throws {
    parameters = try EncodingParameters(shardCount: 7)
    codec = NodeMessageCodec(parameters: parameters)
  }

  @Test(arguments: 0..<Dice.requestKindCount)
  func `damaged requests decode to what they say or are refused`(kind: Int) throws {
    var takenCount = 0
    for seed in UInt64(0)..<1000 {
      var dice = Dice(seed: seed)
      var wire = codec.encode(dice.request(kind: kind, parameters))
      if dice.bool() { wire.body = dice.damaged(wire.body) }
      if dice.below(4) == 0 {
        let target = String(decoding: dice.damaged(Array(wire.target.utf8)), as: UTF8.self)
        guard
          let damaged = WireRequest(
            method: wire.method, target: target, headers: wire.headers, body: wire.body)
        else { continue }
        wire = damaged
      }
      do throws(NodeFailure) {
        let request = try codec.decode(wire)
        takenCount += 1
        let again = codec.encode(request)
        #expect(again.body == wire.body || wire.method == "GET", "seed \(seed), kind \(kind)")
        #expect(try codec.decode(again) == request, "seed \(seed), kind \(kind)")
      } catch {
        #expect((400...499).contains(error.httpStatus), "seed \(seed): \(error)")
      }
    }
    #expect(takenCount > 0)
  }

  @Test(arguments: 0..<Dice.requestKindCount)
  func `damaged answers decode or are refused`(kind: Int) throws {
    for seed in UInt64(0)..<1000 {
      var dice = Dice(seed: seed)
      let request = dice.request(kind: kind, parameters)
      var wire = codec.encode(dice.response(to: request, parameters), to: request)
      wire.body = dice.damaged(wire.body)
      if dice.below(8) == 0 { wire.status = 100 + dice.below(500) }
      do throws(WireError) {
        let response = try codec.decode(wire, to: request)
        let again = codec.encode(response, to: request)
        #expect(try codec.decode(again, to: request) == response, "seed \(seed), kind \(kind)")
      } catch {}
    }
  }

  @Test func `random bytes are no request's body`() {
    for seed in Self.seeds {
      var dice = Dice(seed: seed)
      let wire = WireRequest(
        method: "POST", path: dice.bool() ? "/v1/batch/store" : "/v1/batch/read",
        body: [1] + dice.bytes(dice.below(300)))
      do throws(NodeFailure) {
        #expect(codec.encode(try codec.decode(wire)).body == wire.body, "seed \(seed)")
      } catch {}
    }
  }

  @Test func `damaged registrations are refused or canonical`() {
    check({ $0.registration().encoded() }) { try Registration(decoding: $0).encoded() }
  }

  @Test func `damaged members are refused or canonical`() {
    check({ $0.member().encoded() }) { try CommitteeMember(decoding: $0).encoded() }
  }

  @Test func `damaged certificates are refused or canonical`() throws {
    check({ dice in
      let blob = dice.blob()
      let object = dice.object()
      let confirmations = (0...UInt16(dice.below(5))).map {
        StorageConfirmation(
          node: NodeID($0), epoch: 1, blob: blob, object: object, signature: dice.bytes(64))
      }
      return (try? Certificate(confirmations: confirmations).encoded()) ?? []
    }) { try Certificate(decoding: $0).encoded() }
  }

  @Test func `damaged JSON is refused or means what it says`() {
    for seed in Self.seeds {
      var dice = Dice(seed: seed)
      let bytes = dice.damaged(dice.json().encoded())
      guard let value = try? JSONValue(parsing: bytes) else { continue }
      #expect((try? JSONValue(parsing: value.encoded())) == value, "seed \(seed): \(value.text)")
    }
  }

  @Test func `random texts are no identifiers`() {
    for seed in Self.seeds {
      var dice = Dice(seed: seed)
      let text = String(decoding: dice.bytes(dice.below(70)), as: UTF8.self)
      #expect(ObjectID(text: text) == nil)
      #expect(ClusterID(hex: text) == nil)
      if let bytes = Base64.decode(text) { #expect(Base64.encode(bytes) == text, "seed \(seed)") }
    }
  }

  private func check(
    _ make: (inout Dice) -> [UInt8], decodeAndEncode: ([UInt8]) throws -> [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for seed in Self.seeds {
      var dice = Dice(seed: seed)
      let bytes = dice.below(10) == 0 ? dice.bytes(dice.below(300)) : dice.damaged(make(&dice))
      do {
        let again = try decodeAndEncode(bytes)
        #expect(again == bytes, "seed \(seed)", sourceLocation: sourceLocation)
      } catch {}
    }
  }
}

extension Dice {
  /// Cuts, flips, repeats or lengthens; leaves one in eight as it is.
  fileprivate mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    switch below(8) {
    case 0: break
    case 1: bytes.removeLast(bytes.isEmpty ? 0 : below(bytes.count))
    case 2: bytes += self.bytes(1 + below(8))
    case 3 where !bytes.isEmpty:
      let start = below(bytes.count)
      bytes.removeSubrange(start..<start + min(1 + below(4), bytes.count - start))
    case 4 where !bytes.isEmpty:
      bytes.insert(contentsOf: self.bytes(1 + below(4)), at: below(bytes.count))
    case 5 where !bytes.isEmpty:
      // Where lengths and variants stand, extreme values are the likeliest to break something.
      bytes[below(min(bytes.count, 80))] = [0, 0x7F, 0x80, 0xFF][below(4)]
    default:
      for _ in 0...below(3) where !bytes.isEmpty { bytes[below(bytes.count)] ^= 1 << below(8) }
    }
    return bytes
  }
}
