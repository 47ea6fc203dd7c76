// DriveSet.swift
//
// A node's drives as one store. A sliver goes to the drive that its shard ranks first among those
// that take writes, together with the metadata of its blob; it is looked for on all drives.
//
// Invariant: a drive that has a sliver has, or had, the metadata of its blob. So losing a drive
// loses its slivers and nothing else.
//
// A drive whose write failed takes no more writes until the node starts again, and is still read.
// What could not be deleted on it is deleted then, since its saved cursor stayed behind.

import Cluster
import Logging
import RedStuff
package import SliverStore
import Synchronization
import World

/// A drive that belongs to a node, there or not.
package struct StorageDrive: Sendable {
  package enum State: Sendable {
    case ready(SliverStore)
    /// Not found or not readable; for people. Its slivers are missing until it is back.
    case absent(String)
  }

  /// Stays the same for the life of the drive; shards are assigned by it.
  package let name: String
  package let state: State

  package init(name: String, state: State) {
    self.name = name
    self.state = state
  }
}

final class DriveSet: Sendable {
  struct Drive: Sendable {
    let name: String
    let store: SliverStore?
  }

  private struct State {
    var placement: DrivePlacement
    /// By position: why a drive takes no writes.
    var writeProblems: [String?]
    /// By position: the last error of a read.
    var readProblems: [String?]
    /// Positions of drives that missed a delete, or may have.
    var lagging: Set<Int> = []
  }

  let drives: [Drive]
  private let shards: Range<Int>
  private let logger: Logger
  private let state: Mutex<State>

  init(_ drives: [StorageDrive], shards: Range<Int>, logger: Logger) {
    var problems: [String?] = []
    self.drives = drives.map { drive in
      switch drive.state {
      case .ready(let store):
        problems.append(nil)
        return Drive(name: drive.name, store: store)
      case .absent(let reason):
        problems.append(reason)
        return Drive(name: drive.name, store: nil)
      }
    }
    self.shards = shards
    self.logger = logger
    state = Mutex(
      State(
        placement: DrivePlacement(
          shards: shards, driveNames: drives.map(\.name), isWritable: problems.map { $0 == nil }),
        writeProblems: problems, readProblems: drives.map { _ in nil }))
  }

  /// Drives that can be read, with their positions.
  var readable: [(position: Int, store: SliverStore)] {
    drives.enumerated().compactMap { position, drive in drive.store.map { (position, $0) } }
  }

  /// The drives that can be read, in the order to look for a sliver of `shard`.
  func readable(for shard: ShardIndex) -> [(position: Int, store: SliverStore)] {
    var ranking = state.withLock { $0.placement }.ranking(of: shard)
    if PlantedBug.firstDriveReadOnly.isPlanted { ranking.removeLast(max(ranking.count - 1, 0)) }
    return ranking.compactMap { position in
      drives[position].store.map { (position, $0) }
    }
  }

  /// The drives that take writes, the one for new slivers of `shard` first.
  func writable(for shard: ShardIndex) -> [(position: Int, store: SliverStore)] {
    let problems = state.withLock { $0.writeProblems }
    return readable(for: shard).filter { problems[$0.position] == nil }
  }

  func isWritable(_ position: Int) -> Bool {
    state.withLock { $0.writeProblems[position] == nil }
  }

  /// Its saved cursor must stay where it is until the node starts again.
  func markLagging(_ position: Int) {
    sometimes(.driveLagging)
    state.withLock { _ = $0.lagging.insert(position) }
  }

  func isLagging(_ position: Int) -> Bool { state.withLock { $0.lagging.contains(position) } }

  /// For people: what is wrong with which drive.
  var problems: [String] {
    state.withLock { state in
      drives.indices.compactMap { position in
        guard let problem = state.writeProblems[position] ?? state.readProblems[position] else {
          return nil
        }
        return "\(drives[position].name): \(problem)"
      }
    }
  }

  /// How a shard is kept: `inRecovery` if the drive that it would be on with all drives well is
  /// gone, `readOnly` if that drive takes no writes.
  func shardStates() -> [(shard: ShardIndex, state: NodeHealth.ShardState)] {
    let problems = state.withLock { $0.writeProblems }
    let whole = DrivePlacement(
      shards: shards, driveNames: drives.map(\.name), isWritable: drives.map { _ in true })
    return shards.map { number in
      let shard = ShardIndex(UInt16(truncatingIfNeeded: number))
      guard let home = whole.ranking(of: shard).first else { return (shard, .unknown) }
      if problems[home] == nil { return (shard, .ready) }
      return (shard, drives[home].store == nil ? .inRecovery : .readOnly)
    }
  }

  /// Takes note of a failed call. A failed write ends writing to that drive, except where the drive
  /// is merely full or its index, which can be rebuilt, had a bad moment.
  func note(_ error: SliverStoreError, at position: Int, writing: Bool) {
    guard error != .cancelled else { return }
    let name = drives[position].name
    logger.error(
      "a drive failed",
      metadata: ["drive": "\(name)", "writing": "\(writing)", "error": "\(error)"])
    state.withLock { state in
      guard writing else {
        state.readProblems[position] = "a read failed: \(error)"
        return
      }
      guard Self.endsWriting(error), state.writeProblems[position] == nil else { return }
      sometimes(.driveStoppedWriting)
      state.writeProblems[position] = "a write failed, the drive takes no more: \(error)"
      state.placement = DrivePlacement(
        shards: shards, driveNames: drives.map(\.name),
        isWritable: state.writeProblems.map { $0 == nil })
    }
  }

  static func isFull(_ error: SliverStoreError) -> Bool {
    switch error {
    case .full, .disk(.full): true
    default: false
    }
  }

  private static func endsWriting(_ error: SliverStoreError) -> Bool {
    switch error {
    case .full, .disk(.full), .index, .invalidRecord, .symbolsOutOfRange, .cancelled: false
    default: true
    }
  }

  func close() async {
    for (position, store) in readable {
      do throws(SliverStoreError) {
        try await store.close()
      } catch {
        // Everything that was acknowledged is durable already.
        note(error, at: position, writing: true)
      }
    }
  }
}
