// RouteTests.swift

import AsyncHTTPClient
import Cluster
import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct RouteTests {
  @Test func `status is OK as text, and JSON if asked for`() async throws {
    try await withGateway { gateway in
      let text = try await gateway.get("/status")
      #expect(text.status == 200)
      #expect(text.text == "OK")
      let json = try await gateway.get("/status", [("Accept", "application/json")])
      #expect(json.text == #"{"cluster":"test","ok":true}"#)
    }
  }

  @Test func `the list of calls and the metrics are there`() async throws {
    try await withGateway { gateway in
      let calls = try await gateway.get("/v1/api").text
      for route in Route.allCases { #expect(calls.contains(route.pattern), "\(route)") }
      _ = try await gateway.put([1])
      let metrics = try await gateway.get("/metrics")
      #expect(metrics.header("content-type") == PrometheusMetrics.contentType)
      #expect(
        metrics.text.contains(
          #"walrus_gateway_requests_total{method="PUT",route="/v1/blobs",status="200"} 1"#))
      #expect(
        metrics.text.contains(
          #"walrus_gateway_request_duration_seconds_count{method="PUT",route="/v1/blobs"} 1"#))
      #expect(metrics.text.contains("walrus_gateway_received_bytes_total 1"))
    }
  }

  @Test(arguments: [
    "/", "/v1", "/v1/blobs/", "/v2/blobs", "/v1/blobs/a/b", "/status/", "/%2e%2e/x",
  ])
  func `an unknown path is answered with 404 in the envelope`(path: String) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.get(path)
      #expect(answer.status == 404 || path == "/v1/blobs/" && answer.status == 400)
      #expect(try answer.failure.details.first?.domain == "daemon.walrus.space")
    }
  }

  @Test func `a broken escape in the path is no path`() async throws {
    try await withGateway { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "GET /v1/blobs/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 404 "))
    }
  }

  @Test(arguments: [
    (HTTPMethod.POST, "/v1/blobs", "PUT, OPTIONS"), (.GET, "/v1/blobs", "PUT, OPTIONS"),
    (.DELETE, "/status", "GET, HEAD, OPTIONS"), (.PATCH, "/v1/api", "GET, HEAD, OPTIONS"),
    (.PROPFIND, "/metrics", "GET, HEAD, OPTIONS"),
  ])
  func `a wrong method is answered with 405 and Allow`(
    method: HTTPMethod, path: String, allow: String
  ) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.send(method, path)
      #expect(answer.status == 405)
      #expect(answer.header("allow") == allow)
      #expect(try answer.reason == "METHOD_NOT_ALLOWED")
    }
  }

  @Test(arguments: ["/status", "/nowhere"])
  func `HEAD has the length of GET and no body`(path: String) async throws {
    try await withGateway { gateway in
      let expected = try await gateway.get(path).header("content-length") ?? ""
      // A client library would hide bytes that should not be there.
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "HEAD \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.lowercased().contains("content-length: \(expected)\r\n"))
      #expect(text.hasSuffix("\r\n\r\n"))
    }
  }

  @Test func `a body that nobody wants ends the connection`() async throws {
    try await withGateway { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send(
          "GET /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.hasPrefix("HTTP/1.1 200 "))
      #expect(text.hasSuffix("OK"))
    }
  }

  @Test func `what is not HTTP is answered with 400 or cut`() async throws {
    try await withGateway { gateway in
      let text = try await RawConnection.with(port: gateway.port) { stream in
        try await stream.send("\u{16}\u{3}\u{1} hello\r\n\r\n")
        return try await stream.readToEnd()
      }
      #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400 "))
      #expect(try await gateway.get("/status").status == 200)
    }
  }

  // MARK: - Hosts

  @Test(arguments: [
    ("localhost", 200), ("localhost:1234", 200), ("LOCALHOST", 200), ("a.localhost:80", 200),
    ("127.0.0.1:99", 200), ("127.9.9.9", 200), ("[::1]:80", 200), ("walrus.example", 200),
    ("evil.example", 403), ("evil.example:31415", 403), ("127.0.0.1.evil.example", 403),
    ("notlocalhost", 403), ("10.0.0.1", 403), ("localhost.evil.example", 403), ("[::2]", 403),
  ])
  func `only our own names are answered`(host: String, status: Int) async throws {
    try await withGateway {
      $0.hosts = HostRules(names: ["Walrus.example"])
    } _: { gateway in
      let answer = try await gateway.get("/status", [("Host", host)])
      #expect(answer.status == status)
      if status == 403 { #expect(try answer.reason == "HOST_NOT_ALLOWED") }
    }
  }

  // MARK: - Cross origin

  @Test func `other pages may read and not store, unless configured`() async throws {
    try await withGateway { gateway in
      let id = gateway.service.add([1]).blob
      let origin = ("Origin", "https://page.example")
      let read = try await gateway.get("/v1/blobs/\(id)", [origin])
      #expect(read.header("access-control-allow-origin") == "*")
      #expect(read.header("access-control-expose-headers")?.contains("ETag") == true)
      #expect(try await gateway.put([1], "", [origin]).header("access-control-allow-origin") == nil)
      let preflight = try await gateway.send(
        .OPTIONS, "/v1/blobs", [origin, ("Access-Control-Request-Method", "PUT")])
      #expect(preflight.status == 204)
      #expect(preflight.header("access-control-allow-methods") == "GET, HEAD")
      #expect(preflight.header("access-control-max-age") == "86400")
    }
    try await withGateway {
      $0.crossOrigin = .everything
    } _: { gateway in
      let preflight = try await gateway.send(.OPTIONS, "/v1/blobs")
      #expect(preflight.header("access-control-allow-methods") == "GET, HEAD, PUT, DELETE")
      #expect(preflight.header("access-control-allow-origin") == "*")
      #expect(try await gateway.put([1]).header("access-control-allow-origin") == "*")
    }
  }

  // MARK: - Delete

  @Test func `a delete ends registrations, says how many, and can be repeated`() async throws {
    try await withGateway { gateway in
      let first = gateway.service.add([1])
      gateway.service.add([1])
      gateway.service.add([1])
      let path = "/v1/blobs/\(first.blob)"
      let one = try await gateway.send(.DELETE, path + "?object=\(first.object)")
      #expect(one.status == 200)
      #expect(one.text == #"{"deleted":1}"#)
      #expect(try await gateway.send(.DELETE, path).text == #"{"deleted":2}"#)
      #expect(try await gateway.send(.DELETE, path).text == #"{"deleted":0}"#)
      #expect(try await gateway.get(path).status == 404)
    }
  }

  @Test func `a permanent registration is not deleted`() async throws {
    try await withGateway { gateway in
      let registration = gateway.service.add([1], persistence: .permanent)
      let path = "/v1/blobs/\(registration.blob)"
      let answer = try await gateway.send(.DELETE, path + "?object=\(registration.object)")
      #expect(answer.status == 403)
      #expect(try answer.reason == "BLOB_IS_PERMANENT")
      #expect(try await gateway.send(.DELETE, path).text == #"{"deleted":0}"#)
      #expect(try await gateway.get(path).status == 200)
    }
  }

  @Test(arguments: ["?object=0x1", "?object=", "?objekt=1", "?object=1&object=2"])
  func `a delete that is not understood deletes nothing`(query: String) async throws {
    try await withGateway { gateway in
      let registration = gateway.service.add([1])
      let answer = try await gateway.send(.DELETE, "/v1/blobs/\(registration.blob)\(query)")
      #expect(answer.status == 400)
      #expect(try await gateway.get("/v1/blobs/\(registration.blob)").status == 200)
    }
  }

  @Test func `deletes from elsewhere need the token`() throws {
    let rules = HostRules(bearerToken: "secret")
    func call(_ address: String?, _ headers: HTTPFields = [:]) -> Call {
      Call(
        Request(
          head: HTTPRequest(
            method: .delete, scheme: nil, authority: nil, path: "/", headerFields: headers),
          body: RequestBody(buffer: ByteBuffer())),
        peer: Call.Peer(remoteAddress: address, localAddress: nil))
    }
    try rules.checkDeletion(call("127.0.0.1"))
    try rules.checkDeletion(call("::1"))
    try rules.checkDeletion(call("::ffff:127.0.0.1"))
    try rules.checkDeletion(call("10.0.0.9", [.authorization: "Bearer secret"]))
    try rules.checkDeletion(call("10.0.0.9", [.authorization: "bearer  secret"]))
    for (address, headers) in [
      ("10.0.0.9", [:]), ("10.0.0.9", [.authorization: "Basic secret"]),
      ("127.0.0.1", [.xForwardedFor: "10.0.0.9"]), ("127.0.0.1", [.forwarded: "for=10.0.0.9"]),
      ("127.0.0.1", [.authorization: "Bearer wrong"]),
      ("10.0.0.9", [.authorization: "Bearer secre"]), ("10.0.0.9", [.authorization: "Bearer "]),
    ] as [(String, HTTPFields)] {
      #expect(throws: GatewayFailure.self, "\(address) \(headers)") {
        try rules.checkDeletion(call(address, headers))
      }
    }
    #expect(throws: GatewayFailure.self) {
      try HostRules().checkDeletion(call("10.0.0.9", [.authorization: "Bearer secret"]))
    }
  }
}
