// ReadCallTests.swift

import AsyncHTTPClient
import Cluster
import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import RedStuff
import Synchronization
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct ReadCallTests {
  @Test(arguments: [0, 1, 100, 262_143, 262_144, 262_145, 1_500_000])
  func `a blob comes back whole`(byteCount: Int) async throws {
    try await withGateway { gateway in
      let blob = someBytes(byteCount)
      let id = gateway.service.add(blob).blob
      let answer = try await gateway.get("/v1/blobs/\(id)")
      #expect(answer.status == 200)
      #expect(answer.body == blob)
      #expect(answer.header("content-length") == "\(byteCount)")
    }
  }

  @Test func `headers of a read`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(10)).blob
      let answer = try await gateway.get("/v1/blobs/\(id)")
      #expect(answer.header("etag") == "\"\(id)\"")
      #expect(
        answer.header("cache-control") == "public, max-age=86400, stale-while-revalidate=3600")
      #expect(answer.header("x-content-type-options") == "nosniff")
      #expect(answer.header("content-security-policy") == "sandbox")
      #expect(answer.header("accept-ranges") == "bytes")
      #expect(answer.header("access-control-allow-origin") == "*")
      #expect(answer.header("date")?.hasSuffix("GMT") == true)
      #expect(answer.header("content-type") == nil)
    }
  }

  @Test func `the content type is what the client says it is`() async throws {
    try await withGateway { gateway in
      let path = "/v1/blobs/\(gateway.service.add(someBytes(10)).blob)"
      func type(_ headers: [(String, String)]) async throws -> String? {
        try await gateway.get(path, headers).header("content-type")
      }
      #expect(try await type([("Accept", "image/png")]) == "image/png")
      #expect(try await type([("Accept", "*/*"), ("Content-Type", "text/css")]) == "text/css")
      #expect(try await type([("Accept", "image/*")]) == nil)
      #expect(try await type([("Content-Type", "text/css")]) == "text/css")
      let head = try await gateway.send(.HEAD, path, [("Content-Type", "text/css")])
      #expect(head.header("content-type") == nil)
    }
  }

  @Test func `HEAD tells the length and reads nothing`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(300_000)).blob
      let answer = try await gateway.send(.HEAD, "/v1/blobs/\(id)", [("Range", "bytes=0-1")])
      #expect(answer.status == 200)
      #expect(answer.header("content-length") == "300000")
      #expect(answer.header("etag") == "\"\(id)\"")
      #expect(answer.body.isEmpty)
      #expect(gateway.service.state.withLock { $0.lastCheck } == nil)
    }
  }

  @Test(arguments: [
    ("bytes=0-9", 0..<10), ("bytes=995-", 995..<1000), ("bytes=-7", 993..<1000),
    ("bytes=990-5000", 990..<1000), ("bytes=-5000", 0..<1000),
  ])
  func `a range is answered with 206`(header: String, range: Range<Int>) async throws {
    try await withGateway { gateway in
      let blob = someBytes(1000)
      let id = gateway.service.add(blob).blob
      let answer = try await gateway.get("/v1/blobs/\(id)", [("Range", header)])
      #expect(answer.status == 206)
      #expect(answer.body == Array(blob[range]))
      #expect(
        answer.header("content-range") == "bytes \(range.lowerBound)-\(range.upperBound - 1)/1000")
      #expect(answer.header("content-length") == "\(range.count)")
    }
  }

  @Test(arguments: ["bytes=1000-", "bytes=9-1", "bytes=0-1,3-4", "bytes=-0", "bytes=x"])
  func `a bad range is answered with 416 and the length`(header: String) async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      let answer = try await gateway.get("/v1/blobs/\(id)", [("Range", header)])
      #expect(answer.status == 416)
      #expect(answer.header("content-range") == "bytes */1000")
      #expect(try answer.failure.status == "RANGE_NOT_SATISFIABLE")
      #expect(try answer.reason == "INVALID_BYTE_RANGE")
    }
  }

  @Test func `If-None-Match with the ETag is answered with 304`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(10)).blob
      for tag in ["\"\(id)\"", "W/\"\(id)\"", "\"x\", \"\(id)\"", "*"] {
        for method in [HTTPMethod.GET, .HEAD] {
          let answer = try await gateway.send(method, "/v1/blobs/\(id)", [("If-None-Match", tag)])
          #expect(answer.status == 304)
          #expect(answer.header("etag") == "\"\(id)\"")
          #expect(answer.body.isEmpty)
        }
      }
      for tag in ["\"x\"", "\(id)", "\"\(id)"] {
        #expect(try await gateway.get("/v1/blobs/\(id)", [("If-None-Match", tag)]).status == 200)
      }
    }
  }

  @Test func `If-Range with another tag asks for the whole blob`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(10)).blob
      let range = ("Range", "bytes=0-1")
      let same = try await gateway.get("/v1/blobs/\(id)", [range, ("If-Range", "\"\(id)\"")])
      let other = try await gateway.get("/v1/blobs/\(id)", [range, ("If-Range", "\"x\"")])
      #expect(same.status == 206)
      #expect(other.status == 200)
    }
  }

  @Test func `a byte range by query`() async throws {
    try await withGateway { gateway in
      let blob = someBytes(1000)
      let id = gateway.service.add(blob).blob
      let answer = try await gateway.get("/v1/blobs/\(id)/byte-range?start=10&length=20&x=1")
      #expect(answer.status == 200)
      #expect(answer.body == Array(blob[10..<30]))
      #expect(answer.header("etag") == "\"\(id)-10-20\"")
      #expect(answer.header("content-range") == nil)
      let head = try await gateway.send(.HEAD, "/v1/blobs/\(id)/byte-range?start=10&length=20")
      #expect(head.status == 200)
      #expect(head.header("content-length") == "20")
    }
  }

  @Test(arguments: [
    ("start=0&length=0", "INVALID_BYTE_RANGE"), ("start=990&length=11", "INVALID_BYTE_RANGE"),
    ("start=18446744073709551615&length=1", "INVALID_BYTE_RANGE"),
    ("start=18446744073709551615&length=18446744073709551615", "INVALID_BYTE_RANGE"),
    ("start=0", "MALFORMED_REQUEST"), ("length=1", "MALFORMED_REQUEST"), ("", "MALFORMED_REQUEST"),
    ("start=-1&length=1", "MALFORMED_REQUEST"), ("start=a&length=1", "MALFORMED_REQUEST"),
    ("start=18446744073709551616&length=1", "MALFORMED_REQUEST"),
    ("start=%zz&length=1", "MALFORMED_REQUEST"),
  ])
  func `a bad byte range by query is answered with 400`(query: String, reason: String) async throws
  {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      let answer = try await gateway.get("/v1/blobs/\(id)/byte-range?\(query)")
      #expect(answer.status == 400)
      #expect(try answer.reason == reason)
    }
  }

  @Test func `consistency flags reach the reader and exclude each other`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(10)).blob
      let cases: [(String, ConsistencyCheck)] = [
        ("", .default), ("?strict_consistency_check=true", .strict),
        ("?skip_consistency_check=true&cache=1", .skip),
        ("?strict_consistency_check=false&skip_consistency_check=", .default),
      ]
      for (query, check) in cases {
        #expect(try await gateway.get("/v1/blobs/\(id)\(query)").status == 200)
        #expect(gateway.service.state.withLock { $0.lastCheck } == check)
      }
      let both = try await gateway.get(
        "/v1/blobs/\(id)?strict_consistency_check=true&skip_consistency_check=true")
      #expect(both.status == 400)
      let unclear = try await gateway.get("/v1/blobs/\(id)?strict_consistency_check=yes")
      #expect(try unclear.reason == "MALFORMED_REQUEST")
    }
  }

  @Test func `an unknown blob is answered with 404`() async throws {
    try await withGateway { gateway in
      let id = FakeBlobService.blobID(of: [1])
      let answer = try await gateway.get("/v1/blobs/\(id)")
      #expect(answer.status == 404)
      #expect(try answer.failure.status == "NOT_FOUND")
      #expect(try answer.reason == "BLOB_NOT_FOUND")
      #expect(try answer.failure.details.first?.domain == "daemon.walrus.space")
      let head = try await gateway.send(.HEAD, "/v1/blobs/\(id)")
      #expect(head.status == 404)
      #expect(head.body.isEmpty)
    }
  }

  @Test(arguments: [
    "x", "M4hsZGQ1oCktdzegB6HnI6Mi28S2nqOPHxK-W7_4BUk=", String(repeating: "A", count: 44),
  ])
  func `what is no blob ID is answered with 400`(id: String) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.get("/v1/blobs/\(id)")
      #expect(answer.status == 400)
      #expect(try answer.reason == "INVALID_ID_FORMAT")
    }
  }

  @Test func `a blob is read by the object ID of its registration`() async throws {
    try await withGateway { gateway in
      let registration = gateway.service.add(someBytes(10))
      let path = "/v1/blobs/by-object-id/"
      let answer = try await gateway.get(path + registration.object.description)
      #expect(answer.status == 200)
      #expect(answer.body == someBytes(10))
      let unknown = try await gateway.get(path + "0x" + String(repeating: "0", count: 64))
      #expect(unknown.status == 404)
      #expect(try unknown.reason == "OBJECT_ID_RESOLUTION_FAILED")
      #expect(try await gateway.get(path + "0x12").status == 400)
    }
  }

  @Test func `an error before the first byte is a proper answer`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      gateway.service.state.withLock {
        $0.reading = { _ in
          throw GatewayFailure(
            .unavailable, "BLOB_UNAVAILABLE", "too few slivers", headers: [.retryAfter: "2"])
        }
      }
      let answer = try await gateway.get("/v1/blobs/\(id)")
      #expect(answer.status == 503)
      #expect(try answer.reason == "BLOB_UNAVAILABLE")
      #expect(answer.header("retry-after") == "2")
      #expect(answer.header("etag") == nil)
      #expect(answer.header("access-control-allow-origin") == "*")
    }
  }

  @Test func `an error after the first byte cuts the connection`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(1_000_000)).blob
      gateway.service.state.withLock {
        $0.reading = { sink in
          try await sink(someBytes(600_000))
          throw GatewayFailure(.unavailable, "BLOB_UNAVAILABLE", "too few slivers")
        }
      }
      await #expect(throws: (any Error).self) { try await gateway.get("/v1/blobs/\(id)") }
      #expect(gateway.metrics.text().contains("walrus_gateway_cut_answers_total 1"))
    }
  }

  @Test func `a reader that gives too few bytes cuts the connection`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      gateway.service.state.withLock { $0.reading = { sink in try await sink(someBytes(10)) } }
      await #expect(throws: (any Error).self) { try await gateway.get("/v1/blobs/\(id)") }
    }
  }

  @Test func `an unexpected error is 500 with a trace ID and without its text`() async throws {
    struct Secret: Error { let path = "/secret" }
    try await withGateway { gateway in
      let request = Request(
        head: HTTPRequest(method: .get, scheme: nil, authority: nil, path: "/"),
        body: RequestBody(buffer: ByteBuffer()))
      let failure = gateway.gateway.failure(for: Secret(), Call(request, peer: Call.Peer()))
      #expect(failure.httpStatus == 500)
      #expect(!failure.message.contains("secret"))
      let details = GatewayErrorEnvelope(failure).error.details
      #expect(details.first?.domain == "global")
      #expect(details.last?.detail?.hasPrefix("TraceID: ") == true)
    }
  }

  @Test func `more reads than allowed are refused with Retry-After, and the rest goes on`()
    async throws
  {
    try await withGateway {
      $0.limits.readCountMax = 1
      $0.limits.waitingReadCountMax = 0
    } _: { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      let latch = Latch()
      gateway.service.state.withLock {
        $0.reading = { sink in
          await latch.wait()
          try await sink(someBytes(1000))
        }
      }
      async let first = gateway.get("/v1/blobs/\(id)")
      while gateway.gateway.reads.heldCount == 0 { await Task.yield() }
      let second = try await gateway.get("/v1/blobs/\(id)")
      #expect(second.status == 429)
      #expect(second.header("retry-after") != nil)
      #expect(try second.failure.status == "RESOURCE_EXHAUSTED")
      latch.open()
      #expect(try await first.status == 200)
      #expect(gateway.gateway.reads.heldCount == 0)
    }
  }

  @Test func `a strict read takes memory like a store`() async throws {
    try await withGateway {
      $0.limits.uploadByteCountMax = 2000
    } _: { gateway in
      let id = gateway.service.add(someBytes(1000)).blob
      let answer = try await gateway.get("/v1/blobs/\(id)?strict_consistency_check=true")
      #expect(answer.status == 413)
      #expect(try await gateway.get("/v1/blobs/\(id)").status == 200)
    }
  }
}
