// Transport.swift
//
// How a message reaches a node and its answer comes back: a direct call in one process, HTTP between
// processes, a simulated network in tests.

package import Cluster

/// Why no answer came. An answer that says no is not a transport error but a `NodeFailure`.
package enum TransportError: Error, Equatable, Sendable {
  /// The node cannot be reached (not running, connection refused or broken).
  case unreachable(NodeID, String)
  /// No whole answer arrived by the deadline.
  case deadlineExceeded(NodeID)
  /// An answer arrived that is none: too large, or not decodable.
  case malformedAnswer(NodeID, String)
  case cancelled
}

extension TransportError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unreachable(_, let reason): "out of reach: \(reason)"
    case .deadlineExceeded: "no answer in time"
    case .malformedAnswer(_, let reason): "its answer cannot be read: \(reason)"
    case .cancelled: "cancelled"
    }
  }
}

package protocol Transport: Sendable {
  func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
}

/// What answers: a storage node as its transports see it.
package protocol NodeService: Sendable {
  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse
}
