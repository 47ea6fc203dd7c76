// StalledClientTests.swift
//
// Clients that stop in the middle, under a clock that the test moves.

import Cluster
import NIOCore
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct StalledClientTests {
  @Test(arguments: [
    "Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
  ])
  func `an upload that stalls is answered with 408 and frees what it held`(rest: String)
    async throws
  {
    let clock = VirtualClock()
    try await withGateway(clock: clock) { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send("PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\n" + rest)
        while gateway.gateway.uploads.heldCount == 0 || clock.sleeperCount == 0 {
          await Task.yield()
        }
        // The last part may come after the watch has begun, so one period may not be enough.
        while gateway.gateway.uploads.heldCount > 0 {
          clock.advance(by: .seconds(15))
          await Task.yield()
        }
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 408 "))
      #expect(text.contains("UPLOAD_TIMED_OUT"))
      #expect(gateway.gateway.uploads.heldCount == 0)
      #expect(gateway.service.state.withLock { $0.storedByteCounts }.isEmpty)
    }
  }

  @Test func `an upload that trickles is ended by the limit on the whole`() async throws {
    let clock = VirtualClock()
    try await withGateway(clock: clock) {
      $0.limits.bodyIdleMax = .seconds(1_000_000)
      $0.limits.uploadDurationMax = .seconds(60)
    } _: { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        for _ in 0..<6 {
          try await stream.send("x")
          while clock.sleeperCount == 0 { await Task.yield() }
          clock.advance(by: .seconds(10))
        }
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 408 "))
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  @Test func `a reader that stops reading is cut off and frees its turn`() async throws {
    let clock = VirtualClock()
    try await withGateway(service: FakeBlobService(shardCount: 100), clock: clock) { gateway in
      // More than all socket buffers between the two take.
      let id = gateway.service.add([UInt8](repeating: 1, count: 64 << 20)).blob
      try await RawConnection.with(port: gateway.port) { stream in
        // Nothing is read from here on: the client's own buffer fills, then the server's.
        try await stream.channel.setOption(.autoRead, value: false).get()
        try await stream.send("GET /v1/blobs/\(id) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while gateway.gateway.reads.heldCount == 0 { await Task.yield() }
        while gateway.gateway.reads.heldCount > 0 {
          if clock.sleeperCount > 0 { clock.advance(by: .seconds(61)) }
          await Task.yield()
        }
        try await stream.channel.close()
      }
      while !gateway.metrics.text().contains("walrus_gateway_cut_answers_total 1") {
        await Task.yield()
      }
    }
  }

  @Test func `a reader that leaves frees its turn`() async throws {
    try await withGateway(service: FakeBlobService(shardCount: 100)) { gateway in
      let id = gateway.service.add([UInt8](repeating: 1, count: 64 << 20)).blob
      try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send("GET /v1/blobs/\(id) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        _ = try await stream.read(until: "HTTP/1.1 200")
        try await stream.channel.close()
      }
      while gateway.gateway.reads.heldCount > 0 { await Task.yield() }
    }
  }
}
