// RegistrationRule.swift
//
// Which registration lets a node take or confirm slivers, and when a blob's slivers may go. Pure.
//
// Two different questions, on purpose: a registration past its deadline is not served any more, but
// only the registry's word that it has ended lets anything be deleted. A clock that jumped must
// never delete.

import Cluster
import World

/// What a request needs the blob to be registered as.
enum RegistrationWish: Hashable, Sendable {
  /// The reference's calls name no registration.
  case any
  case object(ObjectID)
  case permanent
  case deletable(ObjectID)

  func matches(_ registration: Registration) -> Bool {
    switch self {
    case .any: true
    case .object(let object): registration.object == object
    case .permanent: registration.persistence == .permanent
    case .deletable(let object):
      registration.object == object && registration.persistence == .deletable
    }
  }
}

enum RegistrationFinding: Equatable {
  case living(Registration)
  /// It lives, but the cursor has not reached it yet.
  case ahead(of: Revision)
  case none
}

enum RegistrationRule {
  /// Registered or certified, not ended, not past its deadline or its last epoch.
  static func isLiving(_ registration: Registration, epoch: Epoch, now: WallTime) -> Bool {
    switch registration.state {
    case .registered: now.milliseconds < registration.certifyByMilliseconds
    case .certified: epoch < registration.endEpoch
    case .ended: false
    }
  }

  static func find(
    _ wish: RegistrationWish, among registrations: [(Registration, Revision)], cursor: Revision,
    epoch: Epoch, now: WallTime
  ) -> RegistrationFinding {
    let matching = registrations.filter { registration, _ in
      wish.matches(registration) && isLiving(registration, epoch: epoch, now: now)
    }
    if let (reached, _) = matching.first(where: { $0.1 <= cursor }) { return .living(reached) }
    return matching.map(\.1).min().map(RegistrationFinding.ahead) ?? .none
  }

  /// Whether the registry says that nobody wants the blob kept. Deadlines and epochs do not count:
  /// the registry ends registrations by itself, once and for all nodes.
  static func mayDelete(_ registrations: [(Registration, Revision)]) -> Bool {
    registrations.allSatisfy { $0.0.hasEnded }
  }
}
