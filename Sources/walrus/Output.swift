// Output.swift
//
// What people see: sizes and durations in human units, tables, a progress bar while something takes
// long, or one JSON value for programs. Results go to standard output, everything else to standard
// error, so that both can be redirected.

import Foundation
import Synchronization
import World

enum Output {
  static func line(_ text: String) {
    print(text)
  }

  static func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
  }

  /// One JSON value with sorted keys.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// Columns of equal width; numbers look best when passed right-aligned by the caller.
  static func table(_ rows: [[String]]) {
    let columnCount = rows.map(\.count).max() ?? 0
    let widths = (0..<columnCount).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    for row in rows {
      let cells = row.enumerated().map { column, cell in
        cell.padding(toLength: widths[column], withPad: " ", startingAt: 0)
      }
      line(cells.joined(separator: "  ").trimmingSuffix(" "))
    }
  }
}

extension String {
  fileprivate func trimmingSuffix(_ character: Character) -> String {
    var text = self
    while text.last == character { text.removeLast() }
    return text
  }
}

/// `17 B`, `4.2 KiB`, `1.75 MiB`.
func humanByteCount(_ count: some BinaryInteger) -> String {
  let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  var value = Double(count)
  var unit = 0
  while value >= 1024, unit < units.count - 1 {
    value /= 1024
    unit += 1
  }
  return unit == 0
    ? "\(count) B" : String(format: value < 10 ? "%.2f %@" : "%.1f %@", value, units[unit])
}

/// `850 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
func humanDuration(_ duration: Duration) -> String {
  let seconds = Double(duration.wholeNanoseconds) / 1e9
  if seconds < 1 { return String(format: "%.0f ms", seconds * 1000) }
  if seconds < 60 { return String(format: "%.1f s", seconds) }
  let whole = Int(seconds)
  return whole < 3600
    ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
}

/// A bar on a terminal, from one second on; silent elsewhere.
final class ProgressBar: Sendable {
  private struct State {
    var doneCount: UInt64 = 0
    var totalCount: UInt64
    var lastDrawn: ContinuousClock.Instant?
  }

  /// Redrawing more often costs more than it shows.
  private static let interval = Duration.milliseconds(100)
  private static let width = 30

  private let label: String
  private let start = ContinuousClock.now
  private let isShown: Bool
  private let state: Mutex<State>

  /// - Parameter totalCount: bytes; 0 when unknown.
  init(_ label: String, totalCount: UInt64) {
    self.label = label
    isShown = isatty(FileHandle.standardError.fileDescriptor) == 1
    state = Mutex(State(totalCount: totalCount))
  }

  func advance(by count: Int) {
    guard isShown else { return }
    let text: String? = state.withLock { state in
      state.doneCount += UInt64(count)
      let now = ContinuousClock.now
      guard now - start > .seconds(1) else { return nil }
      if let last = state.lastDrawn, now - last < Self.interval { return nil }
      state.lastDrawn = now
      return drawing(state, elapsed: now - start)
    }
    if let text { FileHandle.standardError.write(Data(text.utf8)) }
  }

  /// Removes the bar.
  func finish() {
    let wasDrawn = state.withLock { $0.lastDrawn != nil }
    if wasDrawn { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
  }

  private func drawing(_ state: State, elapsed: Duration) -> String {
    let seconds = max(Double(elapsed.wholeNanoseconds) / 1e9, 0.001)
    let rate = Double(state.doneCount) / seconds
    let amount = humanByteCount(state.doneCount)
    let speed = humanByteCount(UInt64(rate)) + "/s"
    guard state.totalCount > 0 else { return "\r\(label)  \(amount)  \(speed)\u{1B}[K" }
    let share = min(Double(state.doneCount) / Double(state.totalCount), 1)
    let filled = Int(share * Double(Self.width))
    let bar =
      String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
    let left =
      rate > 0 ? Double(state.totalCount - min(state.doneCount, state.totalCount)) / rate : 0
    return "\r\(label)  \(bar) \(Int(share * 100)) %  \(amount)  \(speed)  "
      + "\(humanDuration(.milliseconds(Int(left * 1000)))) left\u{1B}[K"
  }
}
