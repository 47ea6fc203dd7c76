// NetworkTraffic.swift
//
// What went over the simulated network, in messages and in bytes of head and body, by who sent it
// where. What repair moves is measured in these.

package import Cluster

/// Requests of one process to one node, and the answers to them.
package struct TrafficPath: Hashable, Sendable {
  /// The asker, by the name of its life.
  package var process: String
  package var processZone: String
  package var node: NodeID
  package var nodeZone: String

  package var crossesZones: Bool { processZone != nodeZone }
}

package struct NetworkTraffic: Hashable, Sendable {
  /// What was sent, whether it arrived or not.
  package var requestCount = 0
  package var requestByteCount = 0
  package var answerCount = 0
  package var answerByteCount = 0

  package init() {}

  static func += (sum: inout NetworkTraffic, part: NetworkTraffic) {
    sum.requestCount += part.requestCount
    sum.requestByteCount += part.requestByteCount
    sum.answerCount += part.answerCount
    sum.answerByteCount += part.answerByteCount
  }
}
