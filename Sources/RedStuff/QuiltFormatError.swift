// QuiltFormatError.swift
//
// Why bytes are not a quilt, its index, or a patch. A quilt is whatever its writer stored: the hashes
// of its slivers say that the bytes are the writer's, not that they make sense.

/// Why bytes do not read as part of a quilt.
package enum QuiltFormatError: Error, Equatable {
  /// The blob does not fill its matrix, so it was not made as a quilt.
  case matrixNotFilled(byteCount: UInt64, cellCount: Int)
  case unknownVersion(UInt8)
  /// The bytes end before what they announce.
  case truncated(needed: Int, available: Int)
  case indexTooLong(byteCount: Int, byteCountMax: Int)
  case malformedIndex(BCSError)
  /// Bits of a patch's mask that have no meaning.
  case unknownMask(UInt8)
  case malformedPatch(BCSError)
  /// A field is not as long as the size in front of it says.
  case sizeMismatch(announced: Int, used: Int)
  /// Index and patch do not name the same thing.
  case differsFromIndex(QuiltIdentifier)
}

extension QuiltFormatError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .matrixNotFilled(let byteCount, let cellCount):
      "a quilt fills its matrix of \(cellCount) symbols, which \(byteCount) bytes do not"
    case .unknownVersion(let version):
      "the version \(version) is not one that is known here, which is \(QuiltIndex.version)"
    case .truncated(let needed, let available):
      "\(needed) bytes are announced and \(available) are there"
    case .indexTooLong(let byteCount, let byteCountMax):
      "an index of \(byteCount) bytes is announced and \(byteCountMax) are the most there can be"
    case .malformedIndex(let error): "the index is malformed: \(error)"
    case .unknownMask(let mask): "the patch has flags that are not known here: \(mask)"
    case .malformedPatch(let error): "the patch is malformed: \(error)"
    case .sizeMismatch(let announced, let used):
      "a field of \(announced) bytes is announced and uses \(used)"
    case .differsFromIndex(let identifier):
      "the patch that the index calls `\(identifier)` says something else of itself"
    }
  }
}
