// OutstandingRegistrations.swift
//
// Which registrations of this process are neither certified nor ended. Bounded: a client that starts
// uploads and never ends them is refused before it has filled the registry.
//
// Others may end a registration of ours (a maintainer in another process); that is noticed by asking
// the store again when the bound is reached.

import Cluster
import World

struct OutstandingRegistrations {
  /// Being full is no reason to read the store again for every request that is refused.
  static let scanInterval = Duration.seconds(1)

  let countMax: Int
  /// In the store, as far as is known.
  private var known: Set<ObjectID> = []
  /// On their way into the store, which a scan may therefore not show yet.
  private var arriving: Set<ObjectID> = []
  /// Whether what an earlier run of this process left behind is known.
  private(set) var isScanned = false
  private var nextScan = Instant(nanoseconds: 0)

  init(countMax: Int) { self.countMax = countMax }

  var count: Int { known.count + arriving.count }

  /// False: the bound is reached.
  mutating func reserve(_ object: ObjectID) -> Bool {
    guard count < countMax else { return false }
    arriving.insert(object)
    return true
  }

  mutating func committed(_ object: ObjectID) {
    if arriving.remove(object) != nil { known.insert(object) }
  }

  /// Certified, ended, or never registered.
  mutating func settled(_ object: ObjectID) {
    arriving.remove(object)
    known.remove(object)
  }

  /// The answer to a first scan: everything uncertified in the store, whoever registered it.
  mutating func started(with found: Set<ObjectID>) {
    guard !isScanned else { return }
    isScanned = true
    known.formUnion(found.subtracting(arriving))
  }

  /// What to look for in the store; nil: somebody did so just now.
  mutating func beginScan(at now: Instant) -> Set<ObjectID>? {
    guard now >= nextScan else { return nil }
    nextScan = now + Self.scanInterval
    return known
  }

  /// Forgets those of `asked` that the scan did not find.
  mutating func scanned(_ found: Set<ObjectID>, among asked: Set<ObjectID>) {
    known.subtract(asked.subtracting(found))
  }
}
