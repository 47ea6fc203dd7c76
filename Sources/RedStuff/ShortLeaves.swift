// ShortLeaves.swift
//
// Leaf hashes of symbols of two bytes: there are only 65536 of them. A small blob among many shards has
// a million such symbols, so they are looked up.

enum ShortLeaves {
  static let symbolByteCount = 2

  /// The leaf of each symbol, by its bytes as a little-endian number: 2 MiB, made once, in about 3 ms.
  private static let leaves: SharedBytes = {
    let count = 1 << (8 * symbolByteCount)
    let symbols = Scratch(byteCount: count * symbolByteCount)
    for value in 0..<count {
      unsafe symbols.base[2 * value] = UInt8(truncatingIfNeeded: value)
      unsafe symbols.base[2 * value + 1] = UInt8(value >> 8)
    }
    let leaves = SharedBytes(byteCount: count * Digest.byteCount)
    unsafe HashLanes.hashLeaves(
      symbols.base, symbolByteCount: symbolByteCount, count: count, into: leaves.base)
    return leaves
  }()

  /// What `HashLanes.hashLeaves` computes, of symbols that are `stride` bytes apart.
  static func copyLeaves(
    _ symbols: UnsafePointer<UInt8>, stride: Int, count: Int,
    into digests: UnsafeMutablePointer<UInt8>
  ) {
    let leaves = leaves
    for index in 0..<count {
      let symbol = unsafe symbols + index * stride
      let value = unsafe Int(symbol[0]) | Int(symbol[1]) << 8
      unsafe (digests + index * Digest.byteCount).update(
        from: leaves.base + value * Digest.byteCount, count: Digest.byteCount)
    }
  }
}
