// JobScratch.swift
//
// Work space of running jobs. A job needs up to some MiB for a moment; taking them fresh each time
// costs more in page faults than some jobs compute, so finished jobs leave theirs to the next.

internal import ReedSolomon
internal import Synchronization

/// Memory that grows to the largest size asked for.
@safe final class GrowingBuffer {
  private var memory = Scratch(byteCount: 0)

  var byteCount: Int { memory.byteCount }

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

  var byteCount: Int {
    codec.byteCount + lines.byteCount + repair.byteCount + trees.byteCount
  }
}

/// The work spaces of all encoders and decoders of the process. Those of finished jobs are kept for the
/// next, within limits: fresh pages would cost a small blob more than all that is computed for it.
enum ScratchPool {
  /// As many as there are threads for such jobs on most machines.
  private static let idleCountMax = 8
  /// What a thousand shards need for symbols of a few KiB; larger ones go back to the system.
  private static let byteCountMax = 6 << 20

  private static let idle = Mutex<[JobScratch]>([])

  static func withScratch<Value>(_ body: (JobScratch) -> Value) -> Value {
    let scratch = idle.withLock { $0.popLast() } ?? JobScratch()
    defer {
      if scratch.byteCount <= byteCountMax {
        idle.withLock { if $0.count < idleCountMax { $0.append(scratch) } }
      }
    }
    return body(scratch)
  }
}
