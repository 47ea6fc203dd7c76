// BenchCommand.swift
//
// bench load: what the gateway of a local cluster moves, and what that costs in CPU, client and
// cluster in one process. bench codec is in a file of its own.

import ArgumentParser
import AsyncHTTPClient
import Drivers
import Foundation
import Gateway
import Glibc
import Logging
import NIOCore
import NIOHTTP1

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure this machine.",
    subcommands: [BenchLoad.self, BenchCodec.self, BenchBlobID.self, BenchRepair.self])
}

/// Wall and CPU time of this process, children not included.
struct ProcessTimes {
  let wall: ContinuousClock.Instant
  let cpuSeconds: Double

  static var now: ProcessTimes {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return ProcessTimes(
      wall: .now, cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime))
  }

  /// Most memory this process ever held, in bytes.
  static var peakMemoryByteCount: Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }
}

/// Bytes that no codec can guess, the same in each run.
func benchmarkBytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed
  var bytes = [UInt8](repeating: 0, count: count)
  for offset in stride(from: 0, to: count, by: 8) {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    word ^= word >> 31
    for index in 0..<min(8, count - offset) {
      bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt64(index)))
    }
  }
  return bytes
}

struct BenchLoad: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Store and read through the gateway of a throw-away cluster.",
    discussion: """
      Client, gateway and nodes share this process, and the CPU seconds are of all of them. MB are \
      10^6 bytes.
      """)

  @Option(help: "Storage nodes.") var nodes = 10
  @Option(help: "Shards.") var shards = 100
  @Flag(help: "Nodes talk HTTP over loopback instead of direct calls.") var sockets = false
  @Option(help: ArgumentHelp("Blob sizes.", valueName: "size"))
  var size: [ByteCountArgument] = [
    ByteCountArgument(byteCount: 32 << 20), ByteCountArgument(byteCount: 64 << 10),
  ]
  @Option(help: "Requests at once.") var concurrency = 4
  @Option(help: ArgumentHelp("Bytes to store per blob size.", valueName: "size"))
  var total = ByteCountArgument(byteCount: 256 << 20)
  @Option(help: ArgumentHelp("Where the cluster is made; removed at the end.", valueName: "dir"))
  var directory = FileManager.default.temporaryDirectory.path
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let operation: String
    let transport: String
    let shards: Int
    let bytes: Int
    let count: Int
    let concurrency: Int
    let seconds: Double
    let megabytesPerSecond: Double
    let requestsPerSecond: Double
    let cpuSecondsPerGigabyte: Double
    let peakMemory: Int
  }

  func run() async throws {
    let folder = URL(fileURLWithPath: directory).appendingPathComponent(
      "walrus-bench-\(ProcessInfo.processInfo.processIdentifier)")
    defer { try? FileManager.default.removeItem(at: folder) }
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = .warning
      return handler
    }
    var configuration = LocalClusterConfiguration(directory: DataDirectory(folder.path))
    configuration.shape = ClusterShape(nodeCount: nodes, shardCount: shards)
    configuration.listen = ListenAddress(host: "127.0.0.1", port: 0)
    configuration.usesSockets = sockets
    configuration.uploadMemoryByteCount = 4 << 30
    let cluster = try await LocalCluster.start(
      configuration, metrics: PrometheusMetrics(), logger: Logger(label: "bench"))
    guard let url = await cluster.gatewayAddress else {
      throw CommandFailure("the gateway of the benchmark did not start.")
    }
    var results: [Result] = []
    for argument in size {
      results += try await measure(blobByteCount: argument.byteCount, url: url)
    }
    await cluster.stop()
    if output.json {
      try Output.json(results)
    } else {
      Output.table(
        [
          [
            "", "nodes", "shards", "blob", "requests", "MB/s", "requests/s", "CPU s/GB",
            "peak memory",
          ]
        ]
          + results.map { result in
            [
              result.operation, result.transport, "\(result.shards)", humanByteCount(result.bytes),
              "\(result.count) by \(result.concurrency)",
              String(format: "%.1f", result.megabytesPerSecond),
              String(format: "%.1f", result.requestsPerSecond),
              String(format: "%.2f", result.cpuSecondsPerGigabyte),
              humanByteCount(result.peakMemory),
            ]
          })
    }
  }

  private func measure(blobByteCount: Int, url: String) async throws -> [Result] {
    let count = max(concurrency, min(512, total.byteCount / max(blobByteCount, 1)))
    let calls = GatewayCalls(base: url)
    let content = benchmarkBytes(max(blobByteCount, 8), seed: UInt64(blobByteCount))
    let ids = Shared<[String]>([])
    let put = try await timed("PUT", count: count, byteCount: blobByteCount) { number in
      var bytes = content
      for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
      bytes.removeLast(bytes.count - blobByteCount)
      let stored = try await calls.json(
        StoredBlob.self, .PUT, "/v1/blobs", body: .bytes(ByteBuffer(bytes: bytes)))
      ids.update { $0.append(stored.newlyCreated.blobObject.blobId) }
    }
    let stored = ids.value
    let get = try await timed("GET", count: count, byteCount: blobByteCount) { number in
      let response = try await calls.send(.GET, "/v1/blobs/\(stored[number])")
      var received = 0
      for try await buffer in response.body { received += buffer.readableBytes }
      guard received == blobByteCount else {
        throw CommandFailure("read \(received) bytes of \(blobByteCount)")
      }
    }
    return [put, get]
  }

  private func timed(
    _ operation: String, count: Int, byteCount: Int,
    _ body: @escaping @Sendable (Int) async throws -> Void
  ) async throws -> Result {
    let start = ProcessTimes.now
    try await withThrowingDiscardingTaskGroup { group in
      for worker in 0..<concurrency {
        group.addTask {
          for number in stride(from: worker, to: count, by: concurrency) { try await body(number) }
        }
      }
    }
    let end = ProcessTimes.now
    let seconds = (end.wall - start.wall) / .seconds(1)
    let megabytes = Double(count * byteCount) / 1e6
    return Result(
      operation: operation, transport: sockets ? "sockets" : "in-process", shards: shards,
      bytes: byteCount, count: count, concurrency: concurrency, seconds: seconds,
      megabytesPerSecond: megabytes / seconds, requestsPerSecond: Double(count) / seconds,
      cpuSecondsPerGigabyte: (end.cpuSeconds - start.cpuSeconds) / (megabytes / 1000),
      peakMemory: ProcessTimes.peakMemoryByteCount)
  }
}
