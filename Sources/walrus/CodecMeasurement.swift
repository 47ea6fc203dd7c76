// CodecMeasurement.swift
//
// The operations of the codec on one blob, each timed alone.

import Drivers
import Foundation
import RedStuff
import World

/// One shape, one size, one number of threads.
struct CodecMeasurement {
  /// As many repairs of one sliver, or checks of one, as there are in a request of a repairing node.
  private static let sliverCount = 16

  private let blob: [UInt8]
  private let parameters: EncodingParameters
  private let threads: Int
  private let runs: Int
  private let compute: ComputeThreads
  private let encoded: EncodedBlob

  init(
    blobByteCount: Int, parameters: EncodingParameters, threads: Int, runs: Int
  ) async throws {
    blob = benchmarkBytes(blobByteCount, seed: 1)
    self.parameters = parameters
    self.threads = threads
    self.runs = runs
    compute = ComputeThreads(width: threads)
    let encoder = try BlobEncoder(blob, parameters: parameters)
    await walrus.run(encoder.phases, on: compute)
    encoded = encoder.finish()
  }

  /// What the kernels need for a whole encoding, all threads together. Machines change their speed from
  /// one moment to the next, so this is sampled right after what it is compared with.
  private struct Floor {
    var parts: [EncodingProbe.Step: Double]
    /// The same with hashes one by one and the code at AVX2.
    var plain: Double
  }

  private func sampleFloor() async -> Floor {
    let parts = await sampleSteps(.inUse)
    return Floor(parts: parts, plain: await sampleSteps(.plain).values.reduce(0, +))
  }

  /// Seconds by step, every thread busy with a sample of its own.
  private func sampleSteps(_ level: ProbeLevel) async -> [EncodingProbe.Step: Double] {
    let (parameters, symbolByteCount, threads) = (parameters, encoded.symbolByteCount, threads)
    let seconds = Shared<[EncodingProbe.Step: Double]>([:])
    await compute.runAll(count: threads) { _ in
      let probe = EncodingProbe(
        parameters: parameters, symbolByteCount: symbolByteCount, level: level)
      for step in EncodingProbe.Step.allCases {
        let whole = quickest(of: 5) { probe.run(step) } * probe.share(of: step)
        // Each of the threads does its share of the work.
        seconds.update { $0[step, default: 0] += whole / Double(threads * threads) }
      }
    }
    return seconds.value
  }

  func results() async throws -> [CodecResult] {
    let n = parameters.shardCount
    let k1 = parameters.primarySourceCount
    return [
      try await encode(), try await identify(),
      try await decode("decode, nothing lost", 0..<k1),
      try await decode("decode, worst loss", n - k1..<n),
      await each("recover a sliver", bytesEach: sliverByteCount, try recover(1)),
      await each(
        "recover 16 slivers", bytesEach: sliverByteCount * Self.sliverCount,
        try recover(Self.sliverCount)),
      await each("help with a symbol", bytesEach: encoded.symbolByteCount, help(1)),
      await each(
        "help with 16 symbols", bytesEach: encoded.symbolByteCount * helped(Self.sliverCount).count,
        help(Self.sliverCount)),
      await verify(1), await verify(min(Self.sliverCount, n)),
    ]
  }

  private var sliverByteCount: Int { encoded.metadata.sliverByteCount(.primary) }

  // MARK: Whole blobs

  private func encode() async throws -> CodecResult {
    let (seconds, floor) = try await quickestRun {
      let encoder = try BlobEncoder(blob, parameters: parameters)
      return (encoder.phases, { _ = encoder.finish() })
    }
    return result("encode", seconds, parts: parts(floor), plain: floor.plain)
  }

  private func identify() async throws -> CodecResult {
    let (seconds, floor) = try await quickestRun {
      let identifier = try BlobIdentifier(
        blobByteCount: UInt64(blob.count), parameters: parameters
      ) { offset, bytes in
        let start = Int(offset)
        unsafe bytes.withUnsafeMutableBufferPointer { target in
          _ = unsafe target.update(fromContentsOf: blob[start..<start + target.count])
        }
      }
      return (identifier.phases, { _ = try identifier.finish() })
    }
    return result("blob ID", seconds, parts: parts(floor), plain: floor.plain)
  }

  private func decode(_ name: String, _ indices: Range<Int>) async throws -> CodecResult {
    let slivers = indices.map { encoded.sliver(.primary, SliverIndex(UInt16($0))) }
    let (seconds, _) = try await quickestRun {
      let decoder = try BlobDecoder(
        slivers, axis: .primary, metadata: encoded.metadata, check: .skip)
      return (decoder.phases, { _ = try decoder.finish() })
    }
    return result(name, seconds, parts: CodecResult.Parts())
  }

