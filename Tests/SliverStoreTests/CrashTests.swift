// CrashTests.swift
//
// The power goes at every single disk operation of a script that stores, groups, deletes, stores
// again, compacts and reopens. Whatever unsynced sectors survive, and however many batches the index
// loses: what was acknowledged is there, what was deleted is not, and no byte is wrong.

import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

/// What the store must say, as far as its answers so far oblige it.
private struct Model {
  var present: Set<SliverKey> = []
  var uncertain: Set<SliverKey> = []
  var values: Set<[UInt8]?> = [nil]

  mutating func begin(_ keys: [SliverKey]) { uncertain.formUnion(keys) }

  mutating func finish(_ keys: [SliverKey], present isPresent: Bool) {
    uncertain.subtract(keys)
    if isPresent { present.formUnion(keys) } else { present.subtract(keys) }
  }
}

private let universe: [SliverKey] = (0..<6).flatMap { blob in
  (0..<6).map { sliverKey(blob, $0) }
}

private func keys(_ blob: Int, _ pairs: Range<Int> = 0..<6) -> [SliverKey] {
  pairs.map { sliverKey(blob, $0) }
}

private func put(_ keys: [SliverKey], _ store: SliverStore, _ model: inout Model) async throws {
  model.begin(keys)
  try await store.put(keys.map { sliverRecord($0) })
  model.finish(keys, present: true)
}

private func putTogether(_ keys: [SliverKey], _ store: SliverStore, _ model: inout Model)
  async throws
{
  model.begin(keys)
  try await withThrowingTaskGroup(of: Void.self) { group in
    for key in keys { group.addTask { try await store.put([sliverRecord(key)]) } }
    try await group.waitForAll()
  }
  model.finish(keys, present: true)
}

private func delete(_ blob: Int, _ store: SliverStore, _ model: inout Model) async throws {
  model.begin(keys(blob))
  try await store.delete(blobID(blob))
  model.finish(keys(blob), present: false)
}

private func setValue(_ value: UInt8, _ store: SliverStore, _ model: inout Model) async throws {
  model.values.insert([value])
  try await store.setValue([value], for: "cursor")
  model.values = [[value]]
}

/// Ends by throwing when the power goes.
private func runScript(_ drive: TestDrive, _ model: inout Model) async throws {
  var store = try await drive.open()
  try await put(keys(0), store, &model)
  try await setValue(1, store, &model)
  try await putTogether(keys(1), store, &model)
  try await delete(0, store, &model)
  try await put(keys(2, 0..<3), store, &model)
  try await put(keys(0, 2..<4), store, &model)
  try await store.close()
  store = try await drive.open()
  try await put(keys(3), store, &model)
  try await delete(1, store, &model)
  try await setValue(2, store, &model)
  _ = try await store.compact()
  try await put(keys(1, 0..<2), store, &model)
  try await delete(3, store, &model)
  try await delete(2, store, &model)
  _ = try await store.compact()
  try await put(keys(4), store, &model)
  try await setValue(3, store, &model)
  try await delete(0, store, &model)
  try await put(keys(2, 0..<1), store, &model)
  _ = try await store.compact()
}

