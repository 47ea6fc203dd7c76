// BenchBlobID.swift
//
// bench blob-id: naming a file that is larger than the memory it takes.

import ArgumentParser
import Drivers
import Foundation
import RedStuff

struct BenchBlobID: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "blob-id", abstract: "Compute the blob ID of a large file, strip by strip.",
    discussion:
      "The file is made for the purpose and removed. Memory is all that this process held.")

  @Option(help: "Shards.") var shards = 1000
  @Option(help: ArgumentHelp("Size of the file.", valueName: "size"))
  var size = ByteCountArgument(byteCount: 4 << 30)
  @Option(help: ArgumentHelp("Where the file is made.", valueName: "dir"))
  var directory = FileManager.default.temporaryDirectory.path
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let blobId: String
    let shards: Int
    let bytes: Int
    let threads: Int
    let seconds: Double
    let megabytesPerSecond: Double
    let peakMemory: Int
  }

  func run() async throws {
    let parameters = try EncodingParameters(shardCount: shards)
    let path = URL(fileURLWithPath: directory).appendingPathComponent(
      "walrus-bench-\(ProcessInfo.processInfo.processIdentifier)"
    ).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try makeFile(path)
    guard let file = try BlobFile(regular: path, parameters: parameters) else {
      throw CommandFailure("\(path) is no file with content; name a --size above 0.")
    }
    let width = ProcessInfo.processInfo.activeProcessorCount
    let start = ContinuousClock.now
    let identifier = try BlobIdentifier(
      blobByteCount: file.byteCount, parameters: parameters, source: file.read)
    await walrus.run(
      identifier.phases, on: ComputeThreads(width: width), showing: "encoding",
      byteCount: file.byteCount)
    let metadata = try identifier.finish()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let result = Result(
      blobId: metadata.blobID.text, shards: shards, bytes: size.byteCount, threads: width,
      seconds: seconds, megabytesPerSecond: Double(size.byteCount) / 1e6 / seconds,
      peakMemory: ProcessTimes.peakMemoryByteCount)
    if output.json {
      try Output.json(result)
    } else {
      Output.line(
        "blob ID of \(humanByteCount(size.byteCount)) at n=\(shards), \(width) cores: "
          + String(format: "%.1f s, %.1f MB/s, ", seconds, result.megabytesPerSecond)
          + "\(humanByteCount(result.peakMemory)) of memory")
    }
  }

  private func makeFile(_ path: String) throws {
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    guard let handle = FileHandle(forWritingAtPath: path) else {
      throw CommandFailure("cannot make \(path); name another --directory.")
    }
    defer { try? handle.close() }
    var left = size.byteCount
    while left > 0 {
      let part = Data(benchmarkBytes(min(left, 8 << 20), seed: UInt64(left)))
      try handle.write(contentsOf: part)
      left -= part.count
    }
  }
}
