// PeerTable.swift
//
// The one copy of what a process knows of its peers, shared by all that it asks them.

package import Cluster
package import RedStuff
internal import Synchronization
package import World

package final class PeerTable: Sendable {
  private let statistics = Mutex(PeerStatistics())
  private let counted = Mutex(Traffic())
  private let codec: NodeMessageCodec
  private let clock: any Clock

  package init(parameters: EncodingParameters, clock: any Clock) {
    codec = NodeMessageCodec(parameters: parameters)
    self.clock = clock
  }

  /// Since the process began.
  package var traffic: Traffic { counted.withLock { $0 } }

  /// Sends one request, and remembers how that went and what it moved.
  package func send(
    _ request: NodeRequest, for purpose: TrafficPurpose, to node: NodeID, deadline: Instant,
    over transport: any Transport
  ) async -> Result<NodeResponse, TransportError> {
    let deadline =
      PlantedBug.deadlineIgnored.isPlanted ? Instant(nanoseconds: .max) : deadline
    statistics.withLock { $0.began(node) }
    let requestByteCount = codec.wireByteCount(of: request)
    counted.withLock { $0.sent(requestByteCount, to: node, for: purpose) }
    let start = clock.now
    do {
      let answer = try await transport.send(request, to: node, deadline: deadline)
      let answerByteCount = codec.wireByteCount(of: answer, to: request)
      counted.withLock { $0.received(answerByteCount, from: node, for: purpose) }
      ended(node, .answered(after: clock.now - start))
      return .success(answer)
    } catch {
      ended(node, error == .cancelled ? .abandoned : .failed)
      return .failure(error)
    }
  }

  private func ended(_ node: NodeID, _ outcome: PeerStatistics.Outcome) {
    let now = clock.now
    statistics.withLock { $0.ended(node, outcome, at: now) }
  }

  package func distrust(_ node: NodeID) {
    let now = clock.now
    statistics.withLock { $0.distrust(node, at: now) }
  }

  package func hedgeDelay(
    for node: NodeID, min shortest: Duration, initial: Duration
  ) -> Duration {
    statistics.withLock { $0.hedgeDelay(for: node, min: shortest, initial: initial) }
  }

  /// Members, those to ask first in front; equals in an order rotated by `rotation`, so that not
  /// everybody asks the same one.
  package func ordered(_ members: [CommitteeMember], rotation: Int) -> [CommitteeMember] {
    let ranks = currentRanks(of: members)
    let count = max(members.count, 1)
    let keyed = members.indices.map { position in
      (ranks[position], (position + rotation) % count, members[position])
    }
    return keyed.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2)
  }

  package func ranks(of members: [CommitteeMember]) -> [NodeID: PeerRank] {
    Dictionary(
      uniqueKeysWithValues: zip(members.map(\.id), currentRanks(of: members)))
  }

  private func currentRanks(of members: [CommitteeMember]) -> [PeerRank] {
    let now = clock.now
    return statistics.withLock { $0.ranks(of: members.map(\.id), at: now) }
  }
}
