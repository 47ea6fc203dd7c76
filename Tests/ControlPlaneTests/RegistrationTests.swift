// RegistrationTests.swift
//
// Registering and certifying: one registration per upload, its deadline, and what a certificate must
// be to count.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct RegistrationTests {
  @Test func `every upload has a registration of its own`() async throws {
    let bench = try await RegistryBench()
    let first = try await bench.registerCertified()
    let (second, revision) = try await bench.registry.register(
      blob: bench.blob(), byteCount: 1000, persistence: .deletable, epochs: 3)
    #expect(first.object != second.object)
    let all = try await bench.registry.registrations(of: bench.blob())
    #expect(Set(all.map(\.0)) == [first, second])
    #expect(all.first { $0.0 == second }?.1 == revision)
    #expect(second.state == .registered)
    #expect(second.registeredEpoch == 1)
    #expect(second.endEpoch == 4)
    #expect(second.registeredAtMilliseconds == bench.clock.wallTime.milliseconds)
    #expect(second.certifyByMilliseconds == second.registeredAtMilliseconds + 3_600_000)
    #expect(try await bench.registry.registration(second.object)?.0 == second)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `without epochs nothing ends`() async throws {
    let bench = try await RegistryBench()
    #expect(try await bench.register().endEpoch == epochWithoutEnd)
  }

  @Test func `epochs that do not end give no end, but are kept`() async throws {
    let bench = try await RegistryBench(epochs: .endless)
    let registration = try await bench.register(epochs: 5)
    #expect(registration.endEpoch == epochWithoutEnd)
    let key = RegistrationKey(blob: registration.blob, object: registration.object)
    #expect(try await bench.registry.stored(key)?.record.epochsAsked == 5)
  }

  @Test func `permanent needs epochs that end, and a number of them`() async throws {
    let bench = try await RegistryBench()
    await #expect(throws: RegistryError.epochsNeeded(bench.blob())) {
      try await bench.register(1, .permanent)
    }
    let endless = try await RegistryBench(epochs: .endless)
    await #expect(throws: RegistryError.noEpochDuration) {
      try await endless.register(1, .permanent, epochs: 1)
    }
    #expect(try await bench.register(1, .permanent, epochs: 1).endEpoch == 2)
  }

  @Test(arguments: [0, UInt32.max, UInt32.max - 1])
  func `a number of epochs that cannot be counted is refused`(epochs: UInt32) async throws {
    let bench = try await RegistryBench()
    let expected: RegistryError =
      epochs == 0 ? .epochsNeeded(bench.blob()) : .tooManyEpochs(epochs, bench.blob())
    await #expect(throws: expected) { try await bench.register(epochs: epochs) }
    #expect(try await bench.register(epochs: .max - 2).endEpoch == epochWithoutEnd - 1)
  }

  @Test func `a store without a cluster registers nothing`() async throws {
    let bench = try await RegistryBench()
    let registry = bench.anotherRegistry(over: MemoryControlStore())
    await #expect(throws: RegistryError.clusterMissing) {
      try await registry.register(
        blob: bench.blob(), byteCount: 1, persistence: .deletable, epochs: nil)
    }
  }

  @Test func `a certificate of enough shards certifies, again without effect`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    let certificate = try bench.certificate(for: registration)
    let certified = try await bench.registry.certify(
      registration.object, of: registration.blob, certificate: certificate)
    #expect(certified.state == .certified(epoch: 1, certificate: certificate.encoded()))
    let revision = bench.store.revision
    let again = try await bench.registry.certify(
      registration.object, of: registration.blob,
      certificate: bench.certificate(for: registration, signedBy: 5))
    #expect(again == certified)
    #expect(bench.store.revision == revision)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `a certificate that proves nothing is refused`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    let other = try await bench.register()
    let elsewhere = try #require(ClusterID([UInt8](repeating: 9, count: 32)))
    for certificate in [
      // Six shards, seven are needed.
      try bench.certificate(for: registration, signedBy: 3),
      try bench.certificate(for: other),
      try bench.certificate(for: registration, cluster: elsewhere),
      try bench.certificate(for: registration, epoch: 2),
      try bench.certificate(for: registration, epoch: 0),
    ] {
      let error = await #expect(throws: RegistryError.self) {
        try await bench.registry.certify(
          registration.object, of: registration.blob, certificate: certificate)
      }
      guard case .certificateRefused(_, registration.blob, registration.object)? = error else {
        Issue.record("another error: \(String(describing: error))")
        return
      }
    }
    #expect(try await bench.state(of: registration) == .registered)
  }

  // The registry that certifies has the first epoch in its cache when another process moves on.
  @Test(arguments: [Epoch(1), 2]) func `confirmations of any epoch since the registration count`(
    epoch: Epoch
  ) async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register(epochs: 9)
    bench.clock.advance(by: RegistryBench.epochDuration)
    let other = bench.anotherRegistry()
    let state = try await other.state(fresh: true)
    _ = try await other.transact(
      ControlTransaction(
        conditions: [(RegistryKeys.epoch, state.epochVersion)],
        changes: [(RegistryKeys.epoch, EpochRecord(epoch: 2, startMilliseconds: 0).bcsBytes)]))
    let certified = try await bench.registry.certify(
      registration.object, of: registration.blob,
      certificate: bench.certificate(for: registration, epoch: epoch))
    #expect(certified.certifiedEpoch == 2)
  }

  @Test func `what is not registered cannot be certified`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    await #expect(throws: RegistryError.notFound(bench.blob(2), registration.object)) {
      try await bench.registry.certify(
        registration.object, of: bench.blob(2), certificate: bench.certificate(for: registration))
    }
  }

  @Test func `a missed deadline abandons, and certifying then fails`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    bench.clock.advance(by: RegistryBench.hour - .milliseconds(1))
    #expect(try await bench.registry.maintain().abandonedCount == 0)
    bench.clock.advance(by: .milliseconds(1))
    #expect(try await bench.registry.maintain().abandonedCount == 1)
    #expect(try await bench.state(of: registration) == .ended(.abandoned))
    await #expect(throws: RegistryError.abandoned(registration.blob, registration.object)) {
      try await bench.registry.certify(
        registration.object, of: registration.blob,
        certificate: bench.certificate(for: registration))
    }
    #expect(try await bench.registry.maintain() == MaintenanceReport())
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `past its deadline, but not abandoned, it can still be certified`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    bench.clock.advance(by: RegistryBench.hour * 2)
    _ = try await bench.registry.certify(
      registration.object, of: registration.blob, certificate: bench.certificate(for: registration))
    #expect(try await bench.registry.maintain().abandonedCount == 0)
    #expect(try await bench.state(of: registration) != .ended(.abandoned))
  }

  @Test func `dice that repeat themselves end in a conflict, not in a shared registration`()
    async throws
  {
    struct StuckDice: Randomness { func next() -> UInt64 { 7 } }
    let bench = try await RegistryBench()
    let registry = Registry(store: bench.store, clock: bench.clock, randomness: StuckDice())
    for blob in [bench.blob(1), bench.blob(2)] {
      let register = {
        try await registry.register(
          blob: blob, byteCount: 1, persistence: .deletable, epochs: nil)
      }
      if blob == bench.blob(1) {
        _ = try await register()
      } else {
        await #expect(
          throws: RegistryError.conflict("register blob \(blob)", attempts: 16)
        ) { _ = try await register() }
      }
    }
  }
}
