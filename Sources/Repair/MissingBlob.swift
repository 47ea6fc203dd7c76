// MissingBlob.swift
//
// What a node lacks of one blob, and its bytes in the index of the missing-set:
//
//   LEB128   format, 2
//   8        bytes of the blob, 0 if nobody said
//   8        since: milliseconds of 1970 at which the first of it was found missing
//   8        milliseconds of the last time somebody asked for it, 0 for never
//   8        not before: milliseconds of the next attempt, 0 if none failed
//   LEB128   failed attempts; 1 byte whether too little of it answered; string: why
//   sequence of slivers: pair 2, axis 1, reason 1

package import RedStuff
package import World

package struct MissingSliver: Hashable, Comparable, Sendable {
  package var pair: SliverPairIndex
  package var axis: SliverAxis

  package init(pair: SliverPairIndex, axis: SliverAxis) {
    self.pair = pair
    self.axis = axis
  }

  package static func < (left: MissingSliver, right: MissingSliver) -> Bool {
    (left.pair.value, left.axis.rawValue) < (right.pair.value, right.axis.rawValue)
  }
}

package struct MissingBlob: Equatable, Sendable {
  package let blob: BlobID
  /// Nil if nobody said.
  package internal(set) var blobByteCount: UInt64?
  package internal(set) var slivers: [MissingSliver: MissingReason] = [:]
  package internal(set) var since: WallTime
  /// When a reader last asked for any of it.
  package internal(set) var lastDemand: WallTime?
  /// After a failed attempt.
  package internal(set) var notBefore: WallTime?
  package internal(set) var failedAttemptCount = 0
  /// Fewer symbols answered than are needed.
  package internal(set) var isUnrecoverable = false
  /// Of the last failed attempt, for people.
  package internal(set) var problem = ""

  init(_ blob: BlobID, since: WallTime) {
    self.blob = blob
    self.since = since
  }

  package var sortedSlivers: [MissingSliver] { slivers.keys.sorted() }

  /// Pairs of which anything is missing: as many shards of this node lack something.
  package var lostShardCount: Int { Set(slivers.keys.map(\.pair)).count }

  /// Those shards.
  func shards(of parameters: EncodingParameters) -> Set<ShardIndex> {
    Set(slivers.keys.map { $0.pair.shard(of: blob, shardCount: parameters.shardCount) })
  }
}

extension MissingBlob {
  private static let format: UInt8 = 2
  private static let problemByteCountMax = 400
  /// More slivers than any node keeps of a blob.
  private static let sliverCountMax = 1 << 17

  init?(_ blob: BlobID, encoded: [UInt8]) {
    self.blob = blob
    do throws(BCSError) {
      var reader = BCSReader(encoded)
      guard try reader.readUInt8() == Self.format else { return nil }
      let byteCount = try reader.readUInt64()
      blobByteCount = byteCount == 0 ? nil : byteCount
      since = WallTime(milliseconds: try reader.readUInt64())
      lastDemand = Self.time(try reader.readUInt64())
      notBefore = Self.time(try reader.readUInt64())
      failedAttemptCount = Int(try reader.readUInt32())
      isUnrecoverable = try reader.readBool()
      problem = try reader.readString()
      let entries = try reader.readSequence(countMax: Self.sliverCountMax) {
        (reader) throws(BCSError) -> (MissingSliver, MissingReason?) in
        let pair: SliverPairIndex = try reader.read()
        let axis: SliverAxis = try reader.read()
        return (
          MissingSliver(pair: pair, axis: axis), MissingReason(rawValue: try reader.readUInt8())
        )
      }
      for (sliver, reason) in entries { slivers[sliver] = reason ?? .neverReceived }
      try reader.finish()
    } catch {
      return nil
    }
  }

  var encoded: [UInt8] {
    var writer = BCSWriter()
    writer.write(Self.format)
    writer.write(blobByteCount ?? 0)
    writer.write(since.milliseconds)
    writer.write(lastDemand?.milliseconds ?? 0)
    writer.write(notBefore?.milliseconds ?? 0)
    writer.write(UInt32(clamping: failedAttemptCount))
    writer.write(isUnrecoverable)
    writer.write(String(decoding: problem.utf8.prefix(Self.problemByteCountMax), as: UTF8.self))
    writer.writeSequence(sortedSlivers) { writer, sliver in
      writer.write(sliver.pair)
      writer.write(sliver.axis)
      writer.write((slivers[sliver] ?? .neverReceived).rawValue)
    }
    return writer.bytes
  }

  private static func time(_ milliseconds: UInt64) -> WallTime? {
    milliseconds == 0 ? nil : WallTime(milliseconds: milliseconds)
  }
}
