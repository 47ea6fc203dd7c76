// CrashScript.swift
//
// What a store goes through while one operation of its drive or index goes wrong: it stores, groups,
// deletes, stores again, compacts, is closed and opened, loses its index, is cut off in the middle
// of writing and of compacting, recovers, is scrubbed, and meets rot.
//
// Up to the strike a run is the same for all points of a seed, so an operation has one number. After
// an error the script goes on, as a node would; when the power goes for the point, it ends.

internal import Cluster
internal import RedStuff
internal import Simulator
internal import SliverStore

/// A drive with its index; the store on it can be opened again and again.
struct CrashMachine: Sendable {
  /// Where there is a capacity.
  static let reserveByteCount = 10_000

  let disk: SimulatedDisk
  let index: SimulatedIndex
  /// What the store may take when it is opened next; nil: all.
  var capacityByteCount: Int?
  private let randomness: SeededRandomness
  private let clusterID: ClusterID
  private let node = NodeID(3)

  init(seed: UInt64) async throws {
    disk = SimulatedDisk(seed: seed, capacityByteCount: 1 << 30)
    index = SimulatedIndex(seed: seed, besides: disk)
    randomness = SeededRandomness(seed: seed &+ 1)
    guard let id = ClusterID([UInt8](repeating: 7, count: 32)) else {
      preconditionFailure("32 bytes are a cluster ID")
    }
    clusterID = id
    try await SliverStore.initialise(
      disk: disk, clusterID: clusterID, node: node, randomness: randomness)
  }

  var usedByteCount: Int {
    disk.names.filter { $0.hasPrefix("segment-") }
      .reduce(0) { $0 + (disk.contents(of: $1)?.count ?? 0) }
  }

  func open() async throws(SliverStoreError) -> SliverStore {
    // Small segments: the script fills many, and compaction has a choice.
    try await SliverStore.open(
      disk: disk, index: index, clusterID: clusterID, node: node, randomness: randomness,
      options: SliverStoreOptions(
        segmentByteCountMax: 8192, capacityByteCount: capacityByteCount,
        reserveByteCount: capacityByteCount == nil ? 0 : Self.reserveByteCount))
  }
}

struct CrashScript {
  /// The power went for the point.
  private struct PowerCut: Error {}
  typealias Body = (SliverStore, inout CrashModel) async throws -> Void

  var machine: CrashMachine
  var model = CrashModel()
  private var store: SliverStore?
  let point: CrashPoints.Point?
  /// The number of the script's first operation.
  private let start: Int

  init(_ machine: CrashMachine, _ point: CrashPoints.Point?) {
    self.machine = machine
    self.point = point
    start = machine.disk.operationCount
    scheduleStrike()
  }

  /// Operations so far.
  var operationCount: Int { machine.disk.operationCount - start }

  /// - Throws: `CrashViolation` if the store says what it must not, or does not open.
  mutating func run() async throws {
    do {
      try await runAll()
    } catch is PowerCut {
      store = nil
    }
  }

  private mutating func runAll() async throws {
    try await put(0)
    try await setValue(1)
    try await putTogether(1)
    try await read(0, 0..<2)
    try await delete(0)
    try await put(2, 0..<3)
    // Stored again after its deletion.
    try await put(0, 2..<4)
    try await close()
    try await put(3)
    try await delete(1)
    try await setValue(2)
    try await compact()
    try await put(1, 0..<2)
    try await delete(3)
    try await delete(2)
    try await compact()
    try await loseIndex()
    try await put(4)
    try await setValue(3)
    try await cutPower(afterOperations: 9, losing: .some) { store, model in
      try await Self.putTogether(CrashModel.keys(5), store, &model)
    }
    try await read(4, 0..<6)
    try await delete(0)
    try await put(2, 0..<1)
    try await cutPower(afterOperations: 14, losing: .unsynced) { store, _ in
      _ = try await store.compact()
    }
    try await compact()
    try await rotAndStoreAgain(4)
    try await put(3, 1..<4)
    try await cutPower(afterOperations: 5, losing: .everything) { store, model in
      try await Self.put(CrashModel.keys(2), store, &model)
    }
    try await delete(5)
    try await compact()
    try await read(3, 0..<3)
    try await rotAndScrub(3)
    try await scrub(finding: [])
    try await rotIndexAndDelete(1)
    try await rotTombstone(2)
    try await fill()
    try await close()
  }

  private func scheduleStrike() {
    guard let point, start + point.strike.operation >= machine.disk.operationCount else { return }
    machine.disk.schedule(
      point.strike.fault, atOperation: start + point.strike.operation, seed: point.dice(0))
  }

  /// Opens the store if it is not open; an error may happen once.
  private mutating func opened() async throws -> SliverStore {
    if let store { return store }
    for isRetry in [false, true] {
      do throws(SliverStoreError) {
        let opened = try await machine.open()
        store = opened
        return opened
      } catch {
        if machine.disk.hasCrashed { throw PowerCut() }
        if isRetry { throw CrashViolation("the store does not open: \(error)") }
      }
    }
    throw CrashViolation("the store was not opened")
  }

