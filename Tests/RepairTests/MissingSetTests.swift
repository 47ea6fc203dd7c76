// MissingSetTests.swift
//
// The set of what is missing: order, delays, attempts, restarts and lost batches.

import RedStuff
import RunSeed
import Simulator
import Testing
import World

@testable import Repair

private func blobID(_ number: Int) -> BlobID {
  var bytes = [UInt8](repeating: 0, count: BlobID.byteCount)
  bytes[0] = UInt8(number >> 8)
  bytes[1] = UInt8(number & 255)
  guard let blob = BlobID(bytes: bytes) else { preconditionFailure("no blob ID") }
  return blob
}

private func slivers(_ pairs: Int...) -> [MissingSliver] {
  pairs.map { MissingSliver(pair: SliverPairIndex(UInt16($0)), axis: .primary) }
}

private func at(_ seconds: UInt64) -> WallTime { WallTime(milliseconds: seconds * 1000) }

@Suite struct MissingSetTests {
  let index = SimulatedIndex()
  let tenShards: EncodingParameters
  var set: MissingSet { MissingSet(index: index, parameters: tenShards) }

  init() throws { tenShards = try EncodingParameters(shardCount: 10) }

  private func due(
    _ set: MissingSet, at seconds: UInt64, limit: Int = 100, delay: Duration? = .zero
  ) async throws -> [BlobID] {
    try await set.due(now: at(seconds), limit: limit) { _ in delay }.map(\.blob)
  }

  @Test func `blobs with fewer shards left come first, then wanted ones, then the oldest`()
    async throws
  {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    try await set.mark(slivers(1), of: blobID(2), .driveLost, now: at(9))
    try await set.mark(slivers(1), of: blobID(3), .driveLost, now: at(11))
    try await set.mark(slivers(1, 2), of: blobID(4), .driveLost, now: at(12))
    try await set.demand(blobID(3), now: at(20))
    #expect(try await due(set, at: 30) == [4, 3, 2, 1].map(blobID))
    #expect(try await due(set, at: 30, limit: 2) == [4, 3].map(blobID))
  }

  @Test func `nothing is due before its delay, but for what is asked for`() async throws {
    let set = set
    for blob in 1...5 {
      try await set.mark(slivers(1), of: blobID(blob), .neverReceived, now: at(UInt64(blob * 10)))
    }
    #expect(try await due(set, at: 59, delay: .seconds(30)) == [1, 2].map(blobID))
    #expect(try await due(set, at: 1000, delay: nil) == [])
    try await set.demand(blobID(5), now: at(60))
    #expect(try await due(set, at: 60, delay: nil) == [blobID(5)])
  }

