// TrafficMetrics.swift
//
// The bytes of Traffic for whoever watches the process over time. Sums over all that a process sends
// for: they go on when one of its nodes starts again, and a cluster of a hundred nodes in one process
// does not make a series for each pair of them.

package import Cluster
package import CoreMetrics

package struct TrafficMetrics: Sendable {
  /// Nodes with series of their own; the others share one, as nodes do that are no members.
  static let peerCountMax = 1000

  private struct Kind: Hashable {
    let purpose: TrafficPurpose
    let crossesZones: Bool
  }

  private struct Counters {
    let requests: Counter
    let sentBytes: Counter
    let receivedBytes: Counter
  }

  private struct Peer {
    let crossesZones: Bool
    let sentBytes: Counter
    let receivedBytes: Counter
  }

  private let here: Topology
  private let members: [NodeID: (name: String, place: Topology)]
  private let factory: any MetricsFactory
  // Made when they are needed: most senders ask few nodes for few purposes.
  private var kinds: [Kind: Counters] = [:]
  private var peers: [NodeID: Peer] = [:]

  /// Of one sender, that stands at `here`. All of a process count into the same series.
  package init(
    from here: Topology, to members: [CommitteeMember],
    factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.here = here
    self.factory = factory
    self.members = Dictionary(
      uniqueKeysWithValues: members.enumerated().map { number, member in
        (member.id, (number < Self.peerCountMax ? member.name : Self.others, member.topology))
      })
  }

  private static let others = "other"

  mutating func sent(_ byteCount: Int, to node: NodeID, for purpose: TrafficPurpose) {
    let (counters, peer) = counters(of: node, purpose)
    counters.requests.increment()
    counters.sentBytes.increment(by: byteCount)
    peer.sentBytes.increment(by: byteCount)
  }

  mutating func received(_ byteCount: Int, from node: NodeID, for purpose: TrafficPurpose) {
    let (counters, peer) = counters(of: node, purpose)
    counters.receivedBytes.increment(by: byteCount)
    peer.receivedBytes.increment(by: byteCount)
  }

  private mutating func counters(
    of node: NodeID, _ purpose: TrafficPurpose
  ) -> (Counters, Peer) {
    let peer = peers[node] ?? newPeer(node)
    peers[node] = peer
    let kind = Kind(purpose: purpose, crossesZones: peer.crossesZones)
    let counters = kinds[kind] ?? newCounters(kind)
    kinds[kind] = counters
    return (counters, peer)
  }

  private func newPeer(_ node: NodeID) -> Peer {
    let (name, place) = members[node] ?? (Self.others, Topology())
    let dimensions = [("peer", name)]
    return Peer(
      crossesZones: here.distance(to: place) > 0,
      sentBytes: counter("walrus_traffic_peer_sent_bytes_total", dimensions),
      receivedBytes: counter("walrus_traffic_peer_received_bytes_total", dimensions))
  }

  private func newCounters(_ kind: Kind) -> Counters {
    let dimensions = [
      ("purpose", kind.purpose.rawValue), ("zones", kind.crossesZones ? "crossed" : "same"),
    ]
    return Counters(
      requests: counter("walrus_traffic_requests_total", dimensions),
      sentBytes: counter("walrus_traffic_sent_bytes_total", dimensions),
      receivedBytes: counter("walrus_traffic_received_bytes_total", dimensions))
  }

  private func counter(_ label: String, _ dimensions: [(String, String)]) -> Counter {
    Counter(label: label, dimensions: dimensions, factory: factory)
  }
}
