// CodecCommands.swift
//
// blob-id, encode and decode: the codec on local files, without a cluster.

import ArgumentParser
import Drivers
import Foundation
import RedStuff
import Synchronization
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
  await compute.runAll(phases: phases.map(\.jobCount)) { phase, job in
    phases[phase].run(job)
    progress?.advance(by: Int(byteCount) / phases.count / phases[phase].jobCount)
  }
  progress?.finish()
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
    let metadata = try await identify(parameters)
    if output.json {
      try Output.json(
        Result(
          blobId: metadata.blobID.text, shards: parameters.shardCount,
          size: metadata.blobByteCount, symbolSize: metadata.symbolByteCount))
    } else {
      Output.line(metadata.blobID.text)
    }
  }

  /// A regular file is read in strips, whatever its size; what cannot be read twice, as a whole.
  private func identify(_ parameters: EncodingParameters) async throws -> VerifiedBlobMetadata {
    let compute = ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount)
    guard let blob = try BlobFile(regular: file, parameters: parameters) else {
      let encoder = try BlobEncoder(
        pieces: try readBlob(file, parameters: parameters), parameters: parameters,
        output: .identityOnly)
      await walrus.run(encoder.phases, on: compute)
      return encoder.finishIdentity()
    }
    let identifier = try BlobIdentifier(
      blobByteCount: blob.byteCount, parameters: parameters, source: blob.read)
    await walrus.run(
      identifier.phases, on: compute, showing: "encoding", byteCount: blob.byteCount)
    return try identifier.finish()
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

/// Writes slivers while others are still being encoded. The first error stops all further writing.
final class SliverWriter: Sendable {
  private let directory: EncodedDirectory
  private let state = Mutex<(byteCount: Int, failure: (any Error)?)>((0, nil))

  init(_ directory: EncodedDirectory) { self.directory = directory }

  var byteCount: Int { state.withLock { $0.byteCount } }

  func begin() throws {
    for axis in SliverAxis.allCases {
      try FileManager.default.createDirectory(
        at: directory.folder(axis), withIntermediateDirectories: true)
    }
  }

  func write(_ axis: SliverAxis, _ index: SliverIndex, _ bytes: Span<UInt8>) {
    guard state.withLock({ $0.failure == nil }) else { return }
    do {
      let data = unsafe bytes.withUnsafeBytes { unsafe Data($0) }
      try data.write(to: directory.sliver(axis, Int(index.value)))
      state.withLock { $0.byteCount += data.count }
    } catch {
      state.withLock { $0.failure = $0.failure ?? error }
    }
  }

  /// Writes the metadata, which `decode` looks for first, when all slivers are there.
  func finish(_ metadata: VerifiedBlobMetadata) throws {
    if let failure = state.withLock({ $0.failure }) { throw failure }
    var writer = BCSWriter()
    metadata.withID.encode(to: &writer)
    try Data(writer.bytes).write(to: directory.metadata)
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
    let n = parameters.shardCount
    let writer = SliverWriter(directory)
    let metadata: VerifiedBlobMetadata
    do {
      try writer.begin()
      let encoder = try BlobEncoder(
        pieces: pieces, parameters: parameters, sink: { writer.write($0, $1, $2) })
      await walrus.run(
        encoder.phases, on: ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount),
        showing: "encoding", byteCount: encoder.blobByteCount)
      metadata = encoder.finish().metadata
      try writer.finish(metadata)
    } catch {
      throw CommandFailure("cannot write to \(out): \(error.localizedDescription)")
    }
    let elapsed = ContinuousClock.now - start
    if output.json {
      try Output.json(
        Result(
          blobId: metadata.blobID.text, shards: n, size: metadata.blobByteCount, slivers: 2 * n,
          encodedSize: writer.byteCount, seconds: elapsed / .seconds(1)))
    } else {
      Output.line(metadata.blobID.text)
      Output.note(
        "\(2 * n) slivers, \(humanByteCount(writer.byteCount)), in \(humanDuration(elapsed))")
    }
  }
}
