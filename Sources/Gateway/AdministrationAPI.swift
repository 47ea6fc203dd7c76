// AdministrationAPI.swift
//
// The API of the operator, served on a Unix socket that only the owner of the data directory can
// open: that is all the authentication there is, so it must never be served on a port.
//
// GET    /admin/info, /admin/health
// GET    /admin/blobs?after=&limit=              all registrations, page by page
// GET    /admin/blobs/{id}                       those of one blob
// DELETE /admin/blobs/{id}?object=
// POST   /admin/blobs/{id}/extend?epochs=&object=
// POST   /admin/cluster/nodes/{name}/{stop|start|wipe}
//
// GET    /admin/traffic
// and, in AdministrationAPI+Upkeep, repair and scrub.

import Cluster
import HTTPTypes
package import HummingbirdCore
package import NIOCore
import RedStuff

package final class AdministrationAPI: Sendable {
  /// Registrations in one page unless asked otherwise, and at most, which is also the registry's
  /// maximum.
  static let pageCount = 100
  static let pageCountMax = 1000

  private let gateway: Gateway
  let administration: any ClusterAdministration

  package init(gateway: Gateway, administration: any ClusterAdministration) {
    self.gateway = gateway
    self.administration = administration
  }

  /// Answers a request; the responder of its listener.
  @concurrent
  package func respond(
    to request: Request, writer: consuming ResponseWriter, channel: any Channel
  ) async throws {
    let call = Call(request, peer: Call.Peer(channel))
    var answer: Answer
    do {
      guard call.peer.isUnixSocket else { throw Gateway.unknownPath }
      answer = try await handle(call)
    } catch {
      answer = try Answer(gateway.failure(for: error, call))
    }
    answer.endsConnection = call.hasBody
    let written = AnswerWriter(
      clock: gateway.clock, limits: gateway.configuration.limits, channel: channel)
    _ = try await written.write(answer, to: call, writer) { gateway.failure(for: $0, call) }
  }

  private enum Action: String {
    case stop, start, wipe
  }

  private func handle(_ call: Call) async throws -> Answer {
    guard let segments = call.segments, segments.first == "admin" else {
      throw Gateway.unknownPath
    }
    switch (segments.count, segments.dropFirst().first) {
    case (2, "info"):
      try allow([.get], call)
      return try Answer(json: try await administration.info())
    case (2, "health"):
      try allow([.get], call)
      return try Answer(json: try await administration.health())
    case (2, "blobs"):
      try allow([.get], call)
      return try await listBlobs(call)
    case (3, "blobs"):
      try allow([.get, .delete], call)
      let blob = try Gateway.blobID(segments[2])
      if call.method == .get { return try await describe(blob) }
      return try Answer(
        json: try await gateway.deletion(call, of: blob, from: gateway.service))
    case (4, "blobs") where segments[3] == "extend":
      try allow([.post], call)
      return try await extend(try Gateway.blobID(segments[2]), call)
    case (5, "cluster") where segments[2] == "nodes":
      guard let action = Action(rawValue: segments[4]) else { throw Gateway.unknownPath }
      try allow([.post], call)
      return try Answer(json: try await run(action, node: segments[3]))
    case (2...3, "repair"):
      return try await repair(call, action: segments.dropFirst(2).first)
    case (2, "traffic"):
      try allow([.get], call)
      return try Answer(json: await administration.traffic())
    case (2...3, "scrub"):
      return try await scrub(call, action: segments.dropFirst(2).first)
    default: throw Gateway.unknownPath
    }
  }

  func allow(_ methods: [HTTPRequest.Method], _ call: Call) throws(GatewayFailure) {
    guard methods.contains(call.method) else {
      throw Gateway.wrongMethod(
        call.method, allowed: methods.map(\.rawValue).joined(separator: ", "))
    }
  }

  private func run(_ action: Action, node name: String) async throws(GatewayFailure) -> NodeReport {
    switch action {
    case .stop: try await administration.stop(node: name)
    case .start: try await administration.start(node: name)
    case .wipe: try await administration.wipe(node: name)
    }
  }

  private func listBlobs(_ call: Call) async throws -> Answer {
    let query = try QueryFields(call.query, known: ["after", "limit"])
    var position: RegistrationPosition?
    if let text = query.text("after") {
      position = RegistrationPosition(text: text)
      guard position != nil else {
        throw GatewayFailure.malformed(
          "`after` is the `next` of the page before, not `\(text.prefix(160))`")
      }
    }
    let limit = try query.number("limit", as: Int.self) ?? Self.pageCount
    guard (1...Self.pageCountMax).contains(limit) else {
      throw GatewayFailure.malformed("`limit` is 1 to \(Self.pageCountMax), not \(limit)")
    }
    let registrations = try await gateway.service.registrations(after: position, limit: limit)
    let next = registrations.count < limit ? nil : registrations.last
    return try Answer(
      json: BlobListReply(
        blobs: try registrations.map {
          try RegistrationReport($0, parameters: gateway.service.parameters)
        },
        next: next.map { RegistrationPosition(blob: $0.blob, object: $0.object).text }))
  }

  private func describe(_ blob: BlobID) async throws -> Answer {
    let registrations = try await gateway.service.registrations(of: blob)
    guard let first = registrations.first else {
      throw GatewayFailure(
        .notFound, "BLOB_NOT_FOUND", "no registration of blob \(blob) is known")
    }
    return try Answer(
      json: BlobReport(
        blobId: blob.text, size: first.byteCount,
        isCertified: registrations.contains { $0.isCertified },
        shardCount: gateway.service.parameters.shardCount,
        completeShardCount: try await administration.completeShardCount(of: blob),
        registrations: try registrations.map {
          try RegistrationReport($0, parameters: gateway.service.parameters)
        }))
  }

  private func extend(_ blob: BlobID, _ call: Call) async throws -> Answer {
    let query = try QueryFields(call.query, known: ["epochs", "object"])
    guard let epochs = try query.number("epochs", as: UInt32.self), epochs > 0 else {
      throw GatewayFailure.malformed("`epochs` says by how many epochs to extend, at least 1")
    }
    try await gateway.service.extend(blob, object: try query.object(), byEpochs: epochs)
    return try await describe(blob)
  }
}

