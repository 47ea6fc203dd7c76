// ControlStoreTests.swift
//
// What the registry relies on, for every control store: conditions, order, ranges, and changes.

import Cluster
import Drivers
import Simulator
import Testing
import World

@Suite(.timeLimit(.minutes(1))) struct ControlStoreTests {
  @Test(arguments: ControlStoreKind.allCases)
  func `a key that must not exist is created once`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let first = ControlTransaction(conditions: [([1], nil)], changes: [([1], [10])])
    let second = ControlTransaction(conditions: [([1], nil)], changes: [([1], [20])])
    let result = try await store.transact(first)
    guard case .committed(let revision) = result else {
      Issue.record("the first one met a conflict")
      return
    }
    #expect(revision > .start)
    #expect(try await store.transact(second) == .conflict)
    #expect(
      try await store.everything()
        == ControlRange(
          entries: [ControlEntry(key: [1], value: [10], version: revision)], revision: revision,
          hasMore: false))
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a change needs the version that was read`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let old = try await store.write([([1], [1])])
    let new = try await store.write([([1], [2])])
    #expect(new > old)
    let stale = ControlTransaction(conditions: [([1], old)], changes: [([1], [3])])
    #expect(try await store.transact(stale) == .conflict)
    #expect(try await store.entry([1])?.value == [2])
    let good = ControlTransaction(conditions: [([1], new)], changes: [([1], [3])])
    #expect(try await store.transact(good) != .conflict)
    #expect(try await store.entry([1])?.value == [3])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a key made again does not have its old version`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let old = try await store.write([([1], [1])])
    try await store.write([([1], nil)])
    try await store.write([([1], [1])])
    let stale = ControlTransaction(conditions: [([1], old)], changes: [([1], [3])])
    #expect(try await store.transact(stale) == .conflict)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `one condition that fails stops the whole transaction`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let version = try await store.write([([1], [1]), ([2], [2])])
    let transaction = ControlTransaction(
      conditions: [([1], version), ([2], nil)], changes: [([1], nil), ([3], [3])])
    #expect(try await store.transact(transaction) == .conflict)
    let all = try await store.everything()
    #expect(all.entries.map(\.key) == [[1], [2]])
    #expect(all.revision == version)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `conditions may be on keys that do not change`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let version = try await store.write([([1], [1])])
    let transaction = ControlTransaction(
      conditions: [([1], version), ([9], nil)], changes: [([2], [2])])
    #expect(try await store.transact(transaction) != .conflict)
    #expect(try await store.entry([1])?.version == version)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `all changes of a transaction share its revision`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    try await store.write([([2], [0])])
    let revision = try await store.write([([1], [1]), ([2], nil), ([3], [3])])
    let all = try await store.everything()
    #expect(all.entries.map(\.version) == [revision, revision])
    #expect(all.entries.map(\.key) == [[1], [3]])
    let told = try await store.changes(after: .start, prefix: [], limit: 100)
    #expect(told.changes.filter { $0.revision == revision }.map(\.key) == [[1], [2], [3]])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `keys are ordered as bytes`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let keys: [[UInt8]] = [
      [0], [0, 0], [0, 255], [1], [1, 0, 0], [39], [127], [128], [128, 0], [254, 255], [255],
      [255, 0], [255, 255],
    ]
    for key in keys.reversed() { try await store.write([(key, key)]) }
    let all = try await store.range(from: [], below: [255, 255, 255], limit: 100)
    #expect(all.entries.map(\.key) == keys)
    #expect(all.entries.map(\.value) == keys)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a range includes its lower bound and not its upper one`(kind: ControlStoreKind)
    async throws
  {
    let store = try await BenchStore(kind)
    for key in UInt8(0)..<10 { try await store.write([([7, key], [])]) }
    let found = try await store.range(from: [7, 2], below: [7, 5], limit: 100)
    #expect(found.entries.map(\.key) == [[7, 2], [7, 3], [7, 4]])
    #expect(try await store.range(from: [7, 5], below: [7, 2], limit: 100).entries.isEmpty)
    #expect(try await store.range(from: [8], below: [9], limit: 100).entries.isEmpty)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a limited range says whether there is more`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    try await store.write((0..<5).map { ([UInt8($0)], [1]) })
    for (limit, count, hasMore) in [(4, 4, true), (5, 5, false), (6, 5, false), (1, 1, true)] {
      let found = try await store.range(from: [0], below: [5], limit: limit)
      #expect(found.entries.count == count)
      #expect(found.hasMore == hasMore, "limit \(limit)")
    }
    #expect(try await store.range(from: [0], below: [4], limit: 4).hasMore == false)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `an empty value is a value`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let revision = try await store.write([([1], [])])
    #expect(try await store.entry([1]) == ControlEntry(key: [1], value: [], version: revision))
    let told = try await store.changes(after: .start, prefix: [1], limit: 1)
    #expect(told.changes == [ControlChange(key: [1], value: [], revision: revision)])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `concurrent increments are all counted`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    try await store.write([([1], [0])])
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<25 {
            var isDone = false
            while !isDone {
              guard let entry = try await store.entry([1]) else { throw UnexpectedConflict() }
              let next = ControlTransaction(
                conditions: [([1], entry.version)], changes: [([1], [entry.value[0] + 1])])
              isDone = try await store.transact(next) != .conflict
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await store.entry([1])?.value == [200])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `transactions side by side each get a revision of their own`(kind: ControlStoreKind)
    async throws
  {
    let store = try await BenchStore(kind)
    let revisions = try await withThrowingTaskGroup(of: Revision.self) { group in
      for number in UInt8(0)..<100 {
        group.addTask { try await store.write([([number], [number])]) }
      }
      return try await group.reduce(into: [Revision]()) { $0.append($1) }
    }
    #expect(Set(revisions).count == 100)
    let all = try await store.everything()
    #expect(Set(all.entries.map(\.version)) == Set(revisions))
    #expect(all.revision == revisions.max())
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `reopening keeps entries, versions, revisions and changes`(kind: ControlStoreKind)
    async throws
  {
    let store = try await BenchStore(kind)
    try await store.write([([1], [1])])
    let second = try await store.write([([2], [2]), ([1], nil)])
    let before = try await store.everything()
    let changes = try await store.changes(after: .start, prefix: [], limit: 100)
    let again = try await store.reopened()
    #expect(try await again.everything() == before)
    #expect(try await again.changes(after: .start, prefix: [], limit: 100) == changes)
    #expect(try await again.write([([3], [3])]) > second)
  }

  @Test(arguments: ControlStoreKind.allCases, UInt64(1)...4)
  func `any sequence of transactions leaves what a dictionary would hold`(
    kind: ControlStoreKind, seed: UInt64
  ) async throws {
    let dice = SeededRandomness(seed: seed)
    var store = try await BenchStore(kind)
    var model: [[UInt8]: ControlEntry] = [:]
    for step in 0..<200 {
      var keys: Set<[UInt8]> = []
      for _ in 0..<dice.number(below: 4) {
        keys.insert(dice.bytes(count: dice.number(below: 2) + 1).map { $0 & 7 })
      }
      let ordered = keys.sorted { $0.lexicographicallyPrecedes($1) }
      let conditions = ordered.filter { _ in dice.number(below: 2) == 0 }.map { key in
        (key, dice.number(below: 4) == 0 ? nil : model[key]?.version)
      }
      let changes = ordered.map { key -> ([UInt8], [UInt8]?) in
        (key, dice.number(below: 3) == 0 ? nil : dice.bytes(count: dice.number(below: 3)))
      }
      let isAllowed = conditions.allSatisfy { model[$0.0]?.version == $0.1 }
      let result = try await store.transact(
        ControlTransaction(conditions: conditions, changes: changes))
      #expect((result != .conflict) == isAllowed, "seed \(seed), step \(step)")
      if case .committed(let revision) = result {
        for (key, value) in changes {
          model[key] = value.map { ControlEntry(key: key, value: $0, version: revision) }
        }
      }
      if dice.number(below: 50) == 0 { store = try await store.reopened() }
    }
    let expected = model.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    #expect(try await store.everything().entries == expected, "seed \(seed)")
  }
}
