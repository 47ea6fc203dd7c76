// Jobs.swift
//
// Encoding and decoding as independent jobs. This module starts no threads: the caller runs the
// jobs of a phase side by side, waits for all of them, and goes on to the next phase.
//
// Invariant: jobs of one phase write disjoint bytes and read only what earlier phases wrote. A
// phase that starts before the last one has ended reads half-written symbols, and their hashes name
// a blob that does not exist.

internal import CKernels

/// Jobs that may run at the same time, in any order, each exactly once.
package struct JobPhase: Sendable {
  package let jobCount: Int
  private let work: @Sendable (Int) -> Void

  init(jobCount: Int, _ work: @escaping @Sendable (Int) -> Void) {
    self.jobCount = jobCount
    self.work = work
  }

  /// Runs one job, 0 ..< jobCount, on the calling thread.
  package func run(_ job: Int) {
    precondition((0..<jobCount).contains(job), "job \(job) of \(jobCount)")
    work(job)
  }

  package func runSerially() {
    for job in 0..<jobCount { run(job) }
  }

  /// One job that does all there is, one after the other.
  static func joined(_ phases: [JobPhase]) -> JobPhase {
    JobPhase(jobCount: 1) { _ in for phase in phases { phase.runSerially() } }
  }
}

/// Memory for one job, given back with it.
struct Scratch: ~Copyable, Sendable {
  let byteCount: Int
  private let block: PageBlock

  /// Not initialised.
  init(byteCount: Int) {
    self.byteCount = byteCount
    block = PagePool.allocate(byteCount)
  }

  deinit {
    PagePool.free(block)
  }

  var base: UnsafeMutablePointer<UInt8> { unsafe block.base }
}

/// Memory that the jobs of several phases share.
///
/// Jobs touch the bytes under the invariant above; waiting between phases orders their accesses.
final class SharedBytes: Sendable {
  private let memory: Scratch

  /// Not initialised.
  init(byteCount: Int) {
    memory = Scratch(byteCount: byteCount)
  }

  var byteCount: Int { memory.byteCount }
  var base: UnsafeMutablePointer<UInt8> { unsafe memory.base }

  func clear(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    unsafe (base + range.lowerBound).update(repeating: 0, count: range.count)
  }

  /// Copies bytes in; they must fit.
  func write(_ bytes: Span<UInt8>, at offset: Int) {
    precondition(offset >= 0 && bytes.count <= byteCount - offset)
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let source = buffer.baseAddress else { return }
      unsafe (base + offset).update(from: source, count: buffer.count)
    }
  }

  /// Lends a range that exists and that no job writes any more.
  func withSpan<Value>(_ range: Range<Int>, _ body: (Span<UInt8>) -> Value) -> Value {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    let buffer = unsafe UnsafeBufferPointer(start: base + range.lowerBound, count: range.count)
    return unsafe body(buffer.span)
  }

  func bytes(_ range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return unsafe Array(
      UnsafeBufferPointer(start: base + range.lowerBound, count: range.count))
  }
}

extension UnsafeMutablePointer<UInt8> {
  /// Copies a range of an array here; the room is the caller's promise, the range is checked.
  func copy(from bytes: [UInt8], _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe update(from: base + range.lowerBound, count: range.count)
    }
  }
}

/// How work is cut into jobs. Only speed and memory depend on these numbers.
enum JobSizes {
  /// Bytes of each symbol row that a column job works on: a few strips of the transforms, so that
  /// reading a strip out of hundreds of rows does not fetch each cache line for nothing.
  static let columnBytes = 4096
  /// Bytes of each symbol column that a batch of rows takes through one transform.
  static let rowBytes = 1024
  /// Above this, more rows would only make jobs scarce.
  static let rowCountMax = 32
  /// Symbols that fill the lanes of the hashes a few times, so that those left over do not count.
  static let hashedSymbolCount = 64
  /// Rows that are hashed together for that take no more than this, so that they stay in the cache.
  static let hashedByteCountMax = 4 << 20

  /// Whether an encoding is so little work, about a tenth of a millisecond, that handing its phases to
  /// threads would take as long.
  static func isOneJob(_ parameters: EncodingParameters, symbolByteCount: Int) -> Bool {
    let symbolCount = parameters.shardCount * parameters.shardCount
    let blocksPerLeaf = symbolByteCount / hashBlockByteCount + 1
    return symbolCount * (blocksPerLeaf + nodesPerSymbol) < sharedBlockCountMin
  }

  private static let hashBlockByteCount = 128
  /// Of the tree of its row and the tree of its column.
  private static let nodesPerSymbol = 2
  private static let sharedBlockCountMin = 4096

  static func columnsPerJob(symbolByteCount: Int) -> Int {
    max(1, columnBytes / symbolByteCount)
  }

  static func rowsPerJob(symbolByteCount: Int) -> Int {
    min(max(1, rowBytes / symbolByteCount), rowCountMax)
  }

  /// Range number `job` of `count` things in groups of `perJob`.
  static func range(_ job: Int, of count: Int, perJob: Int) -> Range<Int> {
    job * perJob..<min((job + 1) * perJob, count)
  }

  static func jobCount(_ count: Int, perJob: Int) -> Int { (count + perJob - 1) / perJob }
}
