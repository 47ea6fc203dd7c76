// Gateway.swift
//
// Walrus' HTTP API: from a request to its answer on the wire. Routes and handlers are in the
// extensions; this file has the order of things that all calls share: host check, route, handler,
// error envelope, headers, and how an answer is written.
//
// Invariants: every answer is bounded in memory; every wait on a client has a deadline; after the
// first byte of a blob an error can only cut the connection.

package import CoreMetrics
import HTTPTypes
package import HummingbirdCore
package import Logging
package import NIOCore
import Synchronization
package import World

package final class Gateway: Sendable {
  let configuration: GatewayConfiguration
  let service: any BlobService
  let clock: any Clock
  let logger: Logger
  let uploads: AdmissionGate
  let reads: AdmissionGate
  let metrics: GatewayMetrics
  /// The text of `/metrics`; nil where metrics are collected elsewhere.
  let metricsText: (@Sendable () -> String)?
  private let traceNumber = Atomic<UInt64>(0)

  package init(
    configuration: GatewayConfiguration, service: any BlobService,
    metricsFactory: any MetricsFactory, metricsText: (@Sendable () -> String)? = nil,
    clock: any Clock, logger: Logger
  ) {
    let limits = configuration.limits
    self.configuration = configuration
    self.service = service
    self.clock = clock
    self.logger = logger
    self.metricsText = metricsText
    uploads = AdmissionGate(
      Admission(
        capacity: limits.uploadByteCountMax, waitingCountMax: limits.waitingUploadCountMax),
      waitMax: limits.admissionWaitMax, clock: clock)
    reads = AdmissionGate(
      Admission(capacity: limits.readCountMax, waitingCountMax: limits.waitingReadCountMax),
      waitMax: limits.admissionWaitMax, clock: clock)
    metrics = GatewayMetrics(factory: metricsFactory)
  }

  /// Answers a request of the public API; the responder of its listener.
  @concurrent
  package func respond(
    to request: Request, writer: consuming ResponseWriter, channel: any Channel
  ) async throws {
    let start = clock.now
    let call = Call(request, peer: Call.Peer(channel))
    let route = call.segments.flatMap(Route.init)
    var answer = try await answer(call, route: route, writer: writer)
    configuration.crossOrigin.addHeaders(to: &answer.headers, method: call.method)
    let written = AnswerWriter(clock: clock, limits: configuration.limits, channel: channel)
    let status: Int
    do {
      status = try await written.write(answer, to: call, writer) { failure(for: $0, call) }
    } catch {
      metrics.cut(route)
      throw error
    }
    metrics.answered(call.method, route, status: status, duration: clock.now - start)
  }

  @concurrent
  private func answer(
    _ call: Call, route: Route?, writer: borrowing ResponseWriter
  ) async throws -> Answer {
    var answer: Answer
    do {
      try configuration.hosts.check(call)
      answer = try await handle(call, route: route, writer: writer)
      // Whoever sends a body nobody asked for may not keep the connection with it.
      answer.endsConnection = call.hasBody && !(call.method == .put && route?.takesBody == true)
    } catch {
      answer = try Answer(failure(for: error, call))
      answer.endsConnection = call.hasBody
    }
    return answer
  }

  /// What a client gets to know of an error.
  func failure(for error: any Error, _ call: Call) -> GatewayFailure {
    switch error {
    case let failure as GatewayFailure: return failure
    case let refusal as Admission.Refusal: return failureOf(refusal)
    default:
      let number = traceNumber.add(1, ordering: .relaxed).newValue
      let traceID = String(clock.wallTime.milliseconds, radix: 16) + String(number, radix: 16)
      logger.error(
        "\(call.method) failed: \(error)", metadata: ["trace": .string(traceID)])
      return .unexpected(traceID: traceID)
    }
  }

  private func failureOf(_ refusal: Admission.Refusal) -> GatewayFailure {
    switch refusal {
    case .aboveCapacity(let asked, let capacity):
      GatewayFailure(
        .sizeExceeded, "BLOB_TOO_LARGE",
        """
        storing this blob takes \(asked) bytes of memory and the gateway may use \(capacity): \
        split it, or give the gateway more memory for uploads
        """,
        httpStatus: 413, metadata: ["memory": "\(asked)", "limit": "\(capacity)"])
    case .tooManyWaiting(let count): .busy("\(count) requests wait already: try again later")
    case .deadlock: .busy("all running uploads wait for memory: try again later")
    case .deadlineExceeded: .busy("no room became free in time: try again later")
    }
  }
}

extension Call.Peer {
  init(_ channel: any Channel) {
    remoteAddress = channel.remoteAddress?.ipAddress
    localAddress = channel.localAddress?.ipAddress
    isUnixSocket = channel.localAddress?.pathname != nil
  }
}
