// LinkTrouble.swift
//
// What is wrong with the way from one process to another. A link has a direction: it carries the
// requests of the one and the answers of the other, so cutting one way loses the answers of those
// who are still heard.

package import World

package struct LinkTrouble: Sendable, Equatable {
  /// How long a message takes.
  package var delayInsideZone = DelayDistribution(median: .microseconds(200), tail: 0.03)
  package var delayAcrossZones = DelayDistribution(median: .milliseconds(2), tail: 0.03)
  /// The share of messages that vanish. 1 is a partition, one way.
  package var loss = 0.0
  /// Messages that are held back so that later ones overtake them.
  package var reordering = 0.0
  /// No message arrives before.
  package var cloggedUntil: Instant?
  /// The connection breaks under a message: it is lost, and the sender of the request learns that
  /// the connection is gone.
  package var resets = 0.0
  /// Messages whose body ends early, or that have one bit flipped, in the body or before it.
  package var truncation = 0.0
  package var flips = 0.0

  // Of requests only.
  /// The connection is refused.
  package var refusals = 0.0
  /// The connection is accepted, and nobody ever reads it.
  package var halfOpen = 0.0
  /// The node gets the request twice, the second time soon after.
  package var duplication = 0.0
  /// The node gets the request once more, long after everybody has forgotten it: between half and
  /// one and a half times `replayDelay` later.
  package var replays = 0.0
  package var replayDelay = Duration.seconds(300)
  /// How often a node notices that the asker has gone away, and stops working for it.
  package var noticedCloses = 0.5

  /// Nothing is wrong.
  package init() {}
}

/// Where a link begins or ends.
package enum NetworkPlace: Hashable, Sendable, CustomStringConvertible {
  case everywhere
  case zone(String)
  /// By the name of its life, so that it holds for the process after it, too.
  case process(String)

  package var description: String {
    switch self {
    case .everywhere: "everywhere"
    case .zone(let name): "zone \(name)"
    case .process(let name): name
    }
  }
}

/// Who is at the end of a link.
struct NetworkPeer: Hashable, Sendable {
  var name: String
  var zone: String
}

/// The troubles of all links: what was said of two processes counts before what was said of one,
/// that before zones, and that before what holds everywhere. It takes its place whole.
struct LinkTroubles: Sendable {
  private struct Link: Hashable {
    var from: NetworkPlace
    var to: NetworkPlace
  }

  private static let healthy = LinkTrouble()

  private var troubles: [Link: LinkTrouble] = [:]

  mutating func set(_ trouble: LinkTrouble?, from: NetworkPlace, to: NetworkPlace) {
    troubles[Link(from: from, to: to)] = trouble
  }

  mutating func clear() { troubles = [:] }

  func trouble(from: NetworkPeer, to: NetworkPeer) -> LinkTrouble {
    guard !troubles.isEmpty else { return Self.healthy }
    let (source, target) = (NetworkPlace.process(from.name), NetworkPlace.process(to.name))
    let (sourceZone, targetZone) = (NetworkPlace.zone(from.zone), NetworkPlace.zone(to.zone))
    let links = [
      Link(from: source, to: target), Link(from: source, to: targetZone),
      Link(from: sourceZone, to: target), Link(from: source, to: .everywhere),
      Link(from: .everywhere, to: target), Link(from: sourceZone, to: targetZone),
      Link(from: sourceZone, to: .everywhere), Link(from: .everywhere, to: targetZone),
      Link(from: .everywhere, to: .everywhere),
    ]
    for link in links {
      if let trouble = troubles[link] { return trouble }
    }
    return Self.healthy
  }
}
