// NodeMessageCodec+Status.swift
//
// Blob status and node health as the reference words them in JSON. Where it names an event of its
// chain we have none and say so with an empty one, so that its readers find their fields. What only
// our nodes know stands under names of ours: `shardRuns`, `storage` and `liars`.

internal import RedStuff

extension NodeMessageCodec {
  private static let noEvent: JSONValue = ["txDigest": "", "eventSeq": "0"]

  func blobStatusJSON(_ status: BlobStatus) -> JSONValue {
    switch status {
    case .nonexistent:
      "nonexistent"
    case .invalid:
      ["invalid": ["event": Self.noEvent]]
    case .permanent(let endEpoch, let isCertified, let initialCertifiedEpoch, let deletable):
      [
        "permanent": [
          "endEpoch": .integer(endEpoch),
          "isCertified": .bool(isCertified),
          "statusEvent": Self.noEvent,
          "deletableCounts": countsJSON(deletable),
          "initialCertifiedEpoch": initialCertifiedEpoch.map { .integer($0) } ?? nil,
        ]
      ]
    case .deletable(let initialCertifiedEpoch, let counts):
      [
        "deletable": [
          "initialCertifiedEpoch": initialCertifiedEpoch.map { .integer($0) } ?? nil,
          "deletableCounts": countsJSON(counts),
        ]
      ]
    }
  }

  private func countsJSON(_ counts: DeletableCounts) -> JSONValue {
    [
      "count_deletable_total": .integer(counts.total),
      "count_deletable_certified": .integer(counts.certified),
    ]
  }

  func blobStatus(from json: JSONValue) throws(WireError) -> BlobStatus {
    if json.string == "nonexistent" { return .nonexistent }
    if json["invalid"] != nil { return .invalid }
    if let permanent = json["permanent"] {
      guard let isCertified = permanent["isCertified"]?.bool else {
        throw .malformed("isCertified is missing or no truth value")
      }
      return .permanent(
        endEpoch: try permanent.required("endEpoch"), isCertified: isCertified,
        initialCertifiedEpoch: try permanent.optional("initialCertifiedEpoch"),
        deletable: try counts(from: permanent))
    }
    if let deletable = json["deletable"] {
      return .deletable(
        initialCertifiedEpoch: try deletable.optional("initialCertifiedEpoch"),
        try counts(from: deletable))
    }
    throw .malformed("the answer is no blob status")
  }

  private func counts(from json: JSONValue) throws(WireError) -> DeletableCounts {
    guard let counts = json["deletableCounts"] else {
      throw .malformed("deletableCounts is missing")
    }
    return DeletableCounts(
      total: try counts.count("count_deletable_total"),
      certified: try counts.count("count_deletable_certified"))
  }
}

extension NodeMessageCodec {
  func healthJSON(_ health: NodeHealth) -> JSONValue {
    func count(_ state: NodeHealth.ShardState) -> JSONValue {
      .integer(health.shards.count { $0.state == state })
    }
    let cursor = health.cursor.value
    let owned: JSONValue = .integer(health.shards.count { $0.state != .readOnly })
    var members: [JSONMember] = [
      JSONMember(
        "uptime",
        [
          "secs": .integer(health.uptimeMilliseconds / 1000),
          "nanos": .integer(health.uptimeMilliseconds % 1000 * 1_000_000),
        ]),
      JSONMember("epoch", .integer(health.epoch)),
      JSONMember("publicKey", .string(Base64.encode(health.publicKey))),
      JSONMember("nodeStatus", .string(health.nodeStatus)),
      JSONMember(
        "eventProgress",
        [
          "persisted": .integer(cursor), "pending": 0,
          "highestFinishedEventIndex": cursor == 0 ? nil : .integer(cursor - 1),
        ]),
      JSONMember(
        "shardSummary",
        [
          "owned": owned,
          "ownedShardStatus": [
            "unknown": count(.unknown), "ready": count(.ready), "inTransfer": count(.inTransfer),
            "inRecovery": count(.inRecovery),
          ],
          "readOnly": count(.readOnly),
        ]),
      JSONMember("shardRuns", .array(shardRuns(health.shards).map(\.json))),
    ]
    if let detail = health.detail {
      members.append(JSONMember("shardDetail", shardDetailJSON(health.shards)))
      members.append(JSONMember("storage", detail.json))
      members.append(JSONMember("liars", .array(detail.liars.map(\.json))))
    }
    return .object(members)
  }

  /// The list that the reference gives when details are asked for; it reads nothing from ours.
  private func shardDetailJSON(
    _ shards: [(shard: ShardIndex, state: NodeHealth.ShardState)]
  ) -> JSONValue {
    func list(_ belongs: (NodeHealth.ShardState) -> Bool) -> JSONValue {
      .array(
        shards.filter { belongs($0.state) }.map {
          ["shard": .integer($0.shard.value), "status": .string($0.state.rawValue)]
        })
    }
    return ["owned": list { $0 != .readOnly }, "other": list { $0 == .readOnly }]
  }

