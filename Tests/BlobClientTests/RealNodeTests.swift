// RealNodeTests.swift
//
// The client against whole storage nodes on simulated drives: what fakes cannot show, such as that
// both sides agree on every message, and that what was certified survives a crash of everything.

import BlobClient
import Cluster
import ControlPlane
import Logging
import RedStuff
import Routing
import Simulator
import SliverStore
import StorageNode
import Testing
import World

@Suite struct RealNodeTests {
  @Test(arguments: [4, 7, 10, 13])
  func `blobs of all sizes are stored and read`(n: Int) async throws {
    let cluster = try await TestCluster(shards: n, nodes: (n + 1) / 2)
    let nodes = try await RealNodes(cluster)
    try await nodes.running {
      let client = cluster.client()
      for size in ReadTests.sizes(cluster.parameters) {
        let bytes = content(size)
        let receipt = try await client.store(bytes)
        await client.waitForTails()
        let got = try await client.bytes(of: receipt.blob)
        #expect(got == bytes, "\(size) bytes")
        let half = UInt64(size) / 2
        let part = try await client.bytes(of: receipt.blob, range: half..<UInt64(size))
        #expect(part == Array(bytes[Int(half)...]), "\(size) bytes")
      }
    }
  }

  @Test func `any f nodes may be down while storing, and any f others while reading`() async throws
  {
    for down in subsets(of: 7, count: 2) {
      let cluster = try await TestCluster(shards: 7)
      let nodes = try await RealNodes(cluster)
      try await nodes.running {
        cluster.nodesDown(down)
        let bytes = content(15 * 40)
        let client = cluster.client()
        let blob = try await cluster.clock.autoAdvancing {
          let blob = try await client.store(bytes).blob
          await client.waitForTails()
          return blob
        }
        for id in 0..<7 { cluster.transport.setFault(nil, of: NodeID(UInt16(id))) }
        let others = (0..<7).filter { !down.contains($0) }
        for later in subsets(of: 5, count: 2) {
          for position in later {
            cluster.transport.setFault(.down, of: NodeID(UInt16(others[position])))
          }
          let reader = cluster.client { $0.windowByteCount = 200 }
          let got = try await cluster.clock.autoAdvancing { try await reader.bytes(of: blob) }
          #expect(got == bytes, "down \(down), later \(later)")
          for position in later {
            cluster.transport.setFault(nil, of: NodeID(UInt16(others[position])))
          }
        }
      }
    }
  }

  @Test func `what was certified survives a crash of all nodes`() async throws {
    let cluster = try await TestCluster(shards: 10, nodes: 5)
    let nodes = try await RealNodes(cluster)
    let small = content(300)
    let large = content(28 * 4000, seed: 2)
    let blobs = [try cluster.encode(small).blobID, try cluster.encode(large).blobID]
    try await nodes.running {
      let client = cluster.client()
      _ = try await client.store(small)
      _ = try await client.store(large)
      await client.shutdown(.cancellingTails)
    }
    nodes.crash()
    try await nodes.running { () async throws -> Void in
      let client = cluster.client()
      #expect(try await client.bytes(of: blobs[0]) == small)
      #expect(try await client.bytes(of: blobs[1]) == large)
    }
  }

  @Test func `the same content is sent once, and deleting one registration leaves it`() async throws
  {
    let cluster = try await TestCluster(shards: 7, nodes: 4)
    let nodes = try await RealNodes(cluster)
    try await nodes.running {
      let client = cluster.client()
      let bytes = content(700)
      let first = try await client.store(bytes)
      await client.waitForTails()
      let second = try await client.store(bytes)
      await client.waitForTails()
      #expect(second.wasCertified && second.report.byteCount == 0)
      _ = try await cluster.registry.delete(blob: first.blob, object: first.registration.object)
      #expect(try await client.bytes(of: first.blob) == bytes)
      _ = try await cluster.registry.delete(blob: first.blob, object: nil)
      let gone = await clientError { _ = try await client.bytes(of: first.blob) }
      #expect(gone == .notFound(first.blob))
      let third = try await client.store(bytes)
      #expect(try await client.bytes(of: third.blob) == bytes)
      await client.waitForTails()
    }
  }

  @Test func `rotten slivers are read around`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let nodes = try await RealNodes(cluster)
    try await nodes.running {
      let client = cluster.client { $0.windowByteCount = 2000 }
      let bytes = content(15 * 300)
      let blob = try await client.store(bytes).blob
      await client.waitForTails()
      for disk in nodes.disks.prefix(2) {
        for name in disk.names {
          let length = disk.contents(of: name)?.count ?? 0
          // Past the header, every hundredth byte.
          for offset in stride(from: 200, to: length, by: 100) { disk.rot(name, at: offset) }
        }
      }
      #expect(try await client.bytes(of: blob) == bytes)
      #expect(try await client.bytes(of: blob, range: 1000..<1400) == Array(bytes[1000..<1400]))
    }
  }
}
