// GatewayHarness.swift
//
// A gateway on a real loopback socket with a service in memory behind it, and a client that keeps
// what it got.

import AsyncHTTPClient
import BlobClient
import Cluster
import Drivers
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import RedStuff
import Synchronization
import World

@testable import Gateway

/// Keeps blobs in memory; each of its ways can be made to fail or to wait.
final class FakeBlobService: BlobService {
  struct State {
    var blobs: [BlobID: [UInt8]] = [:]
    var registrations: [Registration] = []
    var nextObject: UInt8 = 1
    var storeFailure: GatewayFailure?
    var lookupFailure: GatewayFailure?
    var lastCheck: ConsistencyCheck?
    var lastUse: BlobClient.PatchUse?
    var storedByteCounts: [Int] = []
    /// Called when the memory of a store is free; kept while `keepsMemory`.
    var keptMemory: [@Sendable () -> Void] = []
    var keepsMemory = false
    /// Runs instead of sending the blob's bytes.
    var reading: (@Sendable (@Sendable ([UInt8]) async throws -> Void) async throws -> Void)?
  }

  let parameters: EncodingParameters
  let state = Mutex(State())

  init(shardCount: Int = 10) throws { parameters = try EncodingParameters(shardCount: shardCount) }

  /// Five times the blob, about what encoding takes.
  func storeByteCount(forBlobOf byteCount: Int) -> Int { 5 * byteCount + 1000 }

  static func blobID(of blob: [UInt8]) -> BlobID {
    var bytes = [UInt8](repeating: 0, count: 32)
    for (position, byte) in blob.enumerated() {
      bytes[position % 32] = bytes[position % 32] &* 31 &+ byte
    }
    bytes[31] = UInt8(blob.count & 255)
    return BlobID(bytes: bytes) ?? BlobID(.zero)
  }

  /// Puts a blob there without HTTP.
  @discardableResult
  func add(_ blob: [UInt8], persistence: Persistence = .deletable, epochs: UInt32? = nil)
    -> Registration
  {
    state.withLock { state in
      let id = Self.blobID(of: blob)
      let object = someObjectID(state.nextObject)
      state.nextObject += 1
      let registration = Registration(
        blob: id, object: object, byteCount: UInt64(blob.count), persistence: persistence,
        registeredEpoch: 3, endEpoch: epochs.map { 3 + $0 } ?? epochWithoutEnd,
        registeredAtMilliseconds: 1_750_000_000_000, certifyByMilliseconds: 1_750_003_600_000,
        state: .certified(epoch: 3, certificate: []))
      state.blobs[id] = blob
      state.registrations.append(registration)
      return registration
    }
  }

