// QuiltTests.swift
//
// Quilts whose slivers lie in fake nodes: stored, read patch by patch, healthy and with losses, and
// what that moves.

import BlobClient
import Cluster
import RedStuff
import Routing
import Simulator
import Testing
import World

@Suite struct QuiltTests {
  private func patch(_ name: String, _ byteCount: Int, seed: UInt64 = 1) throws -> QuiltPatch {
    QuiltPatch(
      identifier: try QuiltIdentifier(name),
      tags: try QuiltTags([QuiltTag(name: "size", value: "\(byteCount)")]),
      data: content(byteCount, seed: seed))
  }

  private func patches(_ byteCounts: [Int]) throws -> [QuiltPatch] {
    try byteCounts.enumerated().map { try patch("p\($0)", $1, seed: UInt64($0) + 1) }
  }

  private func plant(
    _ patches: [QuiltPatch], in cluster: TestCluster
  ) async throws -> (id: BlobID, built: BuiltQuilt) {
    let built = try BuiltQuilt(patches, parameters: cluster.parameters)
    return (try await cluster.plant(built.blob), built)
  }

  /// The data of a patch, and what it cost.
  private func read(
    _ name: QuiltPatchName, of id: BlobID, _ client: BlobClient
  ) async throws -> (bytes: [UInt8], report: ReadReport) {
    let collector = Collector()
    let open = try await client.open(name, of: try await client.quilt(id))
    let report = try await open.read(into: collector.sink)
    #expect(open.header.dataByteCount == collector.bytes.count)
    return (collector.bytes, report)
  }

  // MARK: Storing and reading

  @Test(arguments: [4, 7, 10, 13])
  func `what is stored is read by identifier and by columns`(n: Int) async throws {
    let cluster = try await TestCluster(shards: n)
    let client = cluster.client()
    let sizes = [0, 1, 700, 5000, 33, 12_345, 2].prefix(cluster.k2 - 1)
    let patches = try patches(Array(sizes))
    let receipt = try await client.storeQuilt(patches, persistence: .deletable, epochs: nil)
    await client.waitForTails()
    let quilt = try await client.quilt(receipt.store.blob)
    #expect(quilt.index == receipt.index)
    for patch in patches {
      let entry = try #require(quilt.index.entry(identifiedBy: patch.identifier))
      #expect(entry.tags == patch.tags)
      for name in [QuiltPatchName.identifier(patch.identifier), .columns(entry.columns)] {
        #expect(try await read(name, of: quilt.id, client).bytes == patch.data)
      }
    }
  }

  @Test func `a long patch comes in order through small windows`() async throws {
    let cluster = try await TestCluster(shards: 10)
    let client = cluster.client {
      $0.windowByteCount = 3000
      $0.patchStartByteCount = 100
      $0.sinkByteCountMax = 700
    }
    let patches = try patches([10, 40_000, 3000])
    let (id, _) = try await plant(patches, in: cluster)
    let collector = Collector()
    let open = try await client.open(
      .identifier(patches[1].identifier), of: try await client.quilt(id))
    try await open.read(into: collector.sink)
    #expect(collector.bytes == patches[1].data)
    #expect(collector.longest == 700)
  }

  @Test func `the header alone tells the length`() async throws {
    let cluster = try await TestCluster(shards: 10)
    let client = cluster.client()
    let (id, built) = try await plant(try patches([100_000, 200_000]), in: cluster)
    let quilt = try await client.quilt(id)
    let open = try await client.open(
      .columns(built.index.entries[1].columns), of: quilt, for: .header)
    #expect(open.header.dataByteCount == 200_000)
    #expect(open.id == QuiltPatchID(quilt: id, columns: built.index.entries[1].columns))
  }

  // MARK: What it moves

  @Test func `a patch moves its own columns, and the index its own`() async throws {
    let cluster = try await TestCluster(shards: 31)
    let patches = try patches((0..<20).map { 9000 + 10 * $0 })
    let (id, built) = try await plant(patches, in: cluster)
    let client = cluster.client()
    let columnByteCount = built.shape.columnByteCount
    let quilt = try await client.quilt(id)
    #expect(quilt.report.byteCount == columnByteCount)
    for (entry, patch) in zip(built.index.entries, patches.sorted { $0.identifier < $1.identifier })
    {
      let (bytes, report) = try await read(.identifier(entry.identifier), of: id, client)
      #expect(bytes == patch.data)
      #expect(report.byteCount == entry.columns.count * columnByteCount)
      #expect(report.byteCount * 10 < built.blob.count)
    }
  }

