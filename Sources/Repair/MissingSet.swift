// MissingSet.swift
//
// Every sliver that a node should have and has not, on an index of its own: the set is the queue of
// repair, so nothing waits in memory. It is a list of hints. What a crash takes from it, or rot
// changes in it, the next inventory puts right, and nothing is fetched or given up because of it alone.
//
//   key                                          value
//   00                                           UpkeepSettings
//   01 blob                                      MissingBlob
//   02 left 2, demand 1, time 8, blob            empty: the order of repair
//   03 time 8, blob                              empty: not before this time, after a failed attempt
//                                                or because repair of its shards is paused
//
// `left` is small where many shards of the blob are lost; `demand` is 0 where a reader asked; `time`
// is when he did, or since when it is missing. All numbers are big-endian.

package import RedStuff
package import World

package actor MissingSet {
  /// The longest rest after a failed attempt, and how long blobs of paused shards rest.
  package static let parkedMax = Duration.seconds(3600)

  private let index: any Index
  private let parameters: EncodingParameters
  private var gate = Gate()
  private var counts = MissingCounts()
  /// Counted once, by the first call.
  private var isCounted = false

  package init(index: any Index, parameters: EncodingParameters) {
    self.index = index
    self.parameters = parameters
  }

  /// Notes that slivers are missing. Those known already keep their age.
  ///
  /// - Parameter byteCount: of the blob, if it is known.
  package func mark(
    _ slivers: [MissingSliver], of blob: BlobID, _ reason: MissingReason, byteCount: UInt64? = nil,
    now: WallTime
  ) async throws(IndexError) {
    guard !slivers.isEmpty else { return }
    try await change(blob) { known in
      var missing = known ?? MissingBlob(blob, since: now)
      missing.blobByteCount = byteCount ?? missing.blobByteCount
      for sliver in slivers where missing.slivers[sliver] == nil {
        missing.slivers[sliver] = reason
        // What is lost now was not part of the attempt that failed.
        missing.notBefore = nil
      }
      return missing
    }
  }

  /// Somebody asked for what is missing of a blob; nothing happens if nothing is.
  package func demand(_ blob: BlobID, now: WallTime) async throws(IndexError) {
    try await change(blob) { known in
      guard var missing = known else { return nil }
      missing.lastDemand = now
      return missing
    }
  }

  /// These are here after all, or again.
  package func found(_ slivers: [MissingSliver], of blob: BlobID) async throws(IndexError) {
    try await change(blob) { known in
      guard var missing = known else { return nil }
      for sliver in slivers { missing.slivers[sliver] = nil }
      return missing.slivers.isEmpty ? nil : missing
    }
  }

  /// The blob has ended.
  package func forget(_ blob: BlobID) async throws(IndexError) {
    try await change(blob) { _ in nil }
  }

  /// An attempt failed; the next comes at `next`.
  package func failed(
    _ blob: BlobID, isUnrecoverable: Bool, problem: String, next: WallTime
  ) async throws(IndexError) {
    try await change(blob) { known in
      guard var missing = known else { return nil }
      missing.failedAttemptCount += 1
      missing.isUnrecoverable = isUnrecoverable
      missing.problem = problem
      missing.notBefore = next
      return missing
    }
  }

  /// Everything may be tried again now, as when the operator asks for it or resumes a shard.
  package func retryAll() async throws(IndexError) { try await unpark(from: [3], below: [4]) }

  package func missing(of blob: BlobID) async throws(IndexError) -> MissingBlob? {
    try await load(blob)
  }

  /// What is due, the most urgent first: fewest shards left, then what readers asked for, then the
  /// oldest.
  ///
  /// - Parameter delay: by the number of shards that lack something, how long after the loss repair
  ///   begins; nil for never. What readers asked for is always due, and what is dated later than now:
  ///   the clock was set back, and nobody knows for how long it has been waiting.
  /// - Parameter pausedShards: blobs that lack nothing but slivers of these are left out, and rest, so
  ///   that not every call meets all of them.
  package func due(
    now: WallTime, limit: Int, pausedShards: Set<ShardIndex> = [],
    delay: @Sendable (_ lostShardCount: Int) -> Duration?
  ) async throws(IndexError) -> [MissingBlob] {
    try await unpark(now: now)
    var due: [MissingBlob] = []
    var lower: [UInt8] = [2]
    while due.count < limit {
      let page = try await index.entries(from: lower, below: [3], limit: 64)
      guard let last = page.last else { break }
      lower = last.key + [0]
      for entry in page where due.count < limit {
        guard let order = Order(entry.key) else {
          try await index.apply([.remove(key: entry.key)])
          continue
        }
        if !order.isDemanded, order.time <= now || delay(order.lostShardCount) == nil {
          let start = delay(order.lostShardCount).map { order.time + $0 }
          guard let start, start <= now else {
            // The others of this group are younger.
            lower = start == nil ? order.endOfGroup : order.group + bigEndian(now.milliseconds + 1)
            break
          }
        }
        guard let missing = try await load(order.blob) else {
          try await index.apply([.remove(key: entry.key)])
          continue
        }
        guard Order(missing).key == entry.key else {
          // Rot: the record says something else than its place.
          try await index.apply([
            .remove(key: entry.key), .set(key: Order(missing).key, value: []),
          ])
          continue
        }
        if pausedShards.isEmpty || !missing.shards(of: parameters).isSubset(of: pausedShards) {
          due.append(missing)
        } else {
          try await rest(missing, until: now + Self.parkedMax)
        }
      }
    }
    return due
  }

  package var statistics: MissingCounts {
    get async throws(IndexError) {
      try await count()
      return counts
    }
  }

  /// Blobs after `blob`, ascending.
  package func page(after blob: BlobID?, limit: Int) async throws(IndexError) -> [MissingBlob] {
    let lower = blob.map { [1] + $0.bytes + [0] } ?? [1]
    return try await index.entries(from: lower, below: [2], limit: limit).compactMap { entry in
      BlobID(bytes: Array(entry.key.dropFirst())).flatMap {
        MissingBlob($0, encoded: entry.value)
      }
    }
  }

  /// Unless more was lost since `seen`.
  private func rest(_ seen: MissingBlob, until next: WallTime) async throws(IndexError) {
    try await change(seen.blob) { known in
      var missing = known
      if known == seen { missing?.notBefore = next }
      return missing
    }
  }

  private func unpark(now: WallTime) async throws(IndexError) {
    if PlantedBug.parkedForEver.isPlanted { return }
    try await unpark(from: [3], below: [3] + bigEndian(now.milliseconds + 1))
    // Nobody waits that long: the clock was set back.
    let latest = now + Self.parkedMax
    try await unpark(from: [3] + bigEndian(latest.milliseconds), below: [4])
  }

  private func unpark(from lower: [UInt8], below upper: [UInt8]) async throws(IndexError) {
    while true {
      let parked = try await index.entries(from: lower, below: upper, limit: 64)
      for entry in parked {
        guard let blob = Order.blob(in: entry.key) else {
          try await index.apply([.remove(key: entry.key)])
          continue
        }
        try await change(blob, droppingStale: entry.key) { known in
          var missing = known
          if let known, Order(known).key == entry.key { missing?.notBefore = nil }
          return missing
        }
      }
      if parked.count < 64 { return }
    }
  }

  // MARK: Settings

  /// What was set of repair and scrub; nil if nothing was.
  package func settings() async throws(IndexError) -> UpkeepSettings? {
    guard let value = try await index.values(for: [Self.settingsKey]).first ?? nil else {
      return nil
    }
    do {
      return try UpkeepSettings(bcs: value)
    } catch {
      throw IndexError("it is damaged: \(error)")
    }
  }

  /// Damaged settings begin anew.
  package func change(
    _ body: @Sendable (inout UpkeepSettings) -> Void
  ) async throws(IndexError) {
    await enter()
    defer { leave() }
    var settings = (try? await settings()) ?? UpkeepSettings()
    body(&settings)
    try await index.apply([.set(key: Self.settingsKey, value: settings.bcsBytes)])
  }

  private func load(_ blob: BlobID) async throws(IndexError) -> MissingBlob? {
    let value = try await index.values(for: [Self.key(of: blob)]).first ?? nil
    return value.flatMap { MissingBlob(blob, encoded: $0) }
  }

  private func change(
    _ blob: BlobID, droppingStale stale: [UInt8]? = nil,
    _ body: @Sendable (MissingBlob?) -> MissingBlob?
  ) async throws(IndexError) {
    try await count()
    // Most nodes lack nothing, and are told of everything that they store.
    if counts.blobCount == 0, stale == nil, body(nil) == nil { return }
    await enter()
    defer { leave() }
    let old = try await load(blob)
    let new = body(old)
    guard old != new || stale != nil else { return }
    var changes: [IndexChange] = stale.map { [.remove(key: $0)] } ?? []
    if let old, Order(old).key != new.map({ Order($0).key }) {
      changes.append(.remove(key: Order(old).key))
    }
    if let new {
      changes.append(.set(key: Self.key(of: blob), value: new.encoded))
      changes.append(.set(key: Order(new).key, value: []))
    } else {
      changes.append(.remove(key: Self.key(of: blob)))
    }
    try await index.apply(changes)
    if let old { counts.add(old, -1, parameters: parameters) }
    if let new { counts.add(new, 1, parameters: parameters) }
  }

  private func count() async throws(IndexError) {
    guard !isCounted else { return }
    await enter()
    defer { leave() }
    guard !isCounted else { return }
    counts = MissingCounts()
    var last: BlobID?
    while case let page = try await page(after: last, limit: 256), let end = page.last {
      for missing in page { counts.add(missing, 1, parameters: parameters) }
      last = end.blob
    }
    isCounted = true
  }

  private static let settingsKey: [UInt8] = [0]
  private static func key(of blob: BlobID) -> [UInt8] { [1] + blob.bytes }

  // One change at a time: each reads, decides and writes.

  private struct Gate {
    var isTaken = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private func enter() async {
    guard gate.isTaken else {
      gate.isTaken = true
      return
    }
    await withCheckedContinuation { gate.waiters.append($0) }
  }

  private func leave() {
    if gate.waiters.isEmpty {
      gate.isTaken = false
    } else {
      gate.waiters.removeFirst().resume()
    }
  }
}

/// Where a blob stands in the order of repair.
private struct Order {
  let key: [UInt8]
  let blob: BlobID
  let lostShardCount: Int
  let isDemanded: Bool
  let time: WallTime

  init(_ missing: MissingBlob) {
    blob = missing.blob
    lostShardCount = missing.lostShardCount
    isDemanded = missing.lastDemand != nil
    time = missing.lastDemand ?? missing.since
    if let next = missing.notBefore {
      key = [3] + bigEndian(next.milliseconds) + blob.bytes
    } else {
      let left = UInt16.max - UInt16(clamping: lostShardCount)
      key =
        [2] + bigEndian(left) + [isDemanded ? 0 : 1] + bigEndian(time.milliseconds) + blob.bytes
    }
  }

  init?(_ key: [UInt8]) {
    guard key.count == 12 + BlobID.byteCount, key[0] == 2, let blob = Self.blob(in: key) else {
      return nil
    }
    self.key = key
    self.blob = blob
    lostShardCount = Int(UInt16.max) - (Int(key[1]) << 8 | Int(key[2]))
    isDemanded = key[3] == 0
    time = WallTime(milliseconds: key[4..<12].reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// How the keys of the same `left` and `demand` begin.
  var group: [UInt8] { Array(key[..<4]) }
  var endOfGroup: [UInt8] { Array(key[..<3]) + [key[3] + 1] }

  static func blob(in key: [UInt8]) -> BlobID? {
    guard key.count > BlobID.byteCount else { return nil }
    return BlobID(bytes: Array(key.suffix(BlobID.byteCount)))
  }
}

private func bigEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (value.bitWidth - 8 - 8 * $0)) }
}

