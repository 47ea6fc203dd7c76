// Call.swift
//
// A request as the handlers see it, and the answer they give back. Nothing here touches a socket.

import Cluster
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore

struct Call: Sendable {
  /// Who is at the other end, and at this one.
  struct Peer: Sendable {
    /// Nil on Unix sockets.
    var remoteAddress: String?
    var localAddress: String?
    var isUnixSocket = false
  }

  let method: HTTPRequest.Method
  /// The parts of the path, decoded; nil if an escape in it is broken.
  let segments: [String]?
  /// In order; nil if an escape in it is broken.
  let query: [WireField]?
  let host: String?
  let headers: HTTPFields
  let body: RequestBody
  let peer: Peer

  init(_ request: Request, peer: Peer) {
    method = request.method
    let target = request.head.path ?? "/"
    let path = target.prefix { $0 != "?" && $0 != "#" }
    let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
      .map { PercentEncoding.decode($0) }
    self.segments = segments.contains(nil) ? nil : segments.compactMap { $0 }
    query = WireRequest(method: "", target: target, headers: [], body: [])?.query
    host = request.head.authority
    headers = request.headers
    body = request.body
    self.peer = peer
  }

  /// The body's length as declared; nil if the client does not say.
  var declaredByteCount: UInt64? {
    guard headers[.transferEncoding] == nil else { return nil }
    return headers[.contentLength].map { UInt64($0) ?? .max } ?? 0
  }

  var hasBody: Bool { declaredByteCount != 0 }
}

struct Answer: Sendable {
  enum Body: Sendable {
    /// No body. A HEAD answer still says how long the body of GET would be.
    case none(byteCount: UInt64?)
    case bytes([UInt8])
    case stream(byteCount: UInt64, BlobStream)
  }

  /// Sends a blob's bytes, or a part of them, into the queue. What it throws before the first part
  /// becomes the answer; after it, it cuts the connection.
  typealias BlobStream = @Sendable (PartQueue) async throws -> Void

  var status: HTTPResponse.Status
  var headers: HTTPFields = [:]
  var body: Body
  /// The connection ends with this answer, because the client may still be sending what nobody
  /// wants to read.
  var endsConnection = false

  init(status: HTTPResponse.Status, headers: HTTPFields = [:], body: Body) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  init(text: String, type: String = "text/plain; charset=utf-8") {
    self.init(status: .ok, headers: [.contentType: type], body: .bytes(Array(text.utf8)))
  }

  init(json value: some Encodable, status: HTTPResponse.Status = .ok) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    self.init(
      status: status, headers: [.contentType: "application/json"],
      body: .bytes(Array(try encoder.encode(value))))
  }

  /// For JSON whose names come from users: they stay as they are, and in this order.
  init(json value: JSONValue) {
    self.init(
      status: .ok, headers: [.contentType: "application/json"], body: .bytes(value.encoded()))
  }

  init(_ failure: GatewayFailure) throws {
    try self.init(
      json: GatewayErrorEnvelope(failure), status: HTTPResponse.Status(code: failure.httpStatus))
    for (name, value) in failure.headers { headers[name] = value }
  }
}
