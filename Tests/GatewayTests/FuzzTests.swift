// FuzzTests.swift
//
// Everything that takes text from clients, with random text: it refuses or gives something in
// bounds, and never traps.

import Cluster
import HTTPTypes
import HummingbirdCore
import NIOCore
import RedStuff
import Testing

@testable import Gateway

@Suite struct FuzzTests {
  /// Pieces that are likely to get far into a parser.
  private static let pieces = [
    "bytes=", "-", ",", " ", "0", "1", "99", "18446744073709551615", "99999999999999999999", "%",
    "%41", "%zz", "/", "?", "&", "=", "v1", "blobs", "by-object-id", "byte-range", "0x", "\u{0}",
    "é", "\"", "W/", "*", "epochs", "true", "false", "[", "]", ":", ".", "127.0.0.1", "localhost",
    "#", "start", "length", String(repeating: "A", count: 43), String(repeating: "f", count: 64),
  ]

  private func text(_ random: inout SeededNumbers) -> String {
    (0..<random.below(10)).map { _ in Self.pieces[random.below(Self.pieces.count)] }.joined()
  }

  @Test(arguments: [UInt64](1...8))
  func `ranges are always within the blob`(seed: UInt64) {
    var random = SeededNumbers(seed: seed)
    for _ in 0..<1000 {
      let header = "bytes=" + text(&random)
      let byteCount = [0, 1, 100, UInt64.max][random.below(4)]
      if case .part(let range) = ByteRangeRequest(header: header, byteCount: byteCount) {
        #expect(!range.isEmpty && range.upperBound <= byteCount, "seed \(seed): \(header)")
      }
    }
  }

  @Test(arguments: [UInt64](1...8))
  func `calls with any path, query and headers are taken apart`(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    let rules = HostRules(names: ["walrus.example"], bearerToken: "t")
    for _ in 0..<1000 {
      let request = Request(
        head: HTTPRequest(
          method: .put, scheme: "http", authority: text(&random), path: "/" + text(&random),
          headerFields: [
            .authorization: "Bearer " + text(&random).filter { $0.isASCII && $0 != "\0" },
            .contentLength: text(&random).filter(\.isNumber),
          ]),
        body: RequestBody(buffer: ByteBuffer()))
      let call = Call(request, peer: Call.Peer(remoteAddress: text(&random)))
      _ = call.segments.flatMap(Route.init)
      _ = call.declaredByteCount
      _ = try? StoreOptions(call)
      _ = try? QueryFields(call.query, known: nil).number("start", as: UInt64.self)
      _ = try? rules.check(call)
      _ = try? rules.checkDeletion(call)
      _ = RegistrationPosition(text: text(&random))
    }
  }
}
