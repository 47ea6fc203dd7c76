// NodeMetrics.swift
//
// The few numbers that tell an operator how a node is doing. Names start with `walrus_node_`.

import Cluster
import CoreMetrics

struct NodeMetrics: Sendable {
  let storedSlivers = Counter(label: "walrus_node_stored_slivers_total")
  let storedBytes = Counter(label: "walrus_node_stored_bytes_total")
  let servedBytes = Counter(label: "walrus_node_served_bytes_total")
  let missingSlivers = Counter(label: "walrus_node_missing_slivers_total")
  let refusedSlivers = Counter(label: "walrus_node_refused_slivers_total")
  let confirmations = Counter(label: "walrus_node_confirmations_total")
  let expansions = Counter(label: "walrus_node_expansions_total")
  let deletedBlobs = Counter(label: "walrus_node_deleted_blobs_total")
  let registryErrors = Counter(label: "walrus_node_registry_errors_total")
  let repairReceivedBytes = Counter(label: "walrus_node_repair_received_bytes_total")
  let repairRestoredBytes = Counter(label: "walrus_node_repair_restored_bytes_total")
  let scrubbedBytes = Counter(label: "walrus_node_scrub_verified_bytes_total")
  let rottenRecords = Counter(label: "walrus_node_scrub_rotten_records_total")
  let unreadableRecords = Counter(label: "walrus_node_scrub_unreadable_records_total")
  let rottenSlivers = Counter(label: "walrus_node_rotten_slivers_total")
  let rottenMetadata = Counter(label: "walrus_node_rotten_metadata_total")
  /// Now, of this node. A sum over the nodes of a process would hide which one is short.
  let missingNow: Gauge
  /// How much of its rate repair takes now; the rest is left to what the node is asked for.
  let repairShare: Gauge
  private let refusals = Dictionary(
    uniqueKeysWithValues: NodeFailure.Reason.allCases.map { reason in
      let dimensions = [("reason", reason.rawValue)]
      return (reason, Counter(label: "walrus_node_refusals_total", dimensions: dimensions))
    })

  init(node: String) {
    missingNow = Gauge(label: "walrus_node_missing_slivers", dimensions: [("node", node)])
    repairShare = Gauge(label: "walrus_node_repair_share", dimensions: [("node", node)])
  }

  func countRefusal(_ reason: NodeFailure.Reason) { refusals[reason]?.increment() }
}
