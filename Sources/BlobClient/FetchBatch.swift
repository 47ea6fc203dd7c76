// FetchBatch.swift
//
// Runs that go to one node in one request, cut at the limits of a message.

import Cluster
import RedStuff
import Routing

struct FetchBatch: Sendable {
  let node: NodeID
  private let planner: ReadPlanner
  private let lines: ReadPlanner.Lines
  private(set) var flights: [RegionFetch.Flight] = []
  /// Payload of the answer.
  private(set) var byteCount = 0

  var isHedge: Bool { flights.contains(where: \.isHedge) }

  var request: PeerStatistics.Request {
    isHedge ? .hedge(byteCount: byteCount) : .read(byteCount: byteCount)
  }

  var purpose: TrafficPurpose {
    let isDegraded = flights.contains {
      $0.run.standsIn(forLines: lines, parameters: planner.parameters)
    }
    return isDegraded ? .degradedRead : .read
  }

  /// In the order of the nodes.
  static func batches(
    of flights: [RegionFetch.Flight], planner: ReadPlanner, lines: ReadPlanner.Lines,
    byteCountMax: Int
  ) -> [FetchBatch] {
    var byNode: [NodeID: [RegionFetch.Flight]] = [:]
    for flight in flights { byNode[flight.node, default: []].append(flight) }
    var batches: [FetchBatch] = []
    for (node, flights) in byNode.sorted(by: { $0.key < $1.key }) {
      var batch = FetchBatch(node: node, planner: planner, lines: lines)
      for flight in flights {
        let expected =
          flight.run.symbols.count
          * (flight.run.wantsPaths ? planner.provenSymbolByteCount : planner.symbolByteCount)
        if !batch.flights.isEmpty,
          batch.flights.count >= NodeMessageLimits.batchItemCountMax
            || batch.byteCount + expected > byteCountMax
        {
          batches.append(batch)
          batch = FetchBatch(node: node, planner: planner, lines: lines)
        }
        batch.flights.append(flight)
        batch.byteCount += expected
      }
      batches.append(batch)
    }
    return batches
  }
}
