// Traffic.swift
//
// Every byte that goes to other nodes and comes from them, by node and purpose: head and body as
// NodeMessageCodec makes them, also where the nodes are in one process and no bytes are made.
// A value; PeerTable keeps one.

package import Cluster

/// What bytes are moved for.
package enum TrafficPurpose: String, CaseIterable, Hashable, Sendable {
  case write
  case read
  /// Requests of readers for what stands in for slivers that cannot be had.
  case degradedRead
  case repair
  /// Metadata of blobs, for reads and repair alike.
  case metadata
  /// Whether a node that failed is back.
  case health
}

package struct TrafficCount: Hashable, Sendable {
  package var requestCount = 0
  package var requestByteCount = 0
  /// Of answers that came whole and in time.
  package var answerByteCount = 0

  package init() {}

  package var byteCount: Int { requestByteCount + answerByteCount }

  package static func += (left: inout TrafficCount, right: TrafficCount) {
    left.requestCount += right.requestCount
    left.requestByteCount += right.requestByteCount
    left.answerByteCount += right.answerByteCount
  }

  /// What came to `left` since `right`.
  package static func - (left: TrafficCount, right: TrafficCount) -> TrafficCount {
    var rest = left
    rest.requestCount -= right.requestCount
    rest.requestByteCount -= right.requestByteCount
    rest.answerByteCount -= right.answerByteCount
    return rest
  }
}

package struct Traffic: Equatable, Sendable {
  package private(set) var peers: [NodeID: [TrafficPurpose: TrafficCount]] = [:]

  package init() {}

  package mutating func sent(_ byteCount: Int, to node: NodeID, for purpose: TrafficPurpose) {
    peers[node, default: [:]][purpose, default: TrafficCount()].requestCount += 1
    peers[node, default: [:]][purpose, default: TrafficCount()].requestByteCount += byteCount
  }

  package mutating func received(_ byteCount: Int, from node: NodeID, for purpose: TrafficPurpose) {
    peers[node, default: [:]][purpose, default: TrafficCount()].answerByteCount += byteCount
  }

  /// The sum over the nodes that `isWanted`.
  package func count(
    of purpose: TrafficPurpose, where isWanted: (NodeID) -> Bool = { _ in true }
  ) -> TrafficCount {
    var sum = TrafficCount()
    for (node, counts) in peers where isWanted(node) { sum += counts[purpose] ?? TrafficCount() }
    return sum
  }
}
