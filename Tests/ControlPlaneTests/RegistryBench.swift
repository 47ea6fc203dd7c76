// RegistryBench.swift
//
// A cluster of five nodes with ten shards on a store in memory, the keys of its nodes, and a store
// that lets a test act between a read and the write that depends on it.

import Cluster
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import ControlPlane

struct RegistryBench: Sendable {
  static let hour = Duration.seconds(3600)
  static let epochDuration = Duration.seconds(24 * 3600)

  let store = MemoryControlStore()
  let clock = VirtualClock()
  let dice: SeededRandomness
  let signers: [NodeSigner]
  let description: ClusterDescription
  let registry: Registry

  /// With `epochDuration`, unless told that epochs do not end.
  init(seed: UInt64 = 1, epochs: EpochKind = .ending) async throws {
    dice = SeededRandomness(seed: seed)
    let dice = dice
    signers = try (0..<5).map {
      try NodeSigner(node: NodeID(UInt16($0 + 1)), privateKey: dice.bytes(count: 32))
    }
    let runs = Committee.evenRuns(shardCount: 10, nodeCount: 5)
    let members = zip(signers, runs).map { signer, shards in
      CommitteeMember(
        id: signer.node, name: "node-\(signer.node.value)", publicKey: signer.publicKey,
        address: "http://127.0.0.1:\(9000 + signer.node.value)", topology: Topology(rack: "r1"),
        shards: shards)
    }
    description = try ClusterDescription(
      clusterID: try #require(ClusterID(dice.bytes(count: 32))), shardCount: 10,
      epochDuration: epochs == .ending ? Self.epochDuration : nil, members: members)
    try await Registry.createCluster(description, store: store, clock: clock)
    registry = Registry(store: store, clock: clock, randomness: dice)
  }

  enum EpochKind: Sendable { case ending, endless }

  /// Another process on the same store.
  func anotherRegistry(over store: (any ControlStore)? = nil) -> Registry {
    Registry(
      store: store ?? self.store, clock: clock, randomness: SeededRandomness(seed: dice.next()))
  }

  func blob(_ number: UInt8 = 1) -> BlobID {
    BlobID(bytes: [UInt8](repeating: number, count: 32)) ?? BlobID(.zero)
  }

  /// Signed by the first `count` nodes; four of them hold eight of the ten shards, seven are needed.
  func certificate(
    for registration: Registration, epoch: Epoch? = nil, signedBy count: Int = 4,
    cluster: ClusterID? = nil
  ) throws -> Certificate {
    try Certificate(
      confirmations: signers.prefix(count).map {
        $0.confirm(
          cluster: cluster ?? description.clusterID, epoch: epoch ?? registration.registeredEpoch,
          blob: registration.blob, object: registration.object)
      })
  }

  func register(
    _ number: UInt8 = 1, _ persistence: Persistence = .deletable, epochs: UInt32? = nil
  ) async throws -> Registration {
    try await registry.register(
      blob: blob(number), byteCount: 1000, persistence: persistence, epochs: epochs
    ).0
  }

  func registerCertified(
    _ number: UInt8 = 1, _ persistence: Persistence = .deletable, epochs: UInt32? = nil
  ) async throws -> Registration {
    let registration = try await register(number, persistence, epochs: epochs)
    return try await registry.certify(
      registration.object, of: registration.blob, certificate: certificate(for: registration))
  }

  func state(of registration: Registration) async throws -> RegistrationState? {
    try await registry.registrations(of: registration.blob)
      .first { $0.0.object == registration.object }?.0.state
  }

  /// Lets as many epochs pass, each with its maintenance.
  func pass(epochs count: Int) async throws {
    for _ in 0..<count {
      clock.advance(by: Self.epochDuration)
      _ = try await registry.maintain()
    }
  }

  /// Every key below `registration/`, `object/`, `deadline/`, `expiry/`, `ended/` must follow from
  /// the registrations.
  func strayKeys() async throws -> [String] {
    let all = try await store.range(from: [], below: [255], limit: 100_000).entries
    var expected: [[UInt8]: [UInt8]] = [:]
    let records = RegistryKeys.registrations
    for entry in all
    where !entry.key.lexicographicallyPrecedes(records.lower)
      && entry.key.lexicographicallyPrecedes(records.upper)
    {
      let stored = try StoredRegistration(entry)
      expected[entry.key] = entry.value
      expected.merge(stored.record.indexEntries) { old, _ in old }
    }
    var found: [[UInt8]: [UInt8]] = [:]
    for entry in all where !entry.key.starts(with: Array("cluster/".utf8)) {
      found[entry.key] = entry.value
    }
    let stray = Set(found.keys).symmetricDifference(expected.keys)
      .union(found.keys.filter { expected[$0] != found[$0] })
    return stray.map { String(decoding: $0.prefix(9), as: UTF8.self) }
  }
}

/// Runs what a test prepared right before a transaction reaches the store.
final class InterposedStore: ControlStore {
  private let store: any ControlStore
  private let actions = Mutex<[@Sendable () async throws -> Void]>([])

  init(_ store: any ControlStore) { self.store = store }

  /// Each action runs once, before one transaction, in order.
  func beforeNextTransaction(_ action: @escaping @Sendable () async throws -> Void) {
    actions.withLock { $0.append(action) }
  }

  func range(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlRange
  {
    try await store.range(from: lower, below: upper, limit: limit)
  }

  func transact(_ transaction: ControlTransaction)
    async throws(ControlStoreError) -> ControlTransactionResult
  {
    if let action = actions.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
      do { try await action() } catch { throw .unavailable("the test's action failed: \(error)") }
    }
    return try await store.transact(transaction)
  }

  func changes(after revision: Revision, prefix: [UInt8], limit: Int)
    async throws(ControlStoreError) -> ControlChanges
  {
    try await store.changes(after: revision, prefix: prefix, limit: limit)
  }
}

/// Returns once `condition` holds; a test that has run out of time ends instead.
func eventually(_ condition: () -> Bool) async throws {
  while !condition() {
    try Task.checkCancellation()
    await Task.yield()
  }
}
