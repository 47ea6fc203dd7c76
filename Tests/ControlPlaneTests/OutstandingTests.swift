// OutstandingTests.swift
//
// The bounds on what clients can pile up in the registry.

import Cluster
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct OutstandingTests {
  private func object(_ number: UInt8) throws -> ObjectID {
    try #require(ObjectID([UInt8](repeating: number, count: 32)))
  }

  @Test func `reservations count until they are settled`() throws {
    var outstanding = OutstandingRegistrations(countMax: 2)
    #expect(outstanding.reserve(try object(1)))
    #expect(outstanding.reserve(try object(2)))
    #expect(!outstanding.reserve(try object(3)))
    outstanding.committed(try object(1))
    #expect(!outstanding.reserve(try object(3)))
    outstanding.settled(try object(1))
    outstanding.settled(try object(1))
    #expect(outstanding.reserve(try object(3)))
    #expect(outstanding.count == 2)
  }

  @Test func `a scan forgets what it was asked for and did not find, and nothing newer`() throws {
    var outstanding = OutstandingRegistrations(countMax: 10)
    let now = Instant(nanoseconds: 5)
    for number in UInt8(1)...3 {
      #expect(outstanding.reserve(try object(number)))
      outstanding.committed(try object(number))
    }
    let asked = outstanding.beginScan(at: now) ?? []
    #expect(asked.count == 3)
    let tooSoon = outstanding.beginScan(at: now)
    #expect(tooSoon == nil)
    #expect(outstanding.reserve(try object(4)))
    outstanding.committed(try object(4))
    outstanding.scanned([try object(2)], among: asked)
    #expect(outstanding.count == 2)
    let later = outstanding.beginScan(at: now + .seconds(1))
    #expect(later == [try object(2), try object(4)])
  }

  @Test func `what an earlier run left behind counts from the start`() async throws {
    let bench = try await RegistryBench()
    for number in UInt8(0)..<10 { _ = try await bench.register(number) }
    _ = try await bench.registerCertified(1)
    #expect(bench.registry.outstanding.withLock { $0.count } == 10)
    let restarted = bench.anotherRegistry()
    _ = try await restarted.register(
      blob: bench.blob(1), byteCount: 1, persistence: .deletable, epochs: nil)
    #expect(restarted.outstanding.withLock { $0.count } == 11)
  }

  @Test func `deletes, certificates and deadlines make room`() async throws {
    let bench = try await RegistryBench()
    let first = try await bench.register()
    _ = try await bench.register(2)
    _ = try await bench.register(3)
    _ = try await bench.registry.delete(blob: first.blob, object: nil)
    #expect(bench.registry.outstanding.withLock { $0.count } == 2)
    bench.clock.advance(by: RegistryBench.hour)
    _ = try await bench.registry.maintain()
    #expect(bench.registry.outstanding.withLock { $0.count } == 0)
  }

  @Test func `too many uploads that are not certified are refused until some are`() async throws {
    let bench = try await RegistryBench()
    let max = Registry.outstandingCountMax
    for number in 0..<max { _ = try await bench.register(UInt8(number % 250)) }
    await #expect(throws: RegistryError.tooManyOutstanding(countMax: max)) {
      try await bench.register(251)
    }
    // Ended by another process, so that only the store knows.
    let ended = try await bench.anotherRegistry().delete(blob: bench.blob(7), object: nil)
    #expect(ended == 17)
    await #expect(throws: RegistryError.tooManyOutstanding(countMax: max)) {
      try await bench.register(251)
    }
    bench.clock.advance(by: OutstandingRegistrations.scanInterval)
    _ = try await bench.register(251)
    #expect(bench.registry.outstanding.withLock { $0.count } == max - 16)
  }

  @Test func `an upload whose answer was lost counts until it is known not to be there`()
    async throws
  {
    let bench = try await RegistryBench()
    _ = try await bench.register(1)
    bench.store.setOutage(.losingAnswers)
    await #expect(throws: RegistryError.self) { try await bench.register(2) }
    bench.store.setOutage(nil)
    #expect(bench.registry.outstanding.withLock { $0.count } == 2)
  }

  @Test func `one blob has a bounded number of registrations, ended ones make room`()
    async throws
  {
    let bench = try await RegistryBench()
    let max = Registry.registrationsPerBlobMax
    var last: Registration?
    for _ in 0..<max { last = try await bench.register() }
    let blob = bench.blob()
    await #expect(throws: RegistryError.tooManyRegistrations(blob, countMax: max)) {
      try await bench.register()
    }
    _ = try await bench.registry.delete(blob: blob, object: last?.object)
    let fresh = try await bench.register()
    let all = try await bench.registry.registrations(of: blob)
    #expect(all.count == max)
    #expect(all.contains { $0.0 == fresh })
    #expect(!all.contains { $0.0.object == last?.object })
    #expect(try await bench.strayKeys() == [])
  }
}
