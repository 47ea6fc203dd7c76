// TrafficTests.swift
//
// What PeerTable counts is what goes through sockets: a relay between client and node counts bytes
// without knowing what they mean.

import Cluster
import Drivers
import Logging
import NIOCore
import NIOPosix
import RedStuff
import Routing
import Synchronization
import Testing
import World

/// Bytes that went through a relay, each way.
private struct Relayed: Sendable {
  var toNode = 0
  var fromNode = 0
}

private final class RelayCount: Sendable {
  let value = Mutex(Relayed())
}

/// Passes what one side says on to the other.
private final class Pass: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  private let other: any Channel
  private let count: @Sendable (Int) -> Void

  init(to other: any Channel, _ count: @escaping @Sendable (Int) -> Void) {
    self.other = other
    self.count = count
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    count(buffer.readableBytes)
    other.writeAndFlush(buffer, promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
}

@Suite(.timeLimit(.minutes(1))) struct TrafficTests {
  private let clock = SystemClock()
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// A listener whose connections end at `port`.
  private func relay(to port: Int, _ relayed: RelayCount) async throws -> any Channel {
    try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelOption(.autoRead, value: false)
      .childChannelInitializer { near in
        ClientBootstrap(group: near.eventLoop).connect(host: "127.0.0.1", port: port)
          .flatMap { far in
            far.pipeline.addHandler(
              Pass(to: near) { count in relayed.value.withLock { $0.fromNode += count } }
            )
            .flatMap {
              near.pipeline.addHandler(
                Pass(to: far) { count in relayed.value.withLock { $0.toNode += count } })
            }
            .flatMap { near.setOption(.autoRead, value: true) }
          }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  @Test func `bytes are counted as sockets see them, to one in a hundred`() async throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let node = AnsweringNode(
      .readBatch([.symbols(bytes: [UInt8](repeating: 7, count: 7 * 5000), paths: [])]))
    let server = try await NodeHTTPServer.start(
      node, parameters: parameters, port: 0, clock: clock, logger: logger)
    let relayed = RelayCount()
    let port = try #require(server.address.split(separator: ":").last.flatMap { Int($0) })
    let relay = try await relay(to: port, relayed)
    let relayPort = try #require(relay.localAddress?.port)
    let transport = HTTPTransport(parameters: parameters, clock: clock, logger: logger)
    transport.setAddress("http://127.0.0.1:\(relayPort)", of: HTTPExchanges.node)
    let peers = PeerTable(
      parameters: parameters, clock: clock, randomness: SystemRandomness())
    let item = ReadItem(
      blob: HTTPExchanges.blob, pair: SliverPairIndex(4), axis: .primary, symbols: 0..<7,
      wantsPaths: false)
    for _ in 0..<10 {
      let answer = await peers.send(
        .readBatch([item]), for: .repair, to: HTTPExchanges.node,
        deadline: clock.now + .seconds(20), over: transport)
      #expect((try? answer.get()) == node.response)
    }
    await transport.shutdown()
    await server.stop(grace: .milliseconds(200))
    try await relay.close()
    let counted = peers.traffic.count(of: .repair)
    let seen = relayed.value.withLock { $0 }
    #expect(counted.requestCount == 10)
    #expect(counted.answerByteCount > 350_000)
    #expect(abs(counted.byteCount - seen.toNode - seen.fromNode) * 100 <= counted.byteCount)
    #expect(peers.traffic.count(of: .read).byteCount == 0)
  }
}

private struct AnsweringNode: NodeService {
  let response: NodeResponse

  init(_ response: NodeResponse) { self.response = response }

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse { response }
}
