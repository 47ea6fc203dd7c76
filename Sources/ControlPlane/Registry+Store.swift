// Registry+Store.swift
//
// How the registry reads and writes the store: typed errors, pages, bounded attempts, and changes of
// many registrations in transactions of bounded size.

import Cluster
import RedStuff
import Synchronization
import World

extension Registry {
  func range(_ range: KeyRange, limit: Int) async throws(RegistryError) -> ControlRange {
    do {
      return try await store.range(from: range.lower, below: range.upper, limit: limit)
    } catch {
      throw RegistryError(error)
    }
  }

  /// Nil: a condition did not hold.
  func transact(_ transaction: ControlTransaction) async throws(RegistryError) -> Revision? {
    do {
      switch try await store.transact(transaction) {
      case .committed(let revision): return revision
      case .conflict: return nil
      }
    } catch {
      throw RegistryError(error)
    }
  }

  /// Calls `body` with the number of the attempt until it answers.
  func attempting<Value>(
    _ what: String, _ body: (Int) async throws(RegistryError) -> Value?
  ) async throws(RegistryError) -> Value {
    for attempt in 0..<Self.attemptCountMax {
      if attempt > 0 { sometimes(.conflictRetried) }
      if let value = try await body(attempt) { return value }
    }
    throw .conflict(what, attempts: Self.attemptCountMax)
  }

  func stored(_ key: RegistrationKey) async throws(RegistryError) -> StoredRegistration? {
    let row = RegistryKeys.registration(key)
    let found = try await range(KeyRange(lower: row, upper: successor(of: row)), limit: 1)
    guard let entry = found.entries.first else { return nil }
    return try StoredRegistration(entry)
  }

  /// Living and ended, by object.
  func allStored(of blob: BlobID) async throws(RegistryError) -> [StoredRegistration] {
    var all: [StoredRegistration] = []
    var rest = RegistryKeys.registrations(of: blob)
    while true {
      let page = try await range(rest, limit: Self.pageCountMax)
      for entry in page.entries { all.append(try StoredRegistration(entry)) }
      // `registrationsPerBlobMax` keeps this short.
      guard page.hasMore, let last = page.entries.last else { return all }
      rest.lower = successor(of: last.key)
    }
  }

  /// Takes the step that `decide` names for each registration that exists; nil leaves it alone.
  ///
  /// - Returns: how many changed. When it throws, some may have: asking again goes on from there.
  func change(
    _ keys: [RegistrationKey], _ what: String,
    _ decide: (StoredRegistration) throws(RegistryError) -> RegistrationStep?
  ) async throws(RegistryError) -> Int {
    var changedCount = 0
    var next = 0
    while next < keys.count {
      let batch = keys[next..<min(next + Self.transactionRegistrationCountMax, keys.count)]
      changedCount += try await attempting(what) { (_) async throws(RegistryError) -> Int? in
        var steps: [RegistrationStep] = []
        for key in batch {
          guard let stored = try await self.stored(key) else { continue }
          if let step = try decide(stored) { steps.append(step) }
        }
        return try await self.take(steps) ? steps.count : nil
      }
      next = batch.endIndex
    }
    return changedCount
  }

  /// False: one of the registrations changed meanwhile, and none of the steps was taken.
  func take(_ steps: [RegistrationStep]) async throws(RegistryError) -> Bool {
    guard !steps.isEmpty else { return true }
    guard try await transact(ControlTransaction(steps)) != nil else { return false }
    outstanding.withLock { outstanding in
      for step in steps where step.after?.registration.hasEnded ?? true {
        if let object = step.before?.record.registration.object { outstanding.settled(object) }
      }
    }
    return true
  }

  /// Counts `object` as outstanding, or refuses it.
  func reserve(_ object: ObjectID) async throws(RegistryError) {
    if !outstanding.withLock({ $0.isScanned }) {
      // What an earlier run left behind; nothing tells it from what other gateways are doing.
      let found = try await uncertified { _ in true }
      outstanding.withLock { $0.started(with: found) }
    }
    if outstanding.withLock({ $0.reserve(object) }) { return }
    if let known = outstanding.withLock({ $0.beginScan(at: clock.now) }) {
      sometimes(.outstandingScanned)
      let found = try await uncertified { known.contains($0) }
      outstanding.withLock { $0.scanned(found, among: known) }
      if outstanding.withLock({ $0.reserve(object) }) { return }
    }
    throw .tooManyOutstanding(countMax: Self.outstandingCountMax)
  }

  /// The objects that are registered, not certified, and `isWanted`; as many as can matter.
  private func uncertified(_ isWanted: (ObjectID) -> Bool)
    async throws(RegistryError) -> Set<ObjectID>
  {
    var objects: Set<ObjectID> = []
    var rest = RegistryKeys.deadlines
    while true {
      let page = try await range(rest, limit: Self.pageCountMax)
      for entry in page.entries {
        if let key = RegistrationKey(endOf: entry.key), isWanted(key.object) {
          objects.insert(key.object)
        }
      }
      guard page.hasMore, objects.count < Self.outstandingCountMax, let last = page.entries.last
      else { return objects }
      rest.lower = successor(of: last.key)
    }
  }
}
