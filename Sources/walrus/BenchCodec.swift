// BenchCodec.swift
//
// bench codec: how fast this machine encodes, decodes, repairs and checks, and how near that is to what
// its kernels allow. Everything that is compared is timed in the same run.

import ArgumentParser
import Drivers
import Foundation
import RedStuff
import World

struct BenchCodec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codec", abstract: "Encode, decode, repair and check in memory.",
    discussion: """
      Each figure is the best of --runs; MB are 10^6 bytes of blob. The parts of an operation are what \
      its kernels take over data in the cache, memory is the rest. "of floor" is the time over the sum \
      of the parts; "over plain" how much faster it is than the same hashes one by one with the same \
      code at AVX2.
      """)

  @Option(help: ArgumentHelp("Shard counts.", valueName: "n")) var shards = [10, 16, 31, 100, 1000]
  @Option(
    help: ArgumentHelp(
      "Blob sizes; those that a shard count cannot hold are left out.", valueName: "size"))
  var size: [ByteCountArgument] = [1, 64 << 10, 1 << 20, 32 << 20, 256 << 20].map {
    ByteCountArgument(byteCount: $0)
  }
  @Option(help: "Runs of each operation.") var runs = 3
  @OptionGroup var output: JSONOption

  struct Machine: Codable {
    let processor: String
    let cores: Int
    let memory: UInt64
  }

  struct Report: Codable {
    let machine: Machine
    let level: String
    let kernels: [KernelResult]
    let results: [CodecResult]
  }

  func run() async throws {
    let coreCount = ProcessInfo.processInfo.activeProcessorCount
    let kernels = KernelResult.measure(runs: max(runs, 3))
    if !output.json { show(kernels) }
    var results: [CodecResult] = []
    for n in shards {
      let parameters = try EncodingParameters(shardCount: n)
      for argument in size where UInt64(argument.byteCount) <= parameters.blobByteCountMax {
        for width in Set([1, coreCount]).sorted() {
          let measurement = try await CodecMeasurement(
            blobByteCount: argument.byteCount, parameters: parameters, threads: width,
            runs: max(runs, 1))
          let new = try await measurement.results()
          if !output.json { show(new) }
          results += new
        }
      }
    }
    guard output.json else { return }
    try Output.json(
      Report(
        machine: Machine(
          processor: Self.processorName, cores: coreCount,
          memory: ProcessInfo.processInfo.physicalMemory),
        level: CPULevel.nameInUse, kernels: kernels, results: results))
  }

  private static var processorName: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
  }

  private func show(_ kernels: [KernelResult]) {
    Output.line("\(Self.processorName), kernels at \(CPULevel.nameInUse), one core:")
    Output.table(
      kernels.map { kernel in
        [
          "  " + kernel.kernel, String(format: "%.2f GB/s", kernel.gigabytesPerSecond),
          kernel.millionsPerSecond.map { String(format: "%.1f M blocks/s", $0) } ?? "",
        ]
      })
    Output.line("")
  }

  private func show(_ results: [CodecResult]) {
    guard let first = results.first else { return }
    let threads = first.threads == 1 ? "1 core" : "\(first.threads) cores"
    Output.table(
      [
        [
          "n=\(first.shards) \(humanByteCount(first.bytes)) \(threads)", "MB/s", "ms", "of floor",
          "over plain", "columns", "rows", "leaves", "trees", "memory",
        ]
      ]
        + results.map { result in
          let parts = result.parts
          func milliseconds(_ seconds: Double?) -> String {
            seconds.map { String(format: $0 < 0.001 ? "%.4f" : "%.1f", $0 * 1000) } ?? ""
          }
          func ratio(_ value: Double?) -> String { value.map { String(format: "%.2fx", $0) } ?? "" }
          return [
            result.operation, String(format: "%.1f", result.megabytesPerSecond),
            milliseconds(result.seconds), ratio(result.ratioToFloor), ratio(result.ratioToPlain),
            milliseconds(parts.columnCode), milliseconds(parts.rowCode),
            milliseconds(parts.leaves), milliseconds(parts.trees), milliseconds(parts.memory),
          ]
        })
    Output.line("")
  }
}

/// What one operation took.
struct CodecResult: Codable {
  let operation: String
  let shards: Int
  /// Of the blob, or of what the operation yields where that is less.
  let bytes: Int
  let threads: Int
  let seconds: Double
  let megabytesPerSecond: Double
  var parts = Parts()
  /// Seconds over the sum of the parts without memory; nil where there is no such sum.
  var ratioToFloor: Double?
  /// How many times faster than with hashes one by one and the code at AVX2.
  let ratioToPlain: Double?

  /// Takes what the kernels need for the same, if there is anything; memory is the rest.
  mutating func compare(with kernels: Parts) {
    guard kernels.kernels > 0 else { return }
    parts = kernels
    parts.memory = seconds - kernels.kernels
    ratioToFloor = seconds / kernels.kernels
  }

  /// Seconds; nil where an operation has no such part.
  struct Parts: Codable {
    var columnCode: Double?
    var rowCode: Double?
    var leaves: Double?
    var trees: Double?
    /// What the kernels do not account for.
    var memory: Double?

    var kernels: Double { [columnCode, rowCode, leaves, trees].reduce(0) { $0 + ($1 ?? 0) } }
  }
}

/// Seconds of the quickest of some runs.
func quickest(of runs: Int, _ body: () throws -> Void) rethrows -> Double {
  var best = Double.infinity
  for _ in 0..<runs {
    let start = ContinuousClock.now
    try body()
    best = min(best, (ContinuousClock.now - start) / .seconds(1))
  }
  return best
}
