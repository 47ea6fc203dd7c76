// SourceHealth.swift
//
// What one read has learnt about the slivers of its blob, kept from window to window. Three sets,
// each within the one before: what is not known to be lost, what also answers, what also answers in
// time.
//
// Invariant: a loss is remembered for this read only. Tomorrow's repair is not this reader's
// business.

import Cluster
import RedStuff
import Routing

/// Which node keeps which pair of one blob.
struct BlobPlacement: Sendable {
  let blob: BlobID
  /// By pair.
  private let nodes: [NodeID]
  private let pairs: [NodeID: [SliverPairIndex]]

  init(blob: BlobID, committee: Committee) {
    self.blob = blob
    var nodes = [NodeID?](repeating: nil, count: committee.parameters.shardCount)
    var pairs: [NodeID: [SliverPairIndex]] = [:]
    for member in committee.members {
      let kept = committee.pairs(of: blob, keptBy: member.id)
      pairs[member.id] = kept
      for pair in kept { nodes[Int(pair.value)] = member.id }
    }
    self.nodes = nodes.compactMap(\.self)
    self.pairs = pairs
  }

  func pairs(on node: NodeID) -> [SliverPairIndex] { pairs[node] ?? [] }

  func node(keeping pair: SliverPairIndex) -> NodeID { nodes[Int(pair.value)] }

  func node(keeping line: MatrixLine) -> NodeID {
    node(keeping: line.pair(shardCount: nodes.count))
  }
}

struct SourceHealth: Sendable {
  private(set) var intact: SliverSources
  private(set) var answering: SliverSources
  private(set) var prompt: SliverSources
  private(set) var hasFailures = false
  /// How often a fetch ended without waiting for what a node had been asked.
  private var lateCounts: [NodeID: Int] = [:]
  let placement: BlobPlacement

  init(placement: BlobPlacement, parameters: EncodingParameters, ranks: [NodeID: PeerRank]) {
    self.placement = placement
    var sources = SliverSources(parameters: parameters)
    for (node, rank) in ranks {
      for pair in placement.pairs(on: node) { sources.setRank(rank, of: pair) }
    }
    intact = sources
    answering = sources
    prompt = sources
    for (node, rank) in ranks where rank.isSuspected || rank.isLacking { slow(node) }
  }

  /// A sliver is not where it should be.
  mutating func lost(_ line: MatrixLine) {
    intact.exclude(line)
    answering.exclude(line)
    prompt.exclude(line)
  }

  /// A shard gave bytes that are not what it keeps: nothing more is taken from it.
  mutating func lied(_ pair: SliverPairIndex) {
    intact.exclude(pair)
    answering.exclude(pair)
    prompt.exclude(pair)
  }

  /// A sliver could not be read now.
  mutating func failed(_ line: MatrixLine) {
    hasFailures = true
    answering.exclude(line)
    prompt.exclude(line)
  }

  /// A node does not answer.
  mutating func failed(_ node: NodeID) {
    hasFailures = true
    for pair in placement.pairs(on: node) {
      answering.exclude(pair)
      prompt.exclude(pair)
    }
  }

  /// A fetch ended before the node had answered, long after it was asked. That happens to all now and
  /// then; to one and the same in the next window again, it does not.
  mutating func wentWithout(_ node: NodeID) {
    lateCounts[node, default: 0] += 1
    if lateCounts[node] == 2 { slow(node) }
  }

  /// A node takes long always, is suspected, or lacks much: it would cost the way there and back.
  private mutating func slow(_ node: NodeID) {
    for pair in placement.pairs(on: node) { prompt.exclude(pair) }
  }

  /// Before another try of what failed in passing.
  mutating func forgetFailures() {
    hasFailures = false
    answering = intact
    prompt = intact
  }
}
