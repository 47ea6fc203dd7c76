// LostNode.swift
//
// One node of ten is lost with its drive: what its repair moves, reads and takes, for RedStuff and
// for two plain codes over the same transport and the same drives; and the same with nodes that lie.

import BlobClient
import Cluster
import RedStuff
import Routing
import StorageNode
import Synchronization
import World

extension RepairBenchmark {
  private static let lostNode = 3
  private static let blobByteCount = 1 << 20

  func measureNode(_ report: inout BenchmarkReport) async throws {
    var table = BenchmarkTable(
      "One node lost, \(settings.blobCount) blobs of 1 MiB",
      note: "moved: answers with symbols as they are on the wire; metadata apart.",
      columns: [
        .restored, .moved, .movedRatio, .readRatio, .metadataRatio, .requests, .cpu, .time,
      ])
    let count = settings.blobCount
    var results = BenchmarkReport()
    try await withDirectory { directory in
      progress("storing \(count) blobs of 1 MiB on 10 nodes")
      let shape = BenchmarkShape(shardCount: 100, nodeCount: 10)
      try await withCluster(shape, on: .files(directory)) { cluster in
        let blobs = try await cluster.store(count, byteCount: Self.blobByteCount)
        if settings.parts.contains(.node) {
          progress("repairing one node of ten")
          let cost = try await cluster.heal(Self.lostNode)
          table.add("RedStuff, n = 100, 10 nodes", cost)
          results.hold("moved/restored, n = 100", cost.receivedPerRestored, .atMost, 0.95)
          results.hold("metadata/restored, n = 100", cost.metadataPerRestored, .atMost, 0.05)
          try await measureHelpers(cluster, Array(blobs.prefix(50)), &results)
        }
        if settings.parts.contains(.liars) { try await measureLiars(cluster, &results) }
      }
    }
    if settings.parts.contains(.node) {
      try await withCluster(BenchmarkShape(shardCount: 16, nodeCount: 16)) { cluster in
        let blobCount = max(count / 25, 1)
        progress("repairing one shard of sixteen, \(blobCount) blobs of 4 MiB")
        _ = try await cluster.store(blobCount, byteCount: 4 << 20)
        let cost = try await cluster.heal(Self.lostNode)
        table.add("RedStuff, n = 16, \(blobCount) of 4 MiB", cost)
        results.hold("moved/restored, n = 16", cost.receivedPerRestored, .atMost, 0.95)
        results.hold("metadata/restored, n = 16", cost.metadataPerRestored, .atMost, 0.05)
      }
      for code in [PlainCode.replication, .reedSolomon] {
        progress("repairing one node under \(code.name)")
        table.add(code.name, try await measure(code, blobCount: count))
      }
      report.tables.append(table)
    }
    report.tables += results.tables
    report.bars += results.bars
  }

  /// Systematic targets are slices of what helpers have on their drives.
  private func measureHelpers(
    _ cluster: BenchmarkCluster, _ blobs: [BlobID], _ report: inout BenchmarkReport
  ) async throws {
    let lost = cluster.nodes[Self.lostNode].member.id
    let helpers = cluster.nodes.filter { $0.member.id != lost }
    let s = try await cluster.client.head(blobs[0]).metadata.symbolByteCount
    for helper in helpers { helper.reads.setUnit(s) }
    func work() -> Int {
      helpers.compactMap(\.node?.servingWork).reduce(0) {
        $0 + $1.computedSymbolCount + $1.expandedSliverCount
      }
    }
    func reads() -> (all: Int, symbols: Int) {
      helpers.reduce((0, 0)) { ($0.0 + $1.reads.byteCount, $0.1 + $1.reads.unitByteCount) }
    }
    let (workBefore, readsBefore) = (work(), reads())
    let answersBefore = cluster.world.transport.readAnswers
    for blob in blobs {
      for helper in helpers {
        let items = cluster.systematicItems(of: blob, from: helper.member.id, for: lost)
        let answer = try await cluster.world.transport.send(
          .readBatch(items), to: helper.member.id,
          deadline: cluster.world.clock.now + .seconds(30))
        guard case .readBatch(let outcomes, _) = answer, !outcomes.contains(.missing) else {
          throw BenchmarkFailure(description: "\(helper.member.name) does not have what it should")
        }
      }
    }
    let payload = (cluster.world.transport.readAnswers - answersBefore).payload
    let read = reads()
    let symbols = read.symbols - readsBefore.symbols
    let ratio = Double(symbols) / Double(max(payload, 1))
    let worked = Double(work() - workBefore)
    var table = BenchmarkTable(
      "Helpers, systematic targets without paths, n = 100, symbols of \(s) bytes",
      note: "checksums: headers of records with the checksums of all their runs.",
      columns: [
        .init("sent", .bytes), .init("read", .bytes), .init("read/sent", .ratio),
        .init("checksums", .bytes), .init("computed or hashed", .count),
      ])
    table.add(
      "\(payload / s) symbols", Double(payload), Double(symbols), ratio,
      Double(read.all - readsBefore.all - symbols), worked)
    report.tables.append(table)
    report.hold("bytes read per byte sent, systematic targets", ratio, .atMost, 1)
    report.hold("symbols computed or hashed, systematic targets", worked, .atMost, 0)
  }

