// StartRefusalTests.swift
//
// Data directories and ports on which a cluster must not start, or not wholly; nothing is lost by
// trying.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct StartRefusalTests {
  private func up(_ data: String, _ options: String...) async throws -> WalrusOutcome {
    try await WalrusProcess.run(["up", "--data", data, "--listen", "127.0.0.1:0"] + options)
  }

  @Test func `a second process on the same data is refused`() async throws {
    let cluster = try await RunningCluster.start()
    let second = try await up(cluster.data)
    #expect(second.status != 0)
    #expect(second.errors.contains("another walrus process runs the cluster in \(cluster.data)"))
    #expect(try await cluster.walrus("health").status == 0)
  }

  @Test func `a port in use is named`() async throws {
    let cluster = try await RunningCluster.start()
    let folder = try TemporaryFolder()
    let address = try #require(cluster.url.split(separator: "/").last)
    let second = try await WalrusProcess.run([
      "up", "--data", folder.path("data"), "--listen", String(address), "--nodes", "4",
      "--shards", "4",
    ])
    #expect(second.status != 0)
    #expect(second.errors.contains("listens on \(address) already"))
  }

  @Test func `another shape than the data has is refused`() async throws {
    let cluster = try await RunningCluster.start()
    #expect(try await cluster.end(SIGTERM) == 0)
    let refused = try await up(cluster.data, "--nodes", "5")
    #expect(refused.status != 0)
    #expect(refused.errors.contains("holds a cluster of 4 nodes and 4 shards"))
    try await cluster.start(["--nodes", "4", "--shards", "4"])
  }

  @Test(arguments: [["--shards", "3"], ["--nodes", "0"], ["--nodes", "9", "--shards", "8"]])
  func `impossible shapes are refused before anything is made`(shape: [String]) async throws {
    let folder = try TemporaryFolder()
    let refused = try await WalrusProcess.run(
      ["up", "--data", folder.path("data"), "--listen", "127.0.0.1:0"] + shape)
    #expect(refused.status != 0)
    #expect(!refused.errors.isEmpty)
    #expect(folder.contents("data/nodes/node-0/identity.json") == nil)
  }

  @Test func `a gateway in a zone without nodes is refused, and the zones are named`() async throws
  {
    let folder = try TemporaryFolder()
    let none = try await up(
      folder.path("a"), "--nodes", "4", "--shards", "4", "--zone", "zone-1")
    #expect(none.status != 0 && none.errors.contains("in no zones"))
    let other = try await up(
      folder.path("b"), "--nodes", "4", "--shards", "4", "--zones", "2", "--zone", "west")
    #expect(other.status != 0 && other.errors.contains("the zones are zone-0, zone-1"))
  }

  @Test func `a data directory that cannot be made is named`() async throws {
    let refused = try await up("/dev/null/data")
    #expect(refused.status != 0)
    #expect(refused.errors.contains("/dev/null/data"))
  }

  @Test func `nodes without their control store are left alone`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 5000)
    let id = try await cluster.store(file)
    #expect(try await cluster.end(SIGTERM) == 0)
    let (store, saved) = (cluster.data + "/control.sqlite", cluster.folder.path("saved"))
    try FileManager.default.moveItem(atPath: store, toPath: saved)
    let refused = try await up(cluster.data)
    #expect(refused.status != 0)
    #expect(refused.errors.contains("knows no cluster. Nothing was changed"))
    try FileManager.default.moveItem(atPath: saved, toPath: store)
    try await cluster.start()
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
  }

  @Test func `a node directory of another cluster is not used`() async throws {
    let cluster = try await RunningCluster.start()
    let other = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 5000)
    let id = try await cluster.store(file)
    #expect(try await cluster.end(SIGTERM) == 0)
    #expect(try await other.end(SIGTERM) == 0)
    let mine = cluster.data + "/nodes/node-1"
    try FileManager.default.moveItem(atPath: mine, toPath: cluster.folder.path("saved"))
    try FileManager.default.copyItem(atPath: other.data + "/nodes/node-1", toPath: mine)
    try await cluster.start()
    let health = try await cluster.walrus("health")
    #expect(health.output.contains("belongs to cluster"))
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
  }

  @Test func `a drive without its marker is absent, not new`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 5000)
    let id = try await cluster.store(file)
    #expect(try await cluster.end(SIGTERM) == 0)
    let segments = cluster.data + "/nodes/node-3/drive-0/segments"
    try FileManager.default.moveItem(atPath: segments, toPath: cluster.folder.path("saved"))
    try FileManager.default.createDirectory(atPath: segments, withIntermediateDirectories: false)
    try await cluster.start()
    #expect(try await cluster.walrus("health").output.contains("failing"))
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
    #expect(try await cluster.end(SIGTERM) == 0)
    // The mount is back.
    try FileManager.default.removeItem(atPath: segments)
    try FileManager.default.moveItem(atPath: cluster.folder.path("saved"), toPath: segments)
    try await cluster.start()
    #expect(try await cluster.walrus("status", id).output.contains("4 of 4 shards"))
  }
}
