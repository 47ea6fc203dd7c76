// RaceTests.swift
//
// Two processes that change the same registration: whoever comes second sees what the first did. The
// interposed store puts the other's change exactly between a read and its write.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct RaceTests {
  private let bench: RegistryBench
  private let interposed: InterposedStore
  /// Works through the interposed store; `bench.registry` is the other process.
  private let registry: Registry

  init() async throws {
    bench = try await RegistryBench()
    interposed = InterposedStore(bench.store)
    registry = bench.anotherRegistry(over: interposed)
  }

  @Test func `of two certifiers the first stands`() async throws {
    let bench = bench
    let registration = try await bench.register()
    let first = try bench.certificate(for: registration, signedBy: 4)
    let second = try bench.certificate(for: registration, signedBy: 5)
    interposed.beforeNextTransaction {
      _ = try await bench.registry.certify(
        registration.object, of: registration.blob, certificate: first)
    }
    let certified = try await registry.certify(
      registration.object, of: registration.blob, certificate: second)
    #expect(certified.state == .certified(epoch: 1, certificate: first.encoded()))
    #expect(try await bench.state(of: registration) == certified.state)
  }

  @Test func `a delete that comes first makes certifying fail`() async throws {
    let bench = bench
    let registration = try await bench.register()
    interposed.beforeNextTransaction {
      _ = try await bench.registry.delete(blob: registration.blob, object: registration.object)
    }
    await #expect(
      throws: RegistryError.ended(.deleted, registration.blob, registration.object)
    ) {
      try await registry.certify(
        registration.object, of: registration.blob,
        certificate: bench.certificate(for: registration))
    }
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `a delete that comes second ends what was just certified`() async throws {
    let bench = bench
    let registration = try await bench.register()
    interposed.beforeNextTransaction {
      _ = try await bench.registry.certify(
        registration.object, of: registration.blob,
        certificate: bench.certificate(for: registration))
    }
    #expect(try await registry.delete(blob: registration.blob, object: nil) == 1)
    #expect(try await bench.state(of: registration) == .ended(.deleted))
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `of two deletes only one says that it ended the registration`() async throws {
    let bench = bench
    let registration = try await bench.register()
    interposed.beforeNextTransaction {
      let count = try await bench.registry.delete(blob: registration.blob, object: nil)
      #expect(count == 1)
    }
    #expect(try await registry.delete(blob: registration.blob, object: nil) == 0)
  }

  @Test func `a certificate that comes first saves an upload from its deadline`() async throws {
    let bench = bench
    let saved = try await bench.register()
    let late = try await bench.register()
    bench.clock.advance(by: RegistryBench.hour)
    interposed.beforeNextTransaction {
      _ = try await bench.registry.certify(
        saved.object, of: saved.blob, certificate: bench.certificate(for: saved))
    }
    #expect(try await registry.maintain().abandonedCount == 1)
    #expect(try await bench.state(of: late) == .ended(.abandoned))
    #expect(try await bench.state(of: saved) != .ended(.abandoned))
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `an abandonment that comes first makes certifying fail`() async throws {
    let bench = bench
    let registration = try await bench.register()
    bench.clock.advance(by: RegistryBench.hour)
    interposed.beforeNextTransaction { _ = try await bench.registry.maintain() }
    await #expect(throws: RegistryError.abandoned(registration.blob, registration.object)) {
      try await registry.certify(
        registration.object, of: registration.blob,
        certificate: bench.certificate(for: registration))
    }
  }

  @Test func `an extension that comes first saves a blob from its end`() async throws {
    let bench = bench
    let registration = try await bench.registerCertified(1, .deletable, epochs: 2)
    try await bench.pass(epochs: 1)
    bench.clock.advance(by: RegistryBench.epochDuration)
    // Before the transaction that begins the last epoch.
    interposed.beforeNextTransaction {
      _ = try await bench.registry.extend(blob: registration.blob, object: nil, byEpochs: 1)
    }
    #expect(try await registry.maintain().expiredCount == 0)
    #expect(try await bench.state(of: registration) == registration.state)
  }

  @Test func `an epoch that begins meanwhile counts for a registration`() async throws {
    let bench = bench
    _ = try await registry.register(
      blob: bench.blob(), byteCount: 1, persistence: .deletable, epochs: 1)
    bench.clock.advance(by: RegistryBench.epochDuration)
    interposed.beforeNextTransaction { _ = try await bench.registry.maintain() }
    let (registration, _) = try await registry.register(
      blob: bench.blob(), byteCount: 1, persistence: .deletable, epochs: 1)
    #expect(registration.registeredEpoch == 2)
    #expect(registration.endEpoch == 3)
  }

  @Test func `two maintainers take each step once`() async throws {
    let bench = bench
    for number in UInt8(0)..<40 { _ = try await bench.register(number, .deletable, epochs: 1) }
    bench.clock.advance(by: RegistryBench.epochDuration)
    let reports = try await withThrowingTaskGroup(of: MaintenanceReport.self) { group in
      for _ in 0..<4 {
        let another = bench.anotherRegistry()
        group.addTask { try await another.maintain() }
      }
      return try await group.reduce(into: [MaintenanceReport]()) { $0.append($1) }
    }
    #expect(reports.compactMap(\.begunEpoch) == [2])
    #expect(reports.map { $0.abandonedCount + $0.expiredCount }.reduce(0, +) == 40)
    #expect(try await bench.registry.currentEpoch() == 2)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `a maintainer that meets another in the middle leaves out what is done`() async throws
  {
    let bench = bench
    for number in UInt8(0)..<20 { _ = try await bench.register(number) }
    bench.clock.advance(by: RegistryBench.hour)
    interposed.beforeNextTransaction { _ = try await bench.registry.maintain() }
    #expect(try await registry.maintain().abandonedCount == 0)
    #expect(try await bench.strayKeys() == [])
  }

  @Test func `changes that never stop end in a conflict that says so`() async throws {
    let bench = bench
    let registration = try await bench.registerCertified(1, .deletable, epochs: 1)
    for _ in 0..<Registry.attemptCountMax {
      interposed.beforeNextTransaction {
        _ = try await bench.registry.extend(blob: registration.blob, object: nil, byEpochs: 1)
      }
    }
    await #expect(
      throws: RegistryError.conflict(
        "delete blob \(registration.blob)", attempts: Registry.attemptCountMax)
    ) {
      try await registry.delete(blob: registration.blob, object: nil)
    }
    #expect(try await registry.delete(blob: registration.blob, object: nil) == 1)
  }

  @Test func `many uploads of one blob at once all get their registration`() async throws {
    let bench = bench
    let objects = try await withThrowingTaskGroup(of: ObjectID.self) { group in
      for _ in 0..<50 {
        let another = bench.anotherRegistry()
        group.addTask {
          try await another.register(
            blob: bench.blob(), byteCount: 1, persistence: .deletable, epochs: nil
          ).0.object
        }
      }
      return try await group.reduce(into: Set<ObjectID>()) { $0.insert($1) }
    }
    #expect(objects.count == 50)
    #expect(try await bench.registry.registrations(of: bench.blob()).count == 50)
  }
}