private func verify(_ store: SliverStore, _ model: Model, _ context: Comment) async throws {
  for key in universe {
    let isContained = try await store.contains([key])[0]
    let found = try await store.sliver(key)
    #expect(isContained == (found != nil), context)
    if let found { #expect(found.bytes == defaultBytes(key), context) }
    if !model.uncertain.contains(key) {
      #expect((found != nil) == model.present.contains(key), "\(key.blob) \(key.pair): \(context)")
    }
  }
  let value = try await store.value(for: "cursor")
  #expect(model.values.contains(value), context)
}

@Suite struct CrashTests {
  /// Operations of the whole script without a crash.
  private static func operationCount() async throws -> Int {
    let drive = try await TestDrive()
    let start = drive.disk.operationCount
    var model = Model()
    try await runScript(drive, &model)
    return drive.disk.operationCount - start
  }

  @Test(arguments: CrashSurvival.allCases)
  func `what was acknowledged survives a crash at any operation`(survival: CrashSurvival)
    async throws
  {
    let operationCount = try await Self.operationCount()
    #expect(operationCount > 80)
    for crashAt in 0..<operationCount {
      for variant in 0..<3 {
        let context: Comment = "crash at \(crashAt), \(survival), variant \(variant)"
        let drive = try await TestDrive(seed: UInt64(crashAt * 3 + variant))
        drive.disk.schedule(.crash, atOperation: drive.disk.operationCount + crashAt)
        var model = Model()
        do { try await runScript(drive, &model) } catch is SliverStoreError {}
        drive.disk.restart(survival)
        let losable = drive.index.losableBatchCount
        drive.index.crash(losing: [0, losable / 2, losable][variant])

        let store = try await drive.open()
        try await verify(store, model, context)
        // Everything can be stored now, also what was torn.
        try await store.put(universe.map { sliverRecord($0) })
        for key in universe {
          let found = try await store.sliver(key)
          #expect(found?.bytes == defaultBytes(key), context)
        }
      }
    }
  }

  @Test func `a crash during recovery loses nothing either`() async throws {
    let operationCount = try await Self.operationCount()
    for crashAt in stride(from: 0, to: operationCount, by: 3) {
      for recoveryCrash in stride(from: 0, to: 40, by: 2) {
        let context: Comment = "crash at \(crashAt), then at \(recoveryCrash) of the recovery"
        let drive = try await TestDrive(seed: UInt64(crashAt * 100 + recoveryCrash))
        drive.disk.schedule(.crash, atOperation: drive.disk.operationCount + crashAt)
        var model = Model()
        do { try await runScript(drive, &model) } catch is SliverStoreError {}
        drive.disk.restart(.some)
        drive.index.crash(losing: recoveryCrash % 4 == 0 ? 64 : 1)
        drive.disk.schedule(.crash, atOperation: drive.disk.operationCount + recoveryCrash)
        do { _ = try await drive.open() } catch {}
        drive.disk.restart(.some)
        drive.index.crash(losing: recoveryCrash % 3)
        try await verify(try await drive.open(), model, context)
      }
    }
  }

  // ENOSPC, EIO and failed syncs at every operation; the process lives on and is then restarted.
  @Test(arguments: [DiskFault.full, .failure])
  func `what was acknowledged survives an error at any operation`(fault: DiskFault) async throws {
    let operationCount = try await Self.operationCount()
    for faultAt in 0..<operationCount {
      let context: Comment = "\(fault) at \(faultAt)"
      let drive = try await TestDrive(seed: UInt64(faultAt))
      drive.disk.schedule(fault, atOperation: drive.disk.operationCount + faultAt)
      var model = Model()
      do { try await runScript(drive, &model) } catch is SliverStoreError {}
      try await verify(try await drive.open(), model, context)
      drive.disk.restart(.some)
      drive.index.crash(losing: faultAt % 3)
      try await verify(try await drive.open(), model, context)
    }
  }

  // A failed sync leaves its pages readable and clean; the next power cut shows the truth.
  @Test func `what a failed sync left in memory is not taken for stored`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(0, 0))])
    drive.disk.setSyncsFail(true)
    let refused = await storeError { try await store.put([sliverRecord(sliverKey(0, 1))]) }
    #expect(refused.map { if case .disk = $0 { true } else { false } } == true)
    let later = await storeError { try await store.put([sliverRecord(sliverKey(0, 2))]) }
    #expect(later.map { if case .readOnly = $0 { true } else { false } } == true)
    #expect(try await store.contains([sliverKey(0, 0), sliverKey(0, 1)]) == [true, false])
    #expect(try await store.sliver(sliverKey(0, 0))?.bytes == defaultBytes(sliverKey(0, 0)))

    // The process starts again, the machine does not: memory still shows the lost write.
    drive.disk.setSyncsFail(false)
    let reopened = try await drive.open()
    let told = try await reopened.contains([sliverKey(0, 0), sliverKey(0, 1)])
    drive.disk.restart(.nothing)
    let afterwards = try await drive.open()
    let found = try await afterwards.sliver(sliverKey(0, 1))
    #expect(told[0])
    #expect(told[1] == (found != nil))
    #expect(try await afterwards.sliver(sliverKey(0, 0))?.bytes == defaultBytes(sliverKey(0, 0)))
  }

  @Test func `reopening a store after a failed sync makes it writable`() async throws {
    let drive = try await TestDrive()
    let store = try await drive.open()
    drive.disk.setSyncsFail(true)
    _ = await storeError { try await store.put([sliverRecord(sliverKey(0, 0))]) }
    drive.disk.setSyncsFail(false)
    let reopened = try await drive.open()
    try await reopened.put([sliverRecord(sliverKey(0, 1))])
    #expect(try await reopened.contains([sliverKey(0, 1)]) == [true])
  }
}
