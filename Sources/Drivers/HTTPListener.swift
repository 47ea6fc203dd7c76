// HTTPListener.swift
//
// A listening HTTP/1.1 socket, TCP or Unix, and the function that answers what arrives there. The
// node server, the gateway and the administration all listen through this one type.
//
// Invariants: connections are bounded in number, and each in idle time and head size. `stop` always
// returns: it first lets running answers finish, then cancels them, then leaves them behind.

package import HummingbirdCore
package import Logging
package import NIOCore
import NIOPosix
import Synchronization
package import World

package enum HTTPListenerError: Error, Equatable, Sendable, CustomStringConvertible {
  case addressInUse(String)
  case addressUnavailable(String, reason: String)
  case socketPathTooLong(path: String, byteCount: Int, byteCountMax: Int)
  case failed(String, reason: String)

  package var description: String {
    switch self {
    case .addressInUse(let address):
      "another process listens on \(address) already: stop it, or choose another port"
    case .addressUnavailable(let address, let reason):
      "this machine cannot listen on \(address): \(reason)"
    case .socketPathTooLong(let path, let byteCount, let byteCountMax):
      """
      the socket path \(path) has \(byteCount) bytes and the system allows \(byteCountMax): use a \
      data directory with a shorter path
      """
    case .failed(let address, let reason): "listening on \(address) failed: \(reason)"
    }
  }
}

/// Limits of one listener.
package struct HTTPListenerLimits: Sendable {
  /// Beyond it connections wait in the system's backlog. Each costs some tens of kilobytes.
  package var connectionCountMax = 1024
  /// A connection on which nothing arrives for so long, and to which no answer is due, is closed. It
  /// is above `HTTPTransport.idleConnectionDuration`, so that clients close first and never send
  /// into a connection that is going away.
  package var idleDuration = Duration.seconds(120)
  /// All header lines together; no request of ours comes near it.
  package var headByteCountMax = 32 << 10

  package init() {}
}

package final class HTTPListener: Sendable {
  package enum Address: Sendable, Equatable, CustomStringConvertible {
    /// Port 0 lets the system choose.
    case tcp(host: String, port: Int)
    /// The file gets mode 0600; an old file at the path is replaced, so the caller must hold the
    /// lock of the directory.
    case unixSocket(path: String)

    package var description: String {
      switch self {
      case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      case .unixSocket(let path): path
      }
    }
  }

  /// Called once per request; writes the answer. What it throws cuts the connection.
  package typealias Responder =
    @Sendable @concurrent (Request, consuming ResponseWriter, any Channel) async throws -> Void

  /// Where it listens, with the real port.
  package let address: Address

  private let server: Server<HTTP1Channel>
  private let running: Task<Void, Never>
  private let hasEnded: AsyncStream<Never>
  private let clock: any Clock
  private let stopping = Mutex<Task<Void, Never>?>(nil)

  private init(
    address: Address, server: Server<HTTP1Channel>, running: Task<Void, Never>,
    hasEnded: AsyncStream<Never>, clock: any Clock
  ) {
    self.address = address
    self.server = server
    self.running = running
    self.hasEnded = hasEnded
    self.clock = clock
  }

  /// The port of a TCP listener.
  package var port: Int? {
    if case .tcp(_, let port) = address { port } else { nil }
  }

  /// Returns when the socket listens.
  package static func start(
    at address: Address, limits: HTTPListenerLimits = HTTPListenerLimits(), clock: any Clock,
    logger: Logger, responder: @escaping Responder
  ) async throws(HTTPListenerError) -> HTTPListener {
    let bindAddress: BindAddress
    var staged: StagedUnixSocket?
    switch address {
    case .tcp(let host, let port): bindAddress = .hostname(host, port: port)
    case .unixSocket(let path):
      let socket = try StagedUnixSocket(path: path)
      staged = socket
      bindAddress = .unixDomainSocket(path: socket.stagedPath)
    }
    var channel = HTTP1Channel.Configuration(
      idleTimeout: .nanoseconds(limits.idleDuration.wholeNanoseconds))
    channel.httpDecoder.maxHeaderListSize = limits.headByteCountMax
    channel.httpDecoder.maxHeaderFieldSize = limits.headByteCountMax
    let (bound, binding) = AsyncThrowingStream<Int?, any Error>.makeStream()
    let (hasEnded, ending) = AsyncStream<Never>.makeStream()
    // Whoever starts the listener says so; the library's own news would be a second line.
    var logger = logger
    logger.logLevel = max(logger.logLevel, .warning)
    let server = Server(
      childChannelSetup: HTTP1Channel(responder: responder, configuration: channel),
      configuration: ServerConfiguration(
        address: bindAddress, serverName: nil,
        availableConnectionsDelegate: .maximum(limits.connectionCountMax, logger: logger)),
      onServerRunning: { binding.yield($0.localAddress?.port) },
      eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
    let running = Task {
      do {
        try await server.run()
        binding.finish()
      } catch {
        binding.finish(throwing: error)
      }
      ending.finish()
    }
    do {
      for try await port in bound {
        try staged?.publish()
        return HTTPListener(
          address: Self.bound(address, port: port), server: server, running: running,
          hasEnded: hasEnded, clock: clock)
      }
      throw HTTPListenerError.failed("\(address)", reason: "the start was cancelled")
    } catch {
      running.cancel()
      staged?.discard()
      throw Self.listenerError(error, at: address)
    }
  }

  private static func bound(_ address: Address, port: Int?) -> Address {
    if case .tcp(let host, let asked) = address {
      .tcp(host: host, port: port ?? asked)
    } else {
      address
    }
  }

  private static func listenerError(_ error: any Error, at address: Address) -> HTTPListenerError {
    switch error {
    case let error as HTTPListenerError: error
    case let error as IOError where error.errnoCode == SystemErrors.addressInUse:
      .addressInUse("\(address)")
    case let error as IOError where SystemErrors.unavailableAddress.contains(error.errnoCode):
      .addressUnavailable("\(address)", reason: "\(error)")
    default: .failed("\(address)", reason: "\(error)")
    }
  }

  /// Stops listening, lets running answers finish for `grace`, then cancels them and waits at most
  /// `grace` once more. Later calls wait for the first.
  package func stop(grace: Duration = .seconds(5)) async {
    let task = stopping.withLock { stopping in
      if let task = stopping { return task }
      let task = Task { await self.stopOnce(grace: grace) }
      stopping = task
      return task
    }
    await task.value
  }

  private func stopOnce(grace: Duration) async {
    // Its promise waits for every connection, without heed to cancellation: nobody awaits it here.
    let server = server
    Task {
      do { try await server.shutdownGracefully() } catch {
        server.logger.warning("stopping to listen failed: \(error)")
      }
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [hasEnded] in for await _ in hasEnded {} }
      group.addTask { [clock, running] in
        // Cancelled once everything has ended; then there is nothing left to wait for.
        guard (try? await clock.sleep(for: grace)) != nil else { return }
        running.cancel()
        try? await clock.sleep(for: grace)
      }
      await group.next()
      group.cancelAll()
    }
    if case .unixSocket(let path) = address { StagedUnixSocket.remove(path) }
  }
}
