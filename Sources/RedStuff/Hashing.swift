// Hashing.swift
//
// The door to the hash kernels: BLAKE2b with a 32-byte digest, one message at a time or many of
// equal length in lanes, and the roots of many Merkle trees of equal shape at once.
//
// All unsafe code about hashes stands here. The raw functions trust their arguments.

internal import CKernels
internal import ReedSolomon

/// A hash in progress.
package struct Blake2b {
  private var context = ck_blake2b()

  package init() {
    unsafe ck_blake2b_init(&context)
  }

  package mutating func update(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe ck_blake2b_update(&context, base, buffer.count)
    }
  }

  package mutating func update(_ byte: UInt8) {
    var byte = byte
    unsafe ck_blake2b_update(&context, &byte, 1)
  }

  package mutating func update(_ digest: Digest) {
    var words = (
      digest.word0.bigEndian, digest.word1.bigEndian, digest.word2.bigEndian,
      digest.word3.bigEndian
    )
    unsafe withUnsafeBytes(of: &words) { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe ck_blake2b_update(
        &context, base.assumingMemoryBound(to: UInt8.self), Digest.byteCount)
    }
  }

  package consuming func finish() -> Digest {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    unsafe withUnsafeMutableBytes(of: &words) { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe ck_blake2b_final(&context, base.assumingMemoryBound(to: UInt8.self))
    }
    return Digest(
      words: words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
  }
}

extension Digest {
  /// H of the bytes.
  package init(hashing bytes: Span<UInt8>) {
    var hash = Blake2b()
    hash.update(bytes)
    self = hash.finish()
  }

  package init(hashing bytes: [UInt8]) {
    self.init(hashing: bytes.span)
  }

  init(hashing bytes: Span<UInt8>, prefix: UInt8) {
    var hash = Blake2b()
    hash.update(prefix)
    hash.update(bytes)
    self = hash.finish()
  }
}

/// Hashes in lanes over raw memory.
enum HashLanes {
  /// H(00 || symbol) of `count` symbols that lie one after the other.
  static func hashLeaves(
    _ symbols: UnsafePointer<UInt8>, symbolByteCount: Int, count: Int,
    into digests: UnsafeMutablePointer<UInt8>
  ) {
    let symbols = unsafe SymbolGrid(
      UnsafeRawBufferPointer(start: symbols, count: count * symbolByteCount),
      symbolStride: symbolByteCount, codewordStride: 0)
    unsafe hashLeafRows(
      symbols, symbolByteCount: symbolByteCount, rowLength: count, rowCount: 1, into: digests,
      digestStride: 0)
  }

  /// The same for `rowCount` codewords of `rowLength` symbols, wherever they lie; the digests of a
  /// codeword start `digestStride` bytes after those of the one before.
  static func hashLeafRows(
    _ symbols: SymbolGrid, symbolByteCount: Int, rowLength: Int, rowCount: Int,
    into digests: UnsafeMutablePointer<UInt8>, digestStride: Int
  ) {
    let rows = unsafe ck_message_rows(
      first: symbols.base, length: symbolByteCount, stride: symbols.symbolStride,
      row_stride: symbols.codewordStride, row_length: rowLength, row_count: rowCount)
    unsafe ck_blake2b_rows(rows, Int32(MerkleTree.leafPrefix), digests, digestStride)
  }

  /// The next strip of `count` leaves, `stride` bytes apart, one state for each. Digests come out of the
  /// last strip only.
  static func hashLeafStrips(
    _ symbols: UnsafePointer<UInt8>, stride: Int, _ strip: SymbolStrip, count: Int,
    states: UnsafeMutablePointer<UInt8>, into digests: UnsafeMutablePointer<UInt8>
  ) {
    unsafe UnsafeMutableRawPointer(states).withMemoryRebound(
      to: ck_blake2b_strip.self, capacity: count
    ) { states in
      unsafe ck_blake2b_strips(
        states, symbols, stride, strip.byteCount, MerkleTree.leafPrefix, count,
        UInt64(strip.offset), strip.isLast, digests, Digest.byteCount)
    }
  }

