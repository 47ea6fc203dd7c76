// PeerStatistics.swift
//
// What a reader or writer has seen of each node: how fast it answers, how often it failed lately,
// what it is working on now. Kept in memory only; a wrong opinion costs a detour, never a byte.
//
// Invariant: opinions fade. A suspected node is asked again after its time, or it could never prove
// that it came back.

package import Cluster
package import World

package struct PeerStatistics: Sendable {
  /// First suspicion; long enough to spare the next reads a wait, short enough for a restart.
  package static let suspicionMin = Duration.seconds(1)
  /// Failures double the suspicion up to here, so that a dead node costs a probe a minute.
  package static let suspicionMax = Duration.seconds(60)
  /// A node this much slower than its fastest peer is asked last among those that answer.
  static let slownessFactor: Int64 = 4
  /// Below this, latency differences say nothing.
  static let latencyFloorNanoseconds: Int64 = 5_000_000

  /// How a request ended, as far as it says something about the node.
  package enum Outcome: Sendable {
    case answered(after: Duration)
    /// No answer, or one that was a lie.
    case failed
    /// We lost interest first.
    case abandoned
  }

  private struct Peer {
    /// Exponentially smoothed with weight 1/8, as TCP does; nil before the first answer.
    var latencyNanoseconds: Int64?
    var consecutiveFailureCount = 0
    var inFlightCount = 0
    var suspectedUntil: Instant?
  }

  private var peers: [NodeID: Peer] = [:]

  package init() {}

  package mutating func began(_ node: NodeID) {
    peers[node, default: Peer()].inFlightCount += 1
  }

  /// Ends what `began` started.
  package mutating func ended(_ node: NodeID, _ outcome: Outcome, at now: Instant) {
    var peer = peers[node] ?? Peer()
    peer.inFlightCount = max(peer.inFlightCount - 1, 0)
    switch outcome {
    case .answered(let latency):
      let sample = max(latency.wholeNanoseconds, 0)
      peer.latencyNanoseconds = peer.latencyNanoseconds.map { $0 + (sample - $0) / 8 } ?? sample
      peer.consecutiveFailureCount = 0
      peer.suspectedUntil = nil
    case .failed:
      Self.suspect(&peer, at: now)
    case .abandoned:
      break
    }
    peers[node] = peer
  }

  /// The node answered, and lied or did not have what it should have.
  package mutating func distrust(_ node: NodeID, at now: Instant) {
    Self.suspect(&peers[node, default: Peer()], at: now)
  }

  private static func suspect(_ peer: inout Peer, at now: Instant) {
    // Six doublings pass `suspicionMax`; a larger shift would only overflow.
    let doublings = min(peer.consecutiveFailureCount, 6)
    peer.consecutiveFailureCount += 1
    peer.suspectedUntil = now + min(suspicionMin * (1 << doublings), suspicionMax)
  }

  package func isSuspected(_ node: NodeID, at now: Instant) -> Bool {
    guard let until = peers[node]?.suspectedUntil else { return false }
    return now < until
  }

  package func smoothedLatency(of node: NodeID) -> Duration? {
    peers[node]?.latencyNanoseconds.map { .nanoseconds($0) }
  }

  package func inFlightCount(of node: NodeID) -> Int { peers[node]?.inFlightCount ?? 0 }

  package func consecutiveFailureCount(of node: NodeID) -> Int {
    peers[node]?.consecutiveFailureCount ?? 0
  }

  /// How long to wait for a node before its work is given to others as well.
  package func hedgeDelay(for node: NodeID, min shortest: Duration, initial: Duration) -> Duration {
    guard let latency = smoothedLatency(of: node) else { return initial }
    return max(latency * 3, shortest)
  }

  /// Whom to ask first: smaller is better. Suspected nodes come last, then slow ones, then busy
  /// ones. Distances are for those who know the topology to fill in.
  package func ranks(of nodes: [NodeID], at now: Instant) -> [PeerRank] {
    let fastest = peers.values.compactMap(\.latencyNanoseconds).min() ?? 0
    let slowFrom = max(fastest, Self.latencyFloorNanoseconds)
    return nodes.map { node in
      let latency = peers[node]?.latencyNanoseconds ?? 0
      return PeerRank(
        isSuspected: isSuspected(node, at: now),
        isSlow: latency / Self.slownessFactor > slowFrom, inFlightCount: inFlightCount(of: node))
    }
  }
}

package struct PeerRank: Hashable, Comparable, Sendable {
  package var isSuspected: Bool
  package var isSlow: Bool
  /// Borders of failure domains on the way: 0 for the nearest, as in the same zone, then 1 for
  /// another zone, 2 for another region. Only the order counts.
  package var distance: Int
  package var inFlightCount: Int

  package init(
    isSuspected: Bool = false, isSlow: Bool = false, distance: Int = 0, inFlightCount: Int = 0
  ) {
    self.isSuspected = isSuspected
    self.isSlow = isSlow
    self.distance = distance
    self.inFlightCount = inFlightCount
  }

  /// Worth avoiding even where that costs decoding.
  var demerit: Int { isSuspected ? 2 : isSlow ? 1 : 0 }

  package static func < (left: PeerRank, right: PeerRank) -> Bool {
    (left.demerit, left.distance, left.inFlightCount)
      < (right.demerit, right.distance, right.inFlightCount)
  }
}
