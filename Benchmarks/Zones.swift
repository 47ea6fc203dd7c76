// Zones.swift
//
// Bytes of a repair that come from other zones, beside those that have to.

import BlobClient
import Cluster
import RedStuff
import World

extension RepairBenchmark {
  func measureZones(_ report: inout BenchmarkReport) async throws {
    var table = BenchmarkTable(
      "Repair across three zones, one node of each zone in turn",
      note: "crossing and bound: bytes from other zones per restored byte, framing counted.",
      columns: [
        .restored, .movedRatio, .init("crossing", .ratio), .init("bound", .ratio),
        .init("crossing, zones unknown", .ratio),
      ])
    let single = (0..<100).map { "zone-\($0 * 3 / 100)" }
    let tens = (0..<10).map { $0 < 3 ? "zone-0" : $0 < 6 ? "zone-1" : "zone-2" }
    for (name, zones, lost) in [
      ("100 nodes of 1 shard", single, [5, 50, 95]), ("10 nodes of 10 shards", tens, [1, 4, 8]),
    ] {
      progress("repairing across zones, \(name)")
      let aware = try await crossing(zones, knowingZones: true, lost)
      let blind = try await crossing(zones, knowingZones: false, lost)
      table.add(
        name, Double(aware.restored), aware.movedRatio, aware.ratio, aware.boundRatio, blind.ratio)
      if zones.count == 100 {
        report.hold("zone crossing/restored, \(name)", aware.ratio, .atMost, 0.38)
      } else {
        report.hold("zone crossing/bound, \(name)", aware.ratio / aware.boundRatio, .atMost, 1.03)
      }
    }
    report.tables.append(table)
  }

  private struct Crossing {
    var restored = 0
    var received = 0
    var crossing = 0
    var bound = 0

    var ratio: Double { Double(crossing) / Double(max(restored, 1)) }
    var boundRatio: Double { Double(bound) / Double(max(restored, 1)) }
    var movedRatio: Double { Double(received) / Double(max(restored, 1)) }
  }

  private func crossing(
    _ zones: [String], knowingZones: Bool, _ lostNodes: [Int]
  ) async throws -> Crossing {
    let shape = BenchmarkShape(
      shardCount: 100, nodeCount: zones.count, zones: knowingZones ? zones : [])
    return try await withCluster(shape) { cluster in
      let blobs = try await cluster.store(20, byteCount: 4 << 20)
      let s = try await cluster.client.head(blobs[0]).metadata.symbolByteCount
      var sum = Crossing()
      for lost in lostNodes {
        let cost = try await cluster.heal(lost)
        sum.restored += cost.restoredByteCount
        sum.received += cost.receivedByteCount
        let zone = zones[lost]
        for (source, byteCount) in cost.sources where zones[Int(source.value)] != zone {
          sum.crossing += byteCount
        }
        // Of k1 symbols of each lost column, and of the k2 - t of each lost row that the rebuilt
        // columns do not give, as many must enter as the zone has no shards for.
        let t = cluster.nodes[lost].member.shards.count
        let local = cluster.nodes.indices.filter { zones[$0] == zone && $0 != lost }
          .reduce(0) { $0 + cluster.nodes[$1].member.shards.count }
        sum.bound +=
          blobs.count * t * s * (max(0, cluster.k1 - local) + max(0, cluster.k2 - t - local))
      }
      return sum
    }
  }
}
