// EncodingProbe.swift
//
// The steps of encoding on their own, for benchmarks: each over a sample of the matrix that stays in
// the cache, so that what they take together is the least that encoding can take with these kernels.
// The time is taken by whoever runs them.

internal import CKernels
internal import ReedSolomon

/// The kernels that a step runs on.
package enum ProbeLevel: Sendable {
  /// The level of this process.
  case inUse
  /// Hashes one by one; the code with AVX2 where the CPU has it.
  case plain

  fileprivate var hash: ck_level { self == .inUse ? ck_level_in_use() : CK_LEVEL_SCALAR }

  fileprivate var code: ck_level {
    self == .inUse
      ? ck_level_in_use() : ck_level_supported(CK_LEVEL_AVX2) ? CK_LEVEL_AVX2 : CK_LEVEL_SCALAR
  }
}

/// A sample of one encoding.
package final class EncodingProbe {
  package enum Step: String, Sendable, CaseIterable {
    case columnCode, rowCode, leaves, trees
  }

  /// Lanes and caches are full with these; less of a small matrix.
  private static let sampleByteCount = 1 << 20

  private let parameters: EncodingParameters
  private let symbolByteCount: Int
  private let level: ProbeLevel
  private let columnCount: Int
  private let rowCount: Int
  private let leafCount: Int
  /// As many bytes as any step reads, and as many as any step writes.
  private let source: SharedBytes
  private let target: SharedBytes
  private var scratch = CodecScratch()

  package init(parameters: EncodingParameters, symbolByteCount: Int, level: ProbeLevel) {
    let n = parameters.shardCount
    let s = symbolByteCount
    self.parameters = parameters
    self.symbolByteCount = s
    self.level = level
    columnCount = min(JobSizes.columnsPerJob(symbolByteCount: s), parameters.secondarySourceCount)
    rowCount = min(JobSizes.rowsPerJob(symbolByteCount: s), n)
    leafCount = min(n * n, max(64, Self.sampleByteCount / max(s, Digest.byteCount)))
    let byteCount = max(n * max(columnCount, rowCount) * s, leafCount * max(s, 64), 64 * n)
    source = SharedBytes(byteCount: byteCount)
    target = SharedBytes(byteCount: byteCount)
    for offset in 0..<byteCount {
      unsafe source.base[offset] = UInt8(truncatingIfNeeded: offset &* 167 &+ offset >> 8)
    }
  }

  /// How often the sample of a step fits into the whole encoding.
  package func share(of step: Step) -> Double {
    let n = parameters.shardCount
    return switch step {
    case .columnCode: Double(parameters.secondarySourceCount) / Double(columnCount)
    case .rowCode: Double(n) / Double(rowCount)
    case .leaves: Double(n * n) / Double(leafCount)
    case .trees: Double(2 * n * MerkleTree.innerNodeCount(leafCount: n)) / Double(n)
    }
  }

  package func run(_ step: Step) {
    switch step {
    case .columnCode: encode(.secondary, codewordCount: columnCount)
    case .rowCode: encode(.primary, codewordCount: rowCount)
    case .leaves:
      unsafe ck_blake2b_many(
        level.hash, source.base, symbolByteCount, symbolByteCount, Int32(MerkleTree.leafPrefix),
        leafCount, target.base, Digest.byteCount)
    case .trees:
      let n = parameters.shardCount
      unsafe ck_blake2b_pairs_at(
        level.hash, source.base, Digest.byteCount, source.base + n * Digest.byteCount,
        Digest.byteCount, MerkleTree.innerPrefix, n, target.base)
    }
  }

  /// Columns as they lie in a matrix of just these columns, or rows as they lie in one.
  private func encode(_ axis: SliverAxis, codewordCount: Int) {
    let s = symbolByteCount
    let k = parameters.symbolCount(inSliverOf: axis)
    let repairCount = parameters.shardCount - k
    let isColumn = axis == .secondary
    do {
      let code = try ReedSolomonCode(
        sourceCount: k, repairCount: repairCount, levelNumber: level.code.rawValue)
      try unsafe code.encode(
        SymbolGrid(
          UnsafeRawBufferPointer(start: source.base, count: source.byteCount),
          symbolStride: isColumn ? codewordCount * s : s, codewordStride: isColumn ? s : k * s),
        into: MutableSymbolGrid(
          UnsafeMutableRawBufferPointer(start: target.base, count: target.byteCount),
          symbolStride: isColumn ? codewordCount * s : s,
          codewordStride: isColumn ? s : repairCount * s),
        symbolByteCount: s, codewordCount: codewordCount, scratch: &scratch)
    } catch {
      preconditionFailure("encoding a sample: \(error)")
    }
  }
}

extension MerkleTree {
  /// Hashes of two nodes that a tree takes.
  static func innerNodeCount(leafCount: Int) -> Int {
    var (width, count) = (leafCount, 0)
    while width > 1 {
      width = (width + 1) / 2
      count += width
    }
    return count
  }
}

/// Single kernels, as far as they say what a machine can do.
package enum KernelProbe {
  /// Copies the bytes, which are of equal number.
  package static func copy(_ source: [UInt8], to target: inout [UInt8]) {
    precondition(source.count == target.count)
    unsafe target.withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    }
  }

  /// Hashes the bytes as messages of `length` bytes.
  package static func hash(_ bytes: [UInt8], length: Int, level: ProbeLevel) {
    var digests = [UInt8](repeating: 0, count: bytes.count / length * Digest.byteCount)
    unsafe ck_blake2b_many(
      level.hash, bytes, length, length, -1, bytes.count / length, &digests, Digest.byteCount)
  }

  /// Encodes the bytes as codewords of `sourceCount` symbols.
  package static func encode(
    _ bytes: [UInt8], sourceCount: Int, repairCount: Int, symbolByteCount s: Int, level: ProbeLevel,
    into repair: inout [UInt8]
  ) {
    let count = bytes.count / (sourceCount * s)
    unsafe repair.withUnsafeMutableBytes { repair in
      unsafe bytes.withUnsafeBytes { bytes in
        ScratchPool.withScratch { scratch in
          do {
            let code = try ReedSolomonCode(
              sourceCount: sourceCount, repairCount: repairCount, levelNumber: level.code.rawValue)
            try unsafe code.encode(
              SymbolGrid(bytes, symbolStride: s, codewordStride: sourceCount * s),
              into: MutableSymbolGrid(repair, symbolStride: s, codewordStride: repairCount * s),
              symbolByteCount: s, codewordCount: count, scratch: &scratch.codec)
          } catch {
            preconditionFailure("encoding a sample: \(error)")
          }
        }
      }
    }
  }
}
