// PrometheusMetricsTests.swift

import CoreMetrics
import Testing

@testable import Gateway

@Suite struct PrometheusMetricsTests {
  let metrics = PrometheusMetrics()

  private func lines() -> [String] { metrics.text().split(separator: "\n").map(String.init) }

  @Test func `a counter counts under its name with _total`() {
    let counter = Counter(
      label: "requests", dimensions: [("b", "2"), ("a", "1")], factory: metrics)
    counter.increment()
    counter.increment(by: 41)
    #expect(
      lines().starts(with: ["# TYPE requests_total counter", "requests_total{a=\"1\",b=\"2\"} 42"]))
  }

  @Test func `the same label and dimensions are one series, in any order`() {
    Counter(label: "n", dimensions: [("a", "1"), ("b", "2")], factory: metrics).increment()
    Counter(label: "n", dimensions: [("b", "2"), ("a", "1")], factory: metrics).increment()
    #expect(lines().contains("n_total{a=\"1\",b=\"2\"} 2"))
  }

  @Test func `names and labels are made fit, and values escaped`() {
    Counter(
      label: "9.http requests", dimensions: [("a:b", "C:\\x \"y\"\nz é")], factory: metrics
    ).increment()
    #expect(
      lines().contains("_9_http_requests_total{a_b=\"C:\\\\x \\\"y\\\"\\nz é\"} 1"))
  }

  @Test func `a timer is a cumulative histogram in seconds`() {
    let timer = Timer(label: "answer", dimensions: [("x", "y")], factory: metrics)
    timer.recordNanoseconds(Int64(500_000))
    timer.recordNanoseconds(Int64(3_000_000_000))
    timer.recordNanoseconds(Int64(100_000_000_000))
    let lines = lines()
    #expect(lines.first == "# TYPE answer_seconds histogram")
    #expect(lines.contains("answer_seconds_bucket{x=\"y\",le=\"0.0005\"} 1"))
    #expect(lines.contains("answer_seconds_bucket{x=\"y\",le=\"2.5\"} 1"))
    #expect(lines.contains("answer_seconds_bucket{x=\"y\",le=\"5\"} 2"))
    #expect(lines.contains("answer_seconds_bucket{x=\"y\",le=\"+Inf\"} 3"))
    #expect(lines.contains("answer_seconds_sum{x=\"y\"} 103.0005"))
    #expect(lines.contains("answer_seconds_count{x=\"y\"} 3"))
  }

  @Test func `gauges show the last value, recorders count and sum`() {
    Gauge(label: "free", dimensions: [], factory: metrics).record(3)
    Gauge(label: "free", dimensions: [], factory: metrics).record(2.5)
    let recorder = Recorder(label: "size", dimensions: [], aggregate: true, factory: metrics)
    recorder.record(10)
    recorder.record(20)
    let meter = Meter(label: "running", dimensions: [], factory: metrics)
    meter.increment(by: 3.0)
    meter.decrement(by: 1.0)
    let lines = lines()
    #expect(lines.contains("# TYPE free gauge"))
    #expect(lines.contains("free 2.5"))
    #expect(lines.contains("# TYPE size summary"))
    #expect(lines.contains("size_count 2"))
    #expect(lines.contains("size_sum 30"))
    #expect(lines.contains("running 2"))
  }

  @Test func `the number of series is bounded, and what is dropped is counted`() {
    let metrics = PrometheusMetrics(seriesCountMax: 2)
    for number in 0..<5 {
      Counter(label: "n", dimensions: [("i", "\(number)")], factory: metrics).increment()
    }
    let lines = metrics.text().split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("n_total{") }.count == 2)
    #expect(lines.contains("walrus_metrics_dropped_series_total 3"))
  }

  @Test func `a name keeps its kind`() {
    Counter(label: "x_total", dimensions: [], factory: metrics).increment()
    Gauge(label: "x_total", dimensions: [("a", "b")], factory: metrics).record(1)
    #expect(lines().filter { $0.hasPrefix("x_total") } == ["x_total 1"])
    #expect(lines().contains("walrus_metrics_dropped_series_total 1"))
  }

  @Test func `each name has one TYPE line and its series follow it`() {
    for label in ["b", "a", "b"] {
      for value in ["2", "1"] {
        Counter(label: label, dimensions: [("v", value)], factory: metrics).increment()
      }
    }
    #expect(
      lines().prefix(6) == [
        "# TYPE a_total counter", "a_total{v=\"1\"} 1", "a_total{v=\"2\"} 1",
        "# TYPE b_total counter", "b_total{v=\"1\"} 2", "b_total{v=\"2\"} 2",
      ])
  }

  @Test func `a destroyed metric is gone`() {
    let counter = Counter(label: "n", dimensions: [], factory: metrics)
    counter.increment()
    counter.destroy()
    #expect(!lines().contains { $0.hasPrefix("n_total") })
  }
}
