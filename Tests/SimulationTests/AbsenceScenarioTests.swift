// AbsenceScenarioTests.swift
//
// Absence is never proof: what a node does not find, or cannot read at its start, is asked for again
// and never taken for deleted. And what was deleted does not come back by repair.

import Cluster
import RedStuff
import Repair
import Simulator
import StorageNode
import Testing
import World

@testable import Simulation

@Suite(.serialized, .timeLimit(.minutes(5))) struct AbsenceScenarioTests {
  @Test func `a drive that is mounted late has everything, and nobody deleted anything`()
    async throws
  {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: [5, 600, 3000])
      let machine = cluster.machines[1]
      await machine.crash(.killed)
      let (disk, index) = (
        machine.drives[0].disk.snapshot(), machine.drives[0].index.snapshot()
      )
      // The place where it will be mounted: no marker.
      machine.drives[0].disk.wipe()
      await machine.start()
      try await cluster.rest(.seconds(1800))
      for blob in blobs { #expect(await cluster.knownCount(blob, on: 1) == 0) }
      await machine.stop()
      machine.drives[0].disk.restore(disk)
      machine.drives[0].index.restore(index)
      await machine.start()
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(1) })
      // They were there, not repaired.
      #expect(try await cluster.status(of: 1).restoredSliverCount == 0)
      for node in 0..<7 { #expect(await cluster.lackingCount(blobs, on: node) == 0) }
    }
  }

  @Test(arguments: UInt64(1)...6)
  func `errors of every kind at a start delete nothing`(seed: UInt64) async throws {
    var plan = ScriptedCluster.Plan()
    plan.driveCount = 2
    plan.seed = seed
    // Small segments: many files to open.
    plan.segmentByteCountMax = 4 << 10
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1500, count: 8))
      let machine = cluster.machines[3]
      var trouble = DiskTrouble()
      (trouble.openFailureRate, trouble.readFailureRate) =
        seed.isMultiple(of: 2) ? (1, 0) : (0.3, 0.3)
      for start in 0..<4 {
        await machine.crash(.killed)
        for drive in machine.drives {
          drive.disk.setTrouble(trouble)
          if start == 2 { drive.index.wipe() }
        }
        await machine.start()
        try await cluster.rest(.seconds(120))
      }
      await machine.stop()
      for drive in machine.drives { drive.disk.setTrouble(DiskTrouble()) }
      await machine.start()
      #expect(try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(3) })
      for node in 0..<7 { #expect(await cluster.lackingCount(blobs, on: node) == 0) }
    }
  }

  // The delete comes while symbols are on their way, a little later each time.
  @Test func `what is deleted during its repair does not come back`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = {
      $0.repairByteRateMax = 400
      $0.repairBatchBlobCountMax = 4
    }
    try await ScriptedCluster.run(plan) { cluster in
      for tenths in 0..<24 {
        let blobs = try await cluster.store(sizes: Array(repeating: 800 + tenths, count: 6))
        await cluster.machines[2].replaceDrives()
        try await cluster.rest(.milliseconds(100 * tenths))
        for blob in blobs { try await cluster.delete(blob) }
        try await cluster.rest(.seconds(120))
        for blob in blobs { #expect(await cluster.knownCount(blob, on: 2) == 0, "\(tenths)") }
        #expect(try await cluster.isHealed(2))
      }
    }
  }

  @Test func `what was missing when its blob was deleted is not missing any more`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = { $0.repairDelay = nil }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: [100, 2000])
      await cluster.machines[5].replaceDrives()
      #expect(
        try await cluster.waits(atMost: .seconds(60)) {
          try await cluster.status(of: 5).missingBlobCount == 2
        })
      try await cluster.delete(blobs[0])
      #expect(
        try await cluster.waits(atMost: .seconds(60)) {
          try await cluster.status(of: 5).missingBlobCount == 1
        })
      try await cluster.delete(blobs[1])
      #expect(try await cluster.waits(atMost: .seconds(60)) { try await cluster.isHealed(5) })
      #expect(try await cluster.status(of: 5).receivedByteCount == 0)
    }
  }
}
