// Alarm.swift
//
// What one thread sleeps on: for a while, or until it is rung. A jump of the wall clock changes
// nothing.

internal import World

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

@safe final class Alarm: Sendable {
  // Never moved, and never freed before the last use: both belong to this object alone.
  private nonisolated(unsafe) let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(
    capacity: 1)
  private nonisolated(unsafe) let condition =
    UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Guarded by `mutex`.
  private nonisolated(unsafe) var isRung = false

  init() {
    var attributes = pthread_condattr_t()
    // None of these can fail with what they are given.
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
    unsafe pthread_mutex_init(mutex, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  func ring() {
    unsafe pthread_mutex_lock(mutex)
    unsafe isRung = true
    unsafe pthread_cond_signal(condition)
    unsafe pthread_mutex_unlock(mutex)
  }

  /// Returns after `duration`, or when it is rung, or was since the last wait. Nil: when it is rung.
  func wait(for duration: Duration?) {
    let end = duration.map(Self.deadline)
    unsafe pthread_mutex_lock(mutex)
    while unsafe !isRung {
      guard var end else {
        unsafe pthread_cond_wait(condition, mutex)
        continue
      }
      if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { break }
    }
    unsafe isRung = false
    unsafe pthread_mutex_unlock(mutex)
  }

  private static func deadline(after duration: Duration) -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    let nanoseconds = Int64(time.tv_nsec) + max(duration.wholeNanoseconds % 1_000_000_000, 0)
    // A day: then it looks again.
    let seconds = min(max(duration.wholeNanoseconds / 1_000_000_000, 0), 86_400)
    time.tv_sec += Int(seconds) + Int(nanoseconds / 1_000_000_000)
    time.tv_nsec = Int(nanoseconds % 1_000_000_000)
    return time
  }
}
