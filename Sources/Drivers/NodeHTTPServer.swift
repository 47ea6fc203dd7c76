// NodeHTTPServer.swift
//
// One storage node behind a port: requests become messages by the codec, the node answers, the
// answer becomes bytes by the codec. What the messages mean is none of this file's business.
//
// Nodes do not authenticate each other yet, so only loopback addresses are listened on, and requests
// that name another host (a web page behind a rebound name) are refused. Memory is bounded by
// requests and by the bytes of their bodies; beyond that a node says so at once and the caller goes
// elsewhere, which is better than a queue.

import Cluster
import HTTPTypes
import HummingbirdCore
package import Logging
import NIOCore
package import RedStuff
import Synchronization
package import World

package struct NodeHTTPServerLimits: Sendable {
  /// Answers under way. A client has a few requests at each node at a time; a hundred serve many.
  package var requestCountMax = 128
  /// Bodies held at once, a few of the largest.
  package var bodyByteCountMax = 4 * NodeMessageLimits.bodyByteCountMax
  /// When a node's own work on one request ends at the latest; clients set shorter deadlines.
  package var answerDurationMax = Duration.seconds(60)
  package var listener = HTTPListenerLimits()

  package init() {}
}

package final class NodeHTTPServer: Sendable {
  private let listener: HTTPListener

  private init(listener: HTTPListener) { self.listener = listener }

  /// Serves `service` at `host`, a loopback address; port 0 lets the system choose.
  package static func start(
    _ service: any NodeService, parameters: EncodingParameters, host: String = "127.0.0.1",
    port: Int, limits: NodeHTTPServerLimits = NodeHTTPServerLimits(), clock: any Clock,
    logger: Logger
  ) async throws(HTTPListenerError) -> NodeHTTPServer {
    let address = HTTPListener.Address.tcp(host: host, port: port)
    guard isLoopback(host) else {
      throw .addressUnavailable(
        "\(address)",
        reason: "nodes do not authenticate each other yet, so they listen on 127.0.0.1 only")
    }
    let responder = NodeResponder(
      service: service, codec: NodeMessageCodec(parameters: parameters), limits: limits,
      clock: clock)
    return NodeHTTPServer(
      listener: try await HTTPListener.start(
        at: address, limits: limits.listener, clock: clock, logger: logger,
        responder: { request, writer, _ in try await responder.respond(to: request, writer: writer)
        }
      ))
  }

  package var port: Int { listener.port ?? 0 }
  /// As the committee lists it.
  package var address: String { "http://\(listener.address)" }

  package func stop(grace: Duration = .seconds(5)) async { await listener.stop(grace: grace) }
}

private struct NodeResponder: Sendable {
  let service: any NodeService
  let codec: NodeMessageCodec
  let limits: NodeHTTPServerLimits
  let clock: any Clock
  let load = Load()

  /// What is under way.
  final class Load: Sendable {
    private let state = Mutex((requestCount: 0, bodyByteCount: 0))

    /// False leaves everything as it was.
    func enter(bodyByteCount: Int, limits: NodeHTTPServerLimits) -> Bool {
      state.withLock { state in
        guard state.requestCount < limits.requestCountMax,
          bodyByteCount <= limits.bodyByteCountMax - state.bodyByteCount
        else { return false }
        state.requestCount += 1
        state.bodyByteCount += bodyByteCount
        return true
      }
    }

    func leave(bodyByteCount: Int) {
      state.withLock { state in
        state.requestCount -= 1
        state.bodyByteCount -= bodyByteCount
      }
    }
  }

  /// The rest of a refused body is not read: the connection is cut.
  struct BodyRefused: Error {}

