// EventTests.swift
//
// How nodes follow the registry: which blobs changed since a revision, and all blobs when they have
// been away for too long. Status and lists are read the same way.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

@Suite(.timeLimit(.minutes(1))) struct EventTests {
  @Test func `a follower is told each blob that changed, once`() async throws {
    let bench = try await RegistryBench()
    _ = try await bench.registerCertified(3)
    _ = try await bench.register(1)
    let all = try await bench.registry.blobEvents(after: .start, limit: 100)
    #expect(all.blobs == [bench.blob(3), bench.blob(1)])
    #expect(all.through == bench.store.revision)
    _ = try await bench.registry.delete(blob: bench.blob(3), object: nil)
    #expect(
      try await bench.registry.blobEvents(after: all.through, limit: 100).blobs == [bench.blob(3)])
  }

  @Test func `every kind of change is told`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified(1, .permanent, epochs: 1)
    var cursor = bench.store.revision
    func isTold() async throws -> Bool {
      let told = try await bench.registry.blobEvents(after: cursor, limit: 10)
      cursor = told.through
      return told.blobs == [registration.blob]
    }
    _ = try await bench.registry.extend(blob: registration.blob, object: nil, byEpochs: 1)
    #expect(try await isTold())
    try await bench.pass(epochs: 2)
    #expect(try await isTold())
    try await bench.pass(epochs: 1)
    #expect(try await isTold())
    #expect(try await bench.registry.registrations(of: registration.blob).isEmpty)
  }

  @Test func `a follower waits for the next change`() async throws {
    let bench = try await RegistryBench()
    let registry = bench.registry
    let cursor = bench.store.revision
    async let told = registry.blobEvents(after: cursor, limit: 10)
    try await eventually { bench.store.waiterCount > 0 }
    _ = try await bench.register(7)
    #expect(try await told.blobs == [bench.blob(7)])
  }

  @Test func `a cancelled follower gets no blobs`() async throws {
    let bench = try await RegistryBench()
    let task = Task { try await bench.registry.blobEvents(after: .start, limit: 10) }
    try await eventually { bench.store.waiterCount > 0 }
    task.cancel()
    #expect(try await task.value.blobs.isEmpty)
  }

  @Test func `who is too far behind reads all blobs and follows from there`() async throws {
    let bench = try await RegistryBench()
    for number in UInt8(0)..<10 {
      _ = try await bench.register(number)
      _ = try await bench.register(number)
    }
    bench.store.compact(through: bench.store.revision)
    await #expect(throws: RegistryError.compacted(oldest: bench.store.revision)) {
      try await bench.registry.blobEvents(after: Revision(1), limit: 10)
    }
    var blobs: [BlobID] = []
    var cursor: Revision?
    while true {
      let (page, revision) = try await bench.registry.allBlobs(after: blobs.last, limit: 3)
      cursor = cursor ?? revision
      if page.isEmpty { break }
      blobs += page
      // Behind the reader's back: what it has passed already must come as an event.
      if blobs.count == 6 { _ = try await bench.register(0) }
    }
    #expect(blobs == (0..<10).map { bench.blob($0) })
    let missed = try await bench.registry.blobEvents(after: try #require(cursor), limit: 10)
    #expect(missed.blobs == [bench.blob(0)])
  }

  @Test func `all blobs come once, however many registrations each has`() async throws {
    let bench = try await RegistryBench()
    for (number, count) in [(UInt8(1), 7), (2, 1), (3, 4), (255, 3)] {
      for _ in 0..<count { _ = try await bench.register(number) }
    }
    for limit in 1...6 {
      var blobs: [BlobID] = []
      while true {
        let page = try await bench.registry.allBlobs(after: blobs.last, limit: limit).0
        if page.isEmpty { break }
        #expect(page.count <= limit)
        blobs += page
      }
      #expect(blobs == [1, 2, 3, 255].map { bench.blob($0) }, "limit \(limit)")
    }
  }

  @Test func `a list goes on after the last registration of the page before`() async throws {
    let bench = try await RegistryBench()
    for number in [UInt8(1), 1, 1, 2, 3, 3] { _ = try await bench.register(number) }
    var listed: [Registration] = []
    while true {
      let page = try await bench.registry.list(
        after: listed.last.map { ($0.blob, $0.object) }, limit: 2)
      if page.isEmpty { break }
      #expect(page.count <= 2)
      listed += page
    }
    let keys = listed.map { RegistrationKey(blob: $0.blob, object: $0.object) }
    #expect(keys == keys.sorted())
    #expect(Set(keys).count == 6)
  }

  @Test func `the status of a blob is that of its living registrations`() async throws {
    let bench = try await RegistryBench()
    let blob = bench.blob()
    #expect(try await bench.registry.status(of: blob) == .nonexistent)
    #expect(try await bench.registry.status(of: blob).blobStatus == .nonexistent)

    _ = try await bench.register(1, .deletable, epochs: 9)
    let registered = try await bench.registry.status(of: blob)
    guard case .registered(let under)? = Optional(registered) else {
      Issue.record("not registered: \(registered)")
      return
    }
    #expect(under.endEpoch == 10)
    #expect(
      registered.blobStatus
        == .deletable(initialCertifiedEpoch: nil, DeletableCounts(total: 1, certified: 0)))

    _ = try await bench.registerCertified(1, .deletable, epochs: 3)
    try await bench.pass(epochs: 1)
    let permanent = try await bench.registerCertified(1, .permanent, epochs: 3)
    let certified = try await bench.registry.status(of: blob)
    guard case .certified(let summary) = certified else {
      Issue.record("not certified: \(certified)")
      return
    }
    #expect(summary.byteCount == 1000)
    #expect(summary.endEpoch == permanent.endEpoch)
    // The first upload was abandoned when the epoch ended.
    #expect(
      certified.blobStatus
        == .permanent(
          endEpoch: 5, isCertified: true, initialCertifiedEpoch: 1,
          deletable: DeletableCounts(total: 1, certified: 1)))

    _ = try await bench.registry.delete(blob: blob, object: nil)
    try await bench.pass(epochs: 3)
    #expect(try await bench.registry.status(of: blob) == .nonexistent)
  }

  @Test func `a store that does not answer is unavailable, not empty`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.registerCertified()
    bench.store.setOutage(.refusing)
    let expected = RegistryError.unavailable("the simulated store is off")
    await #expect(throws: expected) { try await bench.registry.status(of: registration.blob) }
    await #expect(throws: expected) { try await bench.registry.cluster() }
    await #expect(throws: expected) { try await bench.registry.allBlobs(after: nil, limit: 1) }
    await #expect(throws: expected) {
      try await bench.registry.blobEvents(after: .start, limit: 1)
    }
    await #expect(throws: expected) { try await bench.registry.maintain() }
    bench.store.setOutage(nil)
    #expect(try await bench.registry.status(of: registration.blob) != .nonexistent)
  }

  @Test func `a lost answer is repaired by asking again`() async throws {
    let bench = try await RegistryBench()
    let registration = try await bench.register()
    bench.store.setOutage(.losingAnswers)
    let certificate = try bench.certificate(for: registration)
    await #expect(throws: RegistryError.self) {
      try await bench.registry.certify(
        registration.object, of: registration.blob, certificate: certificate)
    }
    bench.store.setOutage(nil)
    let certified = try await bench.registry.certify(
      registration.object, of: registration.blob, certificate: certificate)
    #expect(certified.isCertified)
  }
}
