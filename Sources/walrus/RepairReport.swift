// RepairReport.swift
//
// What `walrus repair` prints: the nodes' own words, sums over them, and sentences for people. And
// waiting until a repair has ended.

import Foundation
import Gateway
import NIOHTTP1

/// The nodes' reports with sums over them; what --json prints.
struct RepairReport: Encodable {
  let nodes: [NodeRepair]
  let isHealed: Bool
  let missingSliverCount: Int
  let byteCountToRestore: Int
  let receivedByteCount: Int
  let restoredByteCount: Int
  /// Nil before anything was restored.
  let movedPerRestored: Double?
  /// Measured over a moment: what came for repair, and what was restored with it.
  var receivedBytesPerSecond: Double?
  var restoredBytesPerSecond: Double?
  /// Until nothing is missing, at this rate; nil while nothing moves.
  var secondsLeft: Double?

  init(_ state: ClusterRepair) {
    nodes = state.nodes
    isHealed = state.isHealed
    missingSliverCount = nodes.reduce(0) { $0 + $1.missingSliverCount }
    byteCountToRestore = nodes.reduce(0) { $0 + $1.byteCountToRestore }
    receivedByteCount = nodes.reduce(0) { $0 + $1.receivedByteCount }
    restoredByteCount = nodes.reduce(0) { $0 + $1.restoredByteCount }
    movedPerRestored =
      restoredByteCount > 0 ? Double(receivedByteCount) / Double(restoredByteCount) : nil
  }

  mutating func measure(since earlier: RepairReport, elapsed: Duration) {
    let seconds = elapsed / .seconds(1)
    // A node that was restarted in between counts from zero.
    let received = Double(max(0, receivedByteCount - earlier.receivedByteCount)) / seconds
    let restored = Double(max(0, restoredByteCount - earlier.restoredByteCount)) / seconds
    receivedBytesPerSecond = received
    restoredBytesPerSecond = restored
    if restored > 0, byteCountToRestore > 0 { secondsLeft = Double(byteCountToRestore) / restored }
  }

  var rows: [[String]] {
    [["node", "slivers", "blobs", "why", "to restore", "moved", "restored", "ratio", "limit", ""]]
      + nodes.map { node in
        if let problem = node.problem { return [node.name, problem] }
        return [
          node.name, "\(node.missingSliverCount)", "\(node.missingBlobCount)",
          node.reasons.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            .joined(separator: ", "),
          node.byteCountToRestore == 0 && node.missingSliverCount > 0
            ? "unknown" : humanByteCount(node.byteCountToRestore),
          humanByteCount(node.receivedByteCount),
          humanByteCount(node.restoredByteCount),
          node.restoredByteCount > 0
            ? String(
              format: "%.3f", Double(node.receivedByteCount) / Double(node.restoredByteCount))
            : "",
          node.byteRateMax.map { "\(humanByteCount($0))/s" } ?? "none",
          node.isPaused ? "paused" : "",
        ]
      }
  }

  /// What the table does not say: by how much blobs are short, what waits and why, and the sum.
  var lines: [String] {
    nodes.flatMap { Self.lines(of: $0) } + [summary]
  }

  private static func lines(of node: NodeRepair) -> [String] {
    var lines: [String] = []
    for shortfall in node.shortfalls {
      let due =
        switch shortfall.delaySeconds {
        case nil: "repaired only if a reader asks"
        case 0?: "due now"
        case let seconds?: "due \(humanDuration(.seconds(seconds))) after the loss"
        }
      lines.append(
        "\(counted(shortfall.blobCount, "blob")) below target by"
          + " \(counted(shortfall.lostShardCount, "shard")), \(due)")
    }
    if node.recoveringBlobCount > 0 {
      lines.append("\(counted(node.recoveringBlobCount, "blob")) being rebuilt")
    }
    if node.missingBlobCount > 0, node.isPaused {
      lines.append("all waits: repair is paused; `walrus repair resume` goes on")
    }
    for shard in node.pausedShards {
      let count = node.shards.first { $0.shard == shard }?.missingSliverCount ?? 0
      lines.append(
        "shard \(shard) is paused, \(counted(count, "sliver")) missing;"
          + " `walrus repair resume --shard \(shard)` goes on")
    }
    if node.missingBlobCount > 0, node.share < 1 {
      lines.append(
        "takes \(Int(node.share * 100)) % of its rate, since others wait longer than usual")
    }
    if node.unrecoverableBlobCount > 0 {
      lines.append(
        "\(counted(node.unrecoverableBlobCount, "blob")) cannot be rebuilt now: too few shards"
          + " answer; tried again later")
    }
    for liar in node.liars {
      lines.append("\(liar.node) gave wrong symbols, \(counted(liar.count, "time"))")
    }
    return lines.map { "\(node.name): \($0)" }
  }

