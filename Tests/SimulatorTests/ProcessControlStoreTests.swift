// ProcessControlStoreTests.swift
//
// What a process may see of the control store when the way to it is bad: errors and old news, never
// anything untrue.

import Cluster
import Simulator
import Synchronization
import Testing
import World

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ProcessControlStoreTests {
  let clock = VirtualClock()
  let shared = MemoryControlStore()
  let life = ProcessLife(name: "gateway")
  let trace = Trace()

  func store(seed: UInt64 = 1) -> ProcessControlStore {
    ProcessControlStore(
      shared: shared, life: life, clock: clock, randomness: SeededRandomness(seed: seed),
      trace: trace)
  }

  static func setting(_ key: UInt8, _ value: UInt8) -> ControlTransaction {
    ControlTransaction(conditions: [], changes: [(key: [key], value: [value])])
  }

  func outcome(_ work: () async throws -> Void) async -> ControlStoreError? {
    do {
      try await work()
      return nil
    } catch {
      return error as? ControlStoreError
    }
  }

  @Test func `a call takes its time there and back`() async throws {
    let store = store()
    var trouble = ControlTrouble()
    trouble.delay = DelayDistribution(median: .milliseconds(10), tail: 0)
    store.setTrouble(trouble)
    let start = clock.now
    let range = try await clock.autoAdvancing {
      _ = try await store.transact(Self.setting(1, 2))
      return try await store.range(from: [], below: [255], limit: 10)
    }
    #expect(range.entries.map(\.value) == [[2]])
    #expect(clock.now - start >= .milliseconds(20) && clock.now - start < .milliseconds(60))
  }

  @Test func `in an outage nothing happens`() async throws {
    let store = store()
    var trouble = ControlTrouble()
    trouble.refusals = 1
    store.setTrouble(trouble)
    #expect(await outcome { _ = try await store.transact(Self.setting(1, 2)) } != nil)
    #expect(await outcome { _ = try await store.range(from: [], below: [9], limit: 1) } != nil)
    #expect(
      await outcome { _ = try await store.changes(after: .start, prefix: [], limit: 1) } != nil)
    #expect(shared.revision == .start)
  }

  @Test func `without its answer a transaction happened or not`() async throws {
    let store = store()
    var trouble = ControlTrouble()
    trouble.lostAnswers = 1
    store.setTrouble(trouble)
    let failures = try await clock.autoAdvancing {
      var count = 0
      for _ in 0..<100 {
        do throws(ControlStoreError) {
          _ = try await store.transact(Self.setting(1, 2))
        } catch {
          count += 1
        }
      }
      return count
    }
    #expect(failures == 100)
    #expect((30...70).contains(shared.revision.value))
  }

  @Test func `one that takes too long is given up, and happens or not`() async throws {
    let store = store()
    var trouble = ControlTrouble()
    trouble.delay = DelayDistribution(median: .seconds(60), tail: 0)
    store.setTrouble(trouble)
    let start = clock.now
    try await clock.autoAdvancing {
      for _ in 0..<50 {
        let error = await outcome { _ = try await store.transact(Self.setting(1, 2)) }
        #expect(error == .unavailable("the control store does not answer"))
      }
    }
    #expect(clock.now - start <= .seconds(50 * 10))
    #expect((10...40).contains(shared.revision.value))
  }

  @Test func `a dead process changes nothing, one that dies on the way changes it or not`()
    async throws
  {
    var happened = 0
    for seed in 0..<40 {
      let life = ProcessLife(name: "dying")
      let store = ProcessControlStore(
        shared: shared, life: life, clock: clock,
        randomness: SeededRandomness(seed: UInt64(seed)), trace: trace)
      let before = shared.revision
      let writing = Task { await outcome { _ = try await store.transact(Self.setting(1, 2)) } }
      try await eventually { clock.sleeperCount == 1 }
      life.end()
      clock.advance(by: .seconds(1))
      #expect(await writing.value != nil)
      if shared.revision > before { happened += 1 }
      let after = shared.revision
      #expect(await outcome { _ = try await store.transact(Self.setting(1, 2)) } != nil)
      #expect(shared.revision == after)
    }
    #expect((5...35).contains(happened))
  }

  @Test func `a cancelled task's transaction goes its way`() async throws {
    let store = store()
    let writing = Task { try await store.transact(Self.setting(1, 2)) }
    try await eventually { clock.sleeperCount == 1 }
    writing.cancel()
    let result = try await clock.autoAdvancing { try await writing.value }
    #expect(result == .committed(Revision(1)))
  }

  @Test(arguments: 0..<10)
  func `late, repeated and split news skip nothing`(seed: Int) async throws {
    let store = store(seed: UInt64(seed))
    var trouble = ControlTrouble()
    trouble.newsDelay = DelayDistribution(median: .seconds(3), tail: 0.2)
    trouble.repetitions = 0.3
    trouble.splits = 0.5
    store.setTrouble(trouble)
    for value in 0..<60 {
      _ = try await shared.transact(Self.setting(UInt8(value % 7), UInt8(value)))
    }
    let (told, batches) = try await clock.autoAdvancing {
      var told: [Revision] = []
      var batches = 0
      var revision = Revision.start
      while revision < Revision(60) {
        let news = try await store.changes(after: revision, prefix: [], limit: 10)
        #expect(news.through >= revision)
        told += news.changes.map(\.revision)
        revision = news.through
        batches += 1
      }
      return (told, batches)
    }
    #expect(Set(told) == Set((1...60).map { Revision($0) }))
    #expect(told.count > 60)
    #expect(batches > 6)
  }

  @Test func `news that cannot be repeated are told once`() async throws {
    let store = store()
    var trouble = ControlTrouble()
    trouble.repetitions = 1
    store.setTrouble(trouble)
    for value in 0..<4 { _ = try await shared.transact(Self.setting(1, UInt8(value))) }
    let first = try await clock.autoAdvancing {
      try await store.changes(after: .start, prefix: [], limit: 2)
    }
    #expect(first.through == Revision(2))
    shared.compact(through: Revision(2))
    let second = try await clock.autoAdvancing {
      try await store.changes(after: first.through, prefix: [], limit: 10)
    }
    #expect(second.changes.map(\.revision) == [Revision(3), Revision(4)])
  }

  @Test func `whoever waits for news and is cancelled hears none`() async throws {
    let store = store()
    let waiting = Task { try await store.changes(after: .start, prefix: [], limit: 1) }
    try await eventually { shared.waiterCount == 1 }
    waiting.cancel()
    #expect(try await waiting.value == ControlChanges(changes: [], through: .start))
  }
}
