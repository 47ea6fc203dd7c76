// ReadTests.swift
//
// Reading blobs whose slivers lie in fake nodes: whole and in parts, healthy and with losses.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Routing
import Simulator
import Testing
import World

@Suite struct ReadTests {
  /// Sizes around the borders of symbols, rows and the matrix.
  static func sizes(_ parameters: EncodingParameters) -> [Int] {
    let cells = parameters.sourceSymbolCount
    let k2 = parameters.secondarySourceCount
    return [0, 1, 2, 3, 2 * k2 - 1, 2 * k2, 2 * k2 + 1, 2 * cells - 1, 2 * cells, 2 * cells + 1]
      + [64 * k2 * 2 + 7, 64 * cells, 66 * cells - 1, 1000 * cells + 17]
  }

  @Test(arguments: [4, 7, 10, 13])
  func `whole blobs of all sizes come back`(n: Int) async throws {
    let cluster = try await TestCluster(shards: n)
    let client = cluster.client()
    for size in Self.sizes(cluster.parameters) {
      let bytes = content(size)
      let blob = try await cluster.plant(bytes)
      for check in ConsistencyCheck.allCases {
        #expect(try await client.bytes(of: blob, check: check) == bytes, "\(size) bytes, \(check)")
      }
      #expect(try await client.head(blob).byteCount == UInt64(size))
    }
  }

  @Test(arguments: [4, 7, 10])
  func `random ranges come back`(n: Int) async throws {
    let seed = UInt64(n) &* 7919
    let dice = SeededRandomness(seed: seed)
    let cluster = try await TestCluster(shards: n)
    let client = cluster.client { $0.windowByteCount = 3000 }
    for size in [1, 37, 1000, 20_000] {
      let bytes = content(size)
      let blob = try await cluster.plant(bytes)
      for _ in 0..<40 {
        let start = dice.number(below: size + 1)
        let end = start + dice.number(below: size - start + 1)
        for check in [ConsistencyCheck.default, .skip] {
          let got = try await client.bytes(
            of: blob, range: UInt64(start)..<UInt64(end), check: check)
          #expect(got == Array(bytes[start..<end]), "seed \(seed), \(start)..<\(end) of \(size)")
        }
      }
      let strict = try await client.bytes(of: blob, range: 1..<UInt64(size), check: .strict)
      #expect(strict == Array(bytes[1...]))
    }
  }

  @Test func `every loss of 2f shards leaves whole and part reads right`() async throws {
    for losses in subsets(of: 7, count: 4) {
      let cluster = try await TestCluster(shards: 7)
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      cluster.lose(pairs: losses, of: blob)
      // One window, then many windows and a spool.
      for window in [1 << 20, 200] {
        let client = cluster.client { $0.windowByteCount = window }
        #expect(try await client.bytes(of: blob) == bytes, "lost \(losses), window \(window)")
        for range in [0..<UInt64(1), 39..<41, 170..<420, 599..<600] {
          let part = try await client.bytes(of: blob, range: range)
          #expect(part == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
        }
      }
      #expect(cluster.spool.names.isEmpty)
    }
  }

  @Test func `every loss of 2f nodes leaves reads right`() async throws {
    for losses in subsets(of: 7, count: 4) {
      let cluster = try await TestCluster(shards: 7)
      let bytes = content(15 * 40)
      let blob = try await cluster.plant(bytes)
      cluster.nodesDown(losses)
      let client = cluster.client { $0.windowByteCount = 200 }
      let (clock, range) = (cluster.clock, UInt64(170)..<420)
      try await clock.autoAdvancing { () async throws -> Void in
        #expect(try await client.bytes(of: blob) == bytes, "down \(losses)")
        #expect(try await client.bytes(of: blob, range: range) == Array(bytes[170..<420]))
      }
    }
  }

  @Test(arguments: [7, 10, 13])
  func `a whole read moves exactly the matrix at 0 to f lost shards`(n: Int) async throws {
    let f = try EncodingParameters(shardCount: n).faultyShardCountMax
    for lossCount in 0...f {
      let cluster = try await TestCluster(shards: n)
      let s = 48
      let matrix = cluster.k1 * cluster.k2 * s
      let bytes = content(matrix)
      let blob = try await cluster.plant(bytes)
      // The rows that matter most.
      cluster.lose(pairs: 0..<lossCount, of: blob)
      for window in [1 << 20, 2 * cluster.k2 * s] {
        let client = cluster.client { $0.windowByteCount = window }
        let collector = Collector()
        let report = try await client.read(blob, into: collector.sink)
        #expect(collector.bytes == bytes)
        #expect(report.byteCount == matrix, "\(lossCount) lost, window \(window)")
        #expect(report.degradedSymbolCount == lossCount * cluster.k2)
        #expect(!report.isSpooled)
      }
    }
  }

