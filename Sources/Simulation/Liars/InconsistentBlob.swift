// InconsistentBlob.swift
//
// A blob whose metadata commits to slivers that are not one codeword. Each sliver by itself is right,
// so honest nodes take them; only rows and columns contradict each other.
//
// What correct readers must agree on: a strict read finds the blob inconsistent; any other read gives
// the bytes of the committed rows, or an error, never other bytes.

package import RedStuff
import Simulator
package import World

package struct InconsistentBlob: Sendable {
  package enum Damage: Sendable, Hashable {
    /// The row is another one.
    case row(Int)
    case column(Int)
    /// One source symbol of a row is another one; its column knows nothing of that.
    case symbol(row: Int, column: Int)
    /// All rows belong to another blob than the columns.
    case allRows
    /// The hash of a sliver that nobody can make.
    case emptyPromise(SliverAxis, Int)

    package static func random(_ dice: any Randomness, parameters: EncodingParameters) -> Damage {
      let n = parameters.shardCount
      let (k1, k2) = (parameters.primarySourceCount, parameters.secondarySourceCount)
      return switch dice.number(below: 6) {
      case 0: .row(dice.number(below: n))
      case 1: .column(dice.number(below: n))
      case 2, 3: .symbol(row: dice.number(below: k1), column: dice.number(below: k2))
      case 4: .allRows
      default: .emptyPromise(dice.chance(0.5) ? .primary : .secondary, dice.number(below: n))
      }
    }
  }

  package let damage: Damage
  package let blob: BlobID
  package let metadata: BlobMetadata
  /// What the rows commit to, up to the first one that commits to nothing.
  package let leadingBytes: [UInt8]
  /// What the rows commit to; nil where one of them commits to nothing.
  package var rowBytes: [UInt8]? {
    UInt64(leadingBytes.count) == metadata.blobByteCount ? leadingBytes : nil
  }
  private let encoded: EncodedBlob
  private let replaced: [Line: Sliver]
  /// Nobody has its sliver.
  private let unmakeable: Line?

  private struct Line: Hashable {
    var axis: SliverAxis
    var index: Int
  }

  /// `bytes` are not empty.
  package init(_ bytes: [UInt8], damage: Damage, parameters: EncodingParameters) throws {
    let encoded = try BlobEncoder.encodeSerially(bytes, parameters: parameters)
    let k1 = parameters.primarySourceCount
    var replaced: [Line: Sliver] = [:]
    var unmakeable: Line?
    func replace(_ axis: SliverAxis, _ index: Int, _ positions: Range<Int>) {
      let sliver = encoded.sliver(axis, SliverIndex(UInt16(index)))
      var wrong = sliver.bytes
      let s = sliver.symbolByteCount
      for position in positions { wrong[position * s] ^= 0x5A }
      replaced[Line(axis: axis, index: index)] = Sliver(
        axis: axis, index: sliver.index, symbolByteCount: s, bytes: wrong)
    }
    let (rowLength, columnLength) = (parameters.secondarySourceCount, k1)
    switch damage {
    case .row(let row): replace(.primary, row, 0..<rowLength)
    case .column(let column): replace(.secondary, column, 0..<columnLength)
    case .symbol(let row, let column): replace(.primary, row, column..<column + 1)
    case .allRows:
      for row in 0..<parameters.shardCount { replace(.primary, row, 0..<rowLength) }
    case .emptyPromise(let axis, let index): unmakeable = Line(axis: axis, index: index)
    }
    var hashes = encoded.metadata.metadata.hashes
    for (line, sliver) in replaced {
      let root = try sliver.expanded(parameters: parameters).root
      Self.set(root, line, in: &hashes)
    }
    if let unmakeable { Self.set(.digest(Digest(hashing: [0x5A])), unmakeable, in: &hashes) }
    metadata = BlobMetadata(blobByteCount: UInt64(bytes.count), hashes: hashes)
    blob = metadata.computedBlobID
    self.damage = damage
    self.encoded = encoded
    self.replaced = replaced
    self.unmakeable = unmakeable
    let end = unmakeable.map { $0.axis == .primary ? min($0.index, k1) : k1 } ?? k1
    let rows = (0..<end).flatMap { row in
      (replaced[Line(axis: .primary, index: row)]
        ?? encoded.sliver(.primary, SliverIndex(UInt16(row)))).bytes
    }
    leadingBytes = Array(rows.prefix(bytes.count))
  }

  /// What the metadata commits to; of an empty promise the sliver that it should have been.
  package func sliver(_ axis: SliverAxis, _ index: SliverIndex) -> Sliver {
    replaced[Line(axis: axis, index: Int(index.value))] ?? encoded.sliver(axis, index)
  }

  /// Whether a node that has all slivers of these pairs can have what was promised.
  package func isWhole(_ pairs: [SliverPairIndex]) -> Bool {
    guard let unmakeable else { return true }
    return !pairs.contains { pair in
      Int(pair.sliver(unmakeable.axis, shardCount: metadata.hashes.count).value) == unmakeable.index
    }
  }

  private static func set(_ root: MerkleNode, _ line: Line, in hashes: inout [SliverPairHashes]) {
    let pair = Int(
      SliverIndex(UInt16(line.index)).pair(line.axis, shardCount: hashes.count).value)
    hashes[pair] =
      line.axis == .primary
      ? SliverPairHashes(primary: root, secondary: hashes[pair].secondary)
      : SliverPairHashes(primary: hashes[pair].primary, secondary: root)
  }
}
