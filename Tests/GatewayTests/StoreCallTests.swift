// StoreCallTests.swift

import AsyncHTTPClient
import Cluster
import Foundation
import NIOCore
import NIOHTTP1
import RedStuff
import Synchronization
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct StoreCallTests {
  @Test func `a store answers with the reference's fields`() async throws {
    try await withGateway { gateway in
      let answer = try await gateway.put(Array("some content here".utf8), "?epochs=5")
      #expect(answer.status == 200)
      #expect(answer.header("content-type") == "application/json")
      let root = try #require(
        try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
      let created = try #require(root["newlyCreated"] as? [String: Any])
      let object = try #require(created["blobObject"] as? [String: Any])
      let storage = try #require(object["storage"] as? [String: Any])
      let operation = try #require(created["resourceOperation"] as? [String: Any])
      let scratch = try #require(operation["registerFromScratch"] as? [String: Any])
      let encoded = try gateway.service.parameters.encodedByteCount(forBlobOf: 17)
      #expect(created["cost"] as? Int == 0)
      #expect((object["id"] as? String)?.hasPrefix("0x") == true)
      #expect(
        object["blobId"] as? String
          == FakeBlobService.blobID(of: Array("some content here".utf8)).text)
      #expect(object["size"] as? Int == 17)
      #expect(object["encodingType"] as? String == "RS2")
      #expect(object["registeredEpoch"] as? Int == 3)
      #expect(object["certifiedEpoch"] as? Int == 3)
      #expect(object["deletable"] as? Bool == true)
      #expect(storage["id"] as? String == object["id"] as? String)
      #expect(storage["startEpoch"] as? Int == 3)
      #expect(storage["endEpoch"] as? Int == 8)
      #expect(storage["storageSize"] as? UInt64 == encoded)
      #expect(scratch["encodedLength"] as? UInt64 == encoded)
      #expect(scratch["epochsAhead"] as? Int == 5)
    }
  }

  @Test func `every store makes its own registration`() async throws {
    try await withGateway { gateway in
      let first = try await gateway.put([1, 2, 3]).json(StoreReply.self).newlyCreated.blobObject
      let second = try await gateway.put([1, 2, 3], "?force=true&reuse_resources=true")
        .json(StoreReply.self).newlyCreated.blobObject
      #expect(first.blobId == second.blobId)
      #expect(first.id != second.id)
      #expect(first.storage.endEpoch == epochWithoutEnd)
    }
  }

  @Test func `permanent blobs are not deletable`() async throws {
    try await withGateway { gateway in
      let answer = try await gateway.put([1], "?permanent=true&epochs=2")
      #expect(try answer.json(StoreReply.self).newlyCreated.blobObject.deletable == false)
    }
  }

  @Test(arguments: [0, 1, 5000, 1_700_000])
  func `a chunked upload is stored whole`(byteCount: Int) async throws {
    try await withGateway { gateway in
      let blob = someBytes(byteCount)
      let chunks = stride(from: 0, to: byteCount, by: 70_001).map {
        ByteBuffer(bytes: blob[$0..<min($0 + 70_001, byteCount)])
      }
      let answer = try await gateway.send(
        .PUT, "/v1/blobs", body: .stream(AsyncChunks(chunks: chunks), length: .unknown))
      #expect(answer.status == 200)
      #expect(gateway.service.state.withLock { $0.blobs[FakeBlobService.blobID(of: blob)] } == blob)
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  // The call shapes of the Python client walrus-python 0.1.0.
  @Test(arguments: [
    "?encoding_type=RS2", "?epochs=1", "?deletable=true", "?deletable=false",
    "?encoding_type=RS2&epochs=5&deletable=true", "?send_object_to=", "?epochs=&deletable=",
  ])
  func `stores as the Python client sends them`(query: String) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.put(
        Array("data".utf8), query, [("Content-Type", "application/octet-stream")])
      #expect(answer.status == 200)
      let id = try answer.json(StoreReply.self).newlyCreated.blobObject.blobId
      #expect(try await gateway.get("/v1/blobs/\(id)").text == "data")
      #expect(try await gateway.send(.HEAD, "/v1/blobs/\(id)").header("Content-Length") == "4")
    }
  }

  @Test(arguments: [
    ("?epoch=1", "MALFORMED_REQUEST"), ("?epochs=0", "MALFORMED_REQUEST"),
    ("?epochs=-1", "MALFORMED_REQUEST"), ("?epochs=4294967296", "MALFORMED_REQUEST"),
    ("?epochs=1&epochs=2", "MALFORMED_REQUEST"), ("?deletable=1", "MALFORMED_REQUEST"),
    ("?deletable=true&permanent=true", "INVALID_BLOB_PERSISTENCE"),
    ("?encoding_type=rs2", "MALFORMED_REQUEST"), ("?send_object_to=0x12", "MALFORMED_REQUEST"),
    ("?share=true", "MALFORMED_REQUEST"), ("?quilt_version=v1", "MALFORMED_REQUEST"),
    ("?epochs=%f", "MALFORMED_REQUEST"),
  ])
  func `a store that is not understood is refused before its body is read`(
    query: String, reason: String
  ) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.put([1, 2, 3], query)
      #expect(answer.status == 400)
      #expect(try answer.reason == reason)
      #expect(answer.header("connection") == "close")
      #expect(gateway.service.state.withLock { $0.storedByteCounts }.isEmpty)
    }
  }

  @Test func `a refusal of the system behind reaches the client`() async throws {
    try await withGateway { gateway in
      gateway.service.state.withLock {
        $0.storeFailure = GatewayFailure(
          .deadlineExceeded, "INSUFFICIENT_CONFIRMATIONS", "60 of 67 shards confirmed")
      }
      let answer = try await gateway.put([1])
      #expect(answer.status == 504)
      #expect(try answer.reason == "INSUFFICIENT_CONFIRMATIONS")
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  @Test func `a declared length above the largest blob is refused with 413`() async throws {
    try await withGateway { gateway in
      let limit = gateway.service.parameters.blobByteCountMax
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(limit + 1)\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 413 "))
      #expect(text.contains("BLOB_TOO_LARGE"))
      #expect(text.contains("\(limit)"))
      #expect(gateway.service.state.withLock { $0.storedByteCounts }.isEmpty)
    }
  }

  @Test func `the largest blob is taken`() async throws {
    try await withGateway(service: FakeBlobService(shardCount: 4)) { gateway in
      let limit = Int(gateway.service.parameters.blobByteCountMax)
      let answer = try await gateway.put(someBytes(limit))
      #expect(answer.status == 200)
    }
  }

  @Test func `a chunked upload that passes the largest blob is refused with 413`() async throws {
    try await withGateway(service: FakeBlobService(shardCount: 4)) { gateway in
      let limit = Int(gateway.service.parameters.blobByteCountMax)
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        let chunk = String(repeating: "x", count: 65_536)
        for _ in 0...limit / chunk.utf8.count {
          try await stream.send("10000\r\n\(chunk)\r\n")
        }
        // No last chunk: the refusal must not wait for the end.
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 413 "))
      #expect(text.contains("BLOB_TOO_LARGE"))
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  @Test(arguments: [
    "Content-Length: 1000\r\n\r\nonly this", "Transfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    "Transfer-Encoding: chunked\r\n\r\n99\r\nonly this",
  ])
  func `an upload that breaks off is not stored`(rest: String) async throws {
    try await withGateway { gateway in
      try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send("PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\n" + rest)
        while gateway.gateway.uploads.heldCount == 0 { await Task.yield() }
        stream.finish()
        let text = try await stream.readToEnd()
        #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400 "), "\(text)")
      }
      while gateway.gateway.uploads.heldCount > 0 { await Task.yield() }
      #expect(gateway.service.state.withLock { $0.storedByteCounts }.isEmpty)
    }
  }

  @Test func `a client that leaves during its upload frees what it held`() async throws {
    try await withGateway { gateway in
      try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        while gateway.gateway.uploads.heldCount == 0 { await Task.yield() }
        try await stream.channel.close()
      }
      while gateway.gateway.uploads.heldCount > 0 { await Task.yield() }
      #expect(gateway.service.state.withLock { $0.storedByteCounts }.isEmpty)
    }
  }

  @Test func `Expect is answered with 100 before the body, and refusals come instead of it`()
    async throws
  {
    try await withGateway { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            + "Content-Length: 4\r\nConnection: close\r\n\r\n")
        _ = try await stream.read(until: "HTTP/1.1 100 Continue\r\n\r\n")
        try await stream.send("data")
        return try await stream.readToEnd()
      }
      #expect(text.contains("HTTP/1.1 200 OK"))
      let refused = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "PUT /v1/blobs?no=1 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            + "Content-Length: 4\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(refused.hasPrefix("HTTP/1.1 400 "))
    }
  }

  @Test func `an upload that can never fit into memory is refused with 413`() async throws {
    try await withGateway {
      $0.limits.uploadByteCountMax = 50_000
    } _: { gateway in
      let answer = try await gateway.put(someBytes(10_000))
      #expect(answer.status == 413)
      #expect(try answer.reason == "BLOB_TOO_LARGE")
      #expect(try await gateway.put(someBytes(9_000)).status == 200)
    }
  }

  @Test func `uploads beyond the waiting list are refused with 429 and Retry-After`() async throws {
    try await withGateway {
      $0.limits.uploadByteCountMax = 50_000
      $0.limits.waitingUploadCountMax = 0
    } _: { gateway in
      gateway.service.state.withLock { $0.keepsMemory = true }
      #expect(try await gateway.put(someBytes(9_000)).status == 200)
      // Its slivers still go to slow nodes: the memory is not free though the answer has come.
      #expect(gateway.gateway.uploads.heldCount == 46_000)
      let refused = try await gateway.put(someBytes(9_000))
      #expect(refused.status == 429)
      #expect(refused.header("retry-after") != nil)
      #expect(refused.header("connection") == "close")
      #expect(try refused.failure.status == "RESOURCE_EXHAUSTED")
      for free in gateway.service.state.withLock({ $0.keptMemory }) { free() }
      #expect(try await gateway.put(someBytes(9_000)).status == 200)
    }
  }

  @Test func `an upload waits for memory that becomes free`() async throws {
    try await withGateway {
      $0.limits.uploadByteCountMax = 50_000
    } _: { gateway in
      gateway.service.state.withLock { $0.keepsMemory = true }
      let first = try await gateway.put(someBytes(9_000))
      #expect(first.status == 200)
      async let second = gateway.put(someBytes(9_000))
      while gateway.gateway.uploads.waitingCount == 0 { await Task.yield() }
      for free in gateway.service.state.withLock({ $0.keptMemory }) { free() }
      let waited = try await second
      #expect(waited.status == 200)
    }
  }

  @Test func `reads do not wait behind uploads`() async throws {
    try await withGateway {
      $0.limits.uploadByteCountMax = 50_000
    } _: { gateway in
      gateway.service.state.withLock { $0.keepsMemory = true }
      let first = try await gateway.put(someBytes(9_000))
      #expect(first.status == 200)
      async let waiting = gateway.put(someBytes(9_000))
      while gateway.gateway.uploads.waitingCount == 0 { await Task.yield() }
      let blob = gateway.service.add([1, 2, 3]).blob
      let read = try await gateway.send(.GET, "/v1/blobs/\(blob)")
      #expect(read.status == 200)
      #expect(gateway.gateway.uploads.waitingCount == 1)
      for free in gateway.service.state.withLock({ $0.keptMemory }) { free() }
      let waited = try await waiting
      #expect(waited.status == 200)
    }
  }

  @Test func `a connection serves many stores and reads`() async throws {
    try await withGateway { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        for _ in 0..<3 {
          try await stream.send(
            "PUT /v1/blobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ndata")
        }
        try await stream.send(
          "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.components(separatedBy: "newlyCreated").count == 4)
      #expect(text.hasSuffix("OK"))
    }
  }
}

struct AsyncChunks: AsyncSequence, Sendable {
  typealias Element = ByteBuffer
  let chunks: [ByteBuffer]

  struct AsyncIterator: AsyncIteratorProtocol {
    var rest: ArraySlice<ByteBuffer>
    mutating func next() async throws -> ByteBuffer? { rest.popFirst() }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: chunks[...]) }
}
