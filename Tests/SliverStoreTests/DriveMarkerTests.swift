// DriveMarkerTests.swift
//
// Whose drive is it? An empty directory is never an answer.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import SliverStore

@Suite struct DriveMarkerTests {
  private let randomness = SeededRandomness(seed: 4)

  private func initialise(_ disk: SimulatedDisk) async throws {
    try await SliverStore.initialise(
      disk: disk, clusterID: testCluster, node: testNode, randomness: randomness)
  }

  private func open(_ disk: SimulatedDisk, cluster: ClusterID = testCluster, node: Int = 3)
    async -> SliverStoreError?
  {
    await storeError {
      _ = try await SliverStore.open(
        disk: disk, index: SimulatedIndex(), clusterID: cluster, node: NodeID(UInt16(node)),
        randomness: randomness)
    }
  }

  @Test func `a drive without a marker is absent and stays untouched`() async throws {
    let disk = SimulatedDisk(seed: 1)
    #expect(await open(disk) == .absentDrive)
    #expect(disk.names.isEmpty)
  }

  @Test func `a drive of another cluster or node is refused by name`() async throws {
    let disk = SimulatedDisk(seed: 1)
    try await initialise(disk)
    let other = clusterID(8)
    let expected = SliverStoreError.foreignDrive(cluster: testCluster, node: testNode)
    #expect(await open(disk, cluster: other) == expected)
    #expect(await open(disk, node: 4) == expected)
    #expect(await open(disk) == nil)
  }

  @Test func `a drive is initialised once`() async throws {
    let disk = SimulatedDisk(seed: 1)
    try await initialise(disk)
    #expect(
      await storeError { try await initialise(disk) }
        == .alreadyInitialised(file: DriveMarker.fileName))
    // A lost marker does not make the segments free to overwrite.
    let segment = SegmentName(number: 1, tag: 5).fileName
    disk.setContents(of: DriveMarker.fileName, to: nil)
    disk.setContents(of: segment, to: [1])
    #expect(await storeError { try await initialise(disk) } == .alreadyInitialised(file: segment))
  }

  @Test func `one rotten copy of the marker does not matter, two do`() async throws {
    for offset in 0..<DriveMarker.byteCount {
      let disk = SimulatedDisk(seed: 1)
      try await initialise(disk)
      disk.rot(DriveMarker.fileName, at: offset)
      #expect(await open(disk) == nil)
      disk.rot(DriveMarker.fileName, at: DriveMarker.copyOffset + 7)
      #expect(await open(disk) == .damagedMarker(file: DriveMarker.fileName))
    }
  }

  @Test func `a drive of a newer program is refused`() async throws {
    let disk = SimulatedDisk(seed: 1)
    try await initialise(disk)
    var bytes = try required(disk.contents(of: DriveMarker.fileName))
    bytes[8] = 2
    var sum: [UInt8] = []
    sum.append(littleEndian: Checksum.crc32c(bytes, 0..<62))
    bytes.replaceSubrange(62..<66, with: sum)
    disk.setContents(of: DriveMarker.fileName, to: bytes)
    #expect(await open(disk) == .unsupportedVersion(found: 2, supported: 1))
  }

  @Test(arguments: CrashSurvival.allCases)
  func `a crash while initialising leaves a drive or none`(survival: CrashSurvival) async throws {
    for crashAt in 0..<8 {
      let disk = SimulatedDisk(seed: UInt64(crashAt))
      disk.schedule(.crash, atOperation: crashAt)
      _ = await storeError { try await initialise(disk) }
      disk.restart(survival)
      let error = await open(disk)
      #expect(error == nil || error == .absentDrive, "crash at \(crashAt)")
      if error != nil { try await initialise(disk) }
      #expect(await open(disk) == nil)
    }
  }
}
