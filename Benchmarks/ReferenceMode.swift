// ReferenceMode.swift
//
// The way the reference repairs, over the same nodes: one sliver after the other, each symbol asked
// of a node drawn at random and sent with its path. Beside it our own way, on the same blobs, by turns:
// what a busy machine adds to one turn does not count, the middle one does.

import BlobClient
import Cluster
import RedStuff
import Routing
import SliverStore
import StorageNode
import World

extension RepairBenchmark {
  func measureReference(_ report: inout BenchmarkReport) async throws {
    let (n, nodeCount, lost, turnCount) = (1000, 100, 3, 5)
    var table = BenchmarkTable(
      "Reference mode, n = \(n), \(nodeCount) nodes of 10 shards, blobs of 1 MiB",
      note: "CPU and blobs per second: the middle of \(turnCount) turns.",
      columns: [
        .init("blobs", .count), .restored, .moved, .movedRatio, .requests, .cpu,
        .init("CPU per blob", .seconds), .init("blobs per second", .ratio),
      ])
    progress("storing 64 blobs at n = 1000")
    var results = BenchmarkReport()
    let shape = BenchmarkShape(shardCount: n, nodeCount: nodeCount)
    try await withCluster(shape) { cluster in
      let blobs = try await cluster.store(64, byteCount: 1 << 20)
      // Others in each turn: helpers keep what they expanded for a while.
      let referenceCount = 2
      var turns: [(ours: HealingCost, reference: HealingCost)] = []
      for turn in 0..<turnCount {
        progress("repairing at n = 1000, our way and the reference's, \(turn + 1) of \(turnCount)")
        let ours = try await cluster.heal(lost)
        let some = Array(blobs[turn * referenceCount..<(turn + 1) * referenceCount])
        turns.append((ours, try await cluster.healLikeReference(lost, some)))
      }
      func middle(_ values: [Double]) -> Double { values.sorted()[turnCount / 2] }
      func add(_ name: String, _ costs: [HealingCost], _ count: Int) {
        let cost = costs[0]
        table.add(
          name, Double(count), Double(cost.restoredByteCount), Double(cost.receivedByteCount),
          cost.receivedPerRestored, Double(cost.requestCount), middle(costs.map(\.cpuSeconds)),
          middle(costs.map(\.cpuSeconds)) / Double(count),
          Double(count) / middle(costs.map(\.seconds)))
      }
      add("joint recovery", turns.map(\.ours), blobs.count)
      add("reference mode", turns.map(\.reference), referenceCount)
      let share = Double(blobs.count) / Double(referenceCount)
      results.hold(
        "CPU of reference mode / ours, n = 1000",
        share * middle(turns.map { $0.reference.cpuSeconds / $0.ours.cpuSeconds }), .atLeast, 30)
      results.hold(
        "blobs per second, ours / reference mode, n = 1000",
        share * middle(turns.map { $0.reference.seconds / $0.ours.seconds }), .atLeast, 30)
    }
    report.tables.append(table)
    report.bars += results.bars
  }
}

extension BenchmarkCluster {
  /// Rebuilds both slivers of each pair that the node keeps, without storing them.
  func healLikeReference(_ position: Int, _ blobs: [BlobID]) async throws -> HealingCost {
    let lost = nodes[position].member.id
    let peers = PeerTable(
      parameters: parameters, clock: world.clock, randomness: world.randomness)
    var cost = HealingCost()
    let (cpuBefore, start) = (processSeconds(), world.clock.now)
    for blob in blobs {
      let metadata = try await client.head(blob).metadata
      for pair in world.committee.pairs(of: blob, keptBy: lost) {
        for axis in SliverAxis.allCases {
          let index = pair.sliver(axis, shardCount: parameters.shardCount)
          let sliver = try await rebuild(axis, index, metadata, without: lost, peers)
          cost.restoredByteCount += sliver.bytes.count
        }
      }
    }
    cost.cpuSeconds = processSeconds() - cpuBefore
    cost.seconds = Double((world.clock.now - start).wholeNanoseconds) / 1e9
    let moved = peers.traffic.count(of: .repair)
    cost.receivedByteCount = moved.answerByteCount
    cost.requestCount = moved.requestCount
    return cost
  }

  private func rebuild(
    _ axis: SliverAxis, _ index: SliverIndex, _ metadata: VerifiedBlobMetadata,
    without lost: NodeID, _ peers: PeerTable
  ) async throws -> Sliver {
    let n = parameters.shardCount
    let needed = parameters.symbolCount(inSliverOf: axis)
    var sources = (0..<n).filter { source in
      let pair = SliverIndex(UInt16(source)).pair(axis.other, shardCount: n)
      return world.committee.node(keeping: pair, of: metadata.blobID) != lost
    }
    for place in 0..<needed {
      sources.swapAt(place, place + world.randomness.number(below: sources.count - place))
    }
    let symbols = try await withThrowingTaskGroup(of: [GeneralRecoverySymbol].self) { group in
      var symbols: [GeneralRecoverySymbol] = []
      for (position, source) in sources.prefix(needed).enumerated() {
        // As many at once as the reference asks for.
        if position >= 64, let some = try await group.next() { symbols += some }
        group.addTask { [self] in
          try await symbol(axis, index, from: source, metadata.blobID, peers)
        }
      }
      for try await some in group { symbols += some }
      return symbols
    }
    return try await world.compute.run {
      let proven = symbols.map { RecoverySymbol(symbol: $0.symbol, proof: $0.proof) }
      let failures = RecoverySymbol.failures(
        proven, targetAxis: axis, targetIndex: index, metadata: metadata)
      guard failures.allSatisfy({ $0 == nil }) else {
        throw BenchmarkFailure(description: "a path does not lead to its root")
      }
      return try Sliver.recovered(axis, index, from: proven.map(\.symbol), metadata: metadata)
    }
  }

  private func symbol(
    _ axis: SliverAxis, _ index: SliverIndex, from source: Int, _ blob: BlobID,
    _ peers: PeerTable
  ) async throws -> [GeneralRecoverySymbol] {
    let source = SliverIndex(UInt16(source))
    let pair = source.pair(axis.other, shardCount: parameters.shardCount)
    let id =
      axis == .primary
      ? SymbolID(primary: index, secondary: source) : SymbolID(primary: source, secondary: index)
    let answer = try await peers.send(
      .recoverySymbols(blob, .symbols([id]), proofAxis: axis.other), for: .repair,
      to: world.committee.node(keeping: pair, of: blob),
      deadline: world.clock.now + .seconds(60), over: world.transport
    ).get()
    guard case .recoverySymbols(let symbols) = answer else {
      throw BenchmarkFailure(description: "a helper did not give its symbol: \(answer)")
    }
    return symbols
  }
}
