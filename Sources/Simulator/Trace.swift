// Trace.swift
//
// What happened in a simulated run, event by event. Two runs of one seed have equal traces, byte for
// byte; the running hash says so without keeping them.
//
// Texts are made only where somebody wants to read them; they must not say anything that the numbers
// do not, since only the numbers are hashed.

internal import Synchronization

package final class Trace: Sendable {
  package enum Source: UInt8, Sendable, CaseIterable {
    case schedule, time, disk, index, network, control, process, fault, work, check
  }

  package struct Event: Sendable {
    package var number: Int
    package var source: Source
    /// The hash of the run up to and including this event.
    package var hash: UInt64
    package var text: String
  }

  /// Which events keep their texts.
  package enum Detail: Sendable {
    case none
    /// The last ones, this many.
    case last(Int)
    case all
  }

  private struct State {
    var count = 0
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var events: [Event] = []
    /// Of each event, if asked for.
    var hashes: [UInt64] = []
  }

  private let detail: Detail
  private let keepsHashes: Bool
  private let state = Mutex(State())

  package init(detail: Detail = .none, keepsHashes: Bool = false) {
    self.detail = detail
    self.keepsHashes = keepsHashes
  }

  package var count: Int { state.withLock { $0.count } }
  package var hash: UInt64 { state.withLock { $0.hash } }

  /// The hash after each event; empty unless they are kept.
  package var hashes: [UInt64] { state.withLock { $0.hashes } }

  /// The events whose texts were kept, oldest first.
  package var events: [Event] {
    state.withLock { state in
      guard case .last(let countMax) = detail else { return state.events }
      return Array(state.events.suffix(countMax))
    }
  }

  package func record(_ source: Source, _ value: UInt64, _ text: @autoclosure () -> String) {
    state.withLock { state in
      // FNV-1a over words: quick, and any differing event changes all that follows.
      state.hash = (state.hash ^ UInt64(source.rawValue)) &* 0x0000_0100_0000_01B3
      state.hash = (state.hash ^ value) &* 0x0000_0100_0000_01B3
      state.hash ^= state.hash >> 29
      if keepsHashes { state.hashes.append(state.hash) }
      let event: Event? =
        switch detail {
        case .none: nil
        case .last, .all:
          Event(number: state.count, source: source, hash: state.hash, text: text())
        }
      state.count += 1
      guard let event else { return }
      state.events.append(event)
      if case .last(let countMax) = detail, state.events.count > 2 * countMax {
        state.events.removeFirst(state.events.count - countMax)
      }
    }
  }
}
