// ControlStoreTestsChanges.swift
//
// What nodes rely on, for every control store: changes are told in order and whole, waiters wake, and
// a cursor that is too old, or too new, is refused instead of missing something.

import Cluster
import Drivers
import Simulator
import Testing
import World

@Suite(.timeLimit(.minutes(1))) struct ControlStoreChangesTests {
  @Test(arguments: ControlStoreKind.allCases)
  func `changes come in order, for the prefix only`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let first = try await store.write([([1, 1], [1]), ([2, 1], [2])])
    let second = try await store.write([([1, 1], nil)])
    let third = try await store.write([([2, 2], [3])])
    let told = try await store.changes(after: .start, prefix: [1], limit: 100)
    #expect(
      told.changes == [
        ControlChange(key: [1, 1], value: [1], revision: first),
        ControlChange(key: [1, 1], value: nil, revision: second),
      ])
    #expect(told.through == third)
    let rest = try await store.changes(after: first, prefix: [2], limit: 100)
    #expect(rest.changes == [ControlChange(key: [2, 2], value: [3], revision: third)])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a limit never splits a transaction`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let first = try await store.write((0..<5).map { ([UInt8($0)], [1]) })
    let second = try await store.write((0..<3).map { ([UInt8($0)], [2]) })
    let told = try await store.changes(after: .start, prefix: [], limit: 2)
    #expect(told.changes.count == 5)
    #expect(told.changes.allSatisfy { $0.revision == first })
    #expect(told.through == first)
    let rest = try await store.changes(after: told.through, prefix: [], limit: 2)
    #expect(rest.changes.count == 3)
    #expect(rest.through == second)
  }

  @Test(arguments: ControlStoreKind.allCases, [1, 2, 3, 7, 1000])
  func `reading on from where it ended tells every change once`(
    kind: ControlStoreKind, limit: Int
  ) async throws {
    let store = try await BenchStore(kind)
    let dice = SeededRandomness(seed: UInt64(limit))
    var written: [ControlChange] = []
    for number in UInt8(0)..<40 {
      let changes = (0...UInt8(dice.number(below: 3))).map { ([9, number, $0], [number]) }
      let revision = try await store.write(changes)
      written += changes.map { ControlChange(key: $0.0, value: $0.1, revision: revision) }
      try await store.write([([8], [number])])
    }
    var told: [ControlChange] = []
    var cursor = Revision.start
    while told.count < written.count {
      try Task.checkCancellation()
      let page = try await store.changes(after: cursor, prefix: [9], limit: limit)
      #expect(page.through > cursor)
      told += page.changes
      cursor = page.through
    }
    #expect(told == written)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `who waits sleeps through other changes and wakes for its own`(kind: ControlStoreKind)
    async throws
  {
    let store = try await BenchStore(kind)
    let seen = try await store.write([([1], [0])])
    async let told = store.changes(after: seen, prefix: [1], limit: 10)
    try await store.waiting(1)
    try await store.write([([2], [1])])
    try await store.waiting(1)
    let revision = try await store.write([([1], [1])])
    #expect(
      try await told.changes == [ControlChange(key: [1], value: [1], revision: revision)])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `everybody who waits is told`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for number in UInt8(0)..<10 {
        group.addTask {
          try await store.changes(after: .start, prefix: [number], limit: 1).changes.flatMap(\.key)
        }
      }
      try await store.waiting(10)
      try await store.write((0..<10).map { ([UInt8($0)], []) })
      let keys = try await group.reduce(into: [UInt8]()) { $0 += $1 }
      #expect(keys.sorted() == Array(0..<10))
    }
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a writer racing with a follower loses no change`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let count = 200
    async let writing: Void = {
      for number in 0..<count {
        try await store.write([([1, UInt8(number & 255)], [])])
        try await store.write([([2], [])])
      }
    }()
    var told: [UInt8] = []
    var cursor = Revision.start
    while told.count < count {
      try Task.checkCancellation()
      let page = try await store.changes(after: cursor, prefix: [1], limit: 3)
      told += page.changes.map { $0.key[1] }
      cursor = page.through
    }
    try await writing
    #expect(told == (0..<count).map { UInt8($0 & 255) })
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a cancelled wait ends without changes`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let seen = try await store.write([([1], [0])])
    let task = Task { try await store.changes(after: seen, prefix: [1], limit: 10) }
    try await store.waiting(1)
    task.cancel()
    #expect(try await task.value == ControlChanges(changes: [], through: seen))
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a task cancelled before it asks is not kept waiting`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await store.changes(after: .start, prefix: [1], limit: 10)
    }
    #expect(try await task.value.changes.isEmpty)
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a cancelled task can still write and read`(kind: ControlStoreKind) async throws {
    let store = try await BenchStore(kind)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await store.write([([1], [1])])
      return try await store.entry([1])?.value
    }
    #expect(try await task.value == [1])
  }

  @Test(arguments: ControlStoreKind.allCases)
  func `a cursor before the compaction is refused and told from where to follow`(
    kind: ControlStoreKind
  ) async throws {
    let store = try await BenchStore(kind)
    let first = try await store.write([([1], [1])])
    let second = try await store.write([([1], [2])])
    let third = try await store.write([([1], [3])])
    try await store.compact(through: second)
    await #expect(throws: ControlStoreError.compacted(oldest: second)) {
      try await store.changes(after: first, prefix: [1], limit: 10)
    }
    #expect(
      try await store.changes(after: second, prefix: [1], limit: 10).changes
        == [ControlChange(key: [1], value: [3], revision: third)])
    #expect(try await store.entry([1])?.value == [3])
    let again = try await store.reopened()
    await #expect(throws: ControlStoreError.compacted(oldest: second)) {
      try await again.changes(after: .start, prefix: [1], limit: 10)
    }
  }

  // A store put back to yesterday's copy: the cursor of a node is ahead of it.
  @Test(arguments: ControlStoreKind.allCases)
  func `a cursor from the future is refused, not kept waiting`(kind: ControlStoreKind)
    async throws
  {
    let store = try await BenchStore(kind)
    let current = try await store.write([([1], [1])])
    await #expect(throws: ControlStoreError.compacted(oldest: current)) {
      try await store.changes(after: Revision(current.value + 1), prefix: [1], limit: 10)
    }
  }
}
