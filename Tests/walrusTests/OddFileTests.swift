// OddFileTests.swift
//
// Pipes, links, files that say they are empty, and directories that are not: what people name on a
// command line.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct OddFileTests {
  @Test func `a read goes through links and into pipes without replacing them`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 4000)
    let id = try await cluster.store(file)
    let (link, target) = (cluster.folder.path("link"), cluster.folder.path("target"))
    try Data("old".utf8).write(to: URL(fileURLWithPath: target))
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
    #expect(try await cluster.walrus("read", id, "--out", link).status == 0)
    #expect(cluster.folder.contents("target") == cluster.folder.contents("f"))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target)

    let pipe = cluster.folder.path("pipe")
    let made = unsafe mkfifo(pipe, 0o600)
    #expect(made == 0)
    let reader = Task.detached { try FileHandle(forReadingAtPath: pipe)?.readToEnd() }
    #expect(try await cluster.walrus("read", id, "--out", pipe).status == 0)
    #expect(try await reader.value == cluster.folder.contents("f"))
    let attributes = try FileManager.default.attributesOfItem(atPath: pipe)
    #expect(attributes[.type] as? FileAttributeType != .typeRegular)
    #expect(try await cluster.walrus("read", id, "--out", "/tmp").status != 0)
  }

  @Test func `a file of the kernel is stored with its content`() async throws {
    let cluster = try await RunningCluster.start()
    let id = try await cluster.store("/proc/version")
    let content = try #require(FileManager.default.contents(atPath: "/proc/version"))
    #expect(!content.isEmpty)
    #expect(try await cluster.read(id) == content)
  }

  @Test func `a directory with other files does not become a cluster`() async throws {
    let folder = try TemporaryFolder()
    try folder.makeFile("diary", byteCount: 10)
    let refused = try await WalrusProcess.run([
      "up", "--data", folder.url.path, "--listen", "127.0.0.1:0",
    ])
    #expect(refused.status != 0)
    #expect(refused.errors.contains("is not empty (it has diary)"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("nodes")))
  }

  @Test func `an empty registration name does not mean all of them`() async throws {
    let cluster = try await RunningCluster.start()
    let id = try await cluster.store(try cluster.folder.makeFile("f", byteCount: 100))
    let refused = try await cluster.walrus("delete", id, "--object", "")
    #expect(refused.status != 0)
    #expect(refused.errors.contains("`object` is empty"))
    #expect(try await cluster.read(id) == cluster.folder.contents("f"))
  }
}
