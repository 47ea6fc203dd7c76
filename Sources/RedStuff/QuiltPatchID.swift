// QuiltPatchID.swift
//
// The name of a patch among all patches: the quilt that holds it, and its columns there.
//
// | bytes | field                  |
// |-------|------------------------|
// | 32    | quilt ID               |
// | 1     | version, 01            |
// | 2     | start column           |
// | 2     | end column, exclusive  |
//
// The last five bytes are the patch's *internal ID*. The text form is base64url without padding, 50
// characters.

/// Why bytes or text are not a patch ID.
package enum QuiltPatchIDError: Error, Equatable {
  case notBase64URL
  case wrongByteCount(Int)
  case unknownVersion(UInt8)
  case emptyColumns(start: Int, end: Int)
}

/// A patch of a quilt.
package struct QuiltPatchID: Hashable, Sendable {
  package static let version: UInt8 = 1
  package static let internalByteCount = 5
  package static let byteCount = BlobID.byteCount + internalByteCount
  package static let textLength = 50

  package let quilt: BlobID
  /// Not empty; ends at 65535 at the latest.
  package let columns: Range<Int>

  package init(quilt: BlobID, columns: Range<Int>) {
    precondition(!columns.isEmpty && columns.lowerBound >= 0)
    precondition(columns.upperBound <= Int(UInt16.max))
    self.quilt = quilt
    self.columns = columns
  }

  package init(bytes: [UInt8]) throws(QuiltPatchIDError) {
    guard bytes.count > BlobID.byteCount,
      let quilt = BlobID(bytes: Array(bytes.prefix(BlobID.byteCount)))
    else { throw .wrongByteCount(bytes.count) }
    // Another version may have another length, so the version comes first.
    let version = bytes[BlobID.byteCount]
    guard version == Self.version else { throw .unknownVersion(version) }
    guard bytes.count == Self.byteCount else { throw .wrongByteCount(bytes.count) }
    let start = Int(bytes[33]) | Int(bytes[34]) << 8
    let end = Int(bytes[35]) | Int(bytes[36]) << 8
    guard start < end else { throw .emptyColumns(start: start, end: end) }
    self.init(quilt: quilt, columns: start..<end)
  }

  package init(text: some StringProtocol) throws(QuiltPatchIDError) {
    guard let bytes = Base64URL.decode(text) else { throw .notBase64URL }
    try self.init(bytes: bytes)
  }

  /// What names the patch within its quilt.
  package var internalBytes: [UInt8] {
    var writer = BCSWriter(reservingCapacity: Self.internalByteCount)
    writer.write(Self.version)
    writer.write(UInt16(columns.lowerBound))
    writer.write(UInt16(columns.upperBound))
    return writer.bytes
  }

  package var bytes: [UInt8] { quilt.bytes + internalBytes }

  package var text: String { Base64URL.encode(bytes) }
}

extension QuiltPatchID: CustomStringConvertible {
  package var description: String { text }
}

extension QuiltPatchIDError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notBase64URL:
      "a quilt patch ID is \(QuiltPatchID.textLength) characters of base64url"
    case .wrongByteCount(let count):
      "a quilt patch ID is \(QuiltPatchID.textLength) characters, which are "
        + "\(QuiltPatchID.byteCount) bytes, not \(count)"
    case .unknownVersion(let version):
      "the version \(version) of the quilt patch ID is not known here"
    case .emptyColumns(let start, let end):
      "a quilt patch ID names columns, and \(start) to \(end) are none"
    }
  }
}
