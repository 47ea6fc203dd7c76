// ErrorEnvelope.swift
//
// How success and refusal look in JSON: `{"success": {"code": ..., "data": ...}}` and
// `{"error": {"status": ..., "code": ..., "message": ..., "details": [ErrorInfo]}}`.

internal import RedStuff

enum SuccessEnvelope {
  static func response(status: Int = 200, data: JSONValue) -> WireResponse {
    let envelope: JSONValue = ["success": ["code": .integer(status), "data": data]]
    return WireResponse(
      status: status, headers: [WireField("content-type", WireContent.json)],
      body: envelope.encoded())
  }

  static func data(from wire: WireResponse) throws(WireError) -> JSONValue {
    let envelope: JSONValue
    do {
      envelope = try JSONValue(parsing: wire.body)
    } catch {
      throw .malformed("the answer is no JSON: \(error)")
    }
    guard let data = envelope["success"]?["data"] else {
      throw .malformed("the answer has no success.data")
    }
    return data
  }
}

enum ErrorEnvelope {
  /// Messages are for people; a longer one is cut.
  static let messageByteCountMax = 4096
  private static let nodeDomain = "storage.walrus.space"

  static func response(for failure: NodeFailure, to request: NodeRequest) -> WireResponse {
    let code = httpStatus(of: failure, to: request)
    let details: JSONValue = [
      "@type": "ErrorInfo",
      "reason": .string(failure.reason.rawValue),
      "domain": .string(failure.reason == .internalError ? "global" : nodeDomain),
      "metadata": [:],
    ]
    let error: JSONValue = [
      "status": .string(statusName(code, failure.reason)),
      "code": .integer(code),
      "message": .string(cut(failure.message)),
      "details": [details],
    ]
    let envelope: JSONValue = ["error": error]
    return WireResponse(
      status: code, headers: [WireField("content-type", WireContent.json)],
      body: envelope.encoded())
  }

  /// A refusal with a reason unknown here stays a refusal; what has no reason is none of ours.
  static func failure(from wire: WireResponse) throws(WireError) -> NodeFailure {
    let error = (try? JSONValue(parsing: wire.body))?["error"]
    let details = error?["details"]?.array ?? []
    let reason = details.lazy.filter { $0["@type"]?.string == "ErrorInfo" }
      .compactMap { $0["reason"]?.string }.first
    guard let error, let reason else {
      let start = String(decoding: wire.body.prefix(200), as: UTF8.self)
      throw .unexpectedAnswer(status: wire.status, text: start)
    }
    let message = error["message"]?.string ?? ""
    return refusal(reason: reason, message: message, isTemporary: [429, 503].contains(wire.status))
  }

  /// From a reason's name, which a newer node may have and we not.
  static func refusal(reason: String, message: String, isTemporary: Bool = false) -> NodeFailure {
    if let known = NodeFailure.Reason(rawValue: reason) {
      return NodeFailure(known, cut(message))
    }
    return NodeFailure(isTemporary ? .unavailable : .internalError, cut("\(reason): \(message)"))
  }

  static func cut(_ message: String) -> String {
    guard message.utf8.count > messageByteCountMax else { return message }
    return String(decoding: message.utf8.prefix(messageByteCountMax), as: UTF8.self)
  }

  /// The reference calls missing metadata a broken order of calls, not something not found, where
  /// the call needs the metadata for something else.
  private static func httpStatus(of failure: NodeFailure, to request: NodeRequest) -> Int {
    switch (failure.reason, request) {
    case (.metadataNotFound, .storeSliver), (.metadataNotFound, .inconsistencyProof): 400
    default: failure.httpStatus
    }
  }

  private static func statusName(_ code: Int, _ reason: NodeFailure.Reason) -> String {
    switch code {
    case 404: "NOT_FOUND"
    case 413: "SIZE_EXCEEDED"
    case 429, 507: "RESOURCE_EXHAUSTED"
    case 451: "UNAVAILABLE_FOR_LEGAL_REASONS"
    case 500: "INTERNAL"
    case 503: "UNAVAILABLE"
    default: isPrecondition(reason) ? "FAILED_PRECONDITION" : "INVALID_ARGUMENT"
    }
  }

  /// Whether the same request may succeed once something else has happened.
  private static func isPrecondition(_ reason: NodeFailure.Reason) -> Bool {
    switch reason {
    case .notRegistered, .metadataNotFound, .missingSlivers, .invalidBlob, .cacheSaturated: true
    default: false
    }
  }
}
