// UpkeepSettings.swift
//
// What the operator set for repair and scrub of a node, and its bytes beside the missing-set, so that
// a restart keeps to it:
//
//   1   format: 1, or 2 with the last field
//   1   whether repair is paused
//   1   repair's rate: 0 as configured, 1 no limit, 2 the next field
//   8   bytes a second, only after a 2
//   1   whether the scrub is paused
//       shards of which nothing is repaired, in their order, only if there are any: LEB128 count, 2 each

package import RedStuff

package struct UpkeepSettings: Equatable, Sendable {
  package enum Rate: Equatable, Sendable {
    case asConfigured
    case unlimited
    case limited(bytesPerSecond: UInt64)
  }

  package var isRepairPaused = false
  package var repairRate = Rate.asConfigured
  package var isScrubPaused = false
  package var pausedShards: Set<ShardIndex> = []

  package init() {}
}

extension UpkeepSettings: BCSCodable {
  private static let format: UInt8 = 1
  private static let formatWithShards: UInt8 = 2
  /// More shards than there are.
  private static let shardCountMax = 1 << 16

  package init(from reader: inout BCSReader) throws(BCSError) {
    let format = try reader.readUInt8()
    guard format == Self.format || format == Self.formatWithShards else {
      throw .invalidValue(type: "UpkeepSettings", reason: "format \(format)")
    }
    isRepairPaused = try reader.readBool()
    switch try reader.readUInt8() {
    case 0: repairRate = .asConfigured
    case 1: repairRate = .unlimited
    case 2: repairRate = .limited(bytesPerSecond: try reader.readUInt64())
    case let rate: throw .unknownVariant(type: "UpkeepSettings.Rate", variant: UInt32(rate))
    }
    isScrubPaused = try reader.readBool()
    guard format == Self.formatWithShards else { return }
    let shards = try reader.readSequence(countMax: Self.shardCountMax) {
      (reader) throws(BCSError) in try reader.readUInt16()
    }
    guard !shards.isEmpty, zip(shards, shards.dropFirst()).allSatisfy(<) else {
      throw .invalidValue(type: "UpkeepSettings", reason: "its shards are not in their order")
    }
    pausedShards = Set(shards.map { ShardIndex($0) })
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(pausedShards.isEmpty ? Self.format : Self.formatWithShards)
    writer.write(isRepairPaused)
    switch repairRate {
    case .asConfigured: writer.write(0 as UInt8)
    case .unlimited: writer.write(1 as UInt8)
    case .limited(let rate):
      writer.write(2 as UInt8)
      writer.write(rate)
    }
    writer.write(isScrubPaused)
    guard !pausedShards.isEmpty else { return }
    writer.writeSequence(pausedShards.map(\.value).sorted()) { (writer, shard) in
      writer.write(shard)
    }
  }
}