  func store(
    _ blob: [UInt8], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> Registration {
    let failure = state.withLock { state in
      state.storedByteCounts.append(blob.count)
      if state.keepsMemory { state.keptMemory.append(onMemoryFreed) }
      return state.storeFailure
    }
    if !state.withLock({ $0.keepsMemory }) { onMemoryFreed() }
    if let failure { throw failure }
    return add(blob, persistence: persistence, epochs: epochs)
  }

  func byteCount(of blob: BlobID) async throws(GatewayFailure) -> UInt64 {
    let (bytes, failure) = state.withLock { ($0.blobs[blob], $0.lookupFailure) }
    if let failure { throw failure }
    guard let bytes else { throw GatewayFailure(.notFound, "BLOB_NOT_FOUND", "no blob \(blob)") }
    return UInt64(bytes.count)
  }

  func read(
    _ blob: BlobID, range: Range<UInt64>, check: ConsistencyCheck,
    into sink: @escaping @Sendable ([UInt8]) async throws -> Void
  ) async throws(GatewayFailure) {
    let (bytes, reading) = state.withLock { state in
      state.lastCheck = check
      return (state.blobs[blob] ?? [], state.reading)
    }
    do {
      if let reading { return try await reading(sink) }
      // Odd pieces, as windows of rows are.
      var position = Int(range.lowerBound)
      while position < Int(range.upperBound) {
        let end = min(position + 100_003, Int(range.upperBound))
        try await sink(Array(bytes[position..<end]))
        position = end
      }
    } catch let failure as GatewayFailure {
      throw failure
    } catch {
      throw GatewayFailure(.unavailable, "CANCELLED", "\(error)")
    }
  }

  func blob(of object: ObjectID) async throws(GatewayFailure) -> BlobID? {
    state.withLock { $0.registrations.first { $0.object == object }?.blob }
  }

  func delete(_ blob: BlobID, object: ObjectID?) async throws(GatewayFailure) -> Int {
    let result: Result<Int, GatewayFailure> = state.withLock { state in
      let chosen = state.registrations.filter {
        $0.blob == blob && (object == nil || $0.object == object)
      }
      if object != nil, chosen.contains(where: { $0.persistence == .permanent }) {
        return .failure(
          GatewayFailure(.permissionDenied, "BLOB_IS_PERMANENT", "it is permanent"))
      }
      let gone = Set(chosen.filter { $0.persistence == .deletable }.map(\.object))
      state.registrations.removeAll { gone.contains($0.object) }
      if !state.registrations.contains(where: { $0.blob == blob }) { state.blobs[blob] = nil }
      return .success(gone.count)
    }
    return try result.get()
  }

  func extend(_ blob: BlobID, object: ObjectID?, byEpochs epochs: UInt32)
    async throws(GatewayFailure)
  {
    let known = state.withLock { state in
      guard
        let place = state.registrations.firstIndex(where: {
          $0.blob == blob && (object == nil || $0.object == object)
        })
      else { return false }
      state.registrations[place].endEpoch += epochs
      return true
    }
    guard known else { throw GatewayFailure(.notFound, "REGISTRATION_NOT_FOUND", "none") }
  }

  func registrations(of blob: BlobID) async throws(GatewayFailure) -> [Registration] {
    state.withLock { $0.registrations.filter { $0.blob == blob } }
  }

  func registrations(after: RegistrationPosition?, limit: Int)
    async throws(GatewayFailure) -> [Registration]
  {
    let sorted = state.withLock { $0.registrations }.sorted {
      ($0.blob, $0.object) < ($1.blob, $1.object)
    }
    let rest = sorted.filter { registration in
      after.map { ($0.blob, $0.object) < (registration.blob, registration.object) } ?? true
    }
    return Array(rest.prefix(limit))
  }
}

// The quilts of the service in memory.
extension FakeBlobService {
  func quiltByteCount(_ headers: [QuiltPatchHeader]) throws(GatewayFailure) -> Int {
    do { return try QuiltPlan(headers, parameters: parameters).shape.byteCount } catch {
      throw GatewayFailure(.quiltRefused(error))
    }
  }

  func storeQuilt(
    _ patches: [QuiltPatch], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> StoredQuilt {
    let built: BuiltQuilt
    do { built = try BuiltQuilt(patches, parameters: parameters) } catch {
      throw GatewayFailure(.quiltRefused(error))
    }
    let registration = try await store(
      built.blob, persistence: persistence, epochs: epochs, onMemoryFreed: onMemoryFreed)
    return StoredQuilt(registration: registration, index: built.index)
  }

  func quiltIndex(of quilt: BlobID) async throws(GatewayFailure) -> QuiltIndex {
    try await quiltReader(quilt).index
  }

  func openPatch(
    _ name: QuiltPatchName, of quilt: BlobID, for use: BlobClient.PatchUse
  ) async throws(GatewayFailure) -> PatchSource {
    let reader = try await quiltReader(quilt)
    let entry =
      switch name {
      case .identifier(let identifier): reader.index.entry(identifiedBy: identifier)
      case .columns(let columns): reader.index.entry(at: columns)
      }
    guard let entry, let patch = try? reader.patch(entry) else {
      throw GatewayFailure(.patchNotFound(quilt: quilt, patch: name))
    }
    state.withLock { $0.lastUse = use }
    return PatchSource(header: patch.header) { sink in
      if let reading = self.state.withLock({ $0.reading }) { return try await reading(sink) }
      for start in stride(from: 0, to: patch.data.count, by: 100_003) {
        try await sink(Array(patch.data[start..<min(start + 100_003, patch.data.count)]))
      }
    }
  }

  private func quiltReader(_ quilt: BlobID) async throws(GatewayFailure) -> QuiltReader {
    _ = try await byteCount(of: quilt)
    do throws(QuiltFormatError) {
      return try QuiltReader(
        state.withLock { $0.blobs[quilt] ?? [] }, parameters: parameters)
    } catch {
      throw GatewayFailure(.malformedQuilt(quilt, error))
    }
  }
}

struct GatewayHarness: Sendable {
  let service: FakeBlobService
  let gateway: Gateway
  let metrics: PrometheusMetrics
  let port: Int

