// WriteQueue.swift
//
// Gathers concurrent writes into groups, so that many share one sync.
//
// There is no writer task: the first caller to find nobody writing leads. It writes one group, its
// own operation included, wakes the others of the group, and hands the lead to the next in line. So
// a leader does the work of one group only, and no task outlives the calls it serves.
//
// Invariants: groups are written one at a time, in the order of arrival; what is queued stays below
// `byteCountMax` (one larger operation may pass alone); beyond it callers wait, and may be cancelled.

internal import Synchronization
internal import World

final class WriteQueue<Operation: Sendable>: Sendable {
  typealias Answer = Result<Void, SliverStoreError>

  /// Two groups being filled while one is written.
  static var byteCountMax: Int { 64 << 20 }
  /// A sync costs as much as writing a few hundred KiB; larger groups gain nothing but latency.
  static var groupByteCountMax: Int { 16 << 20 }
  static var groupCountMax: Int { 512 }

  private struct Waiter {
    var id: UInt64
    var byteCount: Int
    var continuation: CheckedContinuation<Bool, Never>
  }

  private enum Wake {
    case answered(Answer)
    case lead
  }

  private struct Pending {
    var id: UInt64
    var operation: Operation
    var byteCount: Int
    /// Nil for the leader, who is running.
    var continuation: CheckedContinuation<Wake, Never>?
  }

  private struct State {
    /// Waiting for room, first come first served.
    var waiters: [Waiter] = []
    /// Waiters that were cancelled before they could register.
    var cancelled: Set<UInt64> = []
    var queue: [Pending] = []
    var byteCount = 0
    var isLed = false
    var nextID: UInt64 = 0

    func hasRoom(for byteCount: Int) -> Bool {
      self.byteCount == 0 || self.byteCount + byteCount <= byteCountMax
    }
  }

  private let state = Mutex(State())
  private let commit: @Sendable ([Operation]) async -> [Answer]
  /// Whether an operation must be a group of its own.
  private let standsAlone: @Sendable (Operation) -> Bool

  /// `commit` gets one group at a time and answers once per operation. It must finish what it began
  /// even when the task it runs in is cancelled: others wait for it.
  init(
    standsAlone: @escaping @Sendable (Operation) -> Bool,
    commit: @escaping @Sendable ([Operation]) async -> [Answer]
  ) {
    self.standsAlone = standsAlone
    self.commit = commit
  }

  /// How much is queued, and how many wait for room.
  var depth: (queued: Int, waiting: Int, byteCount: Int) {
    state.withLock { ($0.queue.count, $0.waiters.count, $0.byteCount) }
  }

  /// Returns when the operation was carried out.
  func submit(_ operation: Operation, byteCount: Int) async throws(SliverStoreError) {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    guard await waitForRoom(id: id, byteCount: byteCount) else { throw .cancelled }
    let wake = await withCheckedContinuation { continuation in
      let leads = state.withLock { state in
        let leads = !state.isLed
        state.isLed = true
        state.queue.append(
          Pending(
            id: id, operation: operation, byteCount: byteCount,
            continuation: leads ? nil : continuation))
        return leads
      }
      if leads { continuation.resume(returning: .lead) }
    }
    switch wake {
    case .answered(let answer): try answer.get()
    case .lead: try await leadOneGroup(id: id).get()
    }
  }

  private func leadOneGroup(id: UInt64) async -> Answer {
    let group = takeGroup()
    let answers = await commit(group.map(\.operation))
    precondition(answers.count == group.count, "a group got \(answers.count) answers")
    var own: Answer = .success(())
    for (pending, answer) in zip(group, answers) {
      if pending.id == id { own = answer }
      pending.continuation?.resume(returning: .answered(answer))
    }
    passLead(releasing: group.reduce(0) { $0 + $1.byteCount })
    return own
  }

  private func takeGroup() -> [Pending] {
    state.withLock { state in
      var count = 0
      var byteCount = 0
      for pending in state.queue.prefix(Self.groupCountMax) {
        let alone = standsAlone(pending.operation)
        if count > 0, alone || byteCount + pending.byteCount > Self.groupByteCountMax { break }
        count += 1
        byteCount += pending.byteCount
        if alone { break }
      }
      let group = Array(state.queue[..<count])
      state.queue.removeFirst(count)
      return group
    }
  }

  private func passLead(releasing byteCount: Int) {
    let (admitted, leader) = state.withLock { state in
      state.byteCount -= byteCount
      var admitted: [Waiter] = []
      while let first = state.waiters.first, state.hasRoom(for: first.byteCount) {
        state.byteCount += first.byteCount
        admitted.append(state.waiters.removeFirst())
      }
      let leader = state.queue.first?.continuation
      if leader == nil { state.isLed = false } else { state.queue[0].continuation = nil }
      return (admitted, leader)
    }
    for waiter in admitted { waiter.continuation.resume(returning: true) }
    if !PlantedBug.leadNotPassed.isPlanted { leader?.resume(returning: .lead) }
  }

  /// False: the task was cancelled, and nothing was queued.
  private func waitForRoom(id: UInt64, byteCount: Int) async -> Bool {
    let isCancelled = Task.isCancelled
    let isAdmitted = state.withLock { state in
      guard !isCancelled, state.waiters.isEmpty, state.hasRoom(for: byteCount) else { return false }
      state.byteCount += byteCount
      return true
    }
    if isAdmitted { return true }
    // A cancellation that came after the admission leaves its mark behind.
    defer { state.withLock { _ = $0.cancelled.remove(id) } }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // Room may have come since, but then nobody would wake us: look again under the lock.
        let answer: Bool? = state.withLock { state in
          if state.cancelled.remove(id) != nil { return false }
          if state.waiters.isEmpty, state.hasRoom(for: byteCount) {
            state.byteCount += byteCount
            return true
          }
          state.waiters.append(
            Waiter(id: id, byteCount: byteCount, continuation: continuation))
          return nil
        }
        if let answer { continuation.resume(returning: answer) } else { sometimes(.waitedForRoom) }
      }
    } onCancel: {
      let waiter = state.withLock { state -> Waiter? in
        if let position = state.waiters.firstIndex(where: { $0.id == id }) {
          return state.waiters.remove(at: position)
        }
        state.cancelled.insert(id)
        return nil
      }
      waiter?.continuation.resume(returning: false)
    }
  }
}
