// BenchProcessTests.swift
//
// The bars of `walrus bench repair` that count bytes and requests hold, with few blobs. Those that
// compare times are for the benchmark alone.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct BenchProcessTests {
  private struct Report: Decodable {
    struct Bar: Decodable {
      let name: String
      let value: Double
      let limit: Double
      let holds: Bool
    }
    let bars: [Bar]
  }

  @Test func `what repair and degraded reads move keeps to the bars`() async throws {
    let folder = try TemporaryFolder()
    let outcome = try await WalrusProcess.run([
      "bench", "repair", "--only", "liars", "ranges", "zones", "--blobs", "12",
      "--directory", folder.url.path, "--json",
    ])
    let report = try outcome.json(Report.self)
    #expect(report.bars.count > 10)
    for bar in report.bars { #expect(bar.holds, "\(bar.name): \(bar.value), limit \(bar.limit)") }
    #expect(outcome.status == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
  }
}
