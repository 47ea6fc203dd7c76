// GatewayMetrics.swift
//
// What the gateway counts about itself. Labels take few values each (route patterns, not paths), so
// that a client cannot make series.

import CoreMetrics
import HTTPTypes
import Synchronization
import World

final class GatewayMetrics: Sendable {
  private let factory: any MetricsFactory
  private let receivedBytes: Counter
  private let sentBytes: Counter
  private let cutAnswers: Counter

  init(factory: any MetricsFactory) {
    self.factory = factory
    receivedBytes = Counter(
      label: "walrus_gateway_received_bytes", dimensions: [], factory: factory)
    sentBytes = Counter(label: "walrus_gateway_sent_bytes", dimensions: [], factory: factory)
    cutAnswers = Counter(label: "walrus_gateway_cut_answers", dimensions: [], factory: factory)
  }

  func received(byteCount: Int) { receivedBytes.increment(by: byteCount) }
  func sent(byteCount: Int) { sentBytes.increment(by: byteCount) }
  /// An answer that broke off: the client left, or the rest of a blob could not be read.
  func cut(_ route: Route?) { cutAnswers.increment() }

  func answered(
    _ method: HTTPRequest.Method, _ route: Route?, status: Int, duration: Duration
  ) {
    let known: Set<HTTPRequest.Method> = [.get, .head, .put, .delete, .options]
    let dimensions = [
      ("method", known.contains(method) ? method.rawValue : "other"),
      ("route", route?.pattern ?? "none"),
    ]
    Counter(
      label: "walrus_gateway_requests", dimensions: dimensions + [("status", "\(status)")],
      factory: factory
    ).increment()
    Timer(
      label: "walrus_gateway_request_duration", dimensions: dimensions, factory: factory
    ).recordNanoseconds(duration.wholeNanoseconds)
  }
}