/// One registration, as lists show it.
package struct RegistrationReport: Codable, Equatable, Sendable {
  package enum State: String, Codable, Sendable {
    case registered, certified, deleted, expired, abandoned
  }

  package var blobId: String
  package var objectId: String
  package var size: UInt64
  /// Over all shards.
  package var storedSize: UInt64
  package var state: State
  package var deletable: Bool
  package var registeredEpoch: UInt32
  package var certifiedEpoch: UInt32?
  /// 4294967295: no end.
  package var endEpoch: UInt32
  /// Milliseconds since 1970.
  package var registeredAt: UInt64

  init(_ registration: Registration, parameters: EncodingParameters)
    throws(EncodingParametersError)
  {
    blobId = registration.blob.text
    objectId = registration.object.description
    size = registration.byteCount
    storedSize = try parameters.encodedByteCount(forBlobOf: registration.byteCount)
    deletable = registration.persistence == .deletable
    registeredEpoch = registration.registeredEpoch
    endEpoch = registration.endEpoch
    registeredAt = registration.registeredAtMilliseconds
    switch registration.state {
    case .registered: state = .registered
    case .certified(let epoch, _):
      state = .certified
      certifiedEpoch = epoch
    case .ended(.deleted): state = .deleted
    case .ended(.expired): state = .expired
    case .ended(.abandoned): state = .abandoned
    }
  }
}

package struct BlobListReply: Codable, Equatable, Sendable {
  package var blobs: [RegistrationReport]
  /// What to give as `after` for the next page; nil on the last page.
  package var next: String?
}

package struct BlobReport: Codable, Equatable, Sendable {
  package var blobId: String
  package var size: UInt64
  package var isCertified: Bool
  /// n.
  package var shardCount: Int
  /// Shards that hold both slivers of the blob, of nodes that answer now.
  package var completeShardCount: Int
  package var registrations: [RegistrationReport]
}
