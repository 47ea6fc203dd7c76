// LyingNodeTests.swift
//
// Up to f lying nodes change no byte that a client reads, whatever the lie; and no answer of theirs
// brings a client or the codec down.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulation
import Simulator
import Testing
import World

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct LyingNodeTests {
  @Test(arguments: LyingNode.Lie.allCases, [LyingNode.Frequency.always, .share(0.5), .oncePerBlob])
  func `f lying nodes leave stores and reads right`(
    lie: LyingNode.Lie, frequency: LyingNode.Frequency
  ) async throws {
    for liars in frequency == .always ? [[0, 1], [2, 5], [3, 6]] : [[1, 4]] {
      let cluster = try await LiarCluster(shards: 7, nodes: 7, seed: UInt64(liars[0] + 1))
      let habits = LyingNode.Habits([lie: frequency])
      try await cluster.running(lying: [liars[0]: habits, liars[1]: habits]) { _ in
        let client = cluster.client { $0.windowByteCount = 2000 }
        var stored: [(BlobID, [UInt8])] = []
        for size in [1, 29, 600, 6000] {
          let bytes = content(size, seed: UInt64(size))
          let receipt = try await cluster.passing {
            let receipt = try await client.store(bytes)
            await client.waitForTails()
            return receipt
          }
          stored.append((receipt.blob, bytes))
        }
        for (blob, bytes) in stored {
          let all = try await cluster.passing { await client.bytes(of: blob) }
          #expect(all == .success(bytes), "\(bytes.count) bytes")
          let range = bytes.count / 3..<bytes.count / 3 * 2 + 1
          let got = try await cluster.passing {
            await client.bytes(
              of: blob, range: UInt64(range.lowerBound)..<UInt64(range.upperBound))
          }
          #expect(got == .success(Array(bytes[range])), "\(range) of \(bytes.count) bytes")
        }
      }
    }
  }

  @Test(arguments: LyingNode.Lie.allCases)
  func `every kind of request can be lied to, and the answer decodes or is refused`(
    lie: LyingNode.Lie
  ) async throws {
    let cluster = try await LiarCluster(shards: 7, nodes: 7)
    let habits = LyingNode.Habits([lie: .always])
    try await cluster.running(lying: [0: habits]) { liars in
      let client = cluster.client()
      let blobs = try await cluster.passing {
        let blobs = [
          try await client.store(content(600)).blob, try await client.store(content(700)).blob,
        ]
        await client.waitForTails()
        return blobs
      }
      let encoded = try BlobEncoder.encodeSerially(content(600), parameters: cluster.parameters)
      for blob in blobs + blobs {
        for request in try Self.requests(blob, encoded, cluster) {
          _ = try await cluster.passing {
            await cluster.liar.answer(request, from: NodeID(0), cluster)
          }
        }
      }
      let count = liars[0].lieCounts[lie] ?? 0
      #expect(count > 0)
    }
  }

  static func requests(_ blob: BlobID, _ encoded: EncodedBlob, _ cluster: LiarCluster) throws
    -> [NodeRequest]
  {
    let pair = try #require(cluster.committee.pairs(of: blob, keptBy: NodeID(0)).first)
    let object = try #require(ObjectID(content(32)))
    let index = SliverIndex(1)
    let items = SliverAxis.allCases.flatMap { axis in
      [false, true].map {
        ReadItem(blob: blob, pair: pair, axis: axis, symbols: 0..<3, wantsPaths: $0)
      }
    }
    let symbols = (0..<5).map { source in
      RecoverySymbol(
        symbol: DecodingSymbol(sourceIndex: SliverIndex(UInt16(source)), bytes: [1, 2]),
        proof: MerkleProof(path: []))
    }
    return [
      .metadata(blob), .metadataStatus(blob), .storeMetadata(blob, encoded.metadata.metadata),
      .sliver(blob, pair, .primary), .sliver(blob, pair, .secondary),
      .sliverStatus(blob, pair, .primary),
      .storeSliver(blob, pair, encoded.sliver(.primary, pair.sliver(.primary, shardCount: 7))),
      .confirmation(blob, .permanent, waitMilliseconds: 0),
      .confirmation(blob, .deletable(object), waitMilliseconds: 0),
      .recoverySymbols(blob, .target(index, .primary), proofAxis: nil),
      .decodingSymbols(blob, targets: [index, SliverIndex(2)], targetAxis: .primary),
      .inconsistencyProof(
        blob,
        InconsistencyProof(targetAxis: .primary, targetIndex: index, symbols: symbols)),
      .blobStatus(blob), .health(detailed: true),
      .storeBatch([
        StoreEntry(
          blob: blob, object: object, metadata: encoded.metadata.metadata, slivers: [],
          wantsConfirmation: true)
      ]),
      .readBatch(items),
    ]
  }

  @Test func `an answer larger than any message is refused`() async throws {
    let cluster = try await LiarCluster(shards: 4, nodes: 4)
    var habits = LyingNode.Habits([.oversize: .always])
    habits.oversizeByteCount = NodeMessageLimits.bodyByteCountMax + 1
    try await cluster.running(lying: [0: habits]) { _ in
      let client = cluster.client()
      let bytes = content(300)
      let blob = try await client.store(bytes).blob
      await client.waitForTails()
      let pair = try #require(cluster.committee.pairs(of: blob, keptBy: NodeID(0)).first)
      let answer = await cluster.liar.answer(
        .sliver(blob, pair, .primary), from: NodeID(0), cluster)
      guard case .failure(.malformedAnswer) = answer else {
        Issue.record("\(answer)")
        return
      }
    }
  }

  // Correctly signed, never stored: up to f such shards are what n - f allows for.
  @Test func `signatures under nothing by f nodes cost no blob`() async throws {
    for liars in subsets(of: 7, count: 2) {
      let cluster = try await LiarCluster(shards: 7, nodes: 7)
      let habits = LyingNode.Habits([.signsWithoutStoring: .always])
      try await cluster.running(lying: [liars[0]: habits, liars[1]: habits]) { _ in
        let bytes = content(600)
        let client = cluster.client()
        let receipt = try await cluster.passing {
          let receipt = try await client.store(bytes)
          await client.waitForTails()
          return receipt
        }
        #expect(receipt.registration.isCertified)
        #expect(
          try await cluster.passing { await cluster.client().bytes(of: receipt.blob) }
            == .success(bytes))
        // The liars have nothing, and f more are lost: it is still there.
        let others = (0..<7).filter { !liars.contains($0) }
        cluster.setDown(Array(others.prefix(2)))
        #expect(
          try await cluster.passing { await cluster.client().bytes(of: receipt.blob) }
            == .success(bytes))
      }
    }
  }
}

extension LyingClient {
  func answer(_ request: NodeRequest, from node: NodeID, _ cluster: LiarCluster) async -> Result<
    NodeResponse, TransportError
  > {
    do throws(TransportError) {
      return .success(
        try await cluster.endpoint.send(
          request, to: node, deadline: cluster.clock.now + .seconds(10)))
    } catch {
      return .failure(error)
    }
  }
}
