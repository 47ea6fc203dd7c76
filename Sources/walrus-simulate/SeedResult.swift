// SeedResult.swift
//
// What one seed came to, as a worker tells it to the supervisor and the supervisor to programs.

import Simulation

struct SeedResult: Codable, Sendable {
  var seed: UInt64
  /// What was found, the first thing first; empty: all is well.
  var findings: [String] = []
  /// The name of the invariant of the first finding.
  var firstInvariant: String?
  var swarm = ""
  var simulatedSeconds = 0.0
  var cpuSeconds = 0.0
  var eventCount = 0
  /// 16 hex digits.
  var traceHash = ""
  /// Whether it was run a second time to compare the hashes.
  var ranTwice = false
  var storeCount = 0
  var failedStoreCount = 0
  var readCount = 0
  var failedReadCount = 0
  var deleteCount = 0
  /// How often each mark was reached.
  var marks: [String: Int] = [:]
  /// The worker cannot go on after this one.
  var isLast = false

  init(seed: UInt64) { self.seed = seed }

  var isWell: Bool { findings.isEmpty }
}
