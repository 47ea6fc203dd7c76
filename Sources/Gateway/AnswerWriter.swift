// AnswerWriter.swift
//
// An answer on its way to the client: head, body, and the end of the connection where it must end.
//
// A blob's status is decided by its first part: until that has come, an error still becomes a proper
// answer. A client that stops taking parts is cut off, so that it cannot hold a read forever.

import HTTPTypes
import HummingbirdCore
import NIOCore
import World

struct AnswerWriter {
  let clock: any Clock
  let limits: GatewayLimits
  let channel: any Channel

  /// Returns the status that was sent. `failure` gives the answer to an error before the first part.
  @concurrent
  func write(
    _ answer: Answer, to call: Call, _ writer: consuming ResponseWriter,
    failure: (any Error) -> GatewayFailure
  ) async throws -> Int {
    let watch = IdleWatch(clock: clock)
    // The group's body can only borrow; taking the writer out of an optional consumes it.
    var writer: ResponseWriter? = consume writer
    let status = try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      group.addTask {
        try await watch.waitUntilIdle(for: limits.writeIdleMax)
        try await channel.close()
      }
      var answer = answer
      var queue: PartQueue?
      var first: ByteBuffer?
      if case .stream(_, let stream) = answer.body {
        let parts = PartQueue()
        group.addTask { await fill(parts, from: stream) }
        do {
          first = try await parts.next()
          queue = parts
        } catch {
          // Not one byte has been sent: the error becomes the answer.
          let allowedOrigin = answer.headers[.accessControlAllowOrigin]
          answer = try Answer(failure(error))
          answer.headers[.accessControlAllowOrigin] = allowedOrigin
        }
      }
      complete(&answer, method: call.method)
      guard let writer = writer.take() else { return answer.status.code }
      watch.clientIsDue()
      switch answer.body {
      case .none: try await writer.writeResponse(head(answer))
      case .bytes(let bytes):
        try await writer.write(
          response: head(answer), body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
      case .stream(let byteCount, _):
        let body = try await writer.writeHead(head(answer))
        try await write(first, then: queue, byteCount: byteCount, to: body, watch: watch)
      }
      return answer.status.code
    }
    if answer.endsConnection { endConnection() }
    return status
  }

  /// Adds what every answer has, and takes the body from answers to HEAD.
  private func complete(_ answer: inout Answer, method: HTTPRequest.Method) {
    answer.headers[.date] = httpDate(clock.wallTime)
    answer.headers[.xContentTypeOptions] = "nosniff"
    if answer.endsConnection { answer.headers[.connection] = "close" }
    let byteCount: UInt64?
    switch answer.body {
    case .none(let declared): byteCount = declared
    case .bytes(let bytes): byteCount = UInt64(bytes.count)
    case .stream(let declared, _): byteCount = declared
    }
    if let byteCount { answer.headers[.contentLength] = "\(byteCount)" }
    if method == .head { answer.body = .none(byteCount: byteCount) }
  }

  private func head(_ answer: Answer) -> HTTPResponse {
    HTTPResponse(status: answer.status, headerFields: answer.headers)
  }

  /// Says that nothing more comes, and cuts the connection when the client had time to notice.
  private func endConnection() {
    let channel = channel
    channel.close(mode: .output, promise: nil)
    channel.eventLoop.scheduleTask(in: .nanoseconds(limits.lingerDuration.wholeNanoseconds)) {
      channel.close(promise: nil)
    }
  }

  // MARK: - Streams

  private struct StreamIncomplete: Error {
    let sent: UInt64
    let expected: UInt64
  }

  private func fill(_ queue: PartQueue, from stream: Answer.BlobStream) async {
    do {
      try await stream(queue)
      queue.finish(.success(()))
    } catch {
      queue.finish(.failure(error))
    }
  }

  @concurrent
  private func write(
    _ first: ByteBuffer?, then queue: PartQueue?, byteCount: UInt64,
    to writer: consuming some ResponseBodyWriter, watch: IdleWatch
  ) async throws {
    var part = first
    var sent: UInt64 = 0
    while let next = part {
      watch.clientIsDue()
      try await writer.write(next)
      watch.clientIsDone()
      sent += UInt64(next.readableBytes)
      part = try await queue?.next()
    }
    guard sent == byteCount else { throw StreamIncomplete(sent: sent, expected: byteCount) }
    try await writer.finish(nil)
  }
}