  /// From making the work to its result; with the floor of that moment.
  private func quickestRun(
    _ make: () throws -> (phases: [JobPhase], finish: () throws -> Void)
  ) async throws -> (seconds: Double, floor: Floor) {
    var best = (seconds: Double.infinity, floor: Floor(parts: [:], plain: 0))
    for _ in 0..<runs {
      let start = ContinuousClock.now
      let work = try make()
      await walrus.run(work.phases, on: compute)
      try work.finish()
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      if seconds < best.seconds { best = (seconds, await sampleFloor()) }
    }
    return best
  }

  // MARK: Slivers

  /// Rebuilds primary slivers from the last k2 of their symbols, as many of which as possible are
  /// repair symbols.
  private func recover(_ count: Int) throws -> @Sendable () -> Void {
    let n = parameters.shardCount
    let k2 = parameters.secondarySourceCount
    let lost = try (0..<count).map { number in
      let index = SliverIndex(UInt16(number % n))
      let row = try encoded.sliver(.primary, index).expanded(parameters: parameters)
      return LostSliver(
        index: index,
        symbols: (n - k2..<n).map { place in
          DecodingSymbol(
            sourceIndex: SliverIndex(UInt16(place)), bytes: Array(row.symbol(at: place)))
        })
    }
    return {
      for result in Sliver.rebuilt(.primary, lost, metadata: encoded.metadata) {
        if case .failure(let error) = result { preconditionFailure("not rebuilt: \(error)") }
      }
    }
  }

  /// Targets beyond the symbols that a secondary sliver holds itself.
  private func helped(_ count: Int) -> [SliverIndex] {
    (parameters.primarySourceCount..<parameters.shardCount).prefix(count).map {
      SliverIndex(UInt16($0))
    }
  }

  private func help(_ count: Int) -> @Sendable () -> Void {
    let sliver = encoded.sliver(.secondary, SliverIndex(0))
    let targets = helped(count)
    return {
      do {
        _ = try sliver.symbols(crossing: targets, parameters: parameters)
      } catch {
        preconditionFailure("a sliver of the blob has no symbols: \(error)")
      }
    }
  }

  private func verify(_ count: Int) async -> CodecResult {
    let slivers = (0..<count).map { encoded.sliver(.primary, SliverIndex(UInt16($0))) }
    var result = await each(
      count == 1 ? "verify a sliver" : "verify \(count) slivers",
      bytesEach: sliverByteCount * count
    ) {
      guard Sliver.failures(slivers, against: encoded.metadata).allSatisfy({ $0 == nil }) else {
        preconditionFailure("a good sliver did not pass")
      }
    }
    // A sliver is a row: its share of the row code, its leaves, and its tree but no column's.
    let steps = await sampleFloor().parts
    let share = Double(count) / Double(parameters.shardCount)
    var parts = CodecResult.Parts()
    parts.rowCode = (steps[.rowCode] ?? 0) * share
    parts.leaves = (steps[.leaves] ?? 0) * share
    parts.trees = (steps[.trees] ?? 0) * share / 2
    result.compare(with: parts)
    return result
  }

  /// Times something that takes one thread, on all threads at once.
  private func each(
    _ name: String, bytesEach: Int, _ work: @escaping @Sendable () -> Void
  ) async -> CodecResult {
    let repetitions = 20
    var best = Double.infinity
    for _ in 0..<runs {
      let start = ContinuousClock.now
      await compute.runAll(count: threads) { _ in
        for _ in 0..<repetitions { work() }
      }
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      best = min(best, seconds / Double(repetitions * threads))
    }
    return result(name, best, bytes: bytesEach, parts: CodecResult.Parts())
  }

  // MARK: Results

  private func parts(_ floor: Floor) -> CodecResult.Parts {
    CodecResult.Parts(
      columnCode: floor.parts[.columnCode], rowCode: floor.parts[.rowCode],
      leaves: floor.parts[.leaves], trees: floor.parts[.trees])
  }

  private func result(
    _ operation: String, _ seconds: Double, bytes: Int? = nil, parts: CodecResult.Parts,
    plain: Double? = nil
  ) -> CodecResult {
    let bytes = bytes ?? blob.count
    var result = CodecResult(
      operation: operation, shards: parameters.shardCount, bytes: bytes, threads: threads,
      seconds: seconds, megabytesPerSecond: Double(bytes) / 1e6 / seconds,
      ratioToPlain: plain.map { $0 / seconds })
    result.compare(with: parts)
    return result
  }
}
