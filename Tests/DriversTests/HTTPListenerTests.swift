// HTTPListenerTests.swift

import AsyncHTTPClient
import Foundation
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import Synchronization
import Testing
import World

@testable import Drivers

@Suite(.timeLimit(.minutes(1))) struct HTTPListenerTests {
  private let clock = SystemClock()
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @concurrent
  private static func sayOK(
    _ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
  ) async throws {
    try await writer.write(
      response: HTTPResponse(status: .ok, headerFields: [.contentLength: "2"]),
      body: ResponseBody(byteBuffer: ByteBuffer(string: "OK")))
  }

  private func start(_ address: HTTPListener.Address) async throws(HTTPListenerError)
    -> HTTPListener
  {
    try await HTTPListener.start(
      at: address, clock: clock, logger: logger, responder: Self.sayOK)
  }

  private func get(_ url: String) async throws -> String {
    let answer = try await HTTPClient.shared.execute(
      HTTPClientRequest(url: url), timeout: .seconds(10))
    return String(buffer: try await answer.body.collect(upTo: 1000))
  }

  private func withDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("walrus-\(UInt32.random(in: 0 ... .max))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(directory)
  }

  @Test func `a listener on port 0 tells its real port`() async throws {
    let listener = try await start(.tcp(host: "127.0.0.1", port: 0))
    let port = try #require(listener.port)
    #expect(port > 0)
    #expect(try await get("http://127.0.0.1:\(port)/") == "OK")
    await listener.stop()
  }

  @Test func `a port in use is named as such`() async throws {
    let first = try await start(.tcp(host: "127.0.0.1", port: 0))
    let port = try #require(first.port)
    await #expect(throws: HTTPListenerError.addressInUse("127.0.0.1:\(port)")) {
      _ = try await start(.tcp(host: "127.0.0.1", port: port))
    }
    await first.stop()
    let again = try await start(.tcp(host: "127.0.0.1", port: port))
    await again.stop()
  }

  @Test func `an address of another machine is named as such`() async throws {
    await #expect(throws: HTTPListenerError.self) {
      _ = try await start(.tcp(host: "192.0.2.1", port: 0))
    }
  }

  @Test func `a Unix socket is its owner's alone, and goes when the listener stops`() async throws {
    try await withDirectory { directory in
      let path = directory + "/admin.sock"
      let listener = try await start(.unixSocket(path: path))
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
      #expect(attributes[.type] as? FileAttributeType == .typeSocket)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["admin.sock"])
      let escaped = try #require(path.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
      #expect(try await get("http+unix://\(escaped)/x") == "OK")
      await listener.stop()
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
    }
  }

  @Test func `what a killed process left is replaced`() async throws {
    try await withDirectory { directory in
      let path = directory + "/admin.sock"
      _ = FileManager.default.createFile(atPath: path, contents: nil)
      try FileManager.default.createDirectory(
        atPath: directory + "/.adm", withIntermediateDirectories: false)
      _ = FileManager.default.createFile(atPath: directory + "/.adm/s", contents: nil)
      let listener = try await start(.unixSocket(path: path))
      let escaped = try #require(path.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
      #expect(try await get("http+unix://\(escaped)/") == "OK")
      await listener.stop()
    }
  }

  @Test func `a socket path that the system cannot take is refused with its length`() async throws {
    let path = "/tmp/" + String(repeating: "x", count: 103)
    let max = StagedUnixSocket.pathByteCountMax
    await #expect(
      throws: HTTPListenerError.socketPathTooLong(path: path, byteCount: 108, byteCountMax: max)
    ) {
      _ = try await start(.unixSocket(path: path))
    }
  }

  @Test func `a missing directory is named`() async throws {
    await #expect(throws: HTTPListenerError.self) {
      _ = try await start(.unixSocket(path: "/nonexistent/admin.sock"))
    }
  }

  @Test func `stopping waits for a running answer, then cancels it`() async throws {
    let wasCancelled = Mutex(false)
    let hasBegun = AsyncStream<Void>.makeStream()
    let listener = try await HTTPListener.start(
      at: .tcp(host: "127.0.0.1", port: 0), clock: clock, logger: logger
    ) { _, _, _ in
      hasBegun.continuation.yield()
      do { try await Task.sleep(for: .seconds(3600)) } catch {
        wasCancelled.withLock { $0 = true }
        throw error
      }
    }
    let port = try #require(listener.port)
    let client = Task { try await get("http://127.0.0.1:\(port)/") }
    var begun = hasBegun.stream.makeAsyncIterator()
    await begun.next()
    await listener.stop(grace: .milliseconds(20))
    #expect(wasCancelled.withLock { $0 })
    await #expect(throws: (any Error).self) { _ = try await client.value }
  }

  @Test func `stopping does not hang on an answer that never ends, nor on a second stop`()
    async throws
  {
    let (hasBegun, begin) = AsyncStream<CheckedContinuation<Void, Never>>.makeStream()
    let listener = try await HTTPListener.start(
      at: .tcp(host: "127.0.0.1", port: 0), clock: clock, logger: logger
    ) { _, _, _ in
      // Deaf to cancellation.
      await withCheckedContinuation { begin.yield($0) }
    }
    let port = try #require(listener.port)
    let client = Task { try await get("http://127.0.0.1:\(port)/") }
    var begun = hasBegun.makeAsyncIterator()
    let handler = await begun.next()
    // Each returns though the handler has not ended: it ends below.
    await listener.stop(grace: .milliseconds(20))
    await listener.stop(grace: .seconds(100))
    handler?.resume()
    client.cancel()
  }
}
