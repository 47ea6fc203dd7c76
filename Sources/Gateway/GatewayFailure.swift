// GatewayFailure.swift
//
// Why the gateway says no, as a value, and the JSON envelope in which clients get it. `reason` is
// the stable key that clients switch on; `message` is for people and names the next step.

import FoundationEssentials
package import HTTPTypes

package struct GatewayFailure: Error, Hashable, Sendable {
  /// The word in the envelope and the HTTP status it usually goes with.
  package enum Status: String, Hashable, Sendable {
    case invalidArgument = "INVALID_ARGUMENT"
    case failedPrecondition = "FAILED_PRECONDITION"
    case unauthenticated = "UNAUTHENTICATED"
    case permissionDenied = "PERMISSION_DENIED"
    case sizeExceeded = "SIZE_EXCEEDED"
    case notFound = "NOT_FOUND"
    case rangeNotSatisfiable = "RANGE_NOT_SATISFIABLE"
    case resourceExhausted = "RESOURCE_EXHAUSTED"
    case unavailableForLegalReasons = "UNAVAILABLE_FOR_LEGAL_REASONS"
    case internalError = "INTERNAL"
    case unavailable = "UNAVAILABLE"
    case deadlineExceeded = "DEADLINE_EXCEEDED"

    var httpStatus: Int {
      switch self {
      case .invalidArgument, .failedPrecondition: 400
      case .unauthenticated: 401
      case .permissionDenied, .sizeExceeded: 403
      case .notFound: 404
      case .rangeNotSatisfiable: 416
      case .resourceExhausted: 429
      case .unavailableForLegalReasons: 451
      case .internalError: 500
      case .unavailable: 503
      case .deadlineExceeded: 504
      }
    }
  }

  package var status: Status
  package var httpStatus: Int
  package var reason: String
  package var message: String
  /// Numbers and names behind the message, for programs.
  package var metadata: [String: String] = [:]
  /// Headers beside those of every answer.
  package var headers: [HTTPField.Name: String] = [:]
  /// Names the log line that tells what happened; internal errors only.
  package var traceID: String?

  package init(
    _ status: Status, _ reason: String, _ message: String, httpStatus: Int? = nil,
    metadata: [String: String] = [:], headers: [HTTPField.Name: String] = [:]
  ) {
    self.status = status
    self.reason = reason
    self.message = message
    self.httpStatus = httpStatus ?? status.httpStatus
    self.metadata = metadata
    self.headers = headers
  }

  /// When a client that was refused for lack of room should come back.
  static let retryAfterSeconds = 2

  static func malformed(_ message: String) -> GatewayFailure {
    GatewayFailure(.invalidArgument, "MALFORMED_REQUEST", message)
  }

  static func incompleteUpload(_ what: String) -> GatewayFailure {
    GatewayFailure(
      .invalidArgument, "INCOMPLETE_UPLOAD", "\(what); nothing was stored: send it again")
  }

  static func busy(_ message: String) -> GatewayFailure {
    GatewayFailure(
      .resourceExhausted, "TOO_MANY_REQUESTS", message,
      headers: [.retryAfter: "\(retryAfterSeconds)"])
  }

  static func blobTooLarge(byteCount: UInt64, byteCountMax: UInt64) -> GatewayFailure {
    GatewayFailure(
      .sizeExceeded, "BLOB_TOO_LARGE",
      """
      the blob has \(byteCount) bytes or more and this cluster stores blobs of at most \
      \(byteCountMax): split it, or use a cluster with more shards
      """,
      httpStatus: 413, metadata: ["size": "\(byteCount)", "limit": "\(byteCountMax)"])
  }

  /// The cause goes to the log only: it may tell more than a client should know.
  static func unexpected(traceID: String) -> GatewayFailure {
    var failure = GatewayFailure(
      .internalError, "INTERNAL_ERROR",
      "an internal error occurred; the log of the gateway has the details under the trace ID")
    failure.traceID = traceID
    return failure
  }
}

/// `{"error": {...}}` as every server of this system answers it.
struct GatewayErrorEnvelope: Codable, Equatable {
  struct Body: Codable, Equatable {
    var status: String
    var code: Int
    var message: String
    var details: [Detail]
  }

  struct Detail: Codable, Equatable {
    enum CodingKeys: String, CodingKey {
      case type = "@type"
      case reason, domain, metadata, stackEntries, detail
    }
    var type: String
    var reason: String?
    var domain: String?
    var metadata: [String: String]?
    var stackEntries: [String]?
    var detail: String?
  }

  static let domain = "daemon.walrus.space"
  /// Errors that are nobody's business but ours.
  static let globalDomain = "global"

  var error: Body

  init(_ failure: GatewayFailure) {
    var details = [
      Detail(
        type: "ErrorInfo", reason: failure.reason,
        domain: failure.status == .internalError ? Self.globalDomain : Self.domain,
        metadata: failure.metadata)
    ]
    if let traceID = failure.traceID {
      details.append(
        Detail(type: "DebugInfo", stackEntries: [], detail: "TraceID: \(traceID)"))
    }
    error = Body(
      status: failure.status.rawValue, code: failure.httpStatus, message: failure.message,
      details: details)
  }
}
