// PrometheusMetrics.swift
//
// A backend for swift-metrics that Prometheus can read: counters, gauges, summaries (count and sum)
// and timers as histograms in seconds, as text of format 0.0.4.
//
// Invariants: the same label and dimensions always mean the same series; a name has one kind; there
// are at most `seriesCountMax` series. Whatever would break one of these is not recorded but counted
// in `walrus_metrics_dropped_series_total`.

package import CoreMetrics
import Synchronization

package final class PrometheusMetrics: MetricsFactory {
  /// A hundred nodes with a hundred numbers each would be half of it.
  package static let seriesCountMax = 20_000
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
  static let droppedName = "walrus_metrics_dropped_series_total"

  enum Kind: String {
    case counter, gauge, summary, histogram
  }

  struct SeriesKey: Hashable {
    var name: String
    /// `{a="b",c="d"}` without the braces; names sorted.
    var labels: String
  }

  private struct State {
    var kinds: [String: Kind] = [:]
    var series: [SeriesKey: any PrometheusSeries] = [:]
    var droppedCount: UInt64 = 0
  }

  private let state = Mutex(State())
  private let seriesCountMax: Int

  package init(seriesCountMax: Int = PrometheusMetrics.seriesCountMax) {
    self.seriesCountMax = seriesCountMax
  }

  // MARK: - MetricsFactory

  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    let key = Self.key(label, suffix: "_total", dimensions)
    return series(.counter, key) { CounterSeries() } ?? NOOPMetricsHandler.instance
  }

  package func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    let key = Self.key(label, suffix: "", dimensions)
    if aggregate {
      return series(.summary, key) { SummarySeries() } ?? NOOPMetricsHandler.instance
    }
    return series(.gauge, key) { GaugeSeries() } ?? NOOPMetricsHandler.instance
  }

  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    series(.gauge, Self.key(label, suffix: "", dimensions)) { GaugeSeries() }
      ?? NOOPMetricsHandler.instance
  }

  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let key = Self.key(label, suffix: "_seconds", dimensions)
    return series(.histogram, key) { HistogramSeries() } ?? NOOPMetricsHandler.instance
  }

  package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

  private func series<Series: PrometheusSeries>(
    _ kind: Kind, _ key: SeriesKey, _ make: () -> Series
  ) -> Series? {
    state.withLock { state in
      if let known = state.series[key] as? Series { return known }
      guard state.series.count < seriesCountMax, state.kinds[key.name, default: kind] == kind
      else {
        state.droppedCount += 1
        return nil
      }
      let new = make()
      state.kinds[key.name] = kind
      state.series[key] = new
      return new
    }
  }

  private func remove(_ handler: AnyObject) {
    state.withLock { state in
      guard let key = state.series.first(where: { $0.value === handler })?.key else { return }
      state.series[key] = nil
    }
  }

  // MARK: - Text

  /// The text of `/metrics`, sorted by name and labels.
  package func text() -> String {
    let (kinds, series, droppedCount) = state.withLock {
      ($0.kinds, $0.series, $0.droppedCount)
    }
    var lines: [String] = []
    var name = ""
    for (key, series) in series.sorted(by: {
      ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels)
    }) {
      if key.name != name, let kind = kinds[key.name] {
        name = key.name
        lines.append("# TYPE \(name) \(kind.rawValue)")
      }
      lines += series.samples.map { sample in
        let labels = [key.labels, sample.label].filter { !$0.isEmpty }.joined(separator: ",")
        return "\(key.name)\(sample.suffix)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)"
      }
    }
    lines.append("# TYPE \(Self.droppedName) counter")
    lines.append("\(Self.droppedName) \(droppedCount)")
    return lines.joined(separator: "\n") + "\n"
  }

  static func key(_ label: String, suffix: String, _ dimensions: [(String, String)]) -> SeriesKey {
    var name = sanitized(label, allowingColon: true)
    if !name.hasSuffix(suffix) { name += suffix }
    // The last of a name given twice wins: two would make the whole text unreadable.
    let labels = Dictionary(
      dimensions.map { (sanitized($0.0, allowingColon: false), escaped($0.1)) },
      uniquingKeysWith: { $1 })
    return SeriesKey(
      name: name,
      labels: labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }
        .joined(separator: ","))
  }

  /// What a name may not contain becomes `_`; it never starts with a digit.
  private static func sanitized(_ name: String, allowingColon: Bool) -> String {
    var bytes = name.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        byte
      case UInt8(ascii: ":") where allowingColon: byte
      default: UInt8(ascii: "_")
      }
    }
    if bytes.first.map({ $0 <= UInt8(ascii: "9") }) ?? true {
      bytes.insert(UInt8(ascii: "_"), at: 0)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func escaped(_ value: String) -> String {
    var text = ""
    for character in value.unicodeScalars {
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.unicodeScalars.append(character)
      }
    }
    return text
  }
}
