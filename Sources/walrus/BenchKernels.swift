// BenchKernels.swift
//
// What single kernels do on one core over data in the cache: the figures that all others are to be
// measured by.

import RedStuff

struct KernelResult: Codable {
  let kernel: String
  let gigabytesPerSecond: Double
  /// Hash blocks, where the kernel hashes.
  let millionsPerSecond: Double?

  static func measure(runs: Int) -> [KernelResult] {
    [
      copy(runs), hash("BLAKE2b one by one", length: 16384, .plain, runs),
      hash("BLAKE2b in lanes", length: 16384, .inUse, runs),
      hash("BLAKE2b in lanes, 64 bytes", length: 64, .inUse, runs),
      code(334, 666, .inUse, runs), code(667, 333, .inUse, runs),
    ]
  }

  /// Beyond all caches, as slivers are.
  private static func copy(_ runs: Int) -> KernelResult {
    let source = benchmarkBytes(64 << 20, seed: 2)
    var target = source
    let seconds = quickest(of: runs + 1) { KernelProbe.copy(source, to: &target) }
    return KernelResult(
      kernel: "copy of 64 MiB", gigabytesPerSecond: Double(source.count) / 1e9 / seconds,
      millionsPerSecond: nil)
  }

  private static func hash(
    _ name: String, length: Int, _ level: ProbeLevel, _ runs: Int
  ) -> KernelResult {
    let bytes = benchmarkBytes(1 << 18, seed: 3)
    let seconds = quickest(of: 20 * runs) { KernelProbe.hash(bytes, length: length, level: level) }
    let blockCount = bytes.count / length * ((length + 127) / 128)
    return KernelResult(
      kernel: name, gigabytesPerSecond: Double(bytes.count) / 1e9 / seconds,
      millionsPerSecond: Double(blockCount) / 1e6 / seconds)
  }

  private static func code(
    _ sourceCount: Int, _ repairCount: Int, _ level: ProbeLevel, _ runs: Int
  ) -> KernelResult {
    let symbolByteCount = 1024
    let bytes = benchmarkBytes(2 * sourceCount * symbolByteCount, seed: 4)
    var repair = [UInt8](repeating: 0, count: 2 * repairCount * symbolByteCount)
    let seconds = quickest(of: 5 * runs) {
      KernelProbe.encode(
        bytes, sourceCount: sourceCount, repairCount: repairCount, symbolByteCount: symbolByteCount,
        level: level, into: &repair)
    }
    return KernelResult(
      kernel: "code (\(sourceCount),\(repairCount)), source bytes",
      gigabytesPerSecond: Double(bytes.count) / 1e9 / seconds, millionsPerSecond: nil)
  }
}
