// CodecCommandTests.swift
//
// blob-id, encode and decode on real files, with slivers lost and spoilt.

import Foundation
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct CodecCommandTests {
  @Test(arguments: [0, 1, 26, 50_000])
  func `an encoded file decodes from what is left and good`(byteCount: Int) async throws {
    let folder = try TemporaryFolder()
    let file = try folder.makeFile("f", byteCount: byteCount)
    let encoded = try await WalrusProcess.run([
      "encode", file, "--shards", "7", "--out", folder.path("enc"),
    ])
    #expect(encoded.status == 0)
    let named = try await WalrusProcess.run(["blob-id", file, "--shards", "7"])
    #expect(named.output == encoded.output)
    // n = 7: any 3 primary slivers do. Take four away, one of the other axis is spoilt.
    for index in [0, 2, 3, 6] {
      try FileManager.default.removeItem(atPath: folder.path("enc/primary/0000\(index)"))
    }
    let decoded = try await WalrusProcess.run([
      "decode", folder.path("enc"), "--out", folder.path("out"),
    ])
    #expect(decoded.status == 0)
    #expect(folder.contents("out") == folder.contents("f"))
    // One primary more is gone: now the secondary slivers must do, and one of seven is bad.
    try FileManager.default.removeItem(atPath: folder.path("enc/primary/00001"))
    try Data("bad".utf8).write(to: URL(fileURLWithPath: folder.path("enc/secondary/00004")))
    let fromColumns = try await WalrusProcess.run([
      "decode", folder.path("enc"), "--out", folder.path("out2"),
    ])
    #expect(fromColumns.status == 0)
    #expect(fromColumns.output.contains("secondary slivers"))
    #expect(fromColumns.output.contains("1 bad"))
    #expect(folder.contents("out2") == folder.contents("f"))
  }

  @Test func `too few slivers and damaged metadata are said plainly`() async throws {
    let folder = try TemporaryFolder()
    let file = try folder.makeFile("f", byteCount: 500)
    let enc = folder.path("enc")
    _ = try await WalrusProcess.run(["encode", file, "--shards", "4", "--out", enc])
    for index in 0..<3 {
      try FileManager.default.removeItem(atPath: "\(enc)/primary/0000\(index)")
    }
    for index in 0..<2 {
      try FileManager.default.removeItem(atPath: "\(enc)/secondary/0000\(index)")
    }
    let tooFew = try await WalrusProcess.run(["decode", enc, "--out", folder.path("out")])
    #expect(tooFew.status != 0)
    #expect(tooFew.errors.contains("1 good primary slivers (0 bad) where 2 are needed"))
    #expect(folder.contents("out") == nil)
    try Data([0, 1, 2]).write(to: URL(fileURLWithPath: enc + "/metadata"))
    let damaged = try await WalrusProcess.run(["decode", enc, "--out", folder.path("out")])
    #expect(damaged.status != 0 && damaged.errors.contains("is damaged"))
  }

  @Test func `an output directory that is not empty is left alone`() async throws {
    let folder = try TemporaryFolder()
    let file = try folder.makeFile("f", byteCount: 10)
    let refused = try await WalrusProcess.run([
      "encode", file, "--shards", "4", "--out", folder.url.path,
    ])
    #expect(refused.status != 0 && refused.errors.contains("is not empty"))
  }

  @Test func `a file above the limit is refused with the limit`() async throws {
    let folder = try TemporaryFolder()
    let file = try folder.makeFile("f", byteCount: 400_000)
    let refused = try await WalrusProcess.run(["blob-id", file, "--shards", "4"])
    #expect(refused.status != 0 && refused.errors.contains("384.0 KiB"))
  }

  // 128 MiB through hundred shards, and an empty file for what the command takes anyway.
  @Test func `naming a large file takes little memory`() throws {
    let folder = try TemporaryFolder()
    let baseline = try WalrusProcess.peakMemory(["blob-id", try folder.makeFile("e", byteCount: 0)])
    let file = folder.path("large")
    _ = FileManager.default.createFile(atPath: file, contents: nil)
    let handle = try #require(FileHandle(forWritingAtPath: file))
    let part = Data((0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) })
    for _ in 0..<128 { try handle.write(contentsOf: part) }
    try handle.close()
    let peak = try WalrusProcess.peakMemory(["blob-id", file, "--shards", "100"])
    #expect(peak - baseline <= 64 << 20, "\(peak) bytes, \(baseline) for an empty file")
  }

  // 12 MiB become 52 MiB of slivers. The bound is what has to be handed out, and a quarter of it.
  @Test func `encoding takes little more memory than its slivers`() throws {
    let folder = try TemporaryFolder()
    let baseline = try WalrusProcess.peakMemory([
      "encode", try folder.makeFile("e", byteCount: 0), "--shards", "31", "--out",
      folder.path("small"),
    ])
    let file = folder.path("large")
    let byteCount = 12 << 20
    try Data(count: byteCount).write(to: URL(fileURLWithPath: file))
    let peak = try WalrusProcess.peakMemory([
      "encode", file, "--shards", "31", "--out", folder.path("large.enc"),
    ])
    let encoded = 31 * (11 + 21) * 54_472
    #expect(
      peak - baseline <= encoded * 5 / 4 + 64 << 20,
      "\(peak) bytes, \(baseline) for an empty file, \(encoded) of slivers")
  }

  private struct BenchReport: Decodable {
    struct Machine: Decodable { let processor: String }
    struct Result: Decodable {
      struct Parts: Decodable { let leaves: Double? }
      let operation: String
      let shards: Int
      let bytes: Int
      let threads: Int
      let seconds: Double
      let megabytesPerSecond: Double
      let parts: Parts
      let ratioToPlain: Double?
    }
    let machine: Machine
    let level: String
    let results: [Result]
  }

  // The 2 MiB are above what four shards hold, and are left out.
  @Test func `the benchmark says in JSON what it measured on what`() async throws {
    let outcome = try await WalrusProcess.run([
      "bench", "codec", "--shards", "4", "--size", "1KiB", "--size", "2MiB", "--runs", "1",
      "--json",
    ])
    #expect(outcome.status == 0)
    let report = try outcome.json(BenchReport.self)
    #expect(["scalar", "avx2", "avx512", "gfni"].contains(report.level))
    #expect(!report.machine.processor.isEmpty)
    #expect(Set(report.results.map(\.threads)).contains(1))
    #expect(report.results.allSatisfy { $0.shards == 4 && $0.seconds > 0 })
    let encode = try #require(report.results.first { $0.operation == "encode" })
    #expect(encode.bytes == 1024 && encode.megabytesPerSecond > 0)
    #expect(encode.parts.leaves != nil && encode.ratioToPlain != nil)
    let operations = [
      "encode", "blob ID", "decode, nothing lost", "decode, worst loss", "recover a sliver",
      "recover 16 slivers", "help with a symbol", "help with 16 symbols", "verify a sliver",
      "verify 4 slivers",
    ]
    #expect(report.results.filter { $0.threads == 1 }.map(\.operation) == operations)
  }

  private func named(at level: String) async throws -> WalrusOutcome {
    let folder = try TemporaryFolder()
    let file = try folder.makeFile("f", byteCount: 3000)
    return try await WalrusProcess.run(
      ["blob-id", file, "--shards", "7"], environment: ["WALRUS_CPU": level])
  }

  @Test func `a level that there is not is warned of, and nothing changes`() async throws {
    let scalar = try await named(at: "scalar")
    #expect(scalar.status == 0 && scalar.errors.isEmpty)
    let unknown = try await named(at: "sse9")
    #expect(unknown.status == 0 && unknown.output == scalar.output)
    #expect(
      unknown.errors.contains(
        "warning: WALRUS_CPU=sse9 is no level: scalar, avx2, avx512, gfni; using "))
    for level in ["avx2", "avx512", "gfni"] {
      let outcome = try await named(at: level)
      #expect(outcome.status == 0 && outcome.output == scalar.output)
      let isWarnedOf = outcome.errors.contains("is a level that this CPU lacks; it has scalar")
      #expect(outcome.errors.isEmpty || isWarnedOf)
    }
  }
}