/// The set in numbers.
package struct MissingCounts: Equatable, Sendable {
  package private(set) var blobCount = 0
  package private(set) var sliverCount = 0
  /// Of the missing slivers of blobs whose size is known.
  package private(set) var byteCount = 0
  package private(set) var unrecoverableBlobCount = 0
  package private(set) var slivers: [MissingReason: Int] = [:]
  package private(set) var shards: [ShardIndex: Int] = [:]
  package private(set) var blobsByLostShardCount: [Int: Int] = [:]

  mutating func add(_ missing: MissingBlob, _ sign: Int, parameters: EncodingParameters) {
    let shardCount = parameters.shardCount
    let s = missing.blobByteCount.flatMap { try? parameters.symbolByteCount(forBlobOf: $0) } ?? 0
    blobCount += sign
    sliverCount += sign * missing.slivers.count
    if missing.isUnrecoverable { unrecoverableBlobCount += sign }
    for (sliver, reason) in missing.slivers {
      Self.add(sign, to: reason, in: &slivers)
      byteCount += sign * s * parameters.symbolCount(inSliverOf: sliver.axis)
      if Int(sliver.pair.value) < shardCount {
        Self.add(sign, to: sliver.pair.shard(of: missing.blob, shardCount: shardCount), in: &shards)
      }
    }
    Self.add(sign, to: missing.lostShardCount, in: &blobsByLostShardCount)
  }

  private static func add<Key>(_ sign: Int, to key: Key, in counts: inout [Key: Int]) {
    let sum = (counts[key] ?? 0) + sign
    counts[key] = sum == 0 ? nil : sum
  }
}
