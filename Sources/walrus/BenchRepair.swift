// BenchRepair.swift
//
// bench repair: what repair, degraded reads and trouble cost, in bytes and time, held against bars.

import ArgumentParser
import Benchmarks
import Foundation
import Logging

extension RepairBenchmark.Part: ExpressibleByArgument {}

struct BenchRepair: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair", abstract: "Lose drives and nodes, and count what that costs.",
    discussion: """
      Whole clusters are made in this process, on files of --directory or in memory, and all goes \
      away at the end. Parts: node (one node of ten is lost, beside replication and Reed-Solomon), \
      liars, ranges (reads of lost slivers), zones, growth (a shard per node, 10 to 1000 nodes), \
      reference (repair the way the reference does it), latency (reads with trouble; by far the \
      longest: fewer --reads make it short). Ends with status 1 if a bar does not hold.
      """)

  @Option(parsing: .upToNextOption, help: ArgumentHelp("Parts to run.", valueName: "part"))
  var only: [RepairBenchmark.Part] = []
  @Option(help: "Blobs of 1 MiB for the node that is lost.") var blobs = 1000
  @Option(help: "Reads for each case of the latencies.") var reads = 50_000
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Requests of such a read: 1, 4 and 34.", valueName: "count"))
  var fanOut = [1, 4, 34]
  @Option(help: ArgumentHelp("Where clusters on files are made.", valueName: "dir"))
  var directory = FileManager.default.temporaryDirectory.path
  @OptionGroup var output: JSONOption

  func validate() throws {
    guard blobs > 0, reads > 0 else {
      throw ValidationError("--blobs and --reads are 1 or more.")
    }
    guard Set(fanOut).isSubset(of: [1, 4, 34]) else {
      throw ValidationError("--fan-out is 1, 4 or 34, or several of these.")
    }
  }

  func run() async throws {
    var settings = RepairBenchmark.Settings(directory: URL(fileURLWithPath: directory))
    if !only.isEmpty { settings.parts = Set(only) }
    settings.blobCount = blobs
    settings.readCount = reads
    settings.fanOuts = Set(fanOut)
    var logger = Logger(label: "bench")
    logger.logLevel = .critical
    let isQuiet = output.json
    let report = try await RepairBenchmark(settings, logger: logger) { step in
      if !isQuiet { Output.note("\(step) …") }
    }.run()
    if output.json {
      try Output.json(report)
    } else {
      for table in report.tables { show(table) }
      show(report.bars)
    }
    guard report.bars.allSatisfy(\.holds) else { throw ExitCode.failure }
  }

  private func show(_ table: BenchmarkTable) {
    Output.line("\n\(table.title)")
    if !table.note.isEmpty { Output.line("  \(table.note)") }
    let rows = table.rows.map { row in
      ["  \(row.name)"]
        + zip(table.columns, row.figures).map { column, figure in
          figure.map { text($0, column.format) } ?? "-"
        }
    }
    Output.table(rightAligned([[""] + table.columns.map(\.name)] + rows))
  }

  private func show(_ bars: [BenchmarkBar]) {
    guard !bars.isEmpty else { return }
    Output.line("\nBars")
    let rows = bars.map { bar in
      [
        "  \(bar.holds ? "holds" : "FAILS")  \(bar.name)", text(bar.value, .ratio),
        "\(bar.kind == .atMost ? "at most" : "at least") \(text(bar.limit, .ratio))",
      ]
    }
    Output.table(rightAligned(rows))
  }

  private func text(_ figure: Double, _ format: FigureFormat) -> String {
    switch format {
    case .count: String(format: "%.0f", figure)
    case .bytes: humanByteCount(Int(figure))
    case .ratio:
      figure == figure.rounded() && figure.magnitude < 1e6
        ? String(format: "%.0f", figure)
        : String(format: figure.magnitude < 100 ? "%.3f" : "%.0f", figure)
    case .seconds: String(format: figure < 10 ? "%.3f s" : "%.1f s", figure)
    case .milliseconds: String(format: "%.1f ms", figure)
    }
  }

  /// All but the first column.
  private func rightAligned(_ rows: [[String]]) -> [[String]] {
    let columnCount = rows.map(\.count).max() ?? 0
    let widths = (0..<columnCount).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        column == 0 ? cell : String(repeating: " ", count: widths[column] - cell.count) + cell
      }
    }
  }
}
