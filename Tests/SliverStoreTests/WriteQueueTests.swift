// WriteQueueTests.swift
//
// Who writes with whom, who waits, and who may leave.

import Synchronization
import Testing

@testable import SliverStore

/// Groups in the order of their commits; commits wait while the gate is closed.
private final class Recorder: Sendable {
  private struct State {
    var groups: [[Int]] = []
    var isOpen: Bool
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state: Mutex<State>

  init(isOpen: Bool) { state = Mutex(State(isOpen: isOpen)) }

  var groups: [[Int]] { state.withLock { $0.groups } }

  func commit(_ group: [Int]) async -> [Result<Void, SliverStoreError>] {
    await withCheckedContinuation { continuation in
      let goesOn = state.withLock { state in
        state.groups.append(group)
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if goesOn { continuation.resume() }
    }
    return group.map { $0 < 0 ? .failure(.invalidRecord("\($0)")) : .success(()) }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}

@Suite struct WriteQueueTests {
  private let mib = 1 << 20

  private func queue(_ recorder: Recorder) -> WriteQueue<Int> {
    WriteQueue(standsAlone: { $0 >= 100 }) { await recorder.commit($0) }
  }

  private func wait(until condition: () -> Bool) async {
    while !condition() { await Task.yield() }
  }

  @Test func `what arrives during a write shares the next one`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await queue.submit(0, byteCount: 10) }
      await wait { recorder.groups.count == 1 }
      for number in 1...20 { group.addTask { try await queue.submit(number, byteCount: 10) } }
      await wait { queue.depth.queued == 20 }
      recorder.open()
      try await group.waitForAll()
    }
    #expect(recorder.groups.map(\.count) == [1, 20])
    #expect(queue.depth.byteCount == 0)
  }

  @Test func `each operation gets its own answer`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    let failures = await withTaskGroup(of: Int?.self) { group in
      group.addTask {
        await storeError { try await queue.submit(0, byteCount: 1) } == nil ? nil : 0
      }
      await wait { recorder.groups.count == 1 }
      for number in [1, -2, 3, -4] {
        group.addTask {
          await storeError { try await queue.submit(number, byteCount: 1) } == nil ? nil : number
        }
      }
      await wait { queue.depth.queued == 4 }
      recorder.open()
      return await group.reduce(into: Set<Int>()) { failures, number in
        if let number { failures.insert(number) }
      }
    }
    #expect(failures == [-2, -4])
  }

  @Test func `an operation that stands alone shares with nobody`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await queue.submit(0, byteCount: 1) }
      await wait { recorder.groups.count == 1 }
      for (position, number) in [1, 2, 100, 3].enumerated() {
        group.addTask { try await queue.submit(number, byteCount: 1) }
        await wait { queue.depth.queued == position + 1 }
      }
      recorder.open()
      try await group.waitForAll()
    }
    #expect(recorder.groups == [[0], [1, 2], [100], [3]])
  }

  @Test func `beyond the bound callers wait, in order, and all get through`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [mib] in try await queue.submit(0, byteCount: 30 * mib) }
      await wait { recorder.groups.count == 1 }
      group.addTask { [mib] in try await queue.submit(1, byteCount: 30 * mib) }
      await wait { queue.depth.queued == 1 }
      for number in 2...5 {
        group.addTask { [mib] in try await queue.submit(number, byteCount: 30 * mib) }
        await wait { queue.depth.waiting == number - 1 }
      }
      #expect(queue.depth.byteCount == 60 * mib)
      recorder.open()
      try await group.waitForAll()
    }
    #expect(recorder.groups.flatMap(\.self) == [0, 1, 2, 3, 4, 5])
  }

  @Test func `whoever waits for room may be cancelled`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    let first = Task { [mib] in try await queue.submit(0, byteCount: 60 * mib) }
    await wait { recorder.groups.count == 1 }
    let second = Task { [mib] in
      await storeError { try await queue.submit(1, byteCount: 60 * mib) }
    }
    await wait { queue.depth.waiting == 1 }
    second.cancel()
    #expect(await second.value == .cancelled)
    recorder.open()
    try await first.value
    try await queue.submit(2, byteCount: 60 * mib)
    #expect(recorder.groups == [[0], [2]])
  }

  @Test func `a cancelled leader still serves its group`() async throws {
    let recorder = Recorder(isOpen: false)
    let queue = queue(recorder)
    let first = Task { try await queue.submit(0, byteCount: 1) }
    await wait { recorder.groups.count == 1 }
    let second = Task { try await queue.submit(1, byteCount: 1) }
    let third = Task { try await queue.submit(2, byteCount: 1) }
    await wait { queue.depth.queued == 2 }
    first.cancel()
    second.cancel()
    recorder.open()
    try await first.value
    try await second.value
    try await third.value
    #expect(recorder.groups.flatMap(\.self).sorted() == [0, 1, 2])
  }

  @Test func `an operation above the bound passes alone`() async throws {
    let recorder = Recorder(isOpen: true)
    let queue = queue(recorder)
    try await queue.submit(1, byteCount: 500 * mib)
    #expect(recorder.groups == [[1]])
  }
}
