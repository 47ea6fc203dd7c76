// ChoiceOfSourceTests.swift
//
// Whom a whole client asks: others in time where somebody is late, near nodes rather than far ones.

import BlobClient
import Cluster
import RedStuff
import Routing
import RunSeed
import Simulator
import Testing
import World

@Suite struct ChoiceOfSourceTests {
  // One request in a hundred takes a hundred times as long.
  @Test func `a client's reads are quick, and its hedges a fortieth of its requests`() async throws
  {
    let seed = RunSeed.current.seed()
    let cluster = try await TestCluster(shards: 10, seed: seed)
    let bytes = content(28 * 40)
    let blob = try await cluster.plant(bytes)
    let client = cluster.client { $0.hedgeDelayInitial = .milliseconds(100) }
    let dice = SeededRandomness(seed: seed)
    cluster.transport.setInterceptor { _, _ in
      let milliseconds = 10 + dice.number(below: 10)
      return .delayed(
        .milliseconds(dice.number(below: 100) == 0 ? milliseconds * 100 : milliseconds))
    }
    let clock = cluster.clock
    let (requestCount, hedgeCount, quickCount) = try await clock.autoAdvancing {
      var counts = (requests: 0, hedges: 0, quick: 0)
      _ = try await client.head(blob)
      for _ in 0..<400 {
        let start = clock.now
        let report = try await client.read(blob) { _ in }
        counts.requests += report.requestCount
        counts.hedges += report.hedgeCount
        if clock.now - start < .milliseconds(500) { counts.quick += 1 }
      }
      return counts
    }
    #expect(hedgeCount > 0, "\(RunSeed.current)")
    #expect((hedgeCount - 16) * 1000 <= (requestCount - hedgeCount + 1) * 25, "\(RunSeed.current)")
    // Of 1600 requests some 16 are slow, so that without hedges as many of 400 reads would be.
    #expect(quickCount >= 396, "\(quickCount), \(RunSeed.current)")
  }

  @Test func `a client takes one cell from the home in its own zone`() async throws {
    let cluster = try await TestCluster(shards: 31, zones: 3)
    let here = Topology(zone: "zone-1")
    let client = cluster.client { $0.topology = here }
    let (k2, n) = (cluster.k2, 31)
    var nearCount = 0
    for number in 0..<8 {
      let bytes = content(cluster.k1 * k2 * 1000, seed: UInt64(number + 1))
      let blob = try await cluster.plant(bytes)
      let (row, column) = (number, (number * 5) % k2)
      let homes = [row, n - 1 - column].map { cluster.node($0, of: blob).id }
      let before = homes.map { cluster.nodes[Int($0.value)].readItems.count }
      let start = UInt64((row * k2 + column) * 1000)
      let got = try await client.bytes(of: blob, range: start..<start + 1000)
      #expect(got == Array(bytes[Int(start)..<Int(start) + 1000]))
      let isNear = homes.map {
        here.distance(to: cluster.committee.member($0)?.topology ?? here) == 0
      }
      let wasAsked = zip(homes, before).map {
        cluster.nodes[Int($0.value)].readItems.count > $1
      }
      guard isNear[0] != isNear[1] else { continue }
      nearCount += 1
      #expect(wasAsked == isNear)
    }
    #expect(nearCount > 0)
  }

  // Decoding costs less than a border: any k1 of the 31 rows are the blob.
  @Test func `a client takes as many rows of a whole blob from its own zone as there are`()
    async throws
  {
    let cluster = try await TestCluster(shards: 31, zones: 3)
    let here = Topology(zone: "zone-1")
    let near = Set(
      cluster.committee.members.filter { here.distance(to: $0.topology) == 0 }.map(\.id))
    let client = cluster.client { $0.topology = here }
    for number in 0..<4 {
      let bytes = content(cluster.k1 * cluster.k2 * 20, seed: UInt64(number + 1))
      let blob = try await cluster.plant(bytes)
      let before = cluster.nodes.map(\.readItems.count)
      #expect(try await client.bytes(of: blob) == bytes)
      let rowCounts = zip(cluster.nodes, before).map { ($0.id, $0.readItems.count - $1) }
      let nearCount = rowCounts.filter { near.contains($0.0) }.reduce(0) { $0 + $1.1 }
      let count = rowCounts.reduce(0) { $0 + $1.1 }
      #expect(count == cluster.k1)
      #expect(nearCount == min(near.count, cluster.k1), "\(near.count) near")
    }
  }
}
