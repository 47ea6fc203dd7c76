// HTTPTransportTests.swift
//
// Node messages over real loopback sockets: NodeHTTPServer on one side, HTTPTransport on the other.

import AsyncHTTPClient
import Cluster
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import RedStuff
import Synchronization
import Testing
import World

@testable import Drivers

/// Answers as told, and remembers what it was asked.
private final class FakeNode: NodeService {
  let asked = Mutex<[NodeRequest]>([])
  private let reply: @Sendable (NodeRequest) async -> NodeResponse

  init(_ reply: @escaping @Sendable (NodeRequest) async -> NodeResponse) { self.reply = reply }

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    asked.withLock { $0.append(request) }
    return await reply(request)
  }
}

@Suite(.timeLimit(.minutes(1))) struct HTTPTransportTests {
  private static let node = HTTPExchanges.node
  private static let blob = HTTPExchanges.blob
  private static let object = HTTPExchanges.object
  private let clock = SystemClock()
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  private let parameters: EncodingParameters

  init() throws { parameters = try EncodingParameters(shardCount: 10) }

  private var soon: Instant { clock.now + .seconds(20) }

  private func withTransport(
    to address: String?, _ body: (HTTPTransport) async throws -> Void
  ) async throws {
    let transport = HTTPTransport(parameters: parameters, clock: clock, logger: logger)
    transport.setAddress(address, of: Self.node)
    do { try await body(transport) } catch {
      await transport.shutdown()
      throw error
    }
    await transport.shutdown()
  }

  /// A node behind a real server, and a transport to it.
  private func withNode(
    _ node: FakeNode, limits: NodeHTTPServerLimits = NodeHTTPServerLimits(),
    _ body: (HTTPTransport, NodeHTTPServer) async throws -> Void
  ) async throws {
    let server = try await NodeHTTPServer.start(
      node, parameters: parameters, port: 0, limits: limits, clock: clock, logger: logger)
    do {
      try await withTransport(to: server.address) { try await body($0, server) }
    } catch {
      await server.stop(grace: .milliseconds(200))
      throw error
    }
    await server.stop(grace: .milliseconds(200))
  }

  /// Something at a port that answers HTTP as told.
  private func withAnswer(
    status: Int = 200, headers: HTTPFields = [:], _ bytes: [UInt8], declared: Int? = nil,
    _ body: (HTTPTransport) async throws -> Void
  ) async throws {
    let listener = try await HTTPListener.start(
      at: .tcp(host: "127.0.0.1", port: 0), clock: clock, logger: logger
    ) { _, writer, _ in
      var headers = headers
      headers[.contentLength] = "\(declared ?? bytes.count)"
      let head = HTTPResponse(status: .init(code: status), headerFields: headers)
      try await writer.write(
        response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
      if let declared, declared > bytes.count { throw CancellationError() }
    }
    do { try await withTransport(to: "http://\(listener.address)", body) } catch {
      await listener.stop(grace: .milliseconds(200))
      throw error
    }
    await listener.stop(grace: .milliseconds(200))
  }

  // MARK: - Messages

  @Test(arguments: HTTPExchanges.all.indices)
  func `every message and its answer arrive as they were sent`(position: Int) async throws {
    let (request, response) = HTTPExchanges.all[position]
    let node = FakeNode { _ in response }
    try await withNode(node) { transport, _ in
      let answer = try await transport.send(request, to: Self.node, deadline: soon)
      #expect(answer == response)
      #expect(node.asked.withLock { $0 } == [request])
    }
  }

  @Test func `large batches pass both ways`() async throws {
    // Slivers of the largest length at n = 10; twenty of them are 9 MB.
    let sliver = Sliver(
      axis: .primary, index: SliverIndex(4), symbolByteCount: 65_534,
      bytes: [UInt8](repeating: 5, count: 65_534 * parameters.secondarySourceCount))
    let entry = StoreEntry(
      blob: Self.blob, object: Self.object, metadata: nil,
      slivers: [Sliver](repeating: sliver, count: 20), wantsConfirmation: false)
    let item = ReadItem(
      blob: Self.blob, pair: SliverPairIndex(4), axis: .primary, symbols: 0..<7, wantsPaths: false)
    let node = FakeNode { request in
      if case .storeBatch = request { return .storeBatch([.stored]) }
      return .readBatch(
        [ReadOutcome](repeating: .symbols(bytes: sliver.bytes, paths: []), count: 20))
    }
    try await withNode(node) { transport, _ in
      let stored = try await transport.send(.storeBatch([entry]), to: Self.node, deadline: soon)
      #expect(stored == .storeBatch([.stored]))
      // Compared outside of the macro, which would print megabytes.
      let arrived = node.asked.withLock { $0 == [.storeBatch([entry])] }
      #expect(arrived)
      let answer = try await transport.send(
        .readBatch([ReadItem](repeating: item, count: 20)), to: Self.node, deadline: soon)
      let isSame =
        answer
        == .readBatch([ReadOutcome](repeating: .symbols(bytes: sliver.bytes, paths: []), count: 20))
      #expect(isSame)
    }
  }

  @Test func `many requests at once are all answered`() async throws {
    let node = FakeNode { _ in .storedStatus(.stored) }
    try await withNode(node) { transport, _ in
      let soon = soon
      try await withThrowingTaskGroup(of: NodeResponse.self) { group in
        for _ in 0..<100 {
          group.addTask {
            try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
          }
        }
        for try await answer in group { #expect(answer == .storedStatus(.stored)) }
      }
      #expect(node.asked.withLock { $0.count } == 100)
    }
  }

  // MARK: - Failures of the way

  @Test func `a node without an address is unreachable`() async throws {
    try await withTransport(to: nil) { transport in
      await #expect(throws: TransportError.unreachable(Self.node, "it has no address")) {
        try await transport.send(.health(detailed: false), to: Self.node, deadline: soon)
      }
    }
  }

  @Test(arguments: ["not a url", "http://127.0.0.1:1", "ftp://127.0.0.1:1"])
  func `an address where nobody answers is unreachable`(address: String) async throws {
    try await withTransport(to: address) { transport in
      await #expect {
        try await transport.send(.health(detailed: false), to: Self.node, deadline: soon)
      } throws: { error in
        if case .unreachable(Self.node, _) = error as? TransportError { true } else { false }
      }
    }
  }

  @Test func `a new address is used from then on`() async throws {
    try await withTransport(to: "http://127.0.0.1:1") { transport in
      try await withNode(FakeNode { _ in .storedStatus(.stored) }) { _, server in
        transport.setAddress(server.address, of: Self.node)
        let answer = try await transport.send(
          .metadataStatus(Self.blob), to: Self.node, deadline: soon)
        #expect(answer == .storedStatus(.stored))
      }
    }
  }

  @Test func `a node that does not answer costs no more than the deadline`() async throws {
    let node = FakeNode { _ in
      try? await Task.sleep(for: .seconds(3600))
      return .storedStatus(.stored)
    }
    try await withNode(node) { transport, _ in
      await #expect(throws: TransportError.deadlineExceeded(Self.node)) {
        try await transport.send(
          .metadataStatus(Self.blob), to: Self.node, deadline: clock.now + .milliseconds(50))
      }
    }
  }

  @Test func `a cancelled caller gets cancelled at once`() async throws {
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let node = FakeNode { _ in
      begin.yield()
      try? await Task.sleep(for: .seconds(3600))
      return .storedStatus(.stored)
    }
    try await withNode(node) { transport, _ in
      let soon = soon
      let call = Task {
        try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
      }
      for await _ in begun { break }
      call.cancel()
      await #expect(throws: TransportError.cancelled) { try await call.value }
    }
  }

  @Test func `after shutdown nothing is sent`() async throws {
    try await withNode(FakeNode { _ in .storedStatus(.stored) }) { transport, _ in
      await transport.shutdown()
      await transport.shutdown()
      await #expect(throws: TransportError.self) {
        try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
      }
    }
  }

  @Test func `a stopped node is unreachable`() async throws {
    try await withNode(FakeNode { _ in .storedStatus(.stored) }) { transport, server in
      _ = try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
      await server.stop(grace: .milliseconds(100))
      await #expect {
        try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
      } throws: { error in
        if case .unreachable(Self.node, _) = error as? TransportError { true } else { false }
      }
    }
  }

  // MARK: - Bad answers

  private func expectMalformed(_ transport: HTTPTransport) async {
    await #expect {
      try await transport.send(.metadata(Self.blob), to: Self.node, deadline: soon)
    } throws: { error in
      if case .malformedAnswer(Self.node, _) = error as? TransportError { true } else { false }
    }
  }

  @Test(arguments: [(200, "nonsense"), (500, "<html>proxy</html>"), (301, ""), (204, "")])
  func `what is no answer of a node is malformed`(status: Int, text: String) async throws {
    try await withAnswer(status: status, Array(text.utf8)) { await expectMalformed($0) }
  }

  @Test func `an answer that declares too much is not read`() async throws {
    try await withAnswer([1, 2, 3], declared: NodeMessageLimits.bodyByteCountMax + 1) {
      await expectMalformed($0)
    }
  }

  @Test func `an answer that breaks off is unreachable, not shorter`() async throws {
    try await withAnswer([1, 2, 3], declared: 100) { transport in
      await #expect {
        try await transport.send(.metadata(Self.blob), to: Self.node, deadline: soon)
      } throws: { error in
        if case .unreachable(Self.node, _) = error as? TransportError { true } else { false }
      }
    }
  }

  // MARK: - The server alone

  private func status(
    _ server: NodeHTTPServer, _ path: String, headers: [(String, String)] = [],
    body: HTTPClientRequest.Body? = nil
  ) async throws -> Int {
    var request = HTTPClientRequest(url: server.address + path)
    if body != nil { request.method = .PUT }
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    request.body = body
    let answer = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
    _ = try await answer.body.collect(upTo: 1 << 20)
    return Int(answer.status.code)
  }

  @Test func `what is no message is refused with 400, and the node is not asked`() async throws {
    let node = FakeNode { _ in .storedStatus(.stored) }
    try await withNode(node) { _, server in
      for path in ["/", "/v1/blobs/x/status", "/v1/health?detailed=perhaps", "/v1/health?x=%zz"] {
        let code = try await status(server, path)
        #expect(code == 400, "\(path)")
      }
      let rebound = try await status(server, "/v1/health", headers: [("Host", "evil.example")])
      #expect(rebound == 400)
      #expect(node.asked.withLock { $0.isEmpty })
    }
  }

  @Test func `a body that is declared too large is refused unread`() async throws {
    let node = FakeNode { _ in .stored(isNew: true) }
    try await withNode(node) { _, server in
      // Refused, or the connection is cut while the client still sends.
      let size = NodeMessageLimits.bodyByteCountMax + 1
      let code = try? await status(
        server, "/v1/blobs/\(Self.blob)/metadata",
        body: .stream(EndlessBytes(), length: .known(Int64(size))))
      #expect(code == nil || code == 413)
      #expect(node.asked.withLock { $0.isEmpty })
    }
  }

  @Test func `beyond its limit a node says that it is unavailable`() async throws {
    let (begun, begin) = AsyncStream<CheckedContinuation<Void, Never>>.makeStream()
    let node = FakeNode { _ in
      await withCheckedContinuation { begin.yield($0) }
      return .storedStatus(.stored)
    }
    var limits = NodeHTTPServerLimits()
    limits.requestCountMax = 1
    try await withNode(node, limits: limits) { transport, _ in
      let soon = soon
      let first = Task {
        try await transport.send(.metadataStatus(Self.blob), to: Self.node, deadline: soon)
      }
      var iterator = begun.makeAsyncIterator()
      let waiting = await iterator.next()
      let second = try await transport.send(
        .metadataStatus(Self.blob), to: Self.node, deadline: soon)
      guard case .failure(let failure) = second else {
        Issue.record("\(second)")
        return
      }
      #expect(failure.reason == .unavailable)
      waiting?.resume()
      #expect(try await first.value == .storedStatus(.stored))
    }
  }

  @Test func `nodes listen on loopback only`() async throws {
    for host in ["0.0.0.0", "::", "192.0.2.1", "example.com"] {
      await #expect(throws: HTTPListenerError.self, "\(host)") {
        _ = try await NodeHTTPServer.start(
          FakeNode { _ in .stored(isNew: true) }, parameters: parameters, host: host, port: 0,
          clock: clock, logger: logger)
      }
    }
  }
}

/// Never ends by itself.
private struct EndlessBytes: AsyncSequence, Sendable {
  typealias Element = ByteBuffer

  struct AsyncIterator: AsyncIteratorProtocol {
    mutating func next() async throws -> ByteBuffer? {
      ByteBuffer(repeating: 1, count: 1 << 20)
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}
