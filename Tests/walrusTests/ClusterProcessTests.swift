// ClusterProcessTests.swift
//
// A cluster as an operator has it: a real process on real files, stopped, killed, wiped, and started
// where it should not start.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct ClusterProcessTests {
  @Test(arguments: [[], ["--sockets"]])
  func `files come back, whole and in part`(options: [String]) async throws {
    let cluster = try await RunningCluster.start(["--nodes", "3", "--shards", "10"] + options)
    for byteCount in [0, 1, 100_000] {
      let file = try cluster.folder.makeFile("f\(byteCount)", byteCount: byteCount)
      let id = try await cluster.store(file)
      #expect(try await cluster.read(id) == cluster.folder.contents("f\(byteCount)"))
    }
    let file = try cluster.folder.makeFile("range", byteCount: 50_000, seed: 2)
    let id = try await cluster.store(file)
    let bytes = try #require(cluster.folder.contents("range"))
    #expect(try await cluster.read(id, "--range", "100-20099") == bytes[100..<20_100])
    #expect(try await cluster.read(id, "--range=-5") == bytes.suffix(5))
    #expect(try await cluster.read(id, "--strict") == bytes)
    #expect(try await cluster.end(SIGTERM) == 0)
  }

  @Test(arguments: [[], ["--sockets"]])
  func `what was acknowledged survives a kill`(options: [String]) async throws {
    let cluster = try await RunningCluster.start(["--nodes", "4", "--shards", "4"] + options)
    var stored: [(id: String, name: String)] = []
    for number in 0..<3 {
      let file = try cluster.folder.makeFile(
        "f\(number)", byteCount: 40_000, seed: UInt64(number))
      stored.append((try await cluster.store(file), "f\(number)"))
    }
    _ = try await cluster.end(SIGKILL)
    try await cluster.start(options)
    for (id, name) in stored {
      #expect(try await cluster.read(id) == cluster.folder.contents(name))
    }
  }

  @Test func `reads go on around lost nodes, and writes are refused in time`() async throws {
    let cluster = try await RunningCluster.start(["--nodes", "7", "--shards", "7"])
    let file = try cluster.folder.makeFile("f", byteCount: 70_000)
    let id = try await cluster.store(file)
    #expect(try await cluster.walrus("cluster", "stop", "node-0", "node-3").status == 0)
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
    let second = try cluster.folder.makeFile("g", byteCount: 1000, seed: 9)
    let secondID = try await cluster.store(second)
    #expect(try await cluster.walrus("cluster", "stop", "node-1", "node-6").status == 0)
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
    #expect(try await cluster.read(id, "--range", "7-5006")?.count == 5000)
    let refused = try await cluster.walrus("store", second)
    #expect(refused.status != 0)
    #expect(refused.errors.contains("3 shards confirmed, 5 are required"))
    let health = try await cluster.walrus("health")
    #expect(health.status == 1)
    #expect(health.output.contains("reads go on, writes are refused"))
    // Stopped nodes stay stopped over a restart.
    #expect(try await cluster.end(SIGTERM) == 0)
    try await cluster.start()
    #expect(try await cluster.walrus("health").output.components(separatedBy: "stopped").count == 5)
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
    #expect(
      try await cluster.walrus("cluster", "start", "node-0", "node-1", "node-3", "node-6").status
        == 0)
    #expect(try await cluster.read(secondID) == cluster.folder.contents("g"))
    #expect(try await cluster.walrus("health").status == 0)
  }

  @Test func `a gateway reads within its zone`() async throws {
    struct Traffic: Decodable {
      struct Flow: Decodable {
        let from: String
        let purpose: String
        let crossesZones: Bool
        let answerByteCount: Int
      }
      let flows: [Flow]
    }
    let cluster = try await RunningCluster.start([
      "--nodes", "7", "--shards", "7", "--zones", "3", "--zone", "zone-0",
    ])
    let file = try cluster.folder.makeFile("f", byteCount: 50_000)
    let id = try await cluster.store(file)
    for _ in 0..<5 { #expect(try await cluster.walrus("read", id).status == 0) }
    let traffic = try await cluster.walrus("traffic", "--json").json(Traffic.self)
    let reads = traffic.flows.filter {
      $0.from == "gateway" && ["read", "degradedRead"].contains($0.purpose)
    }
    let far = reads.filter(\.crossesZones).reduce(0) { $0 + $1.answerByteCount }
    // Three of the seven nodes are near, and three of the seven slivers suffice.
    let near = reads.reduce(0) { $0 + $1.answerByteCount } - far
    #expect(near >= 250_000 && far < near / 10, "\(near), \(far)")
  }

  @Test func `a wiped node is read around and filled again by storing`() async throws {
    // So many that the loss of one waits before it is repaired.
    let cluster = try await RunningCluster.start(["--nodes", "7", "--shards", "7"])
    let file = try cluster.folder.makeFile("f", byteCount: 30_000)
    let id = try await cluster.store(file)
    #expect(try await cluster.walrus("status", id).output.contains("7 of 7 shards"))
    let running = try await cluster.walrus("cluster", "wipe", "node-2")
    #expect(running.status != 0 && running.errors.contains("stop it first"))
    #expect(try await cluster.walrus("cluster", "stop", "node-2").status == 0)
    #expect(try await cluster.walrus("cluster", "wipe", "node-2").status == 0)
    #expect(try await cluster.walrus("cluster", "wipe", "node-2").status == 0)
    #expect(try await cluster.walrus("cluster", "start", "node-2").status == 0)
    // Before the read: what a reader misses is rebuilt at once.
    #expect(try await cluster.walrus("status", id).output.contains("6 of 7 shards"))
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
    #expect(try await cluster.store(file) == id)
    #expect(try await cluster.walrus("status", id).output.contains("7 of 7 shards"))
  }

  @Test func `deleting ends registrations, and the blob with the last`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 3000)
    let id = try await cluster.store(file)
    _ = try await cluster.store(file)
    #expect(try await cluster.walrus("list").output.contains(id))
    #expect(try await cluster.walrus("delete", id).output == "2 registrations ended\n")
    #expect(try await cluster.walrus("delete", id).output == "0 registrations ended\n")
    let read = try await cluster.walrus("read", id)
    #expect(read.status != 0 && read.errors.contains("does not exist"))
    #expect(try await !cluster.walrus("list").output.contains(id))
    #expect(try await cluster.store(file) == id)
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
  }

  @Test func `a full drive refuses writes and goes on reading`() async throws {
    let cluster = try await RunningCluster.start([
      "--nodes", "4", "--shards", "4", "--drive-capacity", "10MiB",
    ])
    var ids: [String] = []
    var refusal = ""
    for number in 0..<40 where refusal.isEmpty {
      let file = try cluster.folder.makeFile(
        "f\(number)", byteCount: 390_000, seed: UInt64(number))
      let outcome = try await cluster.walrus("store", file)
      if outcome.status == 0 {
        ids.append(String(outcome.output.prefix { $0 != " " }))
      } else {
        refusal = outcome.errors
      }
    }
    #expect(refusal.contains("STORAGE_FULL"))
    #expect(!ids.isEmpty)
    for (number, id) in ids.enumerated() {
      #expect(try await cluster.read(id) == cluster.folder.contents("f\(number)"))
    }
  }
}
