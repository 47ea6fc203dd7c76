// TrafficReport.swift
//
// What the administration API says of bytes between nodes, as it goes over the wire.

package import Routing

package struct ClusterTraffic: Codable, Equatable, Sendable {
  /// What one sender asked of one node for one purpose. Heads and bodies.
  package struct Flow: Codable, Equatable, Sendable {
    /// `gateway`, or the name of a node.
    package var from: String
    package var to: String
    /// `write`, `read`, `degradedRead`, `repair`, `metadata` or `health`.
    package var purpose: String
    /// Whether the two are in different zones or regions, as far as that is known.
    package var crossesZones: Bool
    package var requestCount: Int
    package var requestByteCount: Int
    package var answerByteCount: Int

    package init(
      from: String, to: String, purpose: TrafficPurpose, crossesZones: Bool, _ count: TrafficCount
    ) {
      self.from = from
      self.to = to
      self.purpose = purpose.rawValue
      self.crossesZones = crossesZones
      requestCount = count.requestCount
      requestByteCount = count.requestByteCount
      answerByteCount = count.answerByteCount
    }
  }

  package var flows: [Flow]

  package init(flows: [Flow]) { self.flows = flows }
}
