// DriveMarker.swift
//
// The file that says whose drive this is. A drive without it is absent, never "to be initialised":
// an unmounted directory looks just like an empty drive, and filling it would hide the real one.
//
//   offset  size  meaning (little-endian)
//        0     8  "WALRUSDR"
//        8     4  version of the drive's formats (this file, segments)
//       12    32  cluster ID
//       44     2  node
//       46    16  drive ID: random, part of every record's checksum, so that a segment copied from
//                 another drive holds nothing here
//       62     4  CRC32C of the bytes before
//
// The same 66 bytes stand again at `copyOffset`, in another sector: one rotten sector must not cost
// a drive.

internal import Cluster
internal import RedStuff
internal import World

struct DriveMarker: Equatable, Sendable {
  static let fileName = "walrus-drive"
  static let draftFileName = "walrus-drive.new"
  static let version: UInt32 = 1
  static let byteCount = 66
  static let copyOffset = 4096
  static let driveIDByteCount = 16
  private static let magic = Array("WALRUSDR".utf8)

  var clusterID: ClusterID
  var node: NodeID
  var driveID: [UInt8]

  /// The checksum that every record's checksum goes on from.
  var recordSeed: UInt32 { Checksum.crc32c(driveID) }

  var encoded: [UInt8] {
    var bytes = Self.magic
    bytes.append(littleEndian: Self.version)
    bytes += clusterID.bytes
    bytes.append(littleEndian: node.value)
    bytes += driveID
    bytes.append(littleEndian: Checksum.crc32c(bytes))
    return bytes
  }

  /// Nil: these bytes are no marker.
  static func decode(_ bytes: [UInt8]) throws(SliverStoreError) -> DriveMarker? {
    guard bytes.count == byteCount, bytes.starts(with: magic),
      bytes.littleEndian(UInt32.self, at: 62) == Checksum.crc32c(bytes, 0..<62)
    else { return nil }
    let found = bytes.littleEndian(UInt32.self, at: 8)
    guard found == version else {
      throw .unsupportedVersion(found: found, supported: version)
    }
    guard let clusterID = ClusterID(Array(bytes[12..<44])) else { return nil }
    return DriveMarker(
      clusterID: clusterID, node: NodeID(bytes.littleEndian(at: 44)),
      driveID: Array(bytes[46..<62]))
  }

  /// Reads the marker of `disk`.
  static func read(from disk: any Disk) async throws(SliverStoreError) -> DriveMarker {
    let file: any DiskFile
    do {
      file = try await disk.open(fileName)
    } catch .notFound {
      throw .absentDrive
    } catch {
      throw .disk(error)
    }
    for offset in [0, copyOffset] {
      do {
        if let marker = try decode(try await file.read(at: offset, count: byteCount)) {
          return marker
        }
      } catch let error as SliverStoreError {
        throw error
      } catch DiskError.endOfFile {
        continue
      } catch let error as DiskError {
        throw .disk(error)
      } catch {
        throw .damagedMarker(file: fileName)
      }
    }
    throw .damagedMarker(file: fileName)
  }

  /// Makes this the marker of `disk`, durably and at once: whole or not at all.
  func write(to disk: any Disk) async throws(DiskError) {
    let file = try await disk.create(Self.draftFileName)
    let gap = [UInt8](repeating: 0, count: Self.copyOffset - Self.byteCount)
    try await file.write([encoded, gap, encoded], at: 0)
    if !PlantedBug.markerSyncForgotten.isPlanted { try await file.sync() }
    try await disk.rename(Self.draftFileName, to: Self.fileName)
    try await disk.syncDirectory()
  }
}
