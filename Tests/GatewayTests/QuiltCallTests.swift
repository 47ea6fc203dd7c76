// QuiltCallTests.swift
//
// The calls of quilts over a real socket: forms in, patches out, and every refusal.

import AsyncHTTPClient
import BlobClient
import Cluster
import NIOCore
import NIOHTTP1
import RedStuff
import Synchronization
import Testing

@testable import Gateway

extension GatewayHarness {
  /// Stores a form.
  func putQuilt(
    _ parts: [(name: String, data: [UInt8])], _ query: String = "", boundary: String = "B",
    isChunked: Bool = false
  ) async throws -> Received {
    let bytes = ByteBuffer(bytes: form(parts, boundary: boundary))
    let pieces = stride(from: 0, to: bytes.readableBytes, by: 777).map { start in
      ByteBuffer(bytes: bytes.readableBytesView.dropFirst(start).prefix(777))
    }
    return try await send(
      .PUT, "/v1/quilts" + query, [("Content-Type", "multipart/form-data; boundary=\(boundary)")],
      body: isChunked ? .stream(pieces.async, length: .unknown) : .bytes(bytes))
  }

  /// Puts a quilt there without HTTP.
  func addQuilt(_ patches: [QuiltPatch]) throws -> BlobID {
    service.add(try BuiltQuilt(patches, parameters: service.parameters).blob).blob
  }
}

extension Array where Element: Sendable {
  /// As an upload wants its pieces.
  fileprivate var async: AsyncStream<Element> {
    AsyncStream { continuation in
      for element in self { continuation.yield(element) }
      continuation.finish()
    }
  }
}

private func patch(
  _ name: String, _ data: [UInt8], _ tags: [(String, String)] = []
) throws -> QuiltPatch {
  QuiltPatch(
    identifier: try QuiltIdentifier(name),
    tags: try QuiltTags(tags.map { QuiltTag(name: $0.0, value: $0.1) }), data: data)
}