  /// Does one step. What fails stays undecided; a store that writes no more is opened again.
  mutating func step(_ body: Body) async throws {
    for isRetry in [false, true] {
      do {
        try await body(try await opened(), &model)
        return
      } catch let error as SliverStoreError {
        if machine.disk.hasCrashed { throw PowerCut() }
        guard point?.strike.fault != nil else {
          throw CrashViolation("without any fault: \(error)")
        }
        guard case .readOnly = error, !isRetry else { return }
        store = nil
      }
    }
  }

  /// A power cut that belongs to the script.
  private mutating func cutPower(
    afterOperations count: Int, losing loss: IndexLoss, _ body: Body
  ) async throws {
    let disk = machine.disk
    let number = disk.operationCount + count
    let strike = point.map { start + $0.strike.operation }
    // Where both meet, the point's own fault is the one that happens.
    if number != strike { disk.schedule(.crash, atOperation: number) }
    do {
      try await step(body)
    } catch let error as PowerCut {
      if point?.strike.fault == .crash, disk.lastFault?.number == strike { throw error }
    }
    disk.restart(.some)
    loss.strike(machine.index, seed: 2)
    store = nil
    scheduleStrike()
  }

  mutating func loseIndex() async throws {
    store = nil
    machine.index.wipe()
    _ = try await opened()
  }

  mutating func close() async throws {
    try await step { store, _ in try await store.close() }
    store = nil
    _ = try await opened()
  }

  mutating func put(_ blob: Int, _ pairs: Range<Int> = 0..<CrashModel.pairCount)
    async throws
  {
    try await step { store, model in
      try await Self.put(CrashModel.keys(blob, pairs), store, &model)
    }
  }

  /// Slivers fill the drive up to its reserve, which is left to deletes and compaction.
  private mutating func fill() async throws {
    let capacity = machine.usedByteCount + CrashMachine.reserveByteCount + 6000
    machine.capacityByteCount = capacity
    try await close()
    let machine = machine
    for blob in [5, 1, 2] {
      try await step { store, model in
        let keys = CrashModel.keys(blob)
        model.begin(keys)
        do throws(SliverStoreError) {
          try await store.put(keys.map { CrashModel.record($0) })
          model.finish(keys, present: true)
        } catch {
          guard case .full = error else { throw error }
        }
        guard machine.usedByteCount <= capacity - CrashMachine.reserveByteCount else {
          throw CrashViolation("slivers take \(machine.usedByteCount) of \(capacity) bytes")
        }
      }
    }
    try await delete(5)
    self.machine.capacityByteCount = nil
    try await close()
  }

  private mutating func putTogether(_ blob: Int) async throws {
    try await step { store, model in
      try await Self.putTogether(CrashModel.keys(blob), store, &model)
    }
  }

  private static func put(
    _ keys: [SliverKey], _ store: SliverStore, _ model: inout CrashModel
  ) async throws {
    model.begin(keys)
    try await store.put(keys.map { CrashModel.record($0) })
    model.finish(keys, present: true)
  }

  private static func putTogether(
    _ keys: [SliverKey], _ store: SliverStore, _ model: inout CrashModel
  ) async throws {
    model.begin(keys)
    let stored = await withTaskGroup(of: (SliverKey, SliverStoreError?).self) { group in
      for key in keys {
        group.addTask {
          do throws(SliverStoreError) {
            try await store.put([CrashModel.record(key)])
            return (key, nil)
          } catch {
            return (key, error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    // Each has its own answer.
    model.finish(stored.filter { $0.1 == nil }.map(\.0), present: true)
    if let error = stored.compactMap(\.1).first { throw error }
  }

  mutating func delete(_ blob: Int) async throws {
    try await step { store, model in
      model.begin(CrashModel.keys(blob))
      try await store.delete(CrashModel.blob(blob))
      model.finish(CrashModel.keys(blob), present: false)
    }
  }

  private mutating func setValue(_ value: UInt8) async throws {
    try await step { store, model in
      model.values.insert([value])
      try await store.setValue([value], for: "cursor")
      model.values = [[value]]
    }
  }

  mutating func compact() async throws {
    try await step { store, _ in _ = try await store.compact() }
  }

  mutating func read(_ blob: Int, _ pairs: Range<Int>) async throws {
    try await step { store, model in
      for key in CrashModel.keys(blob, pairs) {
        let found = try await store.sliver(key)
        try model.check(key, found.map { ($0.symbolByteCount, $0.bytes) })
        let symbols = try await store.symbols(1..<2, of: key)
        if let symbols, symbols != Array(CrashModel.bytes(key)[100..<200]) {
          throw CrashViolation("\(CrashModel.name(key)) has a wrong symbol")
        }
      }
    }
  }
}
