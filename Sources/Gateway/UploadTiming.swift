// UploadTiming.swift
//
// How long an upload may take: as a whole, and between one piece of it and the next. Whatever is being
// collected is dropped when the time is over.

import World

struct UploadTiming: Sendable {
  let clock: any Clock
  let limits: GatewayLimits

  /// What `collect` makes of the body; it tells the watch when it waits for the client.
  func run<Value: Sendable>(
    _ collect: @escaping @Sendable (IdleWatch) async throws -> Value
  ) async throws -> Value {
    let watch = IdleWatch(clock: clock)
    let end = clock.now + limits.uploadDurationMax
    return try await withThrowingTaskGroup(of: Value?.self) { group in
      defer { group.cancelAll() }
      group.addTask { try await collect(watch) }
      group.addTask {
        try await watch.waitUntilIdle(for: limits.bodyIdleMax, end: end)
        return nil
      }
      guard let first = try await group.next(), let value = first else {
        throw GatewayFailure(
          .deadlineExceeded, "UPLOAD_TIMED_OUT",
          "the upload stalled or took too long; nothing was stored: send it again",
          httpStatus: 408)
      }
      return value
    }
  }
}
