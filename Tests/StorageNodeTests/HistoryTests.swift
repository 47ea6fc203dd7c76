// HistoryTests.swift
//
// Random histories: uploads and deletes of a few blobs side by side, with crashes and restarts
// between. However they fall, what was confirmed for a living registration is there, and what nobody
// wants any more is gone.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import StorageNode

@Suite struct HistoryTests {
  @Test(arguments: 1...24 as ClosedRange<UInt64>)
  func `confirmed blobs stay and ended ones go`(seed: UInt64) async throws {
    let bench = try await NodeBench(driveCount: 2, seed: seed)
    let dice = SeededRandomness(seed: seed &* 7919)
    let blobs = try (0..<3).map { try bench.encode(byteCount: 1 + 200 * $0) }
    let confirmed = Confirmed()
    var running = try await bench.start()
    for _ in 0..<12 {
      let steps = (0..<4).map { _ in
        (blob: blobs[dice.number(below: blobs.count)], isUpload: dice.number(below: 3) > 0)
      }
      let node = running.node
      try await withThrowingTaskGroup(of: Void.self) { group in
        for step in steps {
          group.addTask {
            guard step.isUpload else {
              _ = try await bench.registry.delete(blob: step.blob.blobID, object: nil)
              return
            }
            let registration = try await bench.register(step.blob)
            let request = NodeRequest.storeBatch([bench.entry(step.blob, for: registration)])
            guard case .storeBatch(let outcomes) = await bench.ask(node, request) else { return }
            if case .confirmed = outcomes[0] { confirmed.insert(registration.object) }
          }
        }
        try await group.waitForAll()
      }
      switch dice.number(below: 6) {
      case 0:
        await running.kill()
        bench.crash(CrashSurvival.allCases[dice.number(below: 3)])
        running = try await bench.start()
      case 1:
        try await running.stop()
        running = try await bench.start(absent: dice.number(below: 2) == 0 ? [] : [1])
      default: break
      }
    }
    // All drives are back at the end.
    try await running.stop()
    running = try await bench.start()
    #expect(await eventually { running.node.cursor.revision >= bench.memory.revision })
    for blob in blobs {
      let living = try await bench.registry.registrations(of: blob.blobID).map(\.0)
        .filter { !$0.hasEnded }
      let count = await bench.intactCount(of: blob, on: running.node)
      if living.isEmpty { #expect(count == 0, "seed \(seed)") }
      if living.contains(where: { confirmed.contains($0.object) }) {
        #expect(count == bench.ownCount(of: blob), "seed \(seed)")
      }
    }
    #expect(running.node.lanes.laneCount == 0)
    try await running.stop()
  }
}

private final class Confirmed: Sendable {
  private let objects = Mutex<Set<ObjectID>>([])

  func insert(_ object: ObjectID) { objects.withLock { _ = $0.insert(object) } }

  func contains(_ object: ObjectID) -> Bool { objects.withLock { $0.contains(object) } }
}
