// JobScratch.swift
//
// Work space of running jobs. A job needs up to some MiB for a moment; taking them fresh each time
// costs more in page faults than some jobs compute, so finished jobs leave theirs to the next.

internal import ReedSolomon
internal import Synchronization

/// Memory that grows to the largest size asked for.
@safe final class GrowingBuffer {
  private var memory = Scratch(byteCount: 0)

  /// At least `byteCount` bytes holding anything; valid until the next call.
  func reserve(_ byteCount: Int) -> UnsafeMutablePointer<UInt8> {
    if memory.byteCount < byteCount { memory = Scratch(byteCount: byteCount) }
    return unsafe memory.base
  }
}

/// What one job works with at a time.
///
/// `@unchecked Sendable`: it moves between threads, but only one job holds it at any moment; the
/// pool's lock orders one job's use before the next one's.
final class JobScratch: @unchecked Sendable {
  var codec = CodecScratch()
  let lines = GrowingBuffer()
  let repair = GrowingBuffer()
  let trees = GrowingBuffer()
}

/// The work spaces of one encoder or decoder: never more than jobs run at once.
final class ScratchPool: Sendable {
  private let idle = Mutex<[JobScratch]>([])

  func withScratch<Value>(_ body: (JobScratch) -> Value) -> Value {
    let scratch = idle.withLock { $0.popLast() } ?? JobScratch()
    defer { idle.withLock { $0.append(scratch) } }
    return body(scratch)
  }
}
