// DecodeCommand.swift
//
// decode: a file back from whatever slivers of an encoded directory are there and good.

import ArgumentParser
import Drivers
import Foundation
import RedStuff
import World

struct Decode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rebuild a file from a directory of slivers.",
    discussion: """
      Needs DIR/metadata and any k1 = n - 2f good primary or k2 = n - f good secondary slivers, where \
      f = (n - 1) / 3. Every sliver that is used is checked against the metadata, and the \
      result against the blob ID.
      """)

  @Argument(help: "What `walrus encode` wrote.") var directory: String
  @Option(help: ArgumentHelp("The file to write.", valueName: "file")) var out: String
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let blobId: String
    let size: UInt64
    let axis: String
    let missing: Int
    let bad: Int
    let seconds: Double
  }

  /// Slivers that were looked at, and what was wrong with the others.
  private struct Harvest {
    var good: [Sliver] = []
    var badCount = 0
  }

  func run() async throws {
    let start = ContinuousClock.now
    let encoded = EncodedDirectory(directory)
    let metadata = try readMetadata(encoded.metadata)
    let compute = ComputeThreads(width: ProcessInfo.processInfo.activeProcessorCount)
    var harvests: [SliverAxis: Harvest] = [:]
    for axis in SliverAxis.allCases {
      let harvest = try await gather(axis, from: encoded, metadata: metadata, compute: compute)
      harvests[axis] = harvest
      if harvest.good.count >= metadata.parameters.sourceCount(axis) {
        let blob = try await decode(harvest.good, axis, metadata: metadata, compute: compute)
        try write(blob)
        try report(metadata, axis, harvests: harvests, elapsed: ContinuousClock.now - start)
        return
      }
    }
    let found = SliverAxis.allCases.map { axis in
      "\(harvests[axis]?.good.count ?? 0) good \(axis) slivers (\(harvests[axis]?.badCount ?? 0) bad) "
        + "where \(metadata.parameters.sourceCount(axis)) are needed"
    }
    throw CommandFailure(
      "\(directory) does not hold enough to rebuild \(metadata.blobID): "
        + found.joined(separator: ", ") + ".")
  }

  private func readMetadata(_ url: URL) throws -> VerifiedBlobMetadata {
    guard let data = FileManager.default.contents(atPath: url.path) else {
      throw CommandFailure("cannot read \(url.path): is \(directory) what `walrus encode` wrote?")
    }
    do {
      var reader = BCSReader([UInt8](data))
      let withID = try BlobMetadataWithID(from: &reader)
      try reader.finish()
      let parameters = try EncodingParameters(shardCount: withID.metadata.shardCount)
      return try VerifiedBlobMetadata(withID.metadata, of: withID.blobID, parameters: parameters)
    } catch {
      throw CommandFailure(
        "\(url.path) is damaged (\(error)); the slivers are useless without good metadata.")
    }
  }

  /// Reads slivers of one axis until enough are good; those of a batch share transforms.
  private func gather(
    _ axis: SliverAxis, from encoded: EncodedDirectory, metadata: VerifiedBlobMetadata,
    compute: any Compute
  ) async throws -> Harvest {
    let needed = metadata.parameters.sourceCount(axis)
    let byteCount = metadata.sliverByteCount(axis)
    var harvest = Harvest()
    let progress = ProgressBar("checking", totalCount: UInt64(needed * byteCount))
    defer { progress.finish() }
    // Batches small enough that little is read beyond what is needed.
    let batchCount = max(1, min(64, (64 << 20) / max(byteCount, 1)))
    var index = 0
    while index < metadata.shardCount, harvest.good.count < needed {
      var batch: [Sliver] = []
      while index < metadata.shardCount, batch.count < min(batchCount, needed - harvest.good.count)
      {
        let file = encoded.sliver(axis, index)
        if let data = FileManager.default.contents(atPath: file.path) {
          let sliver = Sliver(
            axis: axis, index: SliverIndex(UInt16(index)),
            symbolByteCount: metadata.symbolByteCount, bytes: [UInt8](data))
          batch.append(sliver)
        }
        index += 1
      }
      let candidates = batch
      let failures = await compute.run { Sliver.failures(candidates, against: metadata) }
      for (sliver, failure) in zip(candidates, failures) {
        if let failure {
          harvest.badCount += 1
          Output.note("\(encoded.sliver(axis, Int(sliver.index.value)).path) is bad: \(failure)")
        } else {
          harvest.good.append(sliver)
          progress.advance(by: byteCount)
        }
      }
    }
    return harvest
  }

  private func decode(
    _ slivers: [Sliver], _ axis: SliverAxis, metadata: VerifiedBlobMetadata, compute: any Compute
  ) async throws -> DecodedBlob {
    do {
      let decoder = try BlobDecoder(slivers, axis: axis, metadata: metadata, check: .strict)
      await walrus.run(
        decoder.phases, on: compute, showing: "decoding", byteCount: metadata.blobByteCount)
      return try decoder.finish()
    } catch {
      throw CommandFailure(
        "the slivers are good but do not make \(metadata.blobID): \(error). Whoever encoded this blob "
          + "did it wrong; it cannot be rebuilt.")
    }
  }

  private func write(_ blob: DecodedBlob) throws {
    let target = try OutputFile(path: out)
    do {
      let step = 8 << 20
      for offset in stride(from: 0, to: blob.byteCount, by: step) {
        try target.write(Data(blob.bytes(in: offset..<min(offset + step, blob.byteCount))))
      }
      try target.commit()
    } catch {
      target.abandon()
      throw CommandFailure("cannot write \(out): \(error.localizedDescription)")
    }
  }

  private func report(
    _ metadata: VerifiedBlobMetadata, _ axis: SliverAxis, harvests: [SliverAxis: Harvest],
    elapsed: Duration
  ) throws {
    let encoded = EncodedDirectory(directory)
    let missing = SliverAxis.allCases.reduce(0) { count, axis in
      count
        + (0..<metadata.shardCount).count { index in
          !FileManager.default.fileExists(atPath: encoded.sliver(axis, index).path)
        }
    }
    let bad = harvests.values.reduce(0) { $0 + $1.badCount }
    if output.json {
      try Output.json(
        Result(
          blobId: metadata.blobID.text, size: metadata.blobByteCount, axis: "\(axis)",
          missing: missing, bad: bad, seconds: elapsed / .seconds(1)))
      return
    }
    Output.line(
      "\(out)  \(humanByteCount(metadata.blobByteCount)) from \(axis) slivers in "
        + "\(humanDuration(elapsed)); \(missing) were missing, \(bad) bad")
  }
}
