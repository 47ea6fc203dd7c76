// PeerStatistics.swift
//
// What a reader or writer has seen of each node: how fast it answers, how often it failed lately,
// what it is working on now, for us and as it says. Kept in memory only; a wrong opinion costs a
// detour, never a byte.
//
// Invariant: opinions fade. A node that failed is asked again after its time, by a probe that nothing
// waits for, and is suspected until it answers; one that is not trusted gets its chance after its time.

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
  /// One answer counts as at most this many times what is usual: a node in a hundred of whose
  /// answers one takes long is not a slow node.
  static let outlierFactor: Int64 = 4
  /// Thousandths of the answers that may take longer than a hedge waits. One in a hundred that really
  /// is slow and as many that are not: less than the budget of hedges allows.
  package static let lateRequestsPerThousand = 20
  /// Answers of a node from which on its own record says when it is late...
  package static let ownSampleCountMin = 64
  /// ... and answers of all nodes from which on theirs does.
  package static let sampleCountMin = 32
  /// A node that is given up as late so often in a row, without an answer between, has failed.
  package static let givenUpCountMax = 3

  /// A node that lacked more than a quarter (in 1024ths) of what it was asked for lately is asked
  /// after the others: each sliver in vain costs a reader the way there and back.
  static let lackedShareMax = 256

  /// What a node said of its work is old after this long: a few answers later the work is another.
  static let loadMemory = Duration.seconds(1)

  /// What is asked of a node, and how much moves for it.
  package enum Request: Sendable, Hashable {
    case read(byteCount: Int)
    /// A read that another node has been asked for already, and takes long over.
    case hedge(byteCount: Int)
    /// Takes what a drive and the registry take, so it does not tell how long a read may.
    case store(byteCount: Int)
    /// Whether a node that failed answers again. Says nothing about its speed.
    case probe

    var byteCount: Int {
      switch self {
      case .read(let count), .hedge(let count), .store(let count): count
      case .probe: 0
      }
    }

    var isRead: Bool {
      switch self {
      case .read, .hedge: true
      case .store, .probe: false
      }
    }
  }

  /// How a request ended, as far as it says something about the node.
  package enum Outcome: Sendable {
    case answered(after: Duration)
    /// No answer, or one that was a lie.
    case failed
    /// We lost interest first.
    case abandoned(after: Duration)
  }

  private struct Peer {
    /// Exponentially smoothed with weight 1/8, as TCP does; nil before the first answer. As if all
    /// answers were small.
    var latencyNanoseconds: Int64?
    /// Half of the small answers to reads take longer.
    var smallMedian: Int64?
    /// Of reads, as if all answers were small.
    var record = LatencyRecord()
    var consecutiveFailureCount = 0
    var inFlightCount = 0
    /// As it said with an answer: what it was working on for others, and for us.
    var load: (requestCount: Int, at: Instant)?
    var suspectedUntil: Instant?
    /// It failed, and has not answered since.
    var isSilent = false
    var givenUpCount = 0
    var lastGivenUp: Instant?
    /// Of the slivers that it was asked for, those it had not: smoothed with weight 1/8, in 1024ths.
    var lackedShare = 0
    var lacksUntil: Instant?
    /// How often in a row it still lacked slivers when it was asked again.
    var lackCount = 0
  }

  private var peers: [NodeID: Peer] = [:]
  private var everyone = LatencyRecord()
  private var sizes = AnswerSizes()

  package init() {}

  package mutating func began(_ node: NodeID) {
    peers[node, default: Peer()].inFlightCount += 1
  }

  /// Ends what `began` started.
  package mutating func ended(
    _ node: NodeID, _ request: Request, _ outcome: Outcome, at now: Instant
  ) {
    var peer = peers[node] ?? Peer()
    peer.inFlightCount = max(peer.inFlightCount - 1, 0)
    switch outcome {
    case .answered(let latency):
      peer.suspectedUntil = nil
      peer.isSilent = false
      // It is there; whether it gives what it is asked for is still open.
      guard request != .probe else { break }
      peer.consecutiveFailureCount = 0
      peer.givenUpCount = 0
      note(latency, request, &peer)
    case .failed:
      peer.isSilent = true
      Self.suspect(&peer, at: now)
    case .abandoned(let age):
      if request.isRead { gaveUp(after: age, request, &peer, at: now) }
    }
    peers[node] = peer
  }

  private mutating func note(_ latency: Duration, _ request: Request, _ peer: inout Peer) {
    let sample = sizes.normalised(
      max(latency.wholeNanoseconds, 0), byteCount: request.byteCount)
    if let usual = peer.latencyNanoseconds {
      let limit = max(usual, Self.latencyFloorNanoseconds) * Self.outlierFactor
      peer.latencyNanoseconds = usual + (min(sample, limit) - usual) / 8
    } else {
      peer.latencyNanoseconds = sample
    }
    guard request.isRead else { return }
    peer.record.insert(nanoseconds: sample)
    everyone.insert(nanoseconds: sample)
    if request.byteCount <= AnswerSizes.smallByteCountMax {
      let median = peer.smallMedian ?? sample
      let step = median / 16 + 1
      peer.smallMedian = sample > median ? median + step : max(median - step, 0)
    } else if request.byteCount >= AnswerSizes.largeByteCountMin, let median = peer.smallMedian {
      sizes.learn(sample, smallMedian: median)
    }
  }

  /// A request that was late, and then not needed any more, took at least as long as it was waited
  /// for. If only answers counted, what is late would vanish from the record, and the next would be
  /// called late sooner and sooner.
  private mutating func gaveUp(
    after age: Duration, _ request: Request, _ peer: inout Peer, at now: Instant
  ) {
    let sample = sizes.normalised(max(age.wholeNanoseconds, 0), byteCount: request.byteCount)
    let isLate =
      usualMaxNanoseconds(of: peer).map { sample > $0 } ?? (age >= Self.suspicionMin)
    guard isLate else { return }
    peer.record.insert(nanoseconds: sample)
    everyone.insert(nanoseconds: sample)
    // Of requests that waited together one counts.
    if let last = peer.lastGivenUp, now - last < age { return }
    peer.lastGivenUp = now
    peer.givenUpCount += 1
    guard peer.givenUpCount >= Self.givenUpCountMax else { return }
    peer.givenUpCount = 0
    Self.suspect(&peer, at: now)
  }

  /// The node said that it worked on so many other requests.
  package mutating func noteLoad(of node: NodeID, _ requestCount: Int, at now: Instant) {
    peers[node, default: Peer()].load = (requestCount, now)
  }

  /// Requests that a new one waits for: of ours those under way, and what the node said it had.
  package func workCount(of node: NodeID, at now: Instant) -> Int {
    guard let peer = peers[node] else { return 0 }
    guard let load = peer.load, now - load.at < Self.loadMemory else { return peer.inFlightCount }
    return max(peer.inFlightCount, load.requestCount)
  }

  /// The node answered, and lied or did not have what it should have.
  package mutating func distrust(_ node: NodeID, at now: Instant) {
    Self.suspect(&peers[node, default: Peer()], at: now)
  }

  /// Of slivers that it should have and was asked for, the node had some and lacked others.
  package mutating func noteHoldings(
    of node: NodeID, presentCount: Int, missingCount: Int, at now: Instant
  ) {
    var peer = peers[node] ?? Peer()
    // The share hardly changes after so many.
    for _ in 0..<min(presentCount, 64) { peer.lackedShare -= (peer.lackedShare + 7) / 8 }
    for _ in 0..<min(missingCount, 64) { peer.lackedShare += (1024 - peer.lackedShare) / 8 }
    let isAskedAgain = peer.lacksUntil.map { now >= $0 } ?? true
    if peer.lackedShare <= Self.lackedShareMax {
      peer.lackCount = 0
      peer.lacksUntil = nil
    } else if isAskedAgain, missingCount > 0 {
      peer.lacksUntil = now + Self.pause(after: peer.lackCount)
      peer.lackCount += 1
    }
    peers[node] = peer
  }

  private static func suspect(_ peer: inout Peer, at now: Instant) {
    peer.suspectedUntil = now + pause(after: peer.consecutiveFailureCount)
    peer.consecutiveFailureCount += 1
  }

  private static func pause(after failureCount: Int) -> Duration {
    // Six doublings pass `suspicionMax`; a larger shift would only overflow.
    min(suspicionMin * (1 << min(failureCount, 6)), suspicionMax)
  }

  package func isSuspected(_ node: NodeID, at now: Instant) -> Bool {
    guard let peer = peers[node], let until = peer.suspectedUntil else { return false }
    return peer.isSilent || now < until
  }

  /// Nodes that failed and whose time has passed, to be asked whether they are back. Each is named
  /// to one caller at a time.
  package mutating func takeProbes(at now: Instant) -> [NodeID] {
    let due = peers.filter {
      $0.value.isSilent && $0.value.suspectedUntil.map { $0 <= now } ?? true
    }
    .keys.sorted()
    for node in due { peers[node]?.suspectedUntil = now + Self.suspicionMin }
    return due
  }

  /// Of a small answer.
  package func smoothedLatency(of node: NodeID) -> Duration? {
    peers[node]?.latencyNanoseconds.map { .nanoseconds($0) }
  }

  package func inFlightCount(of node: NodeID) -> Int { peers[node]?.inFlightCount ?? 0 }

  package func consecutiveFailureCount(of node: NodeID) -> Int {
    peers[node]?.consecutiveFailureCount ?? 0
  }

  // MARK: Lateness

  /// How long to wait for an answer of so many bytes before it counts as late, as that many
  /// thousandths of the answers would.
  package func hedgeDelay(
    for node: NodeID, byteCount: Int, latePerThousand: Int = lateRequestsPerThousand,
    min shortest: Duration, initial: Duration
  ) -> Duration {
    let peer = peers[node] ?? Peer()
    guard let usual = usualMaxNanoseconds(of: peer, exceededBy: latePerThousand) else {
      return max(initial, shortest)
    }
    return max(.nanoseconds(sizes.scaled(usual, to: byteCount)), shortest)
  }

  /// What all but a few of its small answers keep to; nil while too little is known.
  private func usualMaxNanoseconds(
    of peer: Peer, exceededBy permille: Int = lateRequestsPerThousand
  ) -> Int64? {
    if peer.record.sampleCount >= Self.ownSampleCountMin {
      return peer.record.nanoseconds(exceededBy: permille)
    }
    guard everyone.sampleCount >= Self.sampleCountMin else { return nil }
    let others = everyone.nanoseconds(exceededBy: permille)
    // A node far away is not late because the others are near.
    return others.map { max($0, (peer.latencyNanoseconds ?? 0) * 2) }
  }

  // MARK: Ranks

  /// Whom to ask first, by health, by the given distances, and then by when they will be done: what
  /// an answer usually takes, for each request that the node works on and the new one.
  package func ranks(
    of nodes: [(id: NodeID, distance: Int)], at now: Instant, randomness: any Randomness
  ) -> [PeerRank] {
    let fastest = peers.values.compactMap(\.latencyNanoseconds).min() ?? 0
    let slowFrom = max(fastest, Self.latencyFloorNanoseconds)
    var ranks = nodes.map { node in
      let latency = peers[node.id]?.latencyNanoseconds ?? 0
      return PeerRank(
        isSuspected: isSuspected(node.id, at: now),
        isSlow: latency / Self.slownessFactor > slowFrom,
        isLacking: peers[node.id]?.lacksUntil.map { now < $0 } ?? false, distance: node.distance)
    }
    let costs = nodes.map { node in
      // Of a node that never answered the best is hoped, or that would remain so.
      (peers[node.id]?.latencyNanoseconds ?? fastest) * Int64(workCount(of: node.id, at: now) + 1)
    }
    PeerRank.drawTurns(of: &ranks, costs: costs, randomness: randomness)
    return ranks
  }
}