  @Test func `a long patch moves its own columns once, and a few symbols twice`() async throws {
    let cluster = try await TestCluster(shards: 31)
    let patches = try patches([2_000_000, 400_000, 300_000])
    let (id, built) = try await plant(patches, in: cluster)
    let client = cluster.client { $0.windowByteCount = 300_000 }
    let entry = built.index.entries[0]
    let (bytes, report) = try await read(.identifier(entry.identifier), of: id, client)
    #expect(bytes == patches[0].data)
    let own = entry.columns.count * built.shape.columnByteCount
    #expect(report.byteCount >= patches[0].data.count)
    #expect(report.byteCount <= own + client.configuration.patchStartByteCount)
  }

  @Test func `a short patch in long columns moves symbols, not columns`() async throws {
    let cluster = try await TestCluster(shards: 10)
    let (id, built) = try await plant(try patches([150_000, 100, 150_000]), in: cluster)
    let client = cluster.client { $0.patchStartByteCount = 1000 }
    let quilt = try await client.quilt(id)
    let symbol = built.shape.symbolByteCount + ReadPlanner.pathByteCount(shardCount: 10)
    #expect(quilt.report.byteCount == symbol)
    let (bytes, report) = try await read(.columns(quilt.index.entries[1].columns), of: id, client)
    #expect(bytes == content(100, seed: 2))
    #expect(report.byteCount == symbol)
    #expect(symbol * 3 < built.shape.columnByteCount)
  }

