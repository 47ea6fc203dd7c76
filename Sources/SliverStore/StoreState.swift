// StoreState.swift
//
// What readers and the writer of a store share in memory: the segments, and how the store is doing.
// Its size grows with the segments, never with the slivers.

internal import Synchronization

final class StoreState: Sendable {
  struct Values: Sendable {
    var segments: [UInt32: SegmentState] = [:]
    var rottenCount = 0
    var readOnlyReason: String?
    var isClosed = false
    var isCompacting = false
    var unsecured = UnsecuredRecords()
  }

  private let values = Mutex(Values())

  func read<Result: Sendable>(_ body: (borrowing Values) -> Result) -> Result {
    values.withLock { body($0) }
  }

  func update<Result: Sendable>(_ body: (inout Values) -> Result) -> Result {
    values.withLock { body(&$0) }
  }

  func segment(_ number: UInt32) -> SegmentState? { read { $0.segments[number] } }

  func countRotten(_ count: Int = 1) { update { $0.rottenCount += count } }

  func requireOpen() throws(SliverStoreError) {
    if read({ $0.isClosed }) { throw .closed }
  }

  func requireWritable() throws(SliverStoreError) {
    let (isClosed, reason) = read { ($0.isClosed, $0.readOnlyReason) }
    if isClosed { throw .closed }
    if let reason { throw .readOnly(reason) }
  }
}
