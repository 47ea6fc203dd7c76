// QuiltProcessTests.swift
//
// Quilts through real processes: directories in, patches out, by every name they have, also with
// nodes gone.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct QuiltProcessTests {
  struct Stored: Decodable {
    struct Patch: Decodable {
      let identifier: String
      let quiltPatchId: String
      let file: String
    }
    let quiltId: String
    let patches: [Patch]
  }
  struct Listed: Decodable {
    struct Patch: Decodable {
      let identifier: String
      let quiltPatchId: String
      let tags: [String: String]
    }
    let patches: [Patch]
  }

  /// Two files, one of them in a directory, and an empty one.
  private func makeTree(in cluster: RunningCluster) throws -> String {
    let tree = cluster.folder.path("tree")
    try FileManager.default.createDirectory(
      atPath: tree + "/sub", withIntermediateDirectories: true)
    try cluster.folder.makeFile("tree/large.bin", byteCount: 60_000)
    try cluster.folder.makeFile("tree/sub/small.bin", byteCount: 1000, seed: 2)
    try cluster.folder.makeFile("tree/empty", byteCount: 0)
    return tree
  }

  private func stored(_ outcome: WalrusOutcome) throws -> Stored {
    guard outcome.status == 0 else { throw ProcessFailure(text: outcome.errors) }
    return try outcome.json(Stored.self)
  }

  @Test(arguments: [[], ["--sockets"]])
  func `a directory comes back, also with two nodes gone`(options: [String]) async throws {
    let cluster = try await RunningCluster.start(["--nodes", "7", "--shards", "7"] + options)
    let tree = try makeTree(in: cluster)
    let quilt = try stored(await cluster.walrus("store-quilt", "--json", "--paths", tree))
    #expect(quilt.patches.map(\.identifier) == ["empty", "large.bin", "sub/small.bin"])
    #expect(quilt.patches.allSatisfy { FileManager.default.fileExists(atPath: $0.file) })
    for (round, lost) in [[], ["node-1", "node-4"]].enumerated() {
      if !lost.isEmpty {
        #expect(try await cluster.walrus("cluster", "stop", lost[0], lost[1]).status == 0)
      }
      let out = cluster.folder.path("out-\(round)")
      let read = try await cluster.walrus("read-quilt", "--quilt-id", quilt.quiltId, "--out", out)
      #expect(read.status == 0, "\(read.errors)")
      for name in ["empty", "large.bin", "sub/small.bin"] {
        #expect(
          cluster.folder.contents("out-\(round)/\(name)") == cluster.folder.contents("tree/\(name)")
        )
      }
    }
    // A quilt is a blob.
    #expect(try await cluster.read(quilt.quiltId)?.isEmpty == false)
  }

  @Test func `patches are told apart by identifier, tag and ID`() async throws {
    let cluster = try await RunningCluster.start()
    for (name, text) in [("a.txt", "one"), ("b.txt", "two"), ("c.txt", "three")] {
      try Data(text.utf8).write(to: cluster.folder.url.appendingPathComponent(name))
    }
    func blob(_ name: String, _ rest: String) -> String {
      #"{"path":"\#(cluster.folder.path(name))"\#(rest)}"#
    }
    let quilt = try stored(
      await cluster.walrus(
        "store-quilt", "--json", "--blobs",
        blob("a.txt", #","identifier":"say \"a\\b\"","tags":{"lang":"en","n":1}"#),
        blob("b.txt", #","tags":{"lang":"de"}"#)))
    let list = try await cluster.walrus("list-patches-in-quilt", quilt.quiltId, "--json")
      .json(Listed.self).patches
    #expect(list.map(\.identifier) == ["b.txt", #"say "a\b""#])
    #expect(list.map(\.tags) == [["lang": "de"], ["lang": "en", "n": "1"]])
    #expect(list.map(\.quiltPatchId) == quilt.patches.map(\.quiltPatchId))
    let text = try await cluster.walrus("list-patches-in-quilt", quilt.quiltId).output
    #expect(text.contains("lang=en n=1") && text.contains(list[0].quiltPatchId))

    let id = quilt.quiltId
    let byName = try await cluster.walrus(
      "read-quilt", "--quilt-id", id, "--identifiers", #"say "a\b""#)
    #expect(byName.output == "one")
    let byTag = try await cluster.walrus("read-quilt", "--quilt-id", id, "--tag", "lang=de")
    #expect(byTag.output == "two")
    let byID = try await cluster.walrus("read-quilt", "--quilt-patch-ids", list[1].quiltPatchId)
    #expect(byID.output == "one")
    let many = try await cluster.walrus("read-quilt", "--quilt-id", id)
    #expect(many.status != 0 && many.errors.contains("name a directory with --out"))
  }

  @Test func `what cannot be is refused in words`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 10)
    let plain = try await cluster.store(file)
    let refusals: [(arguments: [String], words: String)] = [
      (["store-quilt"], "name files with --paths"),
      (["store-quilt", "--paths", file, file], "are both called `f`"),
      (["store-quilt", "--paths", cluster.folder.path("none")], "there is no file"),
      (["store-quilt", "--blobs", "{}"], "has no `path`"),
      (["store-quilt", "--blobs", #"{"path":"x","tag":{}}"#], "has `tag`"),
      (["store-quilt", "--blobs", #"{"path":"x","identifier":"_metadata"}"#], "`_metadata`"),
      (["read-quilt", "--out", "x"], "name the quilt with --quilt-id"),
      (["read-quilt", "--quilt-patch-ids", "x"], "50 characters"),
      (["read-quilt", "--quilt-id", plain], "does not read as a quilt"),
      (["list-patches-in-quilt", plain], "does not read as a quilt"),
    ]
    for (arguments, words) in refusals {
      let outcome = try await WalrusProcess.run(arguments + ["--url", cluster.url])
      #expect(outcome.status != 0, "\(arguments)")
      #expect(outcome.errors.contains(words), "\(arguments): \(outcome.errors)")
    }
    let quilt = try stored(await cluster.walrus("store-quilt", "--json", "--paths", file))
    let other = try await cluster.walrus(
      "read-quilt", "--quilt-id", quilt.quiltId, "--identifiers", "g")
    #expect(other.errors.contains("has no patch `g`"))
  }

  @Test func `IDs that begin with a dash are taken for IDs`() async throws {
    let cluster = try await RunningCluster.start()
    let id = "-" + String(repeating: "A", count: 42)
    let outcomes = [
      try await cluster.walrus("read", id),
      try await cluster.walrus("list-patches-in-quilt", id, "--json"),
      try await cluster.walrus("read-quilt", "--quilt-id", id),
      try await cluster.walrus("read-quilt", "--quilt-patch-ids", id + "BAQACAA"),
    ]
    for outcome in outcomes {
      #expect(outcome.errors.contains("blob \(id) does not exist"), "\(outcome.errors)")
    }
  }

  @Test func `an identifier never leads out of the directory`() async throws {
    let cluster = try await RunningCluster.start()
    let file = try cluster.folder.makeFile("f", byteCount: 10)
    for identifier in ["../f2", "/tmp/f2", "a/../../f2", "a//b"] {
      let quilt = try stored(
        await cluster.walrus(
          "store-quilt", "--json", "--blobs",
          #"{"path":"\#(file)","identifier":"\#(identifier)"}"#))
      let read = try await cluster.walrus(
        "read-quilt", "--quilt-id", quilt.quiltId, "--out", cluster.folder.path("out"))
      #expect(read.status != 0)
      #expect(read.errors.contains("is no file name inside"), "\(identifier): \(read.errors)")
      #expect(cluster.folder.contents("f2") == nil)
    }
  }
}