@Suite(.timeLimit(.minutes(1))) struct QuiltCallTests {
  private let files: [(name: String, data: [UInt8])] = [
    ("b.txt", Array("second".utf8)), ("a/ü.bin", someBytes(5000)), ("empty", []),
  ]

  // MARK: Storing

  @Test(arguments: [false, true])
  func `fields of a form become the patches of a quilt`(isChunked: Bool) async throws {
    try await withGateway { gateway in
      let answer = try await gateway.putQuilt(files, "?epochs=2", isChunked: isChunked)
      #expect(answer.status == 200)
      let reply = try answer.json(QuiltStoreReply.self)
      let object = reply.blobStoreResult.newlyCreated.blobObject
      #expect(object.storage.endEpoch == 5)
      #expect(reply.storedQuiltBlobs.map(\.identifier) == ["a/ü.bin", "b.txt", "empty"])
      for stored in reply.storedQuiltBlobs {
        let data = files.first { $0.name == stored.identifier }?.data
        let id = try QuiltPatchID(text: stored.quiltPatchId)
        #expect(id.quilt.text == object.blobId)
        #expect([id.columns.lowerBound, id.columns.upperBound] == stored.range)
        let read = try await gateway.get("/v1/blobs/by-quilt-patch-id/\(stored.quiltPatchId)")
        #expect(read.status == 200 && read.body == data)
      }
    }
  }

  @Test func `the names in the answer are those of the reference`() async throws {
    try await withGateway { gateway in
      let text = try await gateway.putQuilt([("a", [1])]).text
      for name in [
        #""blobStoreResult":{"newlyCreated":{"blobObject":"#,
        #""storedQuiltBlobs":[{"identifier":"#,
        #""quiltPatchId":""#, #""range":["#,
      ] { #expect(text.contains(name), "\(text)") }
    }
  }

  @Test func `metadata gives tags, wherever it stands in the form`() async throws {
    let metadata = Array(
      #"[{"identifier":"empty","tags":{"n":1,"b":true,"o":{"x":[null]},"s":"t"}},{"identifier":"b.txt"}]"#
        .utf8)
    for position in [0, 3] {
      try await withGateway { gateway in
        var parts = files
        parts.insert(("_metadata", metadata), at: position)
        let reply = try await gateway.putQuilt(parts).json(QuiltStoreReply.self)
        let quilt = reply.blobStoreResult.newlyCreated.blobObject.blobId
        let list = try await gateway.get("/v1/quilts/\(quilt)/patches")
        let items = try #require(try JSONValue(parsing: list.body).array)
        #expect(items.map { $0["identifier"]?.string } == ["a/ü.bin", "b.txt", "empty"])
        #expect(items[2]["tags"]?["n"] == "1")
        #expect(items[2]["tags"]?["b"] == "true")
        #expect(items[2]["tags"]?["o"] == #"{"x":[null]}"#)
        #expect(items[2]["tags"]?["s"] == "t")
        #expect(items[1]["tags"] == [:])
      }
    }
  }

  @Test func `forms that make no quilt are refused`() async throws {
    func list(_ text: String) -> (name: String, data: [UInt8]) { ("_metadata", Array(text.utf8)) }
    let a: (name: String, data: [UInt8]) = ("a", [1])
    let cases: [(parts: [(name: String, data: [UInt8])], words: String)] = [
      ([], "no field"), ([list("[]")], "no field"), ([a, a], "given twice"),
      ([("a ", [1])], "white space"), ([a, list("[]"), list("[]")], "given twice"),
      ([a, list("{}")], "is a list"), ([a, list("[")], "no JSON"),
      ([a, list("[1]")], "identifier"),
      ([a, list(#"[{"identifier":1}]"#)], "identifier"),
      ([a, list(#"[{"identifier":""}]"#)], "not empty"),
      ([a, list(#"[{"identifier":"b"}]"#)], "no field has that name"),
      ([a, list(#"[{"identifier":"a"},{"identifier":"a"}]"#)], "twice"),
      ([a, list(#"[{"identifier":"a","tags":[]}]"#)], "an object"),
      ([a, list(#"[{"identifier":"a","tags":{"x":1,"x":2}}]"#)], "no JSON"),
      ((0..<7).map { ("p\($0)", []) }, "at most 6 patches"),
    ]
    try await withGateway { gateway in
      for (parts, words) in cases {
        let answer = try await gateway.putQuilt(parts)
        #expect(answer.status == 400, "\(answer.text)")
        #expect(try answer.reason == "MALFORMED_REQUEST")
        #expect(try answer.failure.message.contains(words), "\(answer.text)")
      }
      #expect(gateway.service.state.withLock { $0.blobs.isEmpty })
    }
  }

  @Test func `a body that is no form is refused`() async throws {
    try await withGateway { gateway in
      let body = HTTPClientRequest.Body.bytes(ByteBuffer(bytes: form(files)))
      for type in ["text/plain", "multipart/form-data", "multipart/mixed; boundary=B"] {
        let answer = try await gateway.send(
          .PUT, "/v1/quilts", [("Content-Type", type)], body: body)
        #expect(try answer.status == 400 && answer.reason == "MALFORMED_REQUEST")
      }
      let other = try await gateway.send(
        .PUT, "/v1/quilts", [("Content-Type", "multipart/form-data; boundary=C")], body: body)
      #expect(try other.status == 400 && other.reason == "INCOMPLETE_UPLOAD")
      let broken = try await gateway.send(
        .PUT, "/v1/quilts", [("Content-Type", "multipart/form-data; boundary=B")],
        body: .bytes(ByteBuffer(bytes: form(files).dropLast(6))))
      #expect(try broken.status == 400 && broken.reason == "INCOMPLETE_UPLOAD")
    }
  }

  @Test func `the query is that of a blob, and a version`() async throws {
    try await withGateway { gateway in
      #expect(try await gateway.putQuilt(files, "?quilt_version=v1").status == 200)
      for query in [
        "?quilt_version=v2", "?epoch=1", "?deletable=true&permanent=true", "?encoding_type=RS1",
      ] { #expect(try await gateway.putQuilt(files, query).status == 400) }
      let blob = try await gateway.put([1], "?quilt_version=v1")
      #expect(blob.status == 400)
    }
  }

  @Test func `a quilt above the largest blob is refused before it is built`() async throws {
    // One patch of more than half the columns' room, and small ones that take a column each.
    try await withGateway(service: try FakeBlobService(shardCount: 4)) { gateway in
      let large = try await gateway.putQuilt([("a", someBytes(270_000))])
      #expect(try large.status == 413 && large.reason == "BLOB_TOO_LARGE")
      #expect(try await gateway.putQuilt([("a", someBytes(250_000))]).status == 200)
    }
  }

  @Test func `data above the largest blob is refused as it comes`() throws {
    let parameters = try EncodingParameters(shardCount: 4)
    var form = QuiltForm(parameters: parameters)
    try form.take(.part(name: "_metadata"))
    try form.take(.data([UInt8](repeating: 0x20, count: 1000)))
    try form.take(.partEnd)
    try form.take(.part(name: "a"))
    try form.take(.data(someBytes(Int(parameters.blobByteCountMax))))
    let refusal = #expect(throws: GatewayFailure.self) { try form.take(.data([1])) }
    #expect(refusal?.reason == "BLOB_TOO_LARGE" && refusal?.httpStatus == 413)
  }

  @Test func `metadata is bounded`() throws {
    var form = QuiltForm(parameters: try EncodingParameters(shardCount: 4))
    try form.take(.part(name: "_metadata"))
    try form.take(.data([UInt8](repeating: 0x20, count: QuiltForm.metadataByteCountMax)))
    let refusal = #expect(throws: GatewayFailure.self) { try form.take(.data([0x20])) }
    #expect(refusal?.reason == "MALFORMED_REQUEST")
  }

  @Test func `memory is admitted for what the quilt becomes`() async throws {
    // Six patches take six columns of the longest: the quilt is six times its data.
    let parts = [("a", someBytes(100_000))] + (0..<5).map { ("p\($0)", [UInt8]()) }
    try await withGateway { configuration in
      configuration.limits.uploadByteCountMax = 2_000_000
    } _: { gateway in
      let answer = try await gateway.putQuilt(parts.map { (name: $0.0, data: $0.1) })
      #expect(try answer.status == 413 && answer.reason == "BLOB_TOO_LARGE")
      #expect(gateway.gateway.uploads.heldCount == 0)
      #expect(try await gateway.putQuilt([("a", someBytes(100_000))]).status == 200)
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  @Test func `a failed store is told, and its memory given back`() async throws {
    try await withGateway { gateway in
      gateway.service.state.withLock {
        $0.storeFailure = GatewayFailure(
          .insufficientConfirmations(shards: 1, required: 7, reasons: [:]))
      }
      let answer = try await gateway.putQuilt(files)
      #expect(try answer.status == 504 && answer.reason == "INSUFFICIENT_CONFIRMATIONS")
      #expect(gateway.gateway.uploads.heldCount == 0)
    }
  }

  // MARK: Reading

  @Test func `a patch is read by its quilt and identifier`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt(try files.map { try patch($0.name, $0.data) })
      for path in ["b.txt", "a%2F%C3%BC.bin", "a/%C3%BC.bin", "empty"] {
        let answer = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/\(path)")
        let name = path.hasPrefix("a") ? "a/ü.bin" : path
        #expect(answer.status == 200)
        #expect(answer.body == files.first { $0.name == name }?.data, "\(path)")
      }
    }
  }

  @Test func `headers of a patch`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([
        try patch("a.html", [1, 2], [("Content-Type", "text/html"), ("color", "red")]),
        try patch("ü", [3]),
      ])
      let answer = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/a.html")
      #expect(answer.header("x-quilt-patch-identifier") == "a.html")
      #expect(answer.header("etag") == "\"\(quilt)\"")
      #expect(answer.header("content-length") == "2")
      #expect(answer.header("content-type") == "text/html")
      #expect(answer.header("color") == nil)
      #expect(
        answer.header("cache-control") == "public, max-age=86400, stale-while-revalidate=3600")
      #expect(answer.header("x-content-type-options") == "nosniff")
      #expect(answer.header("content-security-policy") == "sandbox")
      let exposed = answer.header("access-control-expose-headers")
      #expect(exposed?.contains("X-Quilt-Patch-Identifier") == true)
      let accepting = try await gateway.get(
        "/v1/blobs/by-quilt-id/\(quilt)/a.html", [("Accept", "image/png")])
      #expect(accepting.header("content-type") == "image/png")
      let other = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/%C3%BC")
      #expect(other.status == 200 && other.header("x-quilt-patch-identifier") == nil)
    }
  }

  @Test func `all tags are sent where the operator says so, and none that breaks the answer`()
    async throws
  {
    try await withGateway {
      $0.sendsAllPatchTags = true
    } _: { gateway in
      let quilt = try gateway.addQuilt([
        try patch(
          "a", [1, 2],
          [
            ("color", "red"), ("Content-Length", "1"), ("Transfer-Encoding", "chunked"),
            ("Connection", "close"), ("ETag", "x"), ("bad name", "1"), ("bad", "é"), ("nl", "a\nb"),
            ("X-Quilt-Patch-Identifier", "b"), ("Content-Security-Policy", "none"),
          ])
      ])
      let answer = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/a")
      #expect(answer.status == 200 && answer.body == [1, 2])
      #expect(answer.header("color") == "red")
      #expect(answer.header("etag") == "\"\(quilt)\"")
      #expect(answer.header("x-quilt-patch-identifier") == "a")
      #expect(answer.header("content-security-policy") == "sandbox")
      #expect(answer.header("transfer-encoding") == nil)
      #expect(answer.header("bad") == nil && answer.header("nl") == nil)
    }
  }

  @Test func `HEAD and 304 read no data`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([try patch("a", someBytes(4000))])
      let path = "/v1/blobs/by-quilt-id/\(quilt)/a"
      let head = try await gateway.send(.HEAD, path)
      #expect(head.status == 200 && head.header("content-length") == "4000" && head.body.isEmpty)
      #expect(gateway.service.state.withLock { $0.lastUse } == .header)
      let same = try await gateway.get(path, [("If-None-Match", "\"\(quilt)\"")])
      #expect(same.status == 304 && same.body.isEmpty)
      #expect(gateway.service.state.withLock { $0.lastUse } == .header)
      let other = try await gateway.get(path, [("If-None-Match", "\"x\"")])
      #expect(other.status == 200 && other.body.count == 4000)
      let missing = try await gateway.get(path + "b", [("If-None-Match", "*")])
      #expect(missing.status == 404)
    }
  }

  @Test func `what is not there is 404, what is no ID 400`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([try patch("a", [1])])
      let plain = gateway.service.add([1, 2, 3]).blob
      let unknown = BlobID(Digest(hashing: [1]))
      let id = QuiltPatchID(quilt: quilt, columns: 1..<2).text
      let cases: [(path: String, status: Int, reason: String)] = [
        ("/v1/blobs/by-quilt-id/\(quilt)/b", 404, "QUILT_PATCH_NOT_FOUND"),
        ("/v1/blobs/by-quilt-id/\(quilt)/a%20", 404, "QUILT_PATCH_NOT_FOUND"),
        ("/v1/blobs/by-quilt-id/\(quilt)/", 404, "QUILT_PATCH_NOT_FOUND"),
        ("/v1/blobs/by-quilt-id/\(quilt)", 404, "ROUTE_NOT_FOUND"),
        ("/v1/blobs/by-quilt-id/\(unknown)/a", 404, "BLOB_NOT_FOUND"),
        ("/v1/blobs/by-quilt-id/x/a", 400, "INVALID_ID_FORMAT"),
        ("/v1/blobs/by-quilt-id/\(plain)/a", 400, "NOT_A_QUILT"),
        ("/v1/blobs/by-quilt-patch-id/\(id)", 404, "QUILT_PATCH_NOT_FOUND"),
        ("/v1/blobs/by-quilt-patch-id/\(quilt)", 400, "INVALID_ID_FORMAT"),
        ("/v1/blobs/by-quilt-patch-id/byte-range", 400, "INVALID_ID_FORMAT"),
        ("/v1/quilts/\(unknown)/patches", 404, "BLOB_NOT_FOUND"),
        ("/v1/quilts/\(plain)/patches", 400, "NOT_A_QUILT"),
        ("/v1/quilts/x/patches", 400, "INVALID_ID_FORMAT"),
        ("/v1/quilts/\(quilt)", 404, "ROUTE_NOT_FOUND"),
      ]
      for (path, status, reason) in cases {
        let answer = try await gateway.get(path)
        #expect(try answer.status == status && answer.reason == reason, "\(path): \(answer.text)")
      }
    }
  }

  @Test func `patches are listed in snake case, in the order of their columns`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([
        try patch("b", [1], [("zz", "1"), ("a", "\"")]), try patch("a", [2]),
      ])
      let answer = try await gateway.get("/v1/quilts/\(quilt)/patches")
      #expect(answer.header("content-type") == "application/json")
      let reader = try QuiltReader(
        #require(gateway.service.state.withLock { $0.blobs[quilt] }),
        parameters: gateway.service.parameters)
      let ids = reader.index.entries.map { QuiltPatchID(quilt: quilt, columns: $0.columns).text }
      #expect(
        answer.text == #"[{"identifier":"a","patch_id":"\#(ids[0])","tags":{}},"#
          + #"{"identifier":"b","patch_id":"\#(ids[1])","tags":{"a":"\"","zz":"1"}}]"#)
    }
  }

  @Test func `an error before the first byte is an answer, and turns are given back`() async throws
  {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([try patch("a", someBytes(4000))])
      gateway.service.state.withLock {
        $0.reading = { _ in throw GatewayFailure(.unavailable(reason: "gone")) }
      }
      let answer = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/a")
      #expect(try answer.status == 503 && answer.reason == "BLOB_UNAVAILABLE")
      #expect(gateway.gateway.reads.heldCount == 0)
    }
  }

  @Test func `metrics count quilt calls by their patterns`() async throws {
    try await withGateway { gateway in
      let quilt = try gateway.addQuilt([try patch("a", someBytes(4000))])
      _ = try await gateway.get("/v1/blobs/by-quilt-id/\(quilt)/a")
      _ = try await gateway.get("/v1/quilts/\(quilt)/patches")
      let text = try await gateway.get("/metrics").text
      #expect(text.contains(#"route="/v1/blobs/by-quilt-id/{quilt}/{identifier}""#))
      #expect(text.contains(#"route="/v1/quilts/{id}/patches""#))
    }
  }
}