  private var summary: String {
    if isHealed {
      let oldest = nodes.compactMap(\.inventoryAt).min()
      return "healed: nothing is missing; looked up \(oldest.map(agoText) ?? "now")"
    }
    guard missingSliverCount > 0 else {
      let silent = nodes.filter { $0.problem != nil || $0.inventoryAt == nil }.map(\.name)
      return "nothing is known to be missing; not looked up yet on "
        + silent.joined(separator: ", ")
    }
    var text = "\(counted(missingSliverCount, "sliver")) missing"
    if byteCountToRestore > 0 { text += ", \(humanByteCount(byteCountToRestore)) to restore" }
    if let rate = receivedBytesPerSecond, rate > 0 {
      text += ", \(humanByteCount(Int(rate)))/s coming in"
    }
    if let left = secondsLeft {
      text += ", about \(humanDuration(.milliseconds(Int(min(left, 1e9) * 1000)))) left"
    }
    return text
  }
}

/// `1 blob`, `3 blobs`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// `3 min 20 s ago`; of milliseconds since 1970.
func agoText(_ milliseconds: UInt64) -> String {
  let seconds = max(0, Date().timeIntervalSince1970 - Double(milliseconds) / 1000)
  return "\(humanDuration(.milliseconds(Int(min(seconds, 1e9) * 1000)))) ago"
}

/// Waits for the end of a repair, with a bar on a terminal.
struct RepairWait {
  /// Nothing restored for this long is told as an error: somebody has to look.
  private static let stallMax = Duration.seconds(600)
  private static let interval = Duration.milliseconds(200)

  let calls: GatewayCalls
  /// Nil: all that run.
  let node: String?

  /// Returns when nothing is missing on the nodes that run, and they have looked everything up.
  func run(from first: ClusterRepair) async throws -> ClusterRepair {
    let progress = ProgressBar(
      "repair", totalCount: UInt64(waited(first).reduce(0) { $0 + $1.byteCountToRestore }))
    defer { progress.finish() }
    var state = first
    var restored = restoredByteCount(state)
    var movedAt = ContinuousClock.now
    while true {
      let nodes = waited(state)
      if nodes.allSatisfy({ $0.missingBlobCount == 0 && $0.inventoryAt != nil }) { return state }
      let stuck = nodes.filter { $0.missingBlobCount > 0 }
      if let paused = stuck.first(where: \.isPaused) {
        throw CommandFailure(
          "repair of \(paused.name) is paused; go on with `walrus repair resume`.")
      }
      if let (node, shard) = stuck.compactMap(Self.pausedShard).first {
        throw CommandFailure(
          "all that \(node.name) still lacks is of shards whose repair is paused; go on with"
            + " `walrus repair resume --shard \(shard)`.")
      }
      if ContinuousClock.now - movedAt > Self.stallMax {
        throw CommandFailure(
          "nothing was restored for \(humanDuration(Self.stallMax)), and "
            + "\(counted(stuck.reduce(0) { $0 + $1.missingSliverCount }, "sliver")) are missing; "
            + "`walrus repair status` says why.")
      }
      try await Task.sleep(for: Self.interval)
      state = try await calls.json(ClusterRepair.self, .GET, "/admin/repair")
      let now = restoredByteCount(state)
      if now != restored { movedAt = ContinuousClock.now }
      progress.advance(by: max(0, now - restored))
      restored = now
    }
  }

  /// One of the paused shards of a node that lacks nothing else.
  private static func pausedShard(_ node: NodeRepair) -> (NodeRepair, Int)? {
    let lacking = node.shards.map(\.shard)
    guard let first = lacking.first, Set(lacking).isSubset(of: node.pausedShards) else {
      return nil
    }
    return (node, first)
  }

  private func waited(_ state: ClusterRepair) -> [NodeRepair] {
    state.nodes.filter { $0.problem == nil && (node == nil || $0.name == node) }
  }

  private func restoredByteCount(_ state: ClusterRepair) -> Int {
    waited(state).reduce(0) { $0 + $1.restoredByteCount }
  }
}
