// Routes.swift
//
// The paths of the public API, and which handler answers which. A path that exists with another
// method is answered 405, not 404; HEAD goes wherever GET goes.

import HTTPTypes
import HummingbirdCore

enum Route: Hashable, Sendable, CaseIterable {
  case status, api, metrics, blobs, blob, byteRange, objectBlob
  case quilts, quiltPatches, patch, quiltPatch

  init?(segments: [String]) {
    switch segments.count {
    case 1 where segments[0] == "status": self = .status
    case 1 where segments[0] == "metrics": self = .metrics
    case 2 where segments == ["v1", "api"]: self = .api
    case 2 where segments == ["v1", "blobs"]: self = .blobs
    case 2 where segments == ["v1", "quilts"]: self = .quilts
    case 3 where segments.starts(with: ["v1", "blobs"]): self = .blob
    case 4 where segments.starts(with: ["v1", "blobs", "by-object-id"]): self = .objectBlob
    case 4 where segments.starts(with: ["v1", "blobs", "by-quilt-patch-id"]): self = .patch
    case 4 where segments.starts(with: ["v1", "blobs"]) && segments[3] == "byte-range":
      self = .byteRange
    case 4 where segments.starts(with: ["v1", "quilts"]) && segments[3] == "patches":
      self = .quiltPatches
    // An identifier may have slashes of its own.
    case 5... where segments.starts(with: ["v1", "blobs", "by-quilt-id"]): self = .quiltPatch
    default: return nil
    }
  }

  /// As documentation and metrics show it.
  var pattern: String {
    switch self {
    case .status: "/status"
    case .api: "/v1/api"
    case .metrics: "/metrics"
    case .blobs: "/v1/blobs"
    case .blob: "/v1/blobs/{id}"
    case .byteRange: "/v1/blobs/{id}/byte-range"
    case .objectBlob: "/v1/blobs/by-object-id/{object}"
    case .quilts: "/v1/quilts"
    case .quiltPatches: "/v1/quilts/{id}/patches"
    case .patch: "/v1/blobs/by-quilt-patch-id/{id}"
    case .quiltPatch: "/v1/blobs/by-quilt-id/{quilt}/{identifier}"
    }
  }

  var methods: [HTTPRequest.Method] {
    switch self {
    case .status, .api, .metrics, .byteRange, .objectBlob, .quiltPatches, .patch, .quiltPatch:
      [.get, .head]
    case .blobs, .quilts: [.put]
    case .blob: [.get, .head, .delete]
    }
  }

  /// Whether PUT reads the body to its end.
  var takesBody: Bool { self == .blobs || self == .quilts }

  static func allow(_ methods: [HTTPRequest.Method]) -> String {
    (methods + [.options]).map(\.rawValue).joined(separator: ", ")
  }
}

extension Gateway {
  @concurrent
  func handle(
    _ call: Call, route: Route?, writer: borrowing ResponseWriter
  ) async throws -> Answer {
    guard let route, let segments = call.segments else { throw Self.unknownPath }
    if call.method == .options { return configuration.crossOrigin.preflight() }
    guard route.methods.contains(call.method) else {
      throw Self.wrongMethod(call.method, allowed: Route.allow(route.methods))
    }
    switch route {
    case .status: return try status(call)
    case .api: return Answer(text: Self.apiText)
    case .metrics: return try metricsAnswer()
    case .blobs: return try await storeBlob(call, writer: writer)
    case .blob where call.method == .delete:
      return try await deleteBlob(call, blob: try Self.blobID(segments[2]))
    case .blob: return try await readBlob(call, blob: try Self.blobID(segments[2]))
    case .byteRange: return try await readByteRange(call, blob: try Self.blobID(segments[2]))
    case .objectBlob: return try await readBlob(call, blob: try await blobID(ofObject: segments[3]))
    case .quilts: return try await storeQuilt(call, writer: writer)
    case .quiltPatches: return try await listPatches(of: try Self.blobID(segments[2]))
    case .patch: return try await readPatch(call, id: segments[3])
    case .quiltPatch:
      return try await readPatch(
        call, quilt: try Self.blobID(segments[3]),
        identifier: segments[4...].joined(separator: "/"))
    }
  }

  static let unknownPath = GatewayFailure(
    .notFound, "ROUTE_NOT_FOUND", "there is no such path; GET /v1/api lists the calls")

  static func wrongMethod(_ method: HTTPRequest.Method, allowed: String) -> GatewayFailure {
    GatewayFailure(
      .invalidArgument, "METHOD_NOT_ALLOWED",
      "\(method.rawValue) does not work on this path, \(allowed) do", httpStatus: 405,
      headers: [.allow: allowed])
  }

  private func status(_ call: Call) throws -> Answer {
    struct Status: Encodable {
      let ok = true
      let cluster: String
    }
    guard call.headers[.accept]?.lowercased().contains("application/json") == true else {
      return Answer(text: "OK")
    }
    return try Answer(json: Status(cluster: configuration.clusterName))
  }

  private func metricsAnswer() throws -> Answer {
    guard let metricsText else { throw Self.unknownPath }
    return Answer(text: metricsText(), type: PrometheusMetrics.contentType)
  }

  static let apiText = """
    Walrus gateway

    PUT    /v1/blobs                                   store the body as a blob; ?epochs= &permanent=
    GET    /v1/blobs/{id}                              read a blob; Range and If-None-Match work
    HEAD   /v1/blobs/{id}                              its length
    GET    /v1/blobs/{id}/byte-range                   a part: ?start= &length=
    GET    /v1/blobs/by-object-id/{object}             the blob of a registration
    DELETE /v1/blobs/{id}                              end its registrations; ?object= for one of them
    PUT    /v1/quilts                                  store the fields of a form as one quilt
    GET    /v1/quilts/{id}/patches                     the patches of a quilt
    GET    /v1/blobs/by-quilt-patch-id/{id}            read a patch
    GET    /v1/blobs/by-quilt-id/{quilt}/{identifier}  the same by its identifier
    GET    /v1/api                                     this list
    GET    /status                                     OK, or JSON if asked for
    GET    /metrics                                    numbers for Prometheus

    Reads take ?strict_consistency_check=true or ?skip_consistency_check=true.
    Errors are JSON: {"error": {"status", "code", "message", "details": [{"reason", ...}]}}

    """
}
