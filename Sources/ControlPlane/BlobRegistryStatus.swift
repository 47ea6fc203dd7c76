// BlobRegistryStatus.swift
//
// What all registrations of a blob together say. Reads need `certified`; the counts are what the
// reference's status answer shows.

package import Cluster

package enum BlobRegistryStatus: Hashable, Sendable {
  /// No living registration.
  case nonexistent
  /// Registered, but no registration is certified: an upload is under way.
  case registered(BlobRegistrySummary)
  case certified(BlobRegistrySummary)
}

/// Over living registrations only.
package struct BlobRegistrySummary: Hashable, Sendable {
  /// As registered; of the certified ones if there are any.
  package var byteCount: UInt64
  /// The latest end; of the certified ones if there are any.
  package var endEpoch: Epoch
  /// The earliest; nil while none is certified.
  package var initialCertifiedEpoch: Epoch?
  /// The latest end of a permanent registration, nil if there is none, and whether one is certified.
  package var permanentEndEpoch: Epoch?
  package var isPermanentCertified: Bool
  package var deletable: DeletableCounts
}

extension BlobRegistryStatus {
  package init(_ registrations: [Registration]) {
    let living = registrations.filter { !$0.hasEnded }
    let certified = living.filter(\.isCertified)
    let foremost = certified.isEmpty ? living : certified
    guard let first = foremost.first else {
      self = .nonexistent
      return
    }
    let permanent = living.filter { $0.persistence == .permanent }
    let certifiedPermanent = permanent.filter(\.isCertified)
    let summary = BlobRegistrySummary(
      byteCount: first.byteCount,
      endEpoch: foremost.map(\.endEpoch).max() ?? first.endEpoch,
      initialCertifiedEpoch: certified.compactMap(\.certifiedEpoch).min(),
      permanentEndEpoch: (certifiedPermanent.isEmpty ? permanent : certifiedPermanent)
        .map(\.endEpoch).max(),
      isPermanentCertified: !certifiedPermanent.isEmpty,
      deletable: DeletableCounts(
        total: living.count - permanent.count,
        certified: certified.count - certifiedPermanent.count))
    self = certified.isEmpty ? .registered(summary) : .certified(summary)
  }

  package var summary: BlobRegistrySummary? {
    switch self {
    case .nonexistent: nil
    case .registered(let summary), .certified(let summary): summary
    }
  }

  /// As a node tells it: permanent goes before deletable, certified before registered.
  package var blobStatus: BlobStatus {
    guard let summary else { return .nonexistent }
    guard let endEpoch = summary.permanentEndEpoch else {
      return .deletable(
        initialCertifiedEpoch: summary.initialCertifiedEpoch, summary.deletable)
    }
    return .permanent(
      endEpoch: endEpoch, isCertified: summary.isPermanentCertified,
      initialCertifiedEpoch: summary.initialCertifiedEpoch, deletable: summary.deletable)
  }
}

extension Registration {
  package var certifiedEpoch: Epoch? {
    if case .certified(let epoch, _) = state { epoch } else { nil }
  }
}
