// SimulationExecutor.swift
//
// Takes the place of Swift's thread pool: every task, actor and group of this process runs on the one
// thread that calls `RunQueue.drain`, in an order that the seed decides. The only file that uses the
// concurrency library's custom executors, which are not stable yet.
//
// Invariant: nothing here is used by two threads; `@unchecked Sendable` rests on that.

import Simulation
import Simulator
import World
@_spi(ExperimentalCustomExecutors) import _Concurrency

/// The jobs that can run, and who is next.
final class RunQueue: @unchecked Sendable {
  static let shared = RunQueue()
  /// Between two looks at priorities or at who starves.
  private static let moodStepCount = 2000
  /// Runs take 80 minutes, some a day; what waits for something that never comes goes on for ever.
  private static let durationMax = Duration.seconds(36 * 60 * 60)

  /// A job is run exactly once, while its executor lives: lanes live as long as the run.
  @safe private struct Entry {
    var job: UnownedJob
    /// The process that it belongs to; 0: none.
    var lane: Int
    /// Nil: it asked for the main executor.
    var executor: UnownedTaskExecutor?
  }

  private var entries: [Entry] = []
  private var policy = SchedulingPolicy.fifo
  private var dice = SeededRandomness(seed: 0)
  private var lanes: [String: LaneExecutor] = [:]
  private var priorities: [Int] = []
  private var starvingLane = 0
  private var stepCount = 0

  /// Why `drain` came back.
  enum Outcome {
    case finished
    /// Nothing can run, nothing sleeps, and the run has not ended.
    case deadlocked
    /// So many steps without any time passing.
    case livelocked
    /// Far more time has passed than a run may take.
    case endless
    /// The event asked for is reached.
    case reachedEvent
  }

  func prepare(_ policy: SchedulingPolicy, seed: UInt64) {
    precondition(entries.isEmpty, "\(entries.count) jobs are left from the run before")
    self.policy = policy
    dice = SeededRandomness(seed: seed, label: "schedule")
    lanes = [:]
    priorities = [0]
    starvingLane = 0
    stepCount = 0
  }

  /// Where the tasks of a process run: they can then be told from those of others.
  func executor(of process: String) -> any TaskExecutor {
    if let lane = lanes[process] { return lane }
    let lane = LaneExecutor(number: lanes.count + 1)
    lanes[process] = lane
    priorities.append(dice.number(below: 100))
    return lane
  }

  /// Runs jobs, and lets time pass when none can run, until `isDone`.
  func drain(
    clock: VirtualClock, trace: Trace, stepCostMax: Duration, until eventMax: Int?,
    isDone: () -> Bool
  ) -> Outcome {
    let costNanoseconds = Int(stepCostMax.wholeNanoseconds)
    var stillStepCount = 0
    var lastTime = clock.now
    let latest = lastTime + Self.durationMax
    while !isDone() {
      if lastTime > latest { return .endless }
      if let eventMax, trace.count >= eventMax { return .reachedEvent }
      if entries.isEmpty {
        guard let next = clock.nextDeadline else { return .deadlocked }
        clock.advance(to: next)
        lastTime = clock.now
        stillStepCount = 0
        continue
      }
      let entry = take()
      trace.record(
        .schedule, UInt64(entry.lane) << 32 | UInt64(entries.count), "lane \(entry.lane)")
      run(entry)
      if costNanoseconds > 0 {
        clock.advance(by: .nanoseconds(dice.number(in: 0...costNanoseconds)))
      }
      stillStepCount = clock.now == lastTime ? stillStepCount + 1 : 0
      lastTime = clock.now
      if stillStepCount > 20_000_000 { return .livelocked }
    }
    return .finished
  }

  fileprivate func add(_ job: consuming ExecutorJob, lane: Int, executor: UnownedTaskExecutor?) {
    entries.append(unsafe Entry(job: UnownedJob(job), lane: lane, executor: executor))
  }

  private func run(_ entry: Entry) {
    if let executor = unsafe entry.executor {
      unsafe entry.job.runSynchronously(on: executor)
    } else {
      unsafe entry.job.runSynchronously(on: MainLane.shared.asUnownedSerialExecutor())
    }
  }

  private func take() -> Entry {
    stepCount += 1
    if stepCount % Self.moodStepCount == 0 { changeMood() }
    let count = entries.count
    guard count > 1 else { return entries.removeLast() }
    switch policy {
    case .random: return entries.remove(at: dice.number(below: count))
    case .fifo: return entries.remove(at: 0)
    case .lifo:
      return entries.remove(at: dice.chance(0.1) ? dice.number(below: count) : count - 1)
    case .starving:
      var choice = dice.number(below: count)
      for _ in 0..<16 where entries[choice].lane == starvingLane {
        choice = dice.number(below: count)
      }
      return entries.remove(at: choice)
    case .priorities:
      var choice = dice.number(below: count)
      for _ in 0..<3 {
        let other = dice.number(below: count)
        if priorities[entries[other].lane] > priorities[entries[choice].lane] { choice = other }
      }
      return entries.remove(at: choice)
    }
  }

  private func changeMood() {
    starvingLane = dice.number(below: priorities.count)
    priorities[dice.number(below: priorities.count)] = dice.number(below: 100)
  }
}

final class LaneExecutor: TaskExecutor, @unchecked Sendable {
  private let number: Int

  init(number: Int) { self.number = number }

  func enqueue(_ job: consuming ExecutorJob) {
    unsafe RunQueue.shared.add(job, lane: number, executor: asUnownedTaskExecutor())
  }
}

/// Everything that asked for no executor.
private final class CommonLane: TaskExecutor, @unchecked Sendable {
  static let shared = CommonLane()

  func enqueue(_ job: consuming ExecutorJob) {
    unsafe RunQueue.shared.add(job, lane: 0, executor: asUnownedTaskExecutor())
  }
}

private final class MainLane: MainExecutor, @unchecked Sendable {
  static let shared = MainLane()

  func enqueue(_ job: consuming ExecutorJob) {
    unsafe RunQueue.shared.add(job, lane: 0, executor: nil)
  }

  /// Nobody waits for the main executor: `RunQueue.drain` runs its jobs.
  func run() throws {}
  func stop() {}
}

private struct SimulationExecutors: ExecutorFactory {
  static var mainExecutor: any MainExecutor { MainLane.shared }
  static var defaultExecutor: any TaskExecutor { CommonLane.shared }
}

/// To be called before the first task of the process.
func installSimulationExecutors() {
  _createExecutors(factory: SimulationExecutors.self)
}
