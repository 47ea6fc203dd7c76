// RawConnection.swift
//
// A TCP connection without an HTTP client on top, for requests that no HTTP client would send.

import NIOCore
import NIOPosix

struct RawConnection: Sendable {
  private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

  /// Connects, runs `body`, closes.
  static func with<Value: Sendable>(
    port: Int, _ body: (inout RawStream) async throws -> Value
  ) async throws -> Value {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
            wrappingChannelSynchronously: channel,
            configuration: .init(isOutboundHalfClosureEnabled: true))
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      var stream = RawStream(
        outbound: outbound, iterator: inbound.makeAsyncIterator(), channel: channel.channel)
      return try await body(&stream)
    }
  }
}

struct RawStream {
  let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
  var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  let channel: any Channel
  var received = ""

  func send(_ text: String) async throws {
    try await outbound.write(ByteBuffer(string: text))
  }

  /// Says that nothing more follows; answers can still come.
  func finish() { outbound.finish() }

  /// Everything received so far, once it contains `text`; nil if the connection ended before.
  mutating func read(until text: String) async throws -> String? {
    while !received.contains(text) {
      guard let buffer = try await iterator.next(isolation: #isolation) else { return nil }
      received += String(buffer: buffer)
    }
    return received
  }

  /// Everything until the other side closes.
  mutating func readToEnd() async throws -> String {
    while let buffer = try await iterator.next(isolation: #isolation) {
      received += String(buffer: buffer)
    }
    return received
  }
}