  @Test func `a whole read beyond f lost shards moves the matrix through the spool`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let s = 64
    let matrix = 15 * s
    let bytes = content(matrix)
    let blob = try await cluster.plant(bytes)
    cluster.lose(pairs: [0, 1, 2, 3], of: blob)
    let client = cluster.client { $0.windowByteCount = 2 * 5 * s }
    // The first try learns what is lost; what it fetched for nothing is bounded by a window.
    let collector = Collector()
    let report = try await client.read(blob, into: collector.sink)
    #expect(collector.bytes == bytes)
    #expect(report.isSpooled)
    #expect(report.byteCount >= matrix && report.byteCount <= matrix + 2 * 5 * s)
  }

  @Test func `memory stays within a window and pieces within their limit`() async throws {
    let cluster = try await TestCluster(shards: 10)
    let s = 512
    let bytes = content(28 * s)
    let blob = try await cluster.plant(bytes)
    let window = 2 * 7 * s
    let client = cluster.client {
      $0.windowByteCount = window
      $0.sinkByteCountMax = 1000
    }
    let collector = Collector()
    try await client.read(blob, into: collector.sink)
    #expect(collector.bytes == bytes)
    #expect(collector.longest == 1000)
    // While the first piece is taken, nothing beyond the second window is asked for.
    let stuck = Collector()
    let asked = { cluster.nodes.flatMap(\.readItems).reduce(0) { $0 + $1.symbols.count * s } }
    let before = asked()
    let error = await clientError {
      try await client.read(blob) { piece in
        try await stuck.sink(piece)
        for _ in 0..<2000 { await Task.yield() }
        throw CancellationError()
      }
    }
    #expect(error == .cancelled)
    #expect(stuck.count == 1)
    #expect(asked() - before <= 2 * window)
  }

  @Test func `a range outside the blob is refused with its size`() async throws {
    let cluster = try await TestCluster(shards: 4)
    let blob = try await cluster.plant(content(100))
    let client = cluster.client()
    let error = await clientError { _ = try await client.bytes(of: blob, range: 99..<101) }
    #expect(error == .rangeOutsideBlob(size: 100))
    #expect(try await client.bytes(of: blob, range: 100..<100) == [])
  }

  @Test func `not found and unavailable are told apart`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client { $0.retryCountMax = 0 }
    let bytes = content(500)
    let encoded = try cluster.encode(bytes)
    let unknown = await clientError { _ = try await client.head(encoded.blobID) }
    #expect(unknown == .notFound(encoded.blobID))
    // Registered only.
    _ = try await cluster.registry.register(
      blob: encoded.blobID, byteCount: 500, persistence: .deletable, epochs: nil)
    let registered = await clientError { _ = try await client.bytes(of: encoded.blobID) }
    #expect(registered == .notFound(encoded.blobID))
    let blob = try await cluster.plant(bytes)
    #expect(try await client.bytes(of: blob) == bytes)
    cluster.nodesDown(0..<7)
    let down = await clientError { _ = try await client.bytes(of: blob) }
    #expect(down?.isUnavailable == true)
    let fresh = cluster.client { $0.retryCountMax = 0 }
    let head = await clientError { _ = try await fresh.head(blob) }
    #expect(head?.isUnavailable == true)
    _ = try await cluster.registry.delete(blob: blob, object: nil)
    let deleted = await clientError { _ = try await client.bytes(of: blob) }
    #expect(deleted == .notFound(blob))
  }

  @Test func `more than 2f lost shards are unavailable and leave no spool file`() async throws {
    for losses in subsets(of: 7, count: 5) {
      let cluster = try await TestCluster(shards: 7)
      let blob = try await cluster.plant(content(15 * 40))
      cluster.lose(pairs: losses, of: blob)
      let client = cluster.client { $0.windowByteCount = 200 }
      let error = await clientError { _ = try await client.bytes(of: blob) }
      let hasAllRows = !losses.contains { $0 < 3 }
      let hasAllColumns = !losses.contains { 6 - $0 < 5 }
      #expect((error == nil) == (hasAllRows || hasAllColumns), "lost \(losses)")
      #expect(error?.isUnavailable != false)
      #expect(cluster.spool.names.isEmpty)
    }
  }

  @Test func `a full spool refuses and frees its budget`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let bytes = content(15 * 40)
    let blob = try await cluster.plant(bytes)
    cluster.lose(pairs: [0, 1, 2], of: blob)
    let small = cluster.client {
      $0.windowByteCount = 200
      $0.spoolByteCountMax = 599
    }
    #expect(await clientError { _ = try await small.bytes(of: blob) }?.isUnavailable == true)
    cluster.spool.setFull(true)
    let client = cluster.client {
      $0.windowByteCount = 200
      $0.spoolByteCountMax = 600
    }
    #expect(await clientError { _ = try await client.bytes(of: blob) }?.isUnavailable == true)
    cluster.spool.setFull(false)
    #expect(try await client.bytes(of: blob) == bytes)
    #expect(cluster.spool.names.isEmpty)
  }

  @Test func `a failing receiver ends the read with its reason`() async throws {
    struct Gone: Error {}
    let cluster = try await TestCluster(shards: 4)
    let blob = try await cluster.plant(content(100))
    let error = await clientError { try await cluster.client().read(blob) { _ in throw Gone() } }
    #expect(error == .sinkFailed("Gone()"))
  }

  @Test func `metadata is fetched once`() async throws {
    let cluster = try await TestCluster(shards: 4)
    let blob = try await cluster.plant(content(100))
    let client = cluster.client()
    _ = try await client.head(blob)
    cluster.nodesDown(0..<4)
    #expect(try await client.head(blob).byteCount == 100)
  }

  @Test func `spool files of an earlier run are removed`() async throws {
    let cluster = try await TestCluster(shards: 4)
    _ = try await cluster.spool.create("read-0123.spool")
    _ = try await cluster.spool.create("else")
    try await cluster.client().removeSpoolLeftovers()
    #expect(cluster.spool.names == ["else"])
  }
}
