// SpareRows.swift
//
// Rows beyond those of the blob, each another node's sliver. Any k1 rows make up the matrix, so where
// all of it is wanted, one of these stands in for any row that is late, with one request and the same
// bytes. The symbols of the late row in its columns would be as many bytes, of k2 nodes.
//
// Invariant: a row that was put together so is delivered only if it has its own root.

import RedStuff
import Routing

struct SpareRows: Sendable {
  /// False where not all of the matrix is wanted, or it was seen that its rows do not fit together.
  var areUsable = false
  /// Asked for, now or before.
  private(set) var asked: Set<Int> = []
  /// Those that came and have their roots.
  private(set) var bytes: [Int: [UInt8]] = [:]
  var isDecoding = false

  var isActive: Bool { areUsable && !asked.isEmpty }

  mutating func ask(_ row: Int) { asked.insert(row) }

  mutating func keep(_ sliver: [UInt8], of row: Int) { bytes[row] = sliver }
}

/// Exactly k1 rows with their roots, and the rows of the matrix that are to be made of them.
struct RowsFromSpares: Sendable {
  let rows: [(index: Int, bytes: [UInt8])]
  let targets: [Int]

  /// By target; nil if a row would not have its root.
  func decoded(_ metadata: VerifiedBlobMetadata) -> [Int: [UInt8]]? {
    let slivers = rows.map { row in
      Sliver(
        axis: .primary, index: SliverIndex(UInt16(row.index)),
        symbolByteCount: metadata.symbolByteCount, bytes: row.bytes)
    }
    let blob: DecodedBlob
    do throws(BlobDecodingError) {
      // The default check is that of the roots of the rows that were not given.
      blob = try BlobDecoder.decodeSerially(slivers, axis: .primary, metadata: metadata)
    } catch {
      return nil
    }
    let rowByteCount = metadata.sliverByteCount(.primary)
    var decoded: [Int: [UInt8]] = [:]
    for row in targets {
      let range = row * rowByteCount..<(row + 1) * rowByteCount
      let bytes = blob.bytes(in: range.clamped(to: 0..<blob.byteCount))
      decoded[row] = bytes + Array(repeating: 0, count: rowByteCount - bytes.count)
    }
    return decoded
  }
}