  /// H(01 || left || right) of `count` pairs of digests; `parents` may be `pairs` itself.
  static func hashInner(
    _ pairs: UnsafePointer<UInt8>, count: Int, into parents: UnsafeMutablePointer<UInt8>
  ) {
    unsafe ck_blake2b_pairs(
      pairs, 2 * Digest.byteCount, pairs + Digest.byteCount, 2 * Digest.byteCount,
      MerkleTree.innerPrefix, count, parents)
  }

  /// One level of `columnCount` trees that stand side by side: rows 2i and 2i + 1 of digests become
  /// row i of `target`, which may be the rows themselves. An odd last row is paired with empty
  /// nodes, so there must be more than one row in the whole level.
  static func hashRowPairs(
    _ rows: UnsafePointer<UInt8>, stride: Int, rowCount: Int, columnCount: Int,
    into target: UnsafeMutablePointer<UInt8>, targetStride: Int
  ) {
    unsafe Digest.emptyNode.withUnsafeBufferPointer { empty in
      guard let empty = empty.baseAddress else { return }
      for pair in 0..<(rowCount + 1) / 2 {
        let left = unsafe rows + 2 * pair * stride
        let isWhole = 2 * pair + 1 < rowCount
        unsafe ck_blake2b_pairs(
          left, Digest.byteCount, isWhole ? left + stride : empty, isWhole ? Digest.byteCount : 0,
          MerkleTree.innerPrefix, columnCount, target + pair * targetStride)
      }
    }
  }

  /// Turns `treeCount` rows of leaf digests, each padded to an even number of them, into
  /// `treeCount` roots at the start of `nodes`. At least one leaf.
  ///
  /// All trees go up a level together, so that lanes stay full where a single tree is narrow.
  static func reduceTrees(
    _ nodes: UnsafeMutablePointer<UInt8>, treeCount: Int, leafCount: Int
  ) {
    var width = leafCount
    if width == 1 {
      // A lone leaf is its own root; take out the padding between the rows.
      for tree in 1..<max(treeCount, 1) {
        unsafe (nodes + tree * Digest.byteCount).update(
          from: nodes + 2 * tree * Digest.byteCount, count: Digest.byteCount)
      }
    }
    while width > 1 {
      let parentCount = (width + 1) / 2
      unsafe hashInner(nodes, count: treeCount * parentCount, into: nodes)
      width = parentCount
      if width > 1 && !width.isMultiple(of: 2) {
        unsafe padRows(nodes, rowCount: treeCount, width: width)
      }
    }
  }

  /// Moves rows of `width` digests apart, from the last one on, and puts an empty node after each.
  static func padRows(_ nodes: UnsafeMutablePointer<UInt8>, rowCount: Int, width: Int) {
    for row in stride(from: rowCount - 1, through: 0, by: -1) {
      let target = unsafe nodes + row * (width + 1) * Digest.byteCount
      unsafe UnsafeMutableRawPointer(target).copyMemory(
        from: nodes + row * width * Digest.byteCount, byteCount: width * Digest.byteCount)
      unsafe (target + width * Digest.byteCount).update(repeating: 0, count: Digest.byteCount)
    }
  }
}

extension SymbolGrid {
  /// The first symbol of the first codeword; the buffer is not empty.
  var base: UnsafePointer<UInt8> {
    guard let base = unsafe bytes.baseAddress else { preconditionFailure("a grid without bytes") }
    return unsafe base.assumingMemoryBound(to: UInt8.self)
  }
}

extension Digest {
  /// What an empty node is hashed as.
  fileprivate static let emptyNode = [UInt8](repeating: 0, count: byteCount)

  /// Reads 32 bytes that the caller knows to be there.
  init(at pointer: UnsafePointer<UInt8>) {
    let raw = unsafe UnsafeRawPointer(pointer)
    self.init(
      words: unsafe UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)),
      unsafe UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
      unsafe UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
      unsafe UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
  }

  func store(at pointer: UnsafeMutablePointer<UInt8>) {
    let raw = UnsafeMutableRawPointer(pointer)
    unsafe raw.storeBytes(of: word0.bigEndian, as: UInt64.self)
    unsafe raw.storeBytes(of: word1.bigEndian, toByteOffset: 8, as: UInt64.self)
    unsafe raw.storeBytes(of: word2.bigEndian, toByteOffset: 16, as: UInt64.self)
    unsafe raw.storeBytes(of: word3.bigEndian, toByteOffset: 24, as: UInt64.self)
  }
}
