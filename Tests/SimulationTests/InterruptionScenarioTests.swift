// InterruptionScenarioTests.swift
//
// Background work that is cut off anywhere, started twice or stopped twice, and drives that run full
// under it: what is there is whole, and in the end all is there.

import Cluster
import RedStuff
import Repair
import Simulator
import StorageNode
import Testing
import World

@testable import Simulation

@Suite(.serialized, .timeLimit(.minutes(5))) struct InterruptionScenarioTests {
  private func hurried(_ configuration: inout StorageNodeConfiguration) {
    configuration.scrubPeriod = .seconds(20)
    configuration.compactionInterval = .seconds(1)
    configuration.repairBatchBlobCountMax = 2
  }

  // Repair, scrub, compaction and the inventory all run; each crash comes a little later than the last.
  @Test(arguments: [Machine.Crash.killed, .powerLost])
  func `background work that is killed at any step spoils nothing`(_ crash: Machine.Crash)
    async throws
  {
    var plan = ScriptedCluster.Plan()
    plan.segmentByteCountMax = 4 << 10
    plan.configure = hurried
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1200, count: 10))
      for blob in blobs.prefix(4) { try await cluster.delete(blob) }
      let kept = Array(blobs.dropFirst(4))
      await cluster.machines[4].replaceDrives()
      let machine = cluster.machines[4]
      for step in 0..<40 {
        try await cluster.rest(.milliseconds(2 + 7 * step * step / 10))
        await machine.crash(crash)
        await machine.start()
        // What stands there is whole.
        for blob in kept {
          let known = await cluster.knownCount(blob, on: 4)
          #expect(await cluster.lackingCount(blob, on: 4) <= 2 - known, "step \(step)")
        }
      }
      #expect(try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(4) })
      #expect(await cluster.lackingCount(kept, on: 4) == 0)
      for blob in blobs.prefix(4) { #expect(await cluster.knownCount(blob, on: 4) == 0) }
    }
  }

  @Test func `everything can be read while nodes restart in turn and refill`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = hurried
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: [1, 900, 2500, 6000])
      for node in 0..<7 {
        if node.isMultiple(of: 2) {
          await cluster.machines[node].replaceDrives()
        } else {
          await cluster.machines[node].stop()
          await cluster.machines[node].start()
        }
        for blob in blobs {
          let bytes = try await cluster.bytes(of: blob)
          #expect(
            try BlobEncoder.encodeSerially(bytes, parameters: cluster.parameters).blobID
              == blob.blobID)
        }
        #expect(
          try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(node) })
      }
    }
  }

  @Test func `what the operator asks for twice, or in any order, is asked for once`() async throws {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1500, count: 6))
      let dice = SeededRandomness(seed: 3)
      for round in 0..<12 {
        await cluster.machines[1].replaceDrives()
        for _ in 0..<8 {
          guard let node = cluster.machines[1].process?.node else { return }
          switch dice.number(below: 7) {
          case 0: try await node.pauseRepair()
          case 1: try await node.resumeRepair()
          case 2: await node.runRepairNow()
          case 3: try await node.setRepairRate(dice.chance(0.5) ? nil : 500)
          case 4: try await node.startScrub()
          case 5: try await node.pauseScrub()
          default: try await node.resumeScrub()
          }
          if dice.chance(0.3) { try await cluster.rest(.milliseconds(50)) }
        }
        let node = try #require(cluster.machines[1].process?.node)
        try await node.resumeRepair()
        try await node.setRepairRate(nil)
        #expect(
          try await cluster.waits(atMost: .seconds(120)) { try await cluster.isHealed(1) },
          "round \(round)")
        #expect(await cluster.lackingCount(blobs, on: 1) == 0)
      }
    }
  }

  @Test func `a drive that fills under repair keeps what is whole, and goes on when there is room`()
    async throws
  {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 2000, count: 12))
      await cluster.machines[6].replaceDrives()
      // Room for some of it.
      #expect(
        try await cluster.waits(atMost: .seconds(60), every: .milliseconds(1)) {
          try await cluster.status(of: 6).restoredSliverCount >= 4
        })
      let disk = cluster.machines[6].drives[0].disk
      disk.setFull(true)
      try await cluster.rest(.seconds(300))
      let status = try await cluster.status(of: 6)
      #expect(status.missingSliverCount > 0)
      for blob in blobs {
        let known = await cluster.knownCount(blob, on: 6)
        #expect(await cluster.lackingCount(blob, on: 6) == 2 - known)
      }
      // Reads and deletes go on, and repair does not ask again and again meanwhile.
      _ = try await cluster.bytes(of: blobs[0])
      #expect(try await cluster.status(of: 6).requestCount <= status.requestCount + 200)
      disk.setFull(false)
      #expect(try await cluster.waits(atMost: .seconds(900)) { try await cluster.isHealed(6) })
      #expect(await cluster.lackingCount(blobs, on: 6) == 0)
    }
  }
}
