// CodecCommands.swift
//
// blob-id, encode and decode: the codec on local files, without a cluster.

import ArgumentParser
import Drivers
import Foundation
import RedStuff
import World

struct ShardsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Number of shards of the cluster the blob is for; the blob ID depends on it.",
      valueName: "n"))
  var shards = 100

  func parameters() throws -> EncodingParameters {
    do {
      return try EncodingParameters(shardCount: shards)
    } catch {
      throw CommandFailure(
        "\(shards) shards cannot be encoded for: choose \(EncodingParameters.shardCountMin) to "
          + "\(EncodingParameters.shardCountMax).")
    }
  }
}

/// Runs the phases of an encoder or decoder on all cores, each phase an equal part of the bar.
func run(
  _ phases: [JobPhase], on compute: any Compute, showing label: String? = nil, byteCount: UInt64 = 0
) async {
  let progress = label.map { ProgressBar($0, totalCount: byteCount) }
  for phase in phases where phase.jobCount > 0 {
    let share = Int(byteCount) / phases.count / phase.jobCount
    await compute.runAll(count: phase.jobCount) { job in
      phase.run(job)
      progress?.advance(by: share)
    }
  }
  progress?.finish()
}

/// The parts of a file, one after the other, with its size checked first.
func readBlob(_ path: String, parameters: EncodingParameters) throws -> [[UInt8]] {
  guard let handle = FileHandle(forReadingAtPath: path) else {
    throw CommandFailure("cannot read \(path): is it there, and readable?")
  }
  defer { try? handle.close() }
  var pieces: [[UInt8]] = []
  var byteCount: UInt64 = 0
  while true {
    let data: Data?
    do {
      data = try handle.read(upToCount: 8 << 20)
    } catch {
      throw CommandFailure("cannot read \(path): is it a file?")
    }
    guard let data, !data.isEmpty else { return pieces }
    byteCount += UInt64(data.count)
    guard byteCount <= parameters.blobByteCountMax else {
      throw CommandFailure(
        "\(path) is larger than a blob of \(parameters.shardCount) shards can be, which is "
          + "\(humanByteCount(parameters.blobByteCountMax)); use more shards or split it.")
    }
    pieces.append([UInt8](data))
  }
}

struct BlobIDCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "blob-id", abstract: "Compute the blob ID of a file without storing it.")

  @Argument(help: "The file.") var file: String
  @OptionGroup var shards: ShardsOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let blobId: String
    let shards: Int
    let size: UInt64
    let symbolSize: Int
  }

  func run() async throws {
    let parameters = try shards.parameters()
    let encoder = try BlobEncoder(
      pieces: try readBlob(file, parameters: parameters), parameters: parameters,
      output: .identityOnly)
    await walrus.run(
      encoder.phases, on: ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount),
      showing: "encoding", byteCount: encoder.blobByteCount)
    let metadata = encoder.finishIdentity()
    if output.json {
      try Output.json(
        Result(
          blobId: metadata.blobID.text, shards: parameters.shardCount,
          size: metadata.blobByteCount, symbolSize: metadata.symbolByteCount))
    } else {
      Output.line(metadata.blobID.text)
    }
  }
}

/// The files of an encoded blob: `metadata`, `primary/00000`, ..., `secondary/00000`, ...
struct EncodedDirectory {
  let root: URL

  init(_ path: String) { root = URL(fileURLWithPath: path, isDirectory: true) }

  var metadata: URL { root.appendingPathComponent("metadata") }

  func folder(_ axis: SliverAxis) -> URL { root.appendingPathComponent("\(axis)") }

  func sliver(_ axis: SliverAxis, _ index: Int) -> URL {
    let digits = String(index)
    let name = String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    return folder(axis).appendingPathComponent(name)
  }
}

struct Encode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Encode a file into slivers on disk.",
    discussion: """
      Writes DIR/metadata (BCS BlobMetadataWithId), DIR/primary/00000... and DIR/secondary/00000... \
      (raw sliver bytes, numbered by sliver index). `walrus decode DIR` gives the file back.
      """)

  @Argument(help: "The file.") var file: String
  @Option(help: ArgumentHelp("Directory to write; new or empty.", valueName: "dir"))
  var out: String
  @OptionGroup var shards: ShardsOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let blobId: String
    let shards: Int
    let size: UInt64
    let slivers: Int
    let encodedSize: Int
    let seconds: Double
  }

  func run() async throws {
    let start = ContinuousClock.now
    let parameters = try shards.parameters()
    let pieces = try readBlob(file, parameters: parameters)
    let directory = EncodedDirectory(out)
    let present = try? FileManager.default.contentsOfDirectory(atPath: directory.root.path)
    guard present?.isEmpty ?? true else {
      throw CommandFailure("\(out) is not empty; name a new directory with --out.")
    }
    let encoder = try BlobEncoder(pieces: pieces, parameters: parameters)
    await walrus.run(
      encoder.phases, on: ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount),
      showing: "encoding", byteCount: encoder.blobByteCount)
    let encoded = encoder.finish()

    let n = parameters.shardCount
    let progress = ProgressBar(
      "writing",
      totalCount: UInt64(n * encoded.symbolByteCount)
        * UInt64(parameters.primarySourceCount + parameters.secondarySourceCount))
    defer { progress.finish() }
    var encodedByteCount = 0
    do {
      for axis in SliverAxis.allCases {
        try FileManager.default.createDirectory(
          at: directory.folder(axis), withIntermediateDirectories: true)
        for index in 0..<n {
          let bytes = encoded.sliver(axis, SliverIndex(UInt16(index))).bytes
          try Data(bytes).write(to: directory.sliver(axis, index))
          encodedByteCount += bytes.count
          progress.advance(by: bytes.count)
        }
      }
      var writer = BCSWriter()
      encoded.metadata.withID.encode(to: &writer)
      try Data(writer.bytes).write(to: directory.metadata)
    } catch {
      throw CommandFailure("cannot write to \(out): \(error.localizedDescription)")
    }
    progress.finish()
    let elapsed = ContinuousClock.now - start
    if output.json {
      try Output.json(
        Result(
          blobId: encoded.blobID.text, shards: n, size: encoded.metadata.blobByteCount,
          slivers: 2 * n, encodedSize: encodedByteCount, seconds: elapsed / .seconds(1)))
    } else {
      Output.line(encoded.blobID.text)
      Output.note(
        "\(2 * n) slivers, \(humanByteCount(encodedByteCount)), in \(humanDuration(elapsed))")
    }
  }
}
