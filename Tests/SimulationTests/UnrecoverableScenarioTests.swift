// UnrecoverableScenarioTests.swift
//
// What cannot be repaired is said to be so, is tried again ever more seldom, and comes back as soon as
// it can.

import Cluster
import RedStuff
import Repair
import Simulator
import StorageNode
import Testing
import World

@testable import Simulation

@Suite(.serialized, .timeLimit(.minutes(5))) struct UnrecoverableScenarioTests {
  @Test func `a blob of which too little is left is reported, and not tried for ever`()
    async throws
  {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: [1000, 1001])
      // Of seven shards, two make a column and five a row. One is left besides the empty one.
      let lost = [1, 2, 3, 4, 5]
      for node in lost { await cluster.machines[node].stop() }
      await cluster.machines[0].replaceDrives()
      #expect(
        try await cluster.waits(atMost: .seconds(120)) {
          try await cluster.status(of: 0).unrecoverableBlobCount == 2
        })
      let early = try await cluster.status(of: 0)
      try await cluster.rest(.seconds(2 * 3600))
      let late = try await cluster.status(of: 0)
      #expect(late.unrecoverableBlobCount == 2 && late.missingBlobCount == 2)
      // Every ten minutes at most in the end; a request to each peer each time, and some for metadata.
      #expect(late.failedAttemptCount - early.failedAttemptCount <= 2 * (2 * 6 + 10))
      #expect(late.requestCount - early.requestCount <= 6 * 2 * (2 * 6 + 10))
      for node in lost { await cluster.machines[node].start() }
      #expect(try await cluster.waits(atMost: .seconds(900)) { try await cluster.isHealed(0) })
      #expect(try await cluster.status(of: 0).unrecoverableBlobCount == 0)
      #expect(await cluster.lackingCount(blobs, on: 0) == 0)
    }
  }

  // A column can be had from any k1 rows, so columns come back first, and rows when they are enough.
  @Test func `with more than f shards lost nodes give each other what they have`() async throws {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: [700, 3000])
      for node in [0, 1, 2, 3] { await cluster.machines[node].stop() }
      for node in [0, 1, 2, 3] { await cluster.machines[node].replaceDrives() }
      for node in [0, 1, 2, 3] { await cluster.machines[node].start() }
      #expect(
        try await cluster.waits(atMost: .seconds(3600)) {
          for node in 0..<4 where try await !cluster.isHealed(node) { return false }
          return true
        })
      for node in 0..<7 { #expect(await cluster.lackingCount(blobs, on: node) == 0) }
    }
  }

  @Test func `helpers that cannot read their drives are replaced by others`() async throws {
    try await ScriptedCluster.run { cluster in
      let blobs = try await cluster.store(sizes: [500, 2500, 4000])
      var trouble = DiskTrouble()
      trouble.readFailureRate = 1
      for helper in [3, 4] { cluster.machines[helper].drives[0].disk.setTrouble(trouble) }
      await cluster.machines[1].replaceDrives()
      #expect(try await cluster.waits(atMost: .seconds(600)) { try await cluster.isHealed(1) })
      #expect(await cluster.lackingCount(blobs, on: 1) == 0)
      // To be unreadable for a while is not to be lost.
      for helper in [3, 4] { cluster.machines[helper].drives[0].disk.setTrouble(DiskTrouble()) }
      for helper in [3, 4] { #expect(await cluster.lackingCount(blobs, on: helper) == 0) }
    }
  }

  @Test func `one blob that cannot be repaired does not hold up the others`() async throws {
    var plan = ScriptedCluster.Plan()
    plan.configure = { $0.repairBatchBlobCountMax = 1 }
    try await ScriptedCluster.run(plan) { cluster in
      let blobs = try await cluster.store(sizes: Array(repeating: 1000, count: 8))
      let poisoned = try #require(blobs.map(\.blobID).sorted().first)
      // Five nodes lose all that they have of it, for good.
      for node in 1..<6 {
        let machine = cluster.machines[node]
        await machine.stop()
        for drive in machine.drives { drive.disk.spoil(poisoned) }
        for drive in machine.drives { drive.index.wipe() }
        await machine.start()
      }
      await cluster.machines[0].replaceDrives()
      #expect(
        try await cluster.waits(atMost: .seconds(300)) {
          try await cluster.status(of: 0).missingBlobCount == 1
        })
      let status = try await cluster.status(of: 0)
      #expect(status.unrecoverableBlobCount == 1)
      for blob in blobs where blob.blobID != poisoned {
        #expect(await cluster.lackingCount(blob, on: 0) == 0)
      }
    }
  }
}
