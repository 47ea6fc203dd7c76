// UpkeepSettings.swift
//
// What the operator set for repair and scrub of a node, and its bytes beside the missing-set, so that
// a restart keeps to it:
//
//   1   format, 1
//   1   whether repair is paused
//   1   repair's rate: 0 as configured, 1 no limit, 2 the next field
//   8   bytes a second, only after a 2
//   1   whether the scrub is paused

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

  package init() {}
}

extension UpkeepSettings: BCSCodable {
  private static let format: UInt8 = 1

  package init(from reader: inout BCSReader) throws(BCSError) {
    let format = try reader.readUInt8()
    guard format == Self.format else {
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
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(Self.format)
    writer.write(isRepairPaused)
    switch repairRate {
    case .asConfigured: writer.write(0 as UInt8)
    case .unlimited: writer.write(1 as UInt8)
    case .limited(let rate):
      writer.write(2 as UInt8)
      writer.write(rate)
    }
    writer.write(isScrubPaused)
  }
}
