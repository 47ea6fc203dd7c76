// Gates.swift
//
// Places where a test can hold a task, look around, and let it go on: interleavings by hand.

import Cluster
import Simulator
import Synchronization
import World

/// Closed, it holds whoever passes; open, it lets everybody through.
final class Gate: Sendable {
  private struct State {
    var isClosed = false
    var held: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  var heldCount: Int { state.withLock { $0.held.count } }

  func close() { state.withLock { $0.isClosed = true } }

  func open() {
    let held = state.withLock { state in
      state.isClosed = false
      defer { state.held = [] }
      return state.held
    }
    for continuation in held { continuation.resume() }
  }

  func pass() async {
    await withCheckedContinuation { continuation in
      let isHeld = state.withLock { state in
        if state.isClosed { state.held.append(continuation) }
        return state.isClosed
      }
      if !isHeld { continuation.resume() }
    }
  }
}

/// A control store whose reads a test can hold or count.
final class InterceptedControlStore: ControlStore {
  private let inner: any ControlStore
  private let hook = Mutex<(@Sendable ([UInt8]) async -> Void)?>(nil)

  init(_ inner: any ControlStore) { self.inner = inner }

  /// Called with the lower bound of every range that was read, before its answer is given.
  func afterRange(_ hook: (@Sendable ([UInt8]) async -> Void)?) { self.hook.withLock { $0 = hook } }

  func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    let range = try await inner.range(from: lower, below: upper, limit: limit)
    await hook.withLock { $0 }?(lower)
    return range
  }

  func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    try await inner.transact(transaction)
  }

  func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    try await inner.changes(after: revision, prefix: prefix, limit: limit)
  }
}

struct DiskGates: Sendable {
  let sync = Gate()
  let read = Gate()
}

/// A drive whose reads and syncs a test can hold.
struct GatedDisk: Disk {
  let inner: any Disk
  let gates: DiskGates

  init(_ inner: any Disk, _ gates: DiskGates) {
    self.inner = inner
    self.gates = gates
  }

  func files() async throws(DiskError) -> [String] { try await inner.files() }
  func open(_ name: String) async throws(DiskError) -> any DiskFile {
    GatedFile(inner: try await inner.open(name), gates: gates)
  }
  func create(_ name: String) async throws(DiskError) -> any DiskFile {
    GatedFile(inner: try await inner.create(name), gates: gates)
  }
  func remove(_ name: String) async throws(DiskError) { try await inner.remove(name) }
  func rename(_ name: String, to newName: String) async throws(DiskError) {
    try await inner.rename(name, to: newName)
  }
  func syncDirectory() async throws(DiskError) { try await inner.syncDirectory() }
  func space() async throws(DiskError) -> DiskSpace { try await inner.space() }
}

struct GatedFile: DiskFile {
  let inner: any DiskFile
  let gates: DiskGates

  var name: String { inner.name }
  func byteCount() async throws(DiskError) -> Int { try await inner.byteCount() }
  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    await gates.read.pass()
    return try await inner.read(at: offset, count: count)
  }
  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    try await inner.write(buffers, at: offset)
  }
  func truncate(to byteCount: Int) async throws(DiskError) {
    try await inner.truncate(to: byteCount)
  }
  func sync() async throws(DiskError) {
    await gates.sync.pass()
    try await inner.sync()
  }
}

/// Threads that a test can keep from taking work.
struct GatedCompute: Compute {
  let gate = Gate()

  var width: Int { InlineCompute().width }

  func run<Value: Sendable, Failure: Error>(
    _ work: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    await gate.pass()
    return try await InlineCompute().run(work)
  }

  func runAll(
    phases counts: [Int], _ job: @escaping @Sendable (_ phase: Int, _ index: Int) -> Void
  ) async {
    await gate.pass()
    await InlineCompute().runAll(phases: counts, job)
  }
}
