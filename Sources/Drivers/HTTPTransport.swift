// HTTPTransport.swift
//
// Messages to nodes in other processes, over HTTP/1.1 with connections kept alive. HTTP/2 was
// measured and costs several times the CPU for bulk data.
//
// Invariant: whatever happens, `send` returns by its deadline, and an answer is never larger than
// the protocol allows.

import AsyncHTTPClient
package import Cluster
package import Logging
import NIOCore
import NIOHTTP1
package import RedStuff
import Synchronization
package import World

package final class HTTPTransport: Transport {
  /// Below `HTTPListenerLimits.idleDuration`: the client closes first.
  static let idleConnectionDuration = TimeAmount.seconds(60)
  /// A peer that does not accept a connection by then is taken for unreachable.
  static let connectDuration = TimeAmount.seconds(5)
  /// Enough to keep a fast peer busy with batches; more requests wait for a free connection.
  static let connectionsPerPeerMax = 16
  /// Requests under way to all peers; each holds its body. Callers bound themselves far below, so
  /// reaching it is a bug of theirs that must not become a full memory.
  static let requestCountMax = 4096

  private let codec: NodeMessageCodec
  private let clock: any Clock
  private let logger: Logger
  private let client: HTTPClient
  private let state: Mutex<State>

  private struct State {
    var addresses: [NodeID: String]
    var requestCount = 0
    var isShutDown = false
  }

  /// `addresses` are `http://host:port`.
  package init(
    parameters: EncodingParameters, addresses: [NodeID: String] = [:], clock: any Clock,
    logger: Logger
  ) {
    codec = NodeMessageCodec(parameters: parameters)
    self.clock = clock
    self.logger = logger
    state = Mutex(State(addresses: addresses))
    var configuration = HTTPClient.Configuration(
      redirectConfiguration: .disallow,
      timeout: .init(connect: Self.connectDuration),
      connectionPool: .init(
        idleTimeout: Self.idleConnectionDuration,
        concurrentHTTP1ConnectionsPerHostSoftLimit: Self.connectionsPerPeerMax))
    configuration.httpVersion = .http1Only
    // A refused connection is an answer: the caller has other nodes to ask.
    configuration.connectionPool.retryConnectionEstablishment = false
    client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  /// From now on messages to `node` go to `address`; nil: nowhere.
  package func setAddress(_ address: String?, of node: NodeID) {
    state.withLock { $0.addresses[node] = address }
  }

  /// Must be called once; later messages fail as unreachable.
  package func shutdown() async {
    let isFirst = state.withLock { state in
      defer { state.isShutDown = true }
      return !state.isShutDown
    }
    guard isFirst else { return }
    do { try await client.shutdown() } catch {
      logger.warning("closing the connections to the nodes failed: \(error)")
    }
  }

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    let address = try enter(node)
    defer { state.withLock { $0.requestCount -= 1 } }
    let wire: WireResponse
    do {
      wire = try await withDeadline(deadline, clock: clock) {
        try await self.exchange(self.codec.encode(request), with: address)
      }
    } catch {
      throw Self.transportError(error, node: node)
    }
    do {
      return try codec.decode(wire, to: request)
    } catch {
      throw .malformedAnswer(node, "\(error)")
    }
  }

  private func enter(_ node: NodeID) throws(TransportError) -> String {
    let entered: Result<String, TransportError> = state.withLock { state in
      guard !state.isShutDown else {
        return .failure(.unreachable(node, "the connections were closed"))
      }
      guard let address = state.addresses[node] else {
        return .failure(.unreachable(node, "it has no address"))
      }
      guard state.requestCount < Self.requestCountMax else {
        return .failure(.unreachable(node, "\(Self.requestCountMax) requests are under way"))
      }
      state.requestCount += 1
      return .success(address)
    }
    return try entered.get()
  }

  private struct AnswerTooLarge: Error {
    let byteCount: Int
  }

  private func exchange(_ wire: WireRequest, with address: String) async throws -> WireResponse {
    var request = HTTPClientRequest(url: address + wire.target)
    request.method = HTTPMethod(rawValue: wire.method)
    request.headers = HTTPHeaders(wire.headers.map { ($0.name, $0.value) })
    if !wire.body.isEmpty { request.body = .bytes(ByteBuffer(bytes: wire.body)) }
    let response = try await client.execute(request, deadline: .distantFuture)
    let declared = response.headers.first(name: "content-length").flatMap { Int($0) }
    if let declared, declared > NodeMessageLimits.bodyByteCountMax {
      throw AnswerTooLarge(byteCount: declared)
    }
    var body: [UInt8] = []
    body.reserveCapacity(declared ?? 0)
    for try await part in response.body {
      guard part.readableBytes <= NodeMessageLimits.bodyByteCountMax - body.count else {
        throw AnswerTooLarge(byteCount: body.count + part.readableBytes)
      }
      body.append(contentsOf: part.readableBytesView)
    }
    return WireResponse(
      status: Int(response.status.code),
      headers: response.headers.map { WireField($0.name, $0.value) }, body: body)
  }

  private static func transportError(_ error: any Error, node: NodeID) -> TransportError {
    switch error {
    case is DeadlineExceeded: .deadlineExceeded(node)
    case let error as AnswerTooLarge:
      .malformedAnswer(
        node,
        """
        an answer of at least \(error.byteCount) bytes, at most \
        \(NodeMessageLimits.bodyByteCountMax) are taken
        """)
    case let error as HTTPParserError where error == .invalidEOFState:
      .unreachable(node, "the answer broke off")
    case is HTTPParserError: .malformedAnswer(node, "\(error)")
    case is CancellationError: .cancelled
    case let error as HTTPClientError where error == .cancelled && Task.isCancelled: .cancelled
    default: .unreachable(node, "\(error)")
    }
  }
}
