// FailureDomains.swift
//
// What fails together: the shards of a node, host, rack, zone or region. How many of them a cluster
// survives, whichever they are, and how shards are spread so that one of them is not too many.

package import RedStuff

package enum FailureDomain: String, CaseIterable, Hashable, Sendable {
  case node, host, rack, zone, region
}

/// How many domains of a level may be lost at once, whichever they are.
package struct DomainTolerance: Hashable, Sendable {
  package var level: FailureDomain
  package var domainCount: Int
  /// Reads go on while 2f shards are lost, writes while f are.
  package var readableLossMax: Int
  package var writableLossMax: Int

  package init(
    level: FailureDomain, domainCount: Int, readableLossMax: Int, writableLossMax: Int
  ) {
    self.level = level
    self.domainCount = domainCount
    self.readableLossMax = readableLossMax
    self.writableLossMax = writableLossMax
  }
}

extension Topology {
  /// What tells a domain of that level from others; nil if it is not said.
  fileprivate func name(of level: FailureDomain) -> [String]? {
    let (own, above): (String, [String]) =
      switch level {
      case .node: ("", [])
      case .host: (host, [region, zone, rack])
      case .rack: (rack, [region, zone])
      case .zone: (zone, [region])
      case .region: (region, [])
      }
    return own.isEmpty ? nil : above + [own]
  }
}

extension Committee {
  /// For nodes, and for each level that is known of all of them.
  package var tolerances: [DomainTolerance] {
    let f = parameters.faultyShardCountMax
    return FailureDomain.allCases.compactMap { level in
      var shardCounts: [[String]: Int] = [:]
      for member in members {
        guard let name = level == .node ? [member.name] : member.topology.name(of: level) else {
          return nil
        }
        shardCounts[name, default: 0] += member.shards.count
      }
      let largestFirst = shardCounts.values.sorted(by: >)
      func lossMax(within limit: Int) -> Int {
        var left = limit
        return largestFirst.prefix { count in
          left -= count
          return left >= 0
        }.count
      }
      return DomainTolerance(
        level: level, domainCount: shardCounts.count, readableLossMax: lossMax(within: 2 * f),
        writableLossMax: lossMax(within: f))
    }
  }

  /// Divides shards over nodes, as evenly as may be without a domain of more than f shards; only by
  /// node where there are too few domains for that.
  ///
  /// - Parameter domains: of each node; empty where it is not known.
  package static func runs(
    parameters: EncodingParameters, domains: [String]
  ) -> [Range<Int>] {
    let (n, f) = (parameters.shardCount, parameters.faultyShardCountMax)
    let even = evenRuns(shardCount: n, nodeCount: domains.count)
    let nodesOf = Dictionary(grouping: domains.indices) { domains[$0] }
    let names = nodesOf.keys.sorted()
    var shardCounts = names.map { name in (nodesOf[name] ?? []).reduce(0) { $0 + even[$1].count } }
    guard !names.contains(""), names.count * f >= n, shardCounts.contains(where: { $0 > f }),
      // A node keeps a shard at least.
      names.allSatisfy({ (nodesOf[$0] ?? []).count <= f })
    else { return even }
    var spare = shardCounts.reduce(0) { $0 + max($1 - f, 0) }
    shardCounts = shardCounts.map { min($0, f) }
    while spare > 0 {
      // The domain whose nodes keep the fewest.
      let loads = names.indices.map { position in
        shardCounts[position] * n / max(nodesOf[names[position]]?.count ?? 1, 1)
      }
      guard
        let least = names.indices.filter({ shardCounts[$0] < f }).min(by: { loads[$0] < loads[$1] })
      else { return even }
      shardCounts[least] += 1
      spare -= 1
    }
    var counts = [Int](repeating: 0, count: domains.count)
    for (name, shardCount) in zip(names, shardCounts) {
      let nodes = nodesOf[name] ?? []
      let parts = evenRuns(shardCount: shardCount, nodeCount: nodes.count)
      for (node, part) in zip(nodes, parts) { counts[node] = part.count }
    }
    var start = 0
    return counts.map { count in
      defer { start += count }
      return start..<start + count
    }
  }
}
