// SharedWorld.swift
//
// What the machines of one run share, and what each process sees of it.

import Cluster
import ControlPlane
import Logging
import RedStuff
import Simulator
import StorageNode
import Synchronization
import World

/// What all machines of a run share.
struct SharedWorld: Sendable {
  let swarm: Swarm
  let clock: VirtualClock
  let trace: Trace
  let findings: Findings
  let network: SimulatedNetwork
  let control: MemoryControlStore
  let clusterID: ClusterID
  let committee: Committee
  let signers: [NodeSigner]
  /// The last word on how a node is set up.
  var configure: @Sendable (inout StorageNodeConfiguration) -> Void = { _ in }
  /// Where the tasks of a process run, by its name; nil: wherever the run does.
  let executor: @Sendable (String) -> (any TaskExecutor)?

  /// What nodes said that somebody encoded badly.
  let accusations = Accusations()

  var parameters: EncodingParameters { committee.parameters }

  func dice(_ label: String) -> SeededRandomness {
    SeededRandomness(seed: swarm.seed, label: label)
  }

  func logger(_ process: String) -> Logger {
    let (trace, accusations) = (trace, accusations)
    return Logger(label: process) { _ in
      SimulatedLog(process: process, trace: trace) { fields in
        guard fields["problem"] == .string(RepairBatch.badlyEncoded), let blob = fields["blob"]
        else { return }
        accusations.note("\(blob)", by: process)
      }
    }
  }

  /// A registry on the control store itself: what is really so.
  var truth: Registry {
    Registry(store: control, clock: clock, randomness: dice("truth"))
  }
}

/// Blobs that nodes called badly encoded, each with the last node that did.
final class Accusations: Sendable {
  private let state = Mutex([String: String]())

  func note(_ blob: String, by process: String) { state.withLock { $0[blob] = process } }
  func accuser(of blob: BlobID) -> String? { state.withLock { $0["\(blob)"] } }
}

extension SharedWorld {
  /// The cluster that the swarm drew, with its network and control store, and nobody in it yet.
  static func make(
    _ swarm: Swarm, clock: VirtualClock, trace: Trace, findings: Findings,
    networkExecutor: (any TaskExecutor)? = nil,
    executor: @escaping @Sendable (String) -> (any TaskExecutor)?
  ) async throws -> SharedWorld {
    let dice = SeededRandomness(seed: swarm.seed, label: "world")
    let control = MemoryControlStore()
    guard let clusterID = ClusterID(dice.bytes(count: 32)) else {
      preconditionFailure("32 bytes are a cluster ID")
    }
    let keys = SeededRandomness(seed: swarm.seed, label: "keys")
    let signers = try (0..<swarm.nodeCount).map {
      try NodeSigner(node: NodeID(UInt16($0)), privateKey: keys.bytes(count: 32))
    }
    let members = signers.enumerated().map { position, signer in
      CommitteeMember(
        id: signer.node, name: "node-\(position)", publicKey: signer.publicKey, address: "",
        topology: Topology(zone: swarm.zones[position]), shards: swarm.shardRuns[position])
    }
    let description = try ClusterDescription(
      clusterID: clusterID, shardCount: swarm.shardCount, epochDuration: swarm.epochDuration,
      members: members)
    try await Registry.createCluster(description, store: control, clock: clock)
    let committee = try await Registry(store: control, clock: clock, randomness: dice).committee()
    return SharedWorld(
      swarm: swarm, clock: clock, trace: trace, findings: findings,
      network: SimulatedNetwork(
        parameters: committee.parameters, clock: clock,
        randomness: SeededRandomness(seed: swarm.seed, label: "network"), trace: trace,
        executor: networkExecutor),
      control: control, clusterID: clusterID, committee: committee, signers: signers,
      executor: executor)
  }
}

/// A process's own view of the world: dead with its life.
struct ProcessSeams: Sendable {
  let life: ProcessLife
  let clock: ProcessClock
  let control: ProcessControlStore
  let randomness: SeededRandomness
  let tasks: ProcessTasks

  init(_ name: String, run: Int, in world: SharedWorld) {
    let dice = world.dice("\(name) run \(run)")
    life = ProcessLife(name: name)
    let isSkewed = world.swarm.faults.contains(.clockSkew)
    clock = ProcessClock(
      master: world.clock, life: life, trace: world.trace,
      start: Instant(nanoseconds: UInt64(1 + dice.number(below: 1000)) * 1_000_000_000),
      drift: isSkewed ? dice.number(in: -500...500) : 0,
      wallSkew: isSkewed ? .milliseconds(dice.number(in: -5000...5000)) : .zero)
    control = ProcessControlStore(
      shared: world.control, life: life, clock: world.clock,
      randomness: SeededRandomness(seed: dice.next()), trace: world.trace)
    randomness = SeededRandomness(seed: dice.next())
    tasks = ProcessTasks(executor: world.executor(name))
  }

  func registry() -> Registry { Registry(store: control, clock: clock, randomness: randomness) }
}