  private func shardRuns(
    _ shards: [(shard: ShardIndex, state: NodeHealth.ShardState)]
  ) -> [ShardRun] {
    var runs: [ShardRun] = []
    for (shard, state) in shards {
      if let last = runs.last, last.state == state, last.first + last.count == Int(shard.value) {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(ShardRun(first: Int(shard.value), count: 1, state: state))
      }
    }
    return runs
  }

  func health(from json: JSONValue) throws(WireError) -> NodeHealth {
    guard let uptime = json["uptime"], let progress = json["eventProgress"],
      let publicKey = json["publicKey"]?.string.flatMap({ Base64.decode($0) }),
      let nodeStatus = json["nodeStatus"]?.string
    else { throw .malformed("uptime, eventProgress, publicKey or nodeStatus are missing") }
    let seconds: UInt64 = try uptime.required("secs")
    let nanoseconds: UInt32 = try uptime.required("nanos")
    let (milliseconds, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    let (uptimeMilliseconds, carry) = milliseconds.addingReportingOverflow(
      UInt64(nanoseconds / 1_000_000))
    guard !overflow, !carry else { throw .malformed("an uptime of \(seconds) seconds") }
    return NodeHealth(
      uptimeMilliseconds: uptimeMilliseconds, epoch: try json.required("epoch"),
      publicKey: publicKey, nodeStatus: nodeStatus,
      cursor: Revision(try progress.required("persisted")), shards: try shards(from: json),
      detail: try json["storage"].map { (storage) throws(WireError) in
        var detail = try NodeHealthDetail(storage)
        detail.liars = try (json["liars"]?.array ?? []).map { (json) throws(WireError) in
          try LiarReport(json)
        }
        return detail
      })
  }

  private func shards(
    from json: JSONValue
  ) throws(WireError) -> [(shard: ShardIndex, state: NodeHealth.ShardState)] {
    var shards: [(shard: ShardIndex, state: NodeHealth.ShardState)] = []
    for run in json["shardRuns"]?.array ?? [] {
      let first = try run.count("first")
      let count = try run.count("count")
      guard let state = run["status"]?.string.flatMap({ NodeHealth.ShardState(rawValue: $0) }),
        first < parameters.shardCount, count <= parameters.shardCount - first,
        shards.count + count <= parameters.shardCount
      else { throw .malformed("a run of shards that cannot be: \(run.text.prefix(200))") }
      for shard in first..<first + count { shards.append((ShardIndex(UInt16(shard)), state)) }
    }
    return shards
  }
}

/// Neighbouring shards in one state.
private struct ShardRun {
  var first: Int
  var count: Int
  var state: NodeHealth.ShardState

  var json: JSONValue {
    ["first": .integer(first), "count": .integer(count), "status": .string(state.rawValue)]
  }
}

extension NodeHealthDetail {
  private static let driveProblemCountMax = 1024

  fileprivate var json: JSONValue {
    [
      "sliverCount": .integer(sliverCount),
      "storedByteCount": .integer(storedByteCount),
      "freeByteCount": .integer(freeByteCount),
      "totalByteCount": .integer(totalByteCount),
      "rottenCount": .integer(rottenCount),
      "driveProblems": .array(driveProblems.map { .string($0) }),
    ]
  }

  fileprivate init(_ json: JSONValue) throws(WireError) {
    let problems = json["driveProblems"]?.array ?? []
    guard problems.count <= Self.driveProblemCountMax else {
      throw .malformed("\(problems.count) drive problems")
    }
    self.init(
      sliverCount: try json.count("sliverCount"),
      storedByteCount: try json.count("storedByteCount"),
      freeByteCount: try json.count("freeByteCount"),
      totalByteCount: try json.count("totalByteCount"),
      rottenCount: try json.count("rottenCount"),
      driveProblems: problems.compactMap(\.string))
  }
}

extension LiarReport {
  fileprivate var json: JSONValue {
    [
      "node": .integer(node.value), "count": .integer(count),
      "evidence": evidence.map { .string(Base64.encode($0.bcsBytes)) } ?? nil,
    ]
  }

  fileprivate init(_ json: JSONValue) throws(WireError) {
    var evidence: SymbolStatement?
    if let text = json["evidence"]?.string {
      guard let bytes = Base64.decode(text), let statement = try? SymbolStatement(bcs: bytes)
      else { throw .malformed("the evidence against a liar cannot be read") }
      evidence = statement
    }
    self.init(
      node: NodeID(try json.required("node")), count: try json.count("count"), evidence: evidence)
  }
}

extension JSONValue {
  fileprivate func required<Value: FixedWidthInteger>(_ name: String) throws(WireError) -> Value {
    guard let value: Value = self[name]?.integer() else {
      throw .malformed("\(name) is missing, no integer, or out of range")
    }
    return value
  }

  /// Zero or above.
  fileprivate func count(_ name: String) throws(WireError) -> Int {
    let count: Int = try required(name)
    guard count >= 0 else { throw .malformed("\(name) is \(count)") }
    return count
  }

  /// Nil where the member is null or absent.
  fileprivate func optional<Value: FixedWidthInteger>(
    _ name: String
  ) throws(WireError) -> Value? {
    guard let value = self[name], !value.isNull else { return nil }
    return try required(name)
  }
}
