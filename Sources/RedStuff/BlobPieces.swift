// BlobPieces.swift
//
// A blob as it came in: pieces that follow each other without gaps.

struct BlobPieces: Sendable {
  let byteCount: Int
  private let pieces: [[UInt8]]
  /// Where each piece begins.
  private let starts: [Int]

  init(_ pieces: [[UInt8]]) {
    self.pieces = pieces
    var (starts, end): ([Int], Int) = ([], 0)
    for piece in pieces {
      starts.append(end)
      end += piece.count
    }
    self.starts = starts
    byteCount = end
  }

  /// Copies a range of bytes; those behind the end of the blob are zero.
  func copy(from offset: Int, byteCount wanted: Int, to target: UnsafeMutablePointer<UInt8>) {
    precondition(offset >= 0 && wanted >= 0)
    let range = offset..<max(offset, min(offset + wanted, byteCount))
    var copied = 0
    var index = piece(at: offset)
    while copied < range.count {
      let from = offset + copied - starts[index]
      let part = from..<min(pieces[index].count, from + range.count - copied)
      unsafe (target + copied).copy(from: pieces[index], part)
      copied += part.count
      index += 1
    }
    unsafe (target + copied).update(repeating: 0, count: wanted - copied)
  }

  /// The last piece that begins at the offset or before it.
  private func piece(at offset: Int) -> Int {
    var (low, high) = (0, starts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= offset { low = middle } else { high = middle }
    }
    return low
  }
}