  @Test func `the delay depends on how many shards lack something`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    try await set.mark(slivers(1, 2, 3), of: blobID(2), .driveLost, now: at(10))
    let found = try await set.due(now: at(15), limit: 9) { $0 == 3 ? .seconds(5) : .seconds(6) }
    #expect(found.map(\.blob) == [blobID(2)])
  }

  @Test func `a blob that lacks nothing but slivers of paused shards is not due`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    try await set.mark(slivers(1, 2), of: blobID(2), .driveLost, now: at(10))
    try await set.demand(blobID(1), now: at(10))
    let paused = Set((1...2).map { SliverPairIndex(1).shard(of: blobID($0), shardCount: 10) })
    let found = try await set.due(now: at(20), limit: 9, pausedShards: paused) { _ in .zero }
    #expect(found.map(\.blob) == [blobID(2)])
  }

  @Test func `what only paused shards lack rests until it is retried`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    let paused: Set = [SliverPairIndex(1).shard(of: blobID(1), shardCount: 10)]
    #expect(try await set.due(now: at(20), limit: 9, pausedShards: paused) { _ in .zero } == [])
    // Not even looked at, now that the shard is no longer paused.
    #expect(try await due(set, at: 21) == [])
    try await set.retryAll()
    #expect(try await due(set, at: 22) == [blobID(1)])
  }

  @Test func `what only paused shards lack is looked at again within the hour`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    let paused: Set = [SliverPairIndex(1).shard(of: blobID(1), shardCount: 10)]
    #expect(try await set.due(now: at(20), limit: 9, pausedShards: paused) { _ in .zero } == [])
    #expect(try await due(set, at: 20 + 3600) == [blobID(1)])
  }

  @Test func `a loss on another shard ends the rest of a paused one`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(10))
    let paused: Set = [SliverPairIndex(1).shard(of: blobID(1), shardCount: 10)]
    #expect(try await set.due(now: at(20), limit: 9, pausedShards: paused) { _ in .zero } == [])
    try await set.mark(slivers(2), of: blobID(1), .rotten, now: at(21))
    let found = try await set.due(now: at(22), limit: 9, pausedShards: paused) { _ in .zero }
    #expect(found.map(\.blob) == [blobID(1)])
  }

  @Test func `a clock that was set back keeps nothing waiting`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .driveLost, now: at(1_000_000))
    try await set.mark(slivers(1), of: blobID(2), .driveLost, now: at(95))
    #expect(try await due(set, at: 100, delay: .seconds(30)) == [blobID(1)])
    try await set.failed(
      blobID(1), isUnrecoverable: true, problem: "alone", next: at(1_000_000))
    #expect(try await due(set, at: 100, delay: .zero).contains(blobID(1)))
  }

  @Test func `a failed attempt rests, and keeps its reason`() async throws {
    let set = set
    try await set.mark(slivers(1), of: blobID(1), .rotten, now: at(10))
    try await set.failed(blobID(1), isUnrecoverable: true, problem: "too few", next: at(100))
    #expect(try await due(set, at: 99) == [])
    #expect(try await set.statistics.unrecoverableBlobCount == 1)
    let missing = try #require(try await set.missing(of: blobID(1)))
    #expect(missing.problem == "too few" && missing.failedAttemptCount == 1)
    #expect(try await due(set, at: 100) == [blobID(1)])
    try await set.failed(blobID(1), isUnrecoverable: true, problem: "again", next: at(500))
    try await set.retryAll()
    #expect(try await due(set, at: 101) == [blobID(1)])
  }

  @Test func `what was found is missing no more, and the last sliver takes the blob along`()
    async throws
  {
    let set = set
    try await set.mark(slivers(1, 2), of: blobID(1), .driveLost, now: at(1))
    try await set.found(slivers(1), of: blobID(1))
    #expect(try await set.missing(of: blobID(1))?.sortedSlivers == slivers(2))
    try await set.found(slivers(2), of: blobID(1))
    #expect(try await set.missing(of: blobID(1)) == nil)
    #expect(index.contents.isEmpty)
    #expect(try await set.statistics == MissingCounts())
  }

  @Test func `all of it is there after a restart`() async throws {
    let set = set
    try await set.mark(slivers(1, 2), of: blobID(1), .driveLost, byteCount: 2800, now: at(1))
    try await set.mark(slivers(5), of: blobID(2), .rotten, now: at(2))
    // Two primary slivers of 7 symbols of 100 bytes.
    #expect(try await set.statistics.byteCount == 1400)
    try await set.demand(blobID(2), now: at(3))
    try await set.failed(blobID(1), isUnrecoverable: false, problem: "busy", next: at(50))
    let reopened = self.set
    #expect(try await reopened.statistics == (try await set.statistics))
    #expect(try await reopened.missing(of: blobID(1)) == (try await set.missing(of: blobID(1))))
    #expect(try await due(reopened, at: 10) == [blobID(2)])
    #expect(try await due(reopened, at: 50) == [1, 2].map(blobID))
  }

  @Test func `changes at the same time lose nothing`() async throws {
    let set = set
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<200 {
        group.addTask {
          try await set.mark(slivers(number % 10), of: blobID(number / 10), .driveLost, now: at(1))
        }
      }
      try await group.waitForAll()
    }
    let counts = try await set.statistics
    #expect(counts.sliverCount == 200 && counts.blobCount == 20)
    #expect(counts.blobsByLostShardCount == [10: 20])
    #expect(counts.shards.values.allSatisfy { $0 == 20 } && counts.shards.count == 10)
  }

  @Test func `settings are kept beside the set, and damaged ones begin anew`() async throws {
    #expect(try await set.settings() == nil)
    try await set.change { $0.isRepairPaused = true }
    try await set.change { $0.repairRate = .limited(bytesPerSecond: 5) }
    var settings = try #require(try await set.settings())
    #expect(settings.isRepairPaused && settings.repairRate == .limited(bytesPerSecond: 5))
    #expect(try await set.statistics.blobCount == 0)
    try await index.apply([.set(key: [0], value: [1, 9])])
    await #expect(throws: IndexError.self) { try await set.settings() }
    try await set.change { $0.isScrubPaused = true }
    settings = try #require(try await set.settings())
    #expect(settings.isScrubPaused && !settings.isRepairPaused)
  }

  @Test func `any bytes are a record that comes back the same, or none`() {
    let seed = RunSeed.current
    let dice = SeededRandomness(seed: seed.number)
    var known = MissingBlob(blobID(1), since: at(5))
    known.slivers = [MissingSliver(pair: SliverPairIndex(3), axis: .secondary): .rotten]
    known.problem = "too few"
    #expect(MissingBlob(blobID(1), encoded: known.encoded) == known)
    var decodedCount = 0
    for _ in 0..<5000 {
      var bytes = dice.number(below: 2) == 0 ? known.encoded : dice.bytes(count: 60)
      if dice.number(below: 2) == 0 { bytes.removeLast(dice.number(below: bytes.count)) }
      if !bytes.isEmpty { bytes[dice.number(below: bytes.count)] ^= UInt8(dice.number(below: 256)) }
      guard let decoded = MissingBlob(blobID(1), encoded: bytes) else { continue }
      decodedCount += 1
      #expect(MissingBlob(blobID(1), encoded: decoded.encoded) == decoded, "\(seed)")
    }
    #expect(decodedCount > 0, "\(seed)")
  }

  @Test func `whatever is changed, cut off or rots, what is due is in the set`() async throws {
    let seed = RunSeed.current
    let dice = SeededRandomness(seed: seed.number)
    var set = set
    for step in 0..<600 {
      let blob = blobID(dice.number(below: 12))
      let now = at(UInt64(step))
      switch dice.number(below: 8) {
      case 0, 1, 2:
        try await set.mark(slivers(dice.number(below: 4)), of: blob, .driveLost, now: now)
      case 3: try await set.found(slivers(dice.number(below: 4)), of: blob)
      case 4: try await set.demand(blob, now: now)
      case 5:
        try await set.failed(blob, isUnrecoverable: true, problem: "?", next: now + .seconds(9))
      case 6: try await set.forget(blob)
      default:
        if dice.number(below: 2) == 0 { index.rot(count: 2) }
        index.crash(losing: dice.number(below: 3))
        set = MissingSet(index: index, parameters: tenShards)
      }
      for blob in try await due(set, at: UInt64(step)) {
        #expect(try await set.missing(of: blob) != nil, "seed \(seed), step \(step)")
      }
    }
    // Rot may have taken entries; what is marked again is due again.
    for number in 0..<12 {
      try await set.mark(slivers(7), of: blobID(number), .rotten, now: at(700))
      try await set.retryAll()
    }
    #expect(Set(try await due(set, at: 9000)).count == 12, "seed \(seed)")
  }
}
