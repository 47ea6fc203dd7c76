// PeerTable.swift
//
// The one copy of what a process knows of its peers, shared by all that it asks them, and the one
// budget of hedges.

package import Cluster
package import RedStuff
internal import Synchronization
package import World

package final class PeerTable: Sendable {
  private struct State {
    var statistics = PeerStatistics()
    var hedges: HedgeBudget
    var traffic = Traffic()
    var metrics: TrafficMetrics?
  }

  private let state: Mutex<State>
  private let codec: NodeMessageCodec
  private let clock: any Clock
  private let randomness: any Randomness
  /// Where the process stands; what is not said counts as near to all.
  private let here: Topology

  package init(
    parameters: EncodingParameters, clock: any Clock, randomness: any Randomness,
    here: Topology = Topology(),
    hedges: HedgeBudget = HedgeBudget(hedgesPerThousand: 0, burstMax: 0),
    metrics: TrafficMetrics? = nil
  ) {
    codec = NodeMessageCodec(parameters: parameters)
    self.clock = clock
    self.randomness = randomness
    self.here = here
    state = Mutex(State(hedges: hedges, metrics: metrics))
  }

  /// Since the process began.
  package var traffic: Traffic { state.withLock { $0.traffic } }

  /// Sends one request, and remembers how that went and what it moved.
  package func send(
    _ request: NodeRequest, for purpose: TrafficPurpose, to node: NodeID, deadline: Instant,
    over transport: any Transport, as kind: PeerStatistics.Request = .read(byteCount: 0)
  ) async -> Result<NodeResponse, TransportError> {
    let deadline =
      PlantedBug.deadlineIgnored.isPlanted ? Instant(nanoseconds: .max) : deadline
    let requestByteCount = codec.wireByteCount(of: request)
    state.withLock {
      $0.statistics.began(node)
      if case .read = kind { $0.hedges.earn() }
      $0.traffic.sent(requestByteCount, to: node, for: purpose)
      $0.metrics?.sent(requestByteCount, to: node, for: purpose)
    }
    let start = clock.now
    do {
      let answer = try await transport.send(request, to: node, deadline: deadline)
      let now = clock.now
      let answerByteCount = codec.wireByteCount(of: answer, to: request)
      state.withLock {
        $0.traffic.received(answerByteCount, from: node, for: purpose)
        $0.metrics?.received(answerByteCount, from: node, for: purpose)
        if case .readBatch(_, let load) = answer {
          $0.statistics.noteLoad(of: node, Int(load), at: now)
        }
      }
      ended(node, kind, .answered(after: now - start))
      return .success(answer)
    } catch {
      ended(node, kind, error == .cancelled ? .abandoned(after: clock.now - start) : .failed)
      return .failure(error)
    }
  }

  private func ended(
    _ node: NodeID, _ kind: PeerStatistics.Request, _ outcome: PeerStatistics.Outcome
  ) {
    let now = clock.now
    state.withLock { $0.statistics.ended(node, kind, outcome, at: now) }
  }

  package func distrust(_ node: NodeID) {
    let now = clock.now
    state.withLock { $0.statistics.distrust(node, at: now) }
  }

  /// Of slivers that it should have and was asked for, the node had some and lacked others.
  package func noteHoldings(of node: NodeID, presentCount: Int, missingCount: Int) {
    let now = clock.now
    state.withLock {
      $0.statistics.noteHoldings(
        of: node, presentCount: presentCount, missingCount: missingCount, at: now)
    }
  }

  // MARK: Probes

  /// Nodes that failed some time ago: whoever takes them asks each with `probe`.
  package func takeProbes() -> [NodeID] {
    let now = clock.now
    return state.withLock { $0.statistics.takeProbes(at: now) }
  }

  /// Asks a node whether it is back.
  package func probe(_ node: NodeID, deadline: Instant, over transport: any Transport) async {
    _ = await send(
      .health(detailed: false), for: .health, to: node, deadline: deadline, over: transport,
      as: .probe)
  }

  // MARK: Hedges

  /// How long to wait for an answer of so many bytes before it counts as late.
  package func hedgeDelay(
    for node: NodeID, byteCount: Int, min shortest: Duration, initial: Duration
  ) -> Duration {
    state.withLock {
      $0.statistics.hedgeDelay(
        for: node, byteCount: byteCount, latePerThousand: $0.hedges.lateRequestsPerThousand,
        min: shortest, initial: initial)
    }
  }

  /// Hedges that may be sent now, and that may ever be sent at once.
  package var hedgesAvailable: (now: Int, most: Int) {
    state.withLock { ($0.hedges.available, $0.hedges.burstMax) }
  }

  /// - Returns: false, and nothing is taken, if there are fewer.
  package func takeHedges(_ count: Int) -> Bool {
    state.withLock { $0.hedges.take(count) }
  }

  // MARK: Order

  /// Members, those to ask first in front.
  package func ordered(_ members: [CommitteeMember]) -> [CommitteeMember] {
    zip(currentRanks(of: members), members.indices).sorted { ($0.0, $0.1) < ($1.0, $1.1) }
      .map { members[$0.1] }
  }

  package func ranks(of members: [CommitteeMember]) -> [NodeID: PeerRank] {
    Dictionary(
      uniqueKeysWithValues: zip(members.map(\.id), currentRanks(of: members)))
  }

  private func currentRanks(of members: [CommitteeMember]) -> [PeerRank] {
    let now = clock.now
    let nodes = members.map { (id: $0.id, distance: here.distance(to: $0.topology)) }
    return state.withLock {
      $0.statistics.ranks(of: nodes, at: now, randomness: randomness)
    }
  }
}