  // MARK: Liars

  private func measureLiars(
    _ cluster: BenchmarkCluster, _ report: inout BenchmarkReport
  ) async throws {
    var table = BenchmarkTable(
      "One node of ten lost, two others lie about every blob",
      columns: [
        .restored, .moved, .movedRatio, .init("liars named", .count), .requests, .cpu, .time,
      ])
    progress("repairing one node of ten, nobody lies")
    let honest = try await cluster.heal(Self.lostNode)
    table.add("nobody lies", honest, liarCount: 0)
    let liars: Set<NodeID> = [NodeID(1), NodeID(6)]
    for (name, liesOnce) in [("in every answer", false), ("once per blob", true)] {
      progress("repairing one node of ten, two lie \(name)")
      let told = Mutex<Set<BlobID>>([])
      cluster.world.transport.setLie { node, request, answer in
        guard liars.contains(node), case .readBatch(let items, _) = request,
          case .readBatch(var outcomes, _) = answer
        else { return }
        for (position, item) in items.enumerated() {
          if liesOnce, !told.withLock({ $0.insert(item.blob).inserted }) { continue }
          switch outcomes[position] {
          case .symbols(var bytes, let paths):
            bytes[0] ^= 1
            outcomes[position] = .symbols(bytes: bytes, paths: paths)
          case .signedSymbols(var bytes, let paths, let signature):
            bytes[0] ^= 1
            outcomes[position] = .signedSymbols(bytes: bytes, paths: paths, signature: signature)
          case .missing, .refused: continue
          }
        }
        answer = .readBatch(outcomes)
      }
      let cost = try await cluster.heal(Self.lostNode)
      cluster.world.transport.setLie(nil)
      let named = liars.filter { cost.liars[$0] != nil }.count
      table.add("two lie \(name)", cost, liarCount: named)
      let extra = Double(cost.receivedByteCount) / Double(honest.receivedByteCount) - 1
      report.hold("extra bytes, two lie \(name)", extra, .atMost, 0.10)
      report.hold("liars named, two lie \(name)", Double(named), .atLeast, 2)
    }
    report.tables.append(table)
  }
}

extension BenchmarkTable.Column {
  fileprivate static let metadataRatio = Self("metadata/restored", .ratio)
}

extension BenchmarkTable {
  fileprivate mutating func add(_ name: String, _ cost: HealingCost) {
    add(
      name, Double(cost.restoredByteCount), Double(cost.receivedByteCount),
      cost.receivedPerRestored, cost.readPerRestored, cost.metadataPerRestored,
      Double(cost.requestCount), cost.cpuSeconds, cost.seconds)
  }

  fileprivate mutating func add(_ name: String, _ cost: HealingCost, liarCount: Int) {
    add(
      name, Double(cost.restoredByteCount), Double(cost.receivedByteCount),
      cost.receivedPerRestored, Double(liarCount), Double(cost.requestCount), cost.cpuSeconds,
      cost.seconds)
  }
}

extension BenchmarkCluster {
  /// One item for each symbol of `helper` that stands in a sliver of `lost` and needs no arithmetic.
  fileprivate func systematicItems(
    of blob: BlobID, from helper: NodeID, for lost: NodeID
  ) -> [ReadItem] {
    let n = parameters.shardCount
    let lines = world.committee.pairs(of: blob, keptBy: lost).flatMap { pair in
      SliverAxis.allCases.map { MatrixLine($0, Int(pair.sliver($0, shardCount: n).value)) }
    }
    var items: [ReadItem] = []
    for pair in world.committee.pairs(of: blob, keptBy: helper) {
      for axis in SliverAxis.allCases {
        let sourceCount = parameters.symbolCount(inSliverOf: axis)
        for line in lines where line.axis != axis && line.index < sourceCount {
          items.append(
            ReadItem(
              blob: blob, pair: pair, axis: axis, symbols: line.index..<line.index + 1,
              wantsPaths: false))
        }
      }
    }
    return items
  }
}
