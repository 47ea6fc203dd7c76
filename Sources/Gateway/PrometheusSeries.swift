// PrometheusSeries.swift
//
// The values behind one line, or a few, of the metrics text. Recording takes tens of nanoseconds and
// no memory.

import CoreMetrics
import Synchronization

/// One line: the name's suffix, one more label, the value.
struct PrometheusSample {
  var suffix = ""
  var label = ""
  var value: String
}

protocol PrometheusSeries: AnyObject, Sendable {
  var samples: [PrometheusSample] { get }
}

final class CounterSeries: PrometheusSeries, CounterHandler {
  private let value = Atomic<Int64>(0)

  /// Counters only grow; one that would pass the end of 64 bits starts again, as after a restart.
  func increment(by amount: Int64) {
    guard amount > 0 else { return }
    value.wrappingAdd(amount, ordering: .relaxed)
  }
  func reset() { value.store(0, ordering: .relaxed) }

  var samples: [PrometheusSample] {
    [PrometheusSample(value: "\(UInt64(bitPattern: value.load(ordering: .relaxed)))")]
  }
}

final class GaugeSeries: PrometheusSeries, RecorderHandler, MeterHandler {
  private let value = Mutex(0.0)

  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.withLock { $0 = value } }
  func increment(by amount: Double) { value.withLock { $0 += amount } }
  func decrement(by amount: Double) { value.withLock { $0 -= amount } }

  var samples: [PrometheusSample] {
    [PrometheusSample(value: prometheusNumber(value.withLock { $0 }))]
  }
}

final class SummarySeries: PrometheusSeries, RecorderHandler {
  private let state = Mutex((count: UInt64(0), sum: 0.0))

  func record(_ value: Int64) { record(Double(value)) }
  func record(_ value: Double) {
    state.withLock { state in
      state.count &+= 1
      state.sum += value
    }
  }

  var samples: [PrometheusSample] {
    let (count, sum) = state.withLock { $0 }
    return [
      PrometheusSample(suffix: "_count", value: "\(count)"),
      PrometheusSample(suffix: "_sum", value: prometheusNumber(sum)),
    ]
  }
}

final class HistogramSeries: PrometheusSeries, TimerHandler {
  /// From half a millisecond, about what a small answer takes, to a minute, when people give up.
  static let bounds: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
  ]

  private struct State {
    /// Per bound those above the bound before it; the last counts those above all bounds.
    var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    var sum = 0.0
  }
  private let state = Mutex(State())

  func recordNanoseconds(_ duration: Int64) {
    let seconds = Double(duration) / 1e9
    let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    state.withLock { state in
      state.counts[bucket] &+= 1
      state.sum += seconds
    }
  }

  var samples: [PrometheusSample] {
    let state = state.withLock { $0 }
    var total: UInt64 = 0
    var samples: [PrometheusSample] = []
    for (bound, count) in zip(Self.bounds.map(prometheusNumber) + ["+Inf"], state.counts) {
      total &+= count
      samples.append(
        PrometheusSample(suffix: "_bucket", label: "le=\"\(bound)\"", value: "\(total)"))
    }
    samples.append(PrometheusSample(suffix: "_sum", value: prometheusNumber(state.sum)))
    samples.append(PrometheusSample(suffix: "_count", value: "\(total)"))
    return samples
  }
}

/// A number as the text format writes it; whole numbers without a fraction.
func prometheusNumber(_ value: Double) -> String {
  if value.isNaN { return "NaN" }
  if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
  if let whole = Int64(exactly: value) { return "\(whole)" }
  return "\(value)"
}
