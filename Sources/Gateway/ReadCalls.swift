// ReadCalls.swift
//
// GET and HEAD of a blob or a part of it. A blob's content never changes, so its ID is its ETag.
// Lengths come from the registry: HEAD, 304 and 416 read no sliver.

import Cluster
import HTTPTypes
import HummingbirdCore
import RedStuff

extension Gateway {
  static let cacheControl = "public, max-age=86400, stale-while-revalidate=3600"

  static func blobID(_ text: String) throws(GatewayFailure) -> BlobID {
    guard let id = BlobID(text: text) else {
      throw GatewayFailure(
        .invalidArgument, "INVALID_ID_FORMAT",
        "`\(text.prefix(80))` is not a blob ID, which is \(BlobID.textLength) characters of base64url"
      )
    }
    return id
  }

  /// The blob of a registration; reads by object ID go on as reads by blob ID.
  func blobID(ofObject text: String) async throws(GatewayFailure) -> BlobID {
    guard let object = ObjectID(text: text) else {
      throw GatewayFailure(
        .invalidArgument, "INVALID_ID_FORMAT",
        "`\(text.prefix(80))` is not an object ID, which is 0x and 64 hexadecimal digits")
    }
    guard let blob = try await service.blob(of: object) else {
      throw GatewayFailure(
        .notFound, "OBJECT_ID_RESOLUTION_FAILED",
        "there is no registration \(object); blobs are also read by their blob ID")
    }
    return blob
  }

  func readBlob(_ call: Call, blob: BlobID) async throws -> Answer {
    let check = try consistencyCheck(call)
    let byteCount = try await service.byteCount(of: blob)
    let tag = "\"\(blob.text)\""
    if let answer = notModified(call, tag: tag) { return answer }
    // Ranges are defined for GET only, and a range of another version is no range of this one.
    let isCurrent = call.headers[.ifRange].map { trimmed($0) == tag } ?? true
    let header = call.method == .get && isCurrent ? call.headers[.range] : nil
    var headers = readHeaders(call, tag: tag)
    headers[.acceptRanges] = "bytes"
    switch ByteRangeRequest(header: header, byteCount: byteCount) {
    case .whole:
      return read(
        call, blob, 0..<byteCount, of: byteCount, check: check, status: .ok, headers: headers)
    case .part(let range):
      headers[.contentRange] =
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(byteCount)"
      return read(
        call, blob, range, of: byteCount, check: check, status: .partialContent, headers: headers)
    case .refused(let why):
      throw GatewayFailure(
        .rangeNotSatisfiable, "INVALID_BYTE_RANGE", why,
        headers: [.contentRange: "bytes */\(byteCount)"])
    }
  }

  /// A part by query, so that caches keep it under a URL of its own: 200, and 400 for bad ranges.
  func readByteRange(_ call: Call, blob: BlobID) async throws -> Answer {
    let query = try QueryFields(call.query, known: nil)
    guard let start = try query.number("start", as: UInt64.self),
      let length = try query.number("length", as: UInt64.self)
    else { throw GatewayFailure.malformed("`start` and `length` are both needed") }
    let byteCount = try await service.byteCount(of: blob)
    let (end, overflow) = start.addingReportingOverflow(length)
    guard length > 0, !overflow, end <= byteCount else {
      throw GatewayFailure(
        .invalidArgument, "INVALID_BYTE_RANGE",
        "\(length) bytes from byte \(start) are not a part of a blob of \(byteCount) bytes")
    }
    let tag = "\"\(blob.text)-\(start)-\(length)\""
    if let answer = notModified(call, tag: tag) { return answer }
    return read(
      call, blob, start..<end, of: byteCount, check: .default, status: .ok,
      headers: readHeaders(call, tag: tag))
  }

  private func consistencyCheck(_ call: Call) throws(GatewayFailure) -> ConsistencyCheck {
    let query = try QueryFields(call.query, known: nil)
    switch (try query.flag("strict_consistency_check"), try query.flag("skip_consistency_check")) {
    case (true, true):
      throw .malformed(
        "strict_consistency_check and skip_consistency_check exclude each other: give one of them")
    case (true, false): return .strict
    case (false, true): return .skip
    case (false, false): return .default
    }
  }

  func notModified(_ call: Call, tag: String) -> Answer? {
    guard let header = call.headers[.ifNoneMatch] else { return nil }
    let matches = header.split(separator: ",").contains { member in
      let member = trimmed(member)
      // Weak comparison (RFC 9110, section 13.1.2): a `W/` in front changes nothing.
      return member == "*" || member == tag
        || (member.hasPrefix("W/") && member.dropFirst(2) == tag)
    }
    guard matches else { return nil }
    return Answer(
      status: .notModified, headers: [.eTag: tag, .cacheControl: Self.cacheControl],
      body: .none(byteCount: nil))
  }

  func readHeaders(_ call: Call, tag: String) -> HTTPFields {
    var headers: HTTPFields = [
      .eTag: tag, .cacheControl: Self.cacheControl, .contentSecurityPolicy: "sandbox",
    ]
    // The client says what the blob is: nobody else knows.
    if let accepted = call.headers[.accept], !accepted.contains("*") {
      headers[.contentType] = accepted
    } else if call.method == .get, let type = call.headers[.contentType] {
      headers[.contentType] = type
    }
    return headers
  }

  private func read(
    _ call: Call, _ blob: BlobID, _ range: Range<UInt64>, of blobByteCount: UInt64,
    check: ConsistencyCheck, status: HTTPResponse.Status, headers: HTTPFields
  ) -> Answer {
    let byteCount = range.upperBound - range.lowerBound
    guard call.method == .get, !range.isEmpty else {
      return Answer(status: status, headers: headers, body: .none(byteCount: byteCount))
    }
    return Answer(
      status: status, headers: headers,
      body: .stream(byteCount: byteCount) { [reads, uploads, service, metrics] queue in
        let turn = try await reads.hold(1)
        defer { turn.release() }
        // A strict read encodes the whole blob again, which takes the memory of a store. Others must
        // not even queue behind uploads.
        let memory =
          check == .strict
          ? try await uploads.hold(
            service.storeByteCount(forBlobOf: Int(clamping: blobByteCount))) : nil
        defer { memory?.release() }
        try await service.read(blob, range: range, check: check) { bytes in
          try await queue.send(bytes)
          metrics.sent(byteCount: bytes.count)
        }
      })
  }

  func deleteBlob(_ call: Call, blob: BlobID) async throws -> Answer {
    try configuration.hosts.checkDeletion(call)
    return try Answer(json: try await deletion(call, of: blob, from: service))
  }

  /// Common to the public and the administration API.
  func deletion(
    _ call: Call, of blob: BlobID, from service: any BlobService
  ) async throws(GatewayFailure) -> DeletionReply {
    let query = try QueryFields(call.query, known: ["object"])
    let object = try query.object()
    return DeletionReply(deleted: try await service.delete(blob, object: object))
  }
}

/// How many registrations a delete ended; zero is no error, so that deletes can be repeated.
package struct DeletionReply: Codable, Equatable, Sendable {
  package var deleted: Int
}

extension QueryFields {
  func object() throws(GatewayFailure) -> ObjectID? {
    guard !isEmpty("object") else {
      throw .malformed("`object` is empty: name a registration, or leave it out to mean all")
    }
    guard let text = text("object") else { return nil }
    guard let object = ObjectID(text: text) else {
      throw .malformed("`object` is 0x and 64 hexadecimal digits, not `\(text.prefix(80))`")
    }
    return object
  }
}
