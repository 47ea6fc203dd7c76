// BenchCodec.swift
//
// bench codec: how fast this machine encodes and decodes, and how much of that is hashing.

import ArgumentParser
import Drivers
import Foundation
import RedStuff
import World

struct BenchCodec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codec", abstract: "Encode and decode in memory.",
    discussion: "Each figure is the best of --runs; MB are 10^6 bytes of blob.")

  @Option(help: ArgumentHelp("Shard counts.", valueName: "n")) var shards = [100, 1000]
  @Option(help: ArgumentHelp("Blob sizes.", valueName: "size"))
  var size: [ByteCountArgument] = [ByteCountArgument(byteCount: 32 << 20)]
  @Option(help: "Runs of each operation.") var runs = 3
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let operation: String
    let shards: Int
    let bytes: Int
    let threads: Int
    let seconds: Double
    let megabytesPerSecond: Double
    /// Seconds of each phase, where there are several.
    let phases: [Double]
  }

  func run() async throws {
    var results: [Result] = []
    let coreCount = ProcessInfo.processInfo.activeProcessorCount
    for n in shards {
      let parameters = try EncodingParameters(shardCount: n)
      for argument in size where UInt64(argument.byteCount) <= parameters.blobByteCountMax {
        for width in Set([1, coreCount]).sorted() {
          results += try await measure(argument.byteCount, parameters, threads: width)
        }
      }
    }
    if output.json {
      try Output.json(results)
      return
    }
    Output.table(
      [["operation", "shards", "blob", "threads", "MB/s", "ms", "ms of each phase"]]
        + results.map { result in
          [
            result.operation, "\(result.shards)", humanByteCount(result.bytes),
            "\(result.threads)", String(format: "%.1f", result.megabytesPerSecond),
            String(format: "%.1f", result.seconds * 1000),
            result.phases.map { String(format: "%.1f", $0 * 1000) }.joined(separator: " + "),
          ]
        })
  }

  private func measure(_ byteCount: Int, _ parameters: EncodingParameters, threads: Int)
    async throws -> [Result]
  {
    let compute = ComputeThreads(width: threads)
    let blob = benchmarkBytes(byteCount, seed: 1)
    let encoder = try BlobEncoder(blob, parameters: parameters)
    await walrus.run(encoder.phases, on: compute)
    let encoded = encoder.finish()
    func result(_ operation: String, _ best: [Double]) -> Result {
      let seconds = best.reduce(0, +)
      return Result(
        operation: operation, shards: parameters.shardCount, bytes: byteCount, threads: threads,
        seconds: seconds, megabytesPerSecond: Double(byteCount) / 1e6 / seconds,
        phases: best.count > 1 ? best : [])
    }
    let encode = try await best {
      let encoder = try BlobEncoder(blob, parameters: parameters)
      return (encoder.phases, { _ = encoder.finish() })
    }
    let identify = try await best {
      let encoder = try BlobEncoder(blob, parameters: parameters, output: .identityOnly)
      return (encoder.phases, { _ = encoder.finishIdentity() })
    }
    let k1 = parameters.primarySourceCount
    func decode(_ indices: Range<Int>) async throws -> [Double] {
      let slivers = indices.map { encoded.sliver(.primary, SliverIndex(UInt16($0))) }
      return try await best {
        let decoder = try BlobDecoder(
          slivers, axis: .primary, metadata: encoded.metadata, check: .skip)
        return (decoder.phases, { _ = try decoder.finish() })
      }
    }
    return [
      result("encode", encode), result("blob ID", identify),
      result("decode, nothing lost", try await decode(0..<k1)),
      result(
        "decode, worst loss",
        try await decode(parameters.shardCount - k1..<parameters.shardCount)),
    ]
    func best(_ make: () throws -> (phases: [JobPhase], finish: () throws -> Void)) async throws
      -> [Double]
    {
      var best: [Double] = []
      for _ in 0..<max(runs, 1) {
        let work = try make()
        var seconds: [Double] = []
        for phase in work.phases {
          let start = ContinuousClock.now
          await walrus.run([phase], on: compute)
          seconds.append((ContinuousClock.now - start) / .seconds(1))
        }
        try work.finish()
        if best.isEmpty || seconds.reduce(0, +) < best.reduce(0, +) { best = seconds }
      }
      return best
    }
  }
}