  @concurrent
  func respond(to request: Request, writer: consuming ResponseWriter) async throws {
    if let failure = refusal(of: request) {
      try await write(codec.encode(.failure(failure), to: .health(detailed: false)), writer)
      throw BodyRefused()
    }
    let reserved = bodyByteCount(of: request)
    guard load.enter(bodyByteCount: reserved, limits: limits) else {
      let busy = NodeFailure(
        .unavailable, "\(limits.requestCountMax) requests are under way: try later or elsewhere")
      try await write(codec.encode(.failure(busy), to: .health(detailed: false)), writer)
      if reserved > 0 { throw BodyRefused() }
      return
    }
    defer { load.leave(bodyByteCount: reserved) }
    let body = try await read(request.body, byteCountMax: reserved)
    try await write(await answer(request, body: body), writer)
  }

  private func answer(_ request: Request, body: [UInt8]) async -> WireResponse {
    let headers = request.headers.map { WireField($0.name.rawName, $0.value) }
    guard
      let wire = WireRequest(
        method: request.method.rawValue, target: request.head.path ?? "/", headers: headers,
        body: body)
    else {
      let failure = NodeFailure(.malformedRequest, "the query is not percent-encoded UTF-8")
      return codec.encode(.failure(failure), to: .health(detailed: false))
    }
    let message: NodeRequest
    do { message = try codec.decode(wire) } catch {
      return codec.encode(.failure(error), to: .health(detailed: false))
    }
    let deadline = clock.now + limits.answerDurationMax
    return codec.encode(await service.answer(message, deadline: deadline), to: message)
  }

  private func refusal(of request: Request) -> NodeFailure? {
    if let host = request.head.authority, !isLoopback(hostName(in: host)) {
      return NodeFailure(.malformedRequest, "this node does not serve the host \(host)")
    }
    let byteCount = bodyByteCount(of: request)
    guard byteCount <= NodeMessageLimits.bodyByteCountMax else {
      return NodeFailure(
        .requestTooLarge,
        """
        the body has \(byteCount) bytes, at most \(NodeMessageLimits.bodyByteCountMax) are taken: \
        split the request
        """)
    }
    return nil
  }

  /// As declared; a body of undeclared length may become as large as allowed.
  private func bodyByteCount(of request: Request) -> Int {
    if request.headers[.transferEncoding] != nil { return NodeMessageLimits.bodyByteCountMax }
    return request.headers[.contentLength].map { Int($0) ?? .max } ?? 0
  }

  /// The idle limit of the listener bounds the wait for each part.
  private func read(_ parts: RequestBody, byteCountMax: Int) async throws -> [UInt8] {
    var body: [UInt8] = []
    for try await part in parts {
      guard part.readableBytes <= byteCountMax - body.count else { throw BodyRefused() }
      if body.isEmpty { body.reserveCapacity(min(byteCountMax, Self.firstCapacityMax)) }
      body.append(contentsOf: part.readableBytesView)
    }
    return body
  }

  /// Memory taken before the first byte of a body has come; a whole batch fits without growing.
  private static let firstCapacityMax = 2 * NodeMessageLimits.batchByteCountTarget

  @concurrent
  private func write(_ response: WireResponse, _ writer: consuming ResponseWriter) async throws {
    var headers = HTTPFields()
    for field in response.headers {
      if let name = HTTPField.Name(field.name) { headers[name] = field.value }
    }
    headers[.contentLength] = String(response.body.count)
    let head = HTTPResponse(
      status: HTTPResponse.Status(code: response.status), headerFields: headers)
    try await writer.write(
      response: head,
      body: response.body.isEmpty
        ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: response.body)))
  }
}

/// `name:port` or `[address]:port` without the port and the brackets.
private func hostName(in authority: String) -> Substring {
  if authority.hasPrefix("[") { return authority.dropFirst().prefix { $0 != "]" } }
  return authority.prefix { $0 != ":" }
}

private func isLoopback(_ host: some StringProtocol) -> Bool {
  if host == "localhost" || host == "::1" { return true }
  let parts = host.split(separator: ".", omittingEmptySubsequences: false)
  return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
}
