// Ranges.swift
//
// What a reader fetches of slivers that are gone: few symbols, and whole blobs with ever more shards
// lost.

import BlobClient
import Cluster
import RedStuff
import Routing
import World

extension RepairBenchmark {
  func measureRanges(_ report: inout BenchmarkReport) async throws {
    var table = BenchmarkTable(
      "Ranges of a lost primary sliver, n = 100, 10 nodes",
      note: "s: bytes of a symbol. Framing: heads, lengths and counts of the answers.",
      columns: [
        .init("wanted", .bytes), .init("s", .bytes), .init("payload", .bytes),
        .init("paths", .bytes), .init("framing", .bytes), .init("answers", .count),
      ])
    progress("reading ranges of lost slivers")
    var results = BenchmarkReport()
    try await withCluster(BenchmarkShape(shardCount: 100, nodeCount: 10)) { cluster in
      // What hedges move depends on how busy this machine is.
      let client = cluster.world.unhedgedClient()
      let small = try await cluster.store(1, byteCount: 1 << 20)[0]
      let large = try await cluster.store(1, byteCount: 32 << 20)[0]
      for (name, blob) in [("1 MiB", small), ("32 MiB", large)] {
        let metadata = try await client.head(blob).metadata
        let s = metadata.symbolByteCount
        // Shards of one node are neighbours: the columns from 30 on have their homes elsewhere.
        let (row, column) = (2, 30)
        let keeper = cluster.world.committee.node(
          keeping: SliverPairIndex(UInt16(row)), of: blob)
        cluster.nodes[Int(keeper.value)].setReachable(false)
        defer { cluster.nodes[Int(keeper.value)].setReachable(true) }
        // The first request finds out that the node is gone.
        try await client.read(blob, range: 0..<metadata.blobByteCount) { _ in }
        let start = UInt64((row * cluster.k2 + column) * s)
        let wanted = [
          ("1 symbol", s), ("10 symbols", 10 * s), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20),
        ]
        for (range, byteCount) in wanted {
          let upper = min(start + UInt64(byteCount), metadata.blobByteCount)
          let before = cluster.world.transport.readAnswers
          try await client.read(blob, range: start..<upper) { _ in }
          let answers = cluster.world.transport.readAnswers - before
          table.add(
            "\(range) of \(name)", Double(upper - start), Double(s), Double(answers.payload),
            Double(answers.paths), Double(answers.framing), Double(answers.answerCount))
          guard byteCount == 10 * s else { continue }
          holdTenSymbols(answers, cluster, s, of: name, &results)
        }
      }
    }
    report.tables.append(table)
    report.bars += results.bars
    try await measureWholeReads(&report)
  }

  /// Ten symbols with paths, or a whole line of either axis where that is fewer bytes.
  private func holdTenSymbols(
    _ answers: AnswerBytes, _ cluster: BenchmarkCluster, _ s: Int, of name: String,
    _ report: inout BenchmarkReport
  ) {
    let n = cluster.parameters.shardCount
    let pathByteCount = ReadPlanner.pathByteCount(shardCount: n)
    let fewest = min(10 * (s + pathByteCount), cluster.k2 * s, 10 * cluster.k1 * s)
    report.hold(
      "10 symbols of a lost primary, \(name): payload and paths / fewest possible",
      Double(answers.payload + answers.paths) / Double(fewest), .atMost, 1)
    report.hold(
      "10 symbols of a lost primary, \(name): paths", Double(answers.paths), .atMost,
      Double(10 * pathByteCount))
    let framingMax = max(
      0.02 * Double(answers.payload + answers.paths), 200 * Double(answers.answerCount))
    report.hold(
      "10 symbols of a lost primary, \(name): framing", Double(answers.framing), .atMost,
      framingMax)
  }

  private func measureWholeReads(_ report: inout BenchmarkReport) async throws {
    let (n, blobCount) = (16, 16)
    let f = try EncodingParameters(shardCount: n).faultyShardCountMax
    var table = BenchmarkTable(
      "Whole reads with lost shards, n = \(n), a shard per node, \(blobCount) blobs of 4 MiB",
      note:
        "fetched: answers with symbols as they are on the wire, in blobs of k1 k2 s bytes; one read "
        + "that is not counted finds out who is gone.",
      columns: [.init("fetched/blob", .ratio), .init("answers per blob", .count)])
    progress("reading whole blobs while shards are lost")
    var worst = 0.0
    try await withCluster(BenchmarkShape(shardCount: n, nodeCount: n)) { cluster in
      let blobs = try await cluster.store(blobCount, byteCount: 4 << 20)
      let client = cluster.world.unhedgedClient()
      for lostCount in 0...2 * f {
        if lostCount > 0 { await cluster.nodes[lostCount - 1].stop() }
        // Finds out who is gone; with more than f lost that may be in the middle of it.
        try await client.read(blobs[0]) { _ in }
        let before = cluster.world.transport.readAnswers
        var byteCount = 0
        for blob in blobs {
          let s = try await client.head(blob).metadata.symbolByteCount
          byteCount += cluster.k1 * cluster.k2 * s
          try await client.read(blob) { _ in }
        }
        let answers = cluster.world.transport.readAnswers - before
        let fetched =
          Double(answers.payload + answers.paths + answers.framing) / Double(byteCount)
        worst = max(worst, fetched)
        table.add(
          "\(lostCount) lost", fetched, Double(answers.answerCount) / Double(blobs.count))
      }
    }
    report.tables.append(table)
    report.hold("whole read with 0...2f shards lost, fetched/blob", worst, .atMost, 1.02)
  }
}
