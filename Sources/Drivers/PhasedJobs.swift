// PhasedJobs.swift
//
// The jobs of phases that follow each other, taken one by one by several threads. Waking a thread takes
// as long as many a job, so whoever ends a phase goes straight on with the next one, and the others
// look out for it a moment before they give their thread to somebody else.
//
// Invariant: no job of a phase starts before all jobs of the phases before it have ended.

internal import Synchronization

final class PhasedJobs: Sendable {
  typealias Job = @Sendable (_ phase: Int, _ index: Int) -> Void

  /// Why a thread went away.
  enum Pause {
    /// The turn is over, and there is more to do.
    case turnOver
    /// This phase is not over yet, but others have all of its jobs.
    case phaseRunning(Int)
    /// Nobody is needed any more; others may still run the last jobs.
    case nothingLeft
  }

  /// About what it takes to wake a thread; longer would only keep a core from others.
  private static let lookoutDuration = Duration.microseconds(20)

  private struct State {
    var phase: Int
    /// The next job of the phase.
    var next = 0
    /// Jobs of the phase that have ended.
    var ended = 0
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private enum Step {
    case job(phase: Int, index: Int)
    case pause(Pause)
  }

  private let counts: [Int]
  private let job: Job
  private let state: Mutex<State>

  /// Phases without jobs are allowed.
  init(counts: [Int], _ job: @escaping Job) {
    self.counts = counts
    self.job = job
    state = Mutex(State(phase: Self.firstPhase(from: 0, in: counts)))
  }

  /// The next phase that has jobs.
  private static func firstPhase(from phase: Int, in counts: [Int]) -> Int {
    counts[phase...].firstIndex { $0 > 0 } ?? counts.count
  }

  /// As many threads as can ever be busy.
  var widthMax: Int { counts.max() ?? 0 }

  /// Runs jobs on the calling thread until there are none to take, or until the turn is over.
  func run(forAtMost turn: Duration) -> Pause {
    let end = ContinuousClock.now + turn
    repeat {
      switch take() {
      case .job(let phase, let index):
        job(phase, index)
        endJob()
      case .pause(.phaseRunning(let phase)):
        if !isOver(phase, within: Self.lookoutDuration) { return .phaseRunning(phase) }
      case .pause(let pause): return pause
      }
    } while ContinuousClock.now < end
    return .turnOver
  }

  /// Returns when the phase is over.
  func wait(forEndOf phase: Int) async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if state.phase == phase { state.waiting.append(continuation) }
        return state.phase > phase
      }
      if isOver { continuation.resume() }
    }
  }

  private func take() -> Step {
    state.withLock { state in
      guard state.phase < counts.count else { return .pause(.nothingLeft) }
      guard state.next < counts[state.phase] else {
        let next = Self.firstPhase(from: state.phase + 1, in: counts)
        return .pause(next == counts.count ? .nothingLeft : .phaseRunning(state.phase))
      }
      state.next += 1
      return .job(phase: state.phase, index: state.next - 1)
    }
  }

  private func endJob() {
    let waiting: [CheckedContinuation<Void, Never>] = state.withLock { state in
      state.ended += 1
      guard state.ended == counts[state.phase] else { return [] }
      let next = Self.firstPhase(from: state.phase + 1, in: counts)
      defer { state = State(phase: next) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  private func isOver(_ phase: Int, within duration: Duration) -> Bool {
    let end = ContinuousClock.now + duration
    repeat {
      if state.withLock({ $0.phase > phase }) { return true }
    } while ContinuousClock.now < end
    return false
  }
}
