// StoreHarness.swift
//
// A store on a simulated drive, and slivers whose bytes follow from their names.

import Cluster
import RedStuff
import Simulator
import World

@testable import SliverStore

let testCluster = clusterID(7)
let testNode = NodeID(3)

func clusterID(_ byte: UInt8) -> ClusterID {
  guard let id = ClusterID([UInt8](repeating: byte, count: 32)) else {
    preconditionFailure("32 bytes are a cluster ID")
  }
  return id
}

func blobID(_ number: Int) -> BlobID {
  var bytes = [UInt8](repeating: 0, count: 32)
  bytes[0] = UInt8(number & 0xFF)
  bytes[31] = UInt8(number >> 8 & 0xFF)
  guard let id = BlobID(bytes: bytes) else { preconditionFailure("32 bytes are a blob ID") }
  return id
}

func sliverKey(_ blob: Int, _ pair: Int, _ axis: SliverAxis = .primary) -> SliverKey {
  SliverKey(blob: blobID(blob), pair: SliverPairIndex(UInt16(pair)), axis: axis)
}

/// Bytes that are the same for the same key.
func sliverBytes(_ key: SliverKey, symbolByteCount: Int, symbolCount: Int) -> [UInt8] {
  var seed = UInt64(key.pair.value) << 8 | UInt64(key.axis.rawValue)
  for byte in key.blob.bytes { seed = seed &* 31 &+ UInt64(byte) }
  return SeededRandomness(seed: seed).bytes(count: symbolByteCount * symbolCount)
}

func sliverRecord(_ key: SliverKey, symbolByteCount: Int = 100, symbolCount: Int = 9)
  -> StoreRecord
{
  .sliver(
    key, symbolByteCount: symbolByteCount,
    bytes: sliverBytes(key, symbolByteCount: symbolByteCount, symbolCount: symbolCount))
}

func defaultBytes(_ key: SliverKey) -> [UInt8] {
  sliverBytes(key, symbolByteCount: 100, symbolCount: 9)
}

/// A drive with its index; the store on it can be opened again and again.
struct TestDrive: Sendable {
  var disk: SimulatedDisk
  var index = SimulatedIndex()
  var randomness: SeededRandomness
  var options: SliverStoreOptions

  init(
    seed: UInt64 = 1, capacityByteCount: Int = 1 << 30, segmentByteCountMax: Int = 8192,
    storeCapacityByteCount: Int? = nil, reserveByteCount: Int = 0
  ) async throws {
    disk = SimulatedDisk(seed: seed, capacityByteCount: capacityByteCount)
    randomness = SeededRandomness(seed: seed &+ 1)
    options = SliverStoreOptions(
      segmentByteCountMax: segmentByteCountMax, capacityByteCount: storeCapacityByteCount,
      reserveByteCount: reserveByteCount)
    try await SliverStore.initialise(
      disk: disk, clusterID: testCluster, node: testNode, randomness: randomness)
  }

  func open() async throws(SliverStoreError) -> SliverStore {
    try await SliverStore.open(
      disk: disk, index: index, clusterID: testCluster, node: testNode, randomness: randomness,
      options: options)
  }

  /// Names of the segments, oldest first.
  var segments: [String] { disk.names.filter { $0.hasPrefix("segment-") } }

  /// Where each record of a segment lies.
  func headers(of segment: String) async throws -> [RecordHeader] {
    let name = try required(SegmentName(fileName: segment))
    let marker = try await DriveMarker.read(from: disk)
    let file = try await disk.open(segment)
    var scanner = SegmentScanner(
      file: file, byteCount: try await file.byteCount(), tag: name.tag, seed: marker.recordSeed)
    var headers: [RecordHeader] = []
    while let step = try await scanner.next() {
      if case .record(let header) = step { headers.append(header) }
    }
    return headers
  }
}

struct Unexpected: Error {}

func required<Value>(_ value: Value?) throws -> Value {
  guard let value else { throw Unexpected() }
  return value
}

/// The error of a call, if it is the store's.
func storeError(_ body: () async throws -> Void) async -> SliverStoreError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? SliverStoreError
  }
}