  var base: String { "http://127.0.0.1:\(port)" }

  func send(
    _ method: HTTPMethod, _ path: String, _ headers: [(String, String)] = [],
    body: HTTPClientRequest.Body? = nil
  ) async throws -> Received {
    var request = HTTPClientRequest(url: base + path)
    request.method = method
    request.headers = HTTPHeaders(headers)
    request.body = body
    return try await Received(HTTPClient.shared.execute(request, timeout: .seconds(30)))
  }

  func get(_ path: String, _ headers: [(String, String)] = []) async throws -> Received {
    try await send(.GET, path, headers)
  }

  func put(_ bytes: [UInt8], _ query: String = "", _ headers: [(String, String)] = [])
    async throws -> Received
  {
    try await send(.PUT, "/v1/blobs" + query, headers, body: .bytes(ByteBuffer(bytes: bytes)))
  }
}

/// An answer, read to its end.
struct Received: Sendable {
  let status: Int
  let headers: HTTPHeaders
  let body: [UInt8]

  init(_ response: HTTPClientResponse) async throws {
    status = Int(response.status.code)
    headers = response.headers
    body = Array(try await response.body.collect(upTo: 64 << 20).readableBytesView)
  }

  var text: String { String(decoding: body, as: UTF8.self) }
  func header(_ name: String) -> String? { headers.first(name: name) }
  func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try JSONDecoder().decode(type, from: Data(body))
  }
  /// The error in the envelope; throws if there is none, or its code is not the status.
  var failure: GatewayErrorEnvelope.Body {
    get throws {
      let error = try json(GatewayErrorEnvelope.self).error
      guard error.code == status, header("content-type") == "application/json" else {
        throw UnexpectedAnswer(text: text)
      }
      return error
    }
  }
  var reason: String? { get throws { try failure.details.first?.reason } }
}

struct UnexpectedAnswer: Error {
  let text: String
}

/// Runs `body` against a gateway that listens on a port of its own.
func withGateway(
  service: FakeBlobService? = nil, clock: any World.Clock = SystemClock(),
  _ configure: (inout GatewayConfiguration) -> Void = { _ in },
  _ body: (GatewayHarness) async throws -> Void
) async throws {
  var configuration = GatewayConfiguration(clusterName: "test")
  configure(&configuration)
  let metrics = PrometheusMetrics()
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  let service = try service ?? FakeBlobService()
  let gateway = Gateway(
    configuration: configuration, service: service, metricsFactory: metrics,
    metricsText: { metrics.text() }, clock: clock, logger: logger)
  let listener = try await HTTPListener.start(
    at: .tcp(host: "127.0.0.1", port: 0), clock: SystemClock(), logger: logger,
    responder: gateway.respond)
  do {
    try await body(
      GatewayHarness(
        service: service, gateway: gateway, metrics: metrics, port: listener.port ?? 0))
    await listener.stop(grace: .milliseconds(500))
  } catch {
    await listener.stop(grace: .milliseconds(500))
    throw error
  }
}

func someObjectID(_ number: UInt8) -> ObjectID {
  guard let object = ObjectID([number] + [UInt8](repeating: 7, count: 31)) else {
    preconditionFailure("an object ID has 32 bytes")
  }
  return object
}

/// Bytes that repeat nowhere near a power of two.
func someBytes(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
}
