// HostRules.swift
//
// Which requests come from where they seem to. A web page can make a browser send requests here
// through a name that its owner points at this machine (DNS rebinding); such requests carry that
// name in their Host header. So only names that are ours are answered. Deleting needs more: a peer
// on this machine, or the token.

import HTTPTypes

package struct HostRules: Sendable {
  /// Names beside localhost and the addresses of this machine under which clients reach us.
  package var names: Set<String>
  /// Opens DELETE to other machines; nil: to this machine only.
  package var bearerToken: String?

  package init(names: Set<String> = [], bearerToken: String? = nil) {
    self.names = Set(names.map { $0.lowercased() })
    self.bearerToken = bearerToken
  }

  func check(_ call: Call) throws(GatewayFailure) {
    // Browsers connect to no Unix socket, and always send a Host header.
    guard !call.peer.isUnixSocket, let authority = call.host, !authority.isEmpty else { return }
    let host = Self.hostName(in: authority).lowercased()
    if host == "localhost" || host.hasSuffix(".localhost") || Self.isLoopback(host) { return }
    if host == call.peer.localAddress || names.contains(host) { return }
    throw GatewayFailure(
      .permissionDenied, "HOST_NOT_ALLOWED",
      """
      this gateway is not known as `\(host)`: use its address, or start it with that name among \
      its host names
      """)
  }

  /// Refuses whoever may not delete.
  func checkDeletion(_ call: Call) throws(GatewayFailure) {
    if let presented = Self.bearerToken(in: call.headers[.authorization]) {
      guard let bearerToken, Self.isEqual(presented, bearerToken) else {
        throw GatewayFailure(
          .unauthenticated, "INVALID_TOKEN", "the bearer token is not the one of this gateway",
          headers: [.wwwAuthenticate: "Bearer"])
      }
      return
    }
    // A proxy on this machine speaks for others.
    let isForwarded = call.headers[.forwarded] != nil || call.headers[.xForwardedFor] != nil
    if call.peer.isUnixSocket { return }
    if !isForwarded, let address = call.peer.remoteAddress, Self.isLoopback(address) { return }
    throw GatewayFailure(
      .permissionDenied, "DELETE_NOT_ALLOWED",
      bearerToken == nil
        ? "deleting is allowed from the machine of the gateway only; it has no bearer token set"
        : "deleting from another machine needs the header `Authorization: Bearer <token>`")
  }

  private static func bearerToken(in header: String?) -> String? {
    guard let header else { return nil }
    let words = header.split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
    return String(trimmed(words[1]))
  }

  /// Takes the same time wherever the difference is, so that nobody can guess byte by byte.
  private static func isEqual(_ left: String, _ right: String) -> Bool {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }

  /// `name:port` or `[address]:port` without the port and the brackets.
  static func hostName(in authority: String) -> Substring {
    if authority.hasPrefix("[") { return authority.dropFirst().prefix { $0 != "]" } }
    return authority.prefix { $0 != ":" }
  }

  static func isLoopback(_ host: some StringProtocol) -> Bool {
    if host == "::1" { return true }
    let address = host.hasPrefix("::ffff:") ? Substring(host.dropFirst(7)) : Substring(host)
    let parts = address.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}

/// Which pages of other origins may read answers.
package enum CrossOriginAccess: Sendable {
  /// Blobs are public to who knows their ID: any page may read them, none may store or delete.
  case reads
  /// Any page may do what its user's machine may.
  case everything

  private var methods: String {
    switch self {
    case .reads: "GET, HEAD"
    case .everything: "GET, HEAD, PUT, DELETE"
    }
  }

  /// The reference lets browsers keep the answer to a preflight for a day.
  private static let preflightSeconds = 86_400

  func addHeaders(to headers: inout HTTPFields, method: HTTPRequest.Method) {
    guard self == .everything || method == .get || method == .head || method == .options else {
      return
    }
    headers[.accessControlAllowOrigin] = "*"
    headers[.accessControlExposeHeaders] =
      "Accept-Ranges, Content-Length, Content-Range, ETag, X-Quilt-Patch-Identifier"
  }

  func preflight() -> Answer {
    Answer(
      status: .noContent,
      headers: [
        .accessControlAllowMethods: methods,
        .accessControlAllowHeaders: "*, Authorization",
        .accessControlMaxAge: "\(Self.preflightSeconds)",
      ], body: .none(byteCount: nil))
  }
}

extension HTTPField.Name {
  static let forwarded = HTTPField.Name(known: "Forwarded")
  static let xForwardedFor = HTTPField.Name(known: "X-Forwarded-For")

  init(known name: String) {
    guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is a header name") }
    self = name
  }
}