  @Test func `an index is read once`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let (id, _) = try await plant(try patches([10, 20]), in: cluster)
    #expect(try await client.quilt(id).report.byteCount > 0)
    #expect(try await client.quilt(id).report == ReadReport())
  }

  // MARK: Losses and lies

  @Test func `lost columns come from rows, for the bytes that they have`() async throws {
    let cluster = try await TestCluster(shards: 31)
    let patches = try patches((0..<20).map { 9000 + 10 * $0 })
    let (id, built) = try await plant(patches, in: cluster)
    let patch = patches[7]
    let entry = try #require(built.index.entry(identifiedBy: patch.identifier))
    for column in [0] + Array(entry.columns) {
      cluster.node(30 - column, of: id).lose(id, [.column(column)])
    }
    let client = cluster.client()
    let quilt = try await client.quilt(id)
    #expect(quilt.report.byteCount == built.shape.columnByteCount)
    let (bytes, report) = try await read(.identifier(entry.identifier), of: id, client)
    #expect(bytes == patch.data)
    #expect(report.byteCount == entry.columns.count * built.shape.columnByteCount)
    #expect(report.degradedSymbolCount == entry.columns.count * cluster.k1)
  }

  @Test func `every loss of 2f shards leaves every patch right`() async throws {
    for losses in subsets(of: 7, count: 4) {
      let cluster = try await TestCluster(shards: 7)
      let patches = try patches([300, 10, 700])
      let (id, _) = try await plant(patches, in: cluster)
      cluster.lose(pairs: losses, of: id)
      let client = cluster.client { $0.patchStartByteCount = 50 }
      for patch in patches {
        let bytes = try await read(.identifier(patch.identifier), of: id, client).bytes
        #expect(bytes == patch.data, "lost \(losses)")
      }
    }
  }

  @Test func `nodes that do not answer are read around`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let patches = try patches([300, 10, 700])
    let (id, _) = try await plant(patches, in: cluster)
    cluster.nodesDown([1, 4])
    let client = cluster.client()
    try await cluster.clock.autoAdvancing { () async throws -> Void in
      for patch in patches {
        #expect(
          try await read(.identifier(patch.identifier), of: id, client).bytes == patch.data)
      }
    }
  }

  @Test func `rows left and columns left together give a column that neither gives`() async throws {
    // Two rows of three, and six columns of seven: the lost column has its last cell from its row,
    // which any five columns give back.
    let cluster = try await TestCluster(shards: 7)
    let patches = try patches([300, 10])
    let (id, built) = try await plant(patches, in: cluster)
    let column = built.index.entries[0].columns.lowerBound
    cluster.node(6 - column, of: id).lose(id, [.column(column)])
    for row in 2..<7 { cluster.node(row, of: id).lose(id, [.row(row)]) }
    let client = cluster.client()
    let bytes = try await read(.identifier(patches[0].identifier), of: id, client).bytes
    #expect(bytes == patches[0].data)
  }

  @Test(arguments: [FakeNode.Behaviour.lies, .liesWithoutPaths, .wrongLength, .noOutcomes])
  func `a node that lies is found out`(behaviour: FakeNode.Behaviour) async throws {
    let cluster = try await TestCluster(shards: 10)
    let patches = try patches([3000, 10, 700])
    let (id, built) = try await plant(patches, in: cluster)
    for columns in built.index.entries.map(\.columns) + [0..<1] {
      let liar = cluster.node(9 - columns.lowerBound, of: id)
      liar.behave(behaviour)
      let client = cluster.client()
      for patch in patches {
        #expect(
          try await read(.identifier(patch.identifier), of: id, client).bytes == patch.data)
      }
      liar.behave(.honest)
    }
  }

  @Test func `too few shards make a patch unavailable`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let patches = try patches([300])
    let (id, _) = try await plant(patches, in: cluster)
    cluster.lose(pairs: 2..<7, of: id)
    let error = await clientError { _ = try await cluster.client().quilt(id) }
    #expect(error?.isUnavailable == true)
  }

  // MARK: What is no quilt

  @Test func `what is not there is not found`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let (id, built) = try await plant(try patches([300, 20]), in: cluster)
    let unknown = BlobID(Digest(hashing: [1]))
    #expect(await clientError { _ = try await client.quilt(unknown) } == .notFound(unknown))
    let quilt = try await client.quilt(id)
    let columns = built.index.entries[0].columns
    let names = [
      QuiltPatchName.identifier(try QuiltIdentifier("p")), .columns(0..<1),
      .columns(columns.lowerBound..<columns.upperBound + 1), .columns(60_000..<65_000),
    ]
    for name in names {
      let error = await clientError { _ = try await client.open(name, of: quilt) }
      #expect(error == .patchNotFound(quilt: id, patch: name))
    }
  }

  @Test func `a blob that is no quilt is told apart`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let odd = try await cluster.plant(content(100))
    let notFilled = QuiltFormatError.matrixNotFilled(byteCount: 100, cellCount: 15)
    #expect(
      await clientError { _ = try await client.quilt(odd) } == .malformedQuilt(odd, notFilled))
    // Symbols of three bytes would be another matrix than that of the slivers.
    let three = try await cluster.plant(content(45))
    #expect(
      await clientError { _ = try await client.quilt(three) }
        == .malformedQuilt(three, .matrixNotFilled(byteCount: 45, cellCount: 15)))
    let other = try await cluster.plant([9] + [UInt8](repeating: 0, count: 149))
    #expect(
      await clientError { _ = try await client.quilt(other) }
        == .malformedQuilt(other, .unknownVersion(9)))
  }

  @Test func `a patch that contradicts the index is refused`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let client = cluster.client()
    let built = try BuiltQuilt(try patches([30]), parameters: cluster.parameters)
    let (shape, columns) = (built.shape, built.index.entries[0].columns)
    // The identifier's last byte, ten bytes into the header, in its column of the row-wise blob.
    let (row, inSymbol) = 10.quotientAndRemainder(dividingBy: shape.symbolByteCount)
    let place =
      (row * shape.columnCount + columns.lowerBound) * shape.symbolByteCount + inSymbol
    var blob = built.blob
    #expect(blob[place] == UInt8(ascii: "0"))
    blob[place] = UInt8(ascii: "1")
    let id = try await cluster.plant(blob)
    let quilt = try await client.quilt(id)
    let error = await clientError { _ = try await client.open(.columns(columns), of: quilt) }
    #expect(
      error == .malformedQuilt(id, .differsFromIndex(built.index.entries[0].identifier)))
  }

  @Test func `indexes above the limit are neither written nor read`() async throws {
    let cluster = try await TestCluster(shards: 7)
    let patches = try patches([30, 40])
    let (id, built) = try await plant(patches, in: cluster)
    let byteCount = built.index.streamBytes.count
    let client = cluster.client { $0.quiltIndexByteCountMax = byteCount - 1 }
    #expect(
      await clientError { _ = try await client.quilt(id) }
        == .malformedQuilt(
          id, .indexTooLong(byteCount: byteCount, byteCountMax: byteCount - 1)))
    let error = await clientError {
      _ = try await client.storeQuilt(patches, persistence: .deletable, epochs: nil)
    }
    #expect(
      error
        == .quiltRefused(.indexTooLong(byteCount: byteCount, byteCountMax: byteCount - 1)))
    #expect(try await cluster.client().quilt(id).index == built.index)
  }
}
