// LifecycleTests.swift
//
// The ways in which a registration ends, and how its end is moved.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct LifecycleTests {
  @Test func `delete ends one registration and leaves the others`() async throws {
    let bench = try await RegistryBench()
    let mine = try await bench.registerCertified()
    let other = try await bench.registerCertified()
    #expect(try await bench.registry.delete(blob: mine.blob, object: mine.object) == 1)
    #expect(try await bench.state(of: mine) == .ended(.deleted))
    #expect(try await bench.state(of: other) == other.state)
    #expect(try await bench.registry.delete(blob: mine.blob, object: mine.object) == 0)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `delete without an object ends all deletable ones and says how many`() async throws {
    let bench = try await RegistryBench()
    let permanent = try await bench.registerCertified(1, .permanent, epochs: 2)
    // More than go into one transaction.
    for _ in 0..<30 { _ = try await bench.register() }
    let elsewhere = try await bench.register(2)
    #expect(try await bench.registry.delete(blob: bench.blob(), object: nil) == 30)
    #expect(try await bench.registry.delete(blob: bench.blob(), object: nil) == 0)
    #expect(try await bench.state(of: permanent) == permanent.state)
    #expect(try await bench.state(of: elsewhere) == .registered)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `deleting what never was ends nothing`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    #expect(try await bench.registry.delete(blob: bench.blob(9), object: nil) == 0)
    #expect(
      try await bench.registry.delete(blob: bench.blob(9), object: registration.object) == 0)
  }

  @Test func `a permanent registration is refused by name until its end`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified(1, .permanent, epochs: 1)
    await #expect(
      throws: RegistryError.permanentUntil(2, registration.blob, registration.object)
    ) {
      try await bench.registry.delete(blob: registration.blob, object: registration.object)
    }
    try await bench.pass(epochs: 1)
    #expect(
      try await bench.registry.delete(blob: registration.blob, object: registration.object) == 0)
    #expect(try await bench.state(of: registration) == .ended(.expired))
  }

  @Test func `a deleted upload cannot be certified any more`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    _ = try await bench.registry.delete(blob: registration.blob, object: registration.object)
    await #expect(
      throws: RegistryError.ended(.deleted, registration.blob, registration.object)
    ) {
      try await bench.registry.certify(
        registration.object, of: registration.blob,
        certificate: bench.certificate(for: registration))
    }
  }

  @Test func `a registration expires when its end epoch begins`() async throws {
    let bench = try await RegistryBench()
    let short = try await bench.registerCertified(1, .permanent, epochs: 1)
    let long = try await bench.registerCertified(1, .deletable, epochs: 2)
    let endless = try await bench.registerCertified(1)
    bench.clock.advance(by: RegistryBench.epochDuration)
    let report = try await bench.registry.maintain()
    #expect(report.begunEpoch == 2)
    #expect(report.expiredCount == 1)
    #expect(try await bench.state(of: short) == .ended(.expired))
    #expect(try await bench.state(of: long) == long.state)
    try await bench.pass(epochs: 1)
    #expect(try await bench.state(of: long) == .ended(.expired))
    try await bench.pass(epochs: 10)
    #expect(try await bench.state(of: endless) == endless.state)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `what has expired shows so before maintenance writes it down`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified(1, .deletable, epochs: 1)
    let state = try await bench.registry.state(fresh: true)
    let next = EpochRecord(epoch: 2, startMilliseconds: bench.clock.wallTime.milliseconds)
    _ = try await bench.registry.transact(
      ControlTransaction(
        conditions: [(RegistryKeys.epoch, state.epochVersion)],
        changes: [(RegistryKeys.epoch, next.bcsBytes)]))
    #expect(try await bench.state(of: registration) == .ended(.expired))
    #expect(try await bench.registry.status(of: registration.blob) == .nonexistent)
    #expect(try await bench.registry.registration(registration.object)?.0.hasEnded == true)
    #expect(try await bench.registry.list(after: nil, limit: 9).map(\.hasEnded) == [true])
    #expect(try await bench.registry.delete(blob: registration.blob, object: nil) == 0)
    #expect(try await bench.registry.maintain().expiredCount == 1)
  }

  @Test func `extending moves the end, also of the index`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified(1, .permanent, epochs: 1)
    let extended = try await bench.registry.extend(
      blob: registration.blob, object: registration.object, byEpochs: 2)
    #expect(extended.endEpoch == 4)
    try await bench.pass(epochs: 2)
    #expect(try await bench.state(of: registration) == registration.state)
    try await bench.pass(epochs: 1)
    #expect(try await bench.state(of: registration) == .ended(.expired))
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `extending a blob extends the certified registration that ends last`() async throws {
    let bench = try await RegistryBench()
    _ = try await bench.registerCertified(1, .deletable, epochs: 2)
    let last = try await bench.registerCertified(1, .deletable, epochs: 5)
    _ = try await bench.register(1, .deletable, epochs: 8)
    let extended = try await bench.registry.extend(blob: bench.blob(), object: nil, byEpochs: 1)
    #expect(extended.object == last.object)
    #expect(extended.endEpoch == 7)
  }

  @Test func `what cannot be extended says why`() async throws {
    let bench = try await RegistryBench()
    let blob = bench.blob()
    let endless = try await bench.registerCertified()
    let uncertified = try await bench.register(1, .deletable, epochs: 1)
    let deleted = try await bench.registerCertified(1, .deletable, epochs: 1)
    _ = try await bench.registry.delete(blob: blob, object: deleted.object)
    let good = try await bench.registerCertified(1, .deletable, epochs: 1)
    let missing = try #require(ObjectID([UInt8](repeating: 1, count: 32)))
    let cases: [(ObjectID?, UInt32, RegistryError)] = [
      (endless.object, 1, .withoutEnd(blob, endless.object)),
      (uncertified.object, 1, .notCertified(blob, uncertified.object)),
      (deleted.object, 1, .ended(.deleted, blob, deleted.object)),
      (good.object, 0, .epochsNeeded(blob)),
      (good.object, .max - 2, .tooManyEpochs(.max - 2, blob)),
      (missing, 1, .notFound(blob, missing)),
    ]
    for (object, epochs, expected) in cases {
      await #expect(throws: expected) {
        try await bench.registry.extend(blob: blob, object: object, byEpochs: epochs)
      }
    }
    await #expect(throws: RegistryError.notFound(bench.blob(9), nil)) {
      try await bench.registry.extend(blob: bench.blob(9), object: nil, byEpochs: 1)
    }
    let other = try await RegistryBench(epochs: .endless)
    let registration = try await other.registerCertified(1, .deletable, epochs: 1)
    await #expect(throws: RegistryError.noEpochDuration) {
      try await other.registry.extend(
        blob: registration.blob, object: registration.object, byEpochs: 1)
    }
  }

  @Test func `ended registrations go after their grace period, whole`() async throws {
    let bench = try await RegistryBench()
    for number in UInt8(0)..<60 { _ = try await bench.registerCertified(number) }
    for number in UInt8(0)..<50 {
      _ = try await bench.registry.delete(blob: bench.blob(number), object: nil)
    }
    bench.clock.setWallTime(bench.clock.wallTime + .seconds(24 * 3600 - 1))
    #expect(try await bench.registry.maintain().removedCount == 0)
    bench.clock.setWallTime(bench.clock.wallTime + .seconds(1))
    #expect(try await bench.registry.maintain().removedCount == 50)
    #expect(try await bench.registry.allBlobs(after: nil, limit: 100).0.count == 10)
    #expect(try await bench.strayKeys() == [])
    #expect(try await bench.registry.delete(blob: bench.blob(0), object: nil) == 0)
  }

  @Test func `a wall clock that jumps back revives nothing`() async throws {
    let bench = try await RegistryBench()
    let expired = try await bench.registerCertified(1, .deletable, epochs: 1)
    let abandoned = try await bench.register(2)
    let start = bench.clock.wallTime
    try await bench.pass(epochs: 1)
    bench.clock.setWallTime(WallTime(milliseconds: start.milliseconds / 2))
    _ = try await bench.registry.maintain()
    #expect(try await bench.registry.currentEpoch() == 2)
    #expect(try await bench.state(of: expired) == .ended(.expired))
    #expect(try await bench.state(of: abandoned) == .ended(.abandoned))
  }

  @Test func `a wall clock that jumps ahead by years costs one epoch and no certified blob`()
    async throws
  {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified(1, .deletable, epochs: 2)
    bench.clock.setWallTime(bench.clock.wallTime + .seconds(10 * 365 * 24 * 3600))
    for _ in 0..<5 { _ = try await bench.registry.maintain() }
    #expect(try await bench.registry.currentEpoch() == 2)
    #expect(try await bench.state(of: registration) == registration.state)
  }

  @Test func `one registration that cannot be read holds up nothing else`() async throws {
    let bench = try await RegistryBench()
    let broken = try await bench.register(1)
    let good = try await bench.register(2)
    let key = RegistrationKey(blob: broken.blob, object: broken.object)
    _ = try await bench.registry.transact(
      ControlTransaction(
        conditions: [], changes: [(RegistryKeys.registration(key), [99, 1, 2, 3])]))
    bench.clock.advance(by: RegistryBench.hour)
    let report = try await bench.registry.maintain()
    #expect(report.abandonedCount == 1)
    #expect(report.problems.count == 1)
    #expect(try await bench.state(of: good) == .ended(.abandoned))
    let error = await #expect(throws: RegistryError.self) {
      try await bench.registry.registrations(of: broken.blob)
    }
    guard case .unreadable(let name, _)? = error else {
      Issue.record("another error: \(String(describing: error))")
      return
    }
    #expect(name.contains(broken.object.description))
  }
}
