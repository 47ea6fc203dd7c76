// CrashTests.swift
//
// The crash points (Simulation/CrashPoints) at reduced depth, and what they do not say by name.
// `walrus-simulate` runs them all.

import RedStuff
import Simulation
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct CrashTests {
  // A line of a failure begins with the text of its point; CrashPoints.Point reads that back.
  @Test func `whatever operation fails or is cut off, what was told stays true`() async throws {
    let report = await CrashPoints(subsetCount: 3, stride: 2, seed: 1).run()
    for failure in report.failures { Issue.record("\(failure)") }
    #expect(report.operationCount > 400)
    #expect(report.pointCount > 3000)
  }

  /// What is wrong with points on a drive that loses some of what it synced.
  private func problemsOfLosingDrive() async -> [String?] {
    var trouble = DiskTrouble()
    trouble.lostWriteRate = 0.2
    var problems: [String?] = []
    for operation in stride(from: 50, to: 400, by: 50) {
      let point = CrashPoints.Point(
        CrashPoints.Strike(.crash, at: operation), subset: 2, indexLoss: .everything,
        seed: UInt64(operation))
      problems.append(await CrashPoints.run(point, trouble: trouble))
    }
    return problems
  }

  @Test func `a drive that loses what it synced does not pass`() async throws {
    let problems = await problemsOfLosingDrive()
    #expect(problems.contains { $0?.contains("was acknowledged and is missing") ?? false })
  }

  @Test func `the same points fail in the same way every time`() async throws {
    let problems = await problemsOfLosingDrive()
    #expect(Set(problems).count > 1)
    #expect(await problemsOfLosingDrive() == problems)
  }

  @Test(arguments: [
    "crash@123,subset=7,index=some,again=full@14,seed=42",
    "failure@0,subset=0,index=everything,seed=18446744073709551615",
    "full@9,subset=1,index=unsynced,again=crash@0,seed=0",
  ])
  func `a point reads back from its text`(text: String) throws {
    #expect(try required(CrashPoints.Point(text)).description == text)
  }

  @Test(arguments: [
    "", "crash", "crash@", "crash@-1", "flood@3", "crash@1,subset=-1", "crash@1,index=all",
    "crash@1,again=2", "crash@1,seed", "crash@1,colour=2", "crash@1@2",
  ])
  func `what is no point is refused`(text: String) {
    #expect(CrashPoints.Point(text) == nil)
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

  // The tombstone may be found by the next opening. What it would end must not be counted on: the
  // blob may have been stored again meanwhile.
  @Test func `a delete that failed leaves nothing of its blob that counts as stored`() async throws
  {
    let drive = try await TestDrive()
    let store = try await drive.open()
    try await store.put([sliverRecord(sliverKey(0, 0)), sliverRecord(sliverKey(1, 0))])
    drive.disk.setSyncsFail(true)
    let refused = await storeError { try await store.delete(blobID(0)) }
    #expect(refused != nil)
    #expect(try await store.contains([sliverKey(0, 0), sliverKey(1, 0)]) == [false, true])
    let again = await storeError { try await store.put([sliverRecord(sliverKey(0, 0))]) }
    #expect(again.map { if case .readOnly = $0 { true } else { false } } == true)
    #expect(try await store.sliver(sliverKey(1, 0))?.bytes == defaultBytes(sliverKey(1, 0)))
  }
}
