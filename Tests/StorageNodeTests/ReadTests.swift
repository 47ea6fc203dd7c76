// ReadTests.swift
//
// Serving symbols: slices, computed ones, paths, and the reference's calls for repair.

import Cluster
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import Testing
import World

@testable import StorageNode

@Suite struct ReadTests {
  /// All n symbols of a sliver, as the encoder has them: each from the sliver that crosses it there,
  /// or computed by that sliver.
  private func symbols(_ blob: EncodedBlob, _ sliver: Sliver) throws -> [[UInt8]] {
    let n = blob.parameters.shardCount
    return try (0..<n).map { position in
      let crossing = blob.sliver(sliver.axis.other, SliverIndex(UInt16(position)))
      return try crossing.symbol(crossing: sliver.index, parameters: blob.parameters)
    }
  }

  @Test(arguments: [4, 7, 10], [false, true])
  func `every run of symbols is the encoder's`(shardCount: Int, wantsPaths: Bool) async throws {
    let bench = try await NodeBench(shardCount: shardCount)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 700)
    try await bench.store(blob, on: running)
    for pair in bench.pairs(of: blob.blobID) {
      for axis in SliverAxis.allCases {
        let sliver = blob.sliver(axis, pair.sliver(axis, shardCount: shardCount))
        let expected = try symbols(blob, sliver)
        var items: [ReadItem] = []
        for lower in 0..<shardCount {
          for upper in lower + 1...shardCount {
            items.append(
              ReadItem(
                blob: blob.blobID, pair: pair, axis: axis, symbols: lower..<upper,
                wantsPaths: wantsPaths))
          }
        }
        guard case .readBatch(let outcomes, _) = await bench.ask(running.node, .readBatch(items))
        else { throw DeadlineExceeded() }
        for (item, outcome) in zip(items, outcomes) {
          guard case .symbols(let bytes, let paths) = outcome else {
            Issue.record("\(item): \(outcome)")
            continue
          }
          #expect(bytes == expected[item.symbols].flatMap(\.self))
          #expect(paths.count == (wantsPaths ? item.symbols.count : 0))
          guard wantsPaths else { continue }
          let root = try #require(blob.metadata.metadata.hash(of: axis, at: sliver.index))
          for (position, path) in zip(item.symbols, paths) {
            try path.verify(
              expected[position], leafIndex: position, leafCount: shardCount, root: root)
          }
        }
      }
    }
    try await running.stop()
  }

  @Test func `what is asked for signed is signed by the node, and true`() async throws {
    let bench = try await NodeBench(shardCount: 7)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 700)
    try await bench.store(blob, on: running)
    let items = bench.pairs(of: blob.blobID).map {
      ReadItem(
        blob: blob.blobID, pair: $0, axis: .primary, symbols: 1..<7, wantsPaths: true,
        wantsSignature: true)
    }
    guard case .readBatch(let outcomes, _) = await bench.ask(running.node, .readBatch(items))
    else { throw DeadlineExceeded() }
    for (item, outcome) in zip(items, outcomes) {
      guard case .signedSymbols(let bytes, let paths, let signature) = outcome else {
        Issue.record("\(item): \(outcome)")
        continue
      }
      let statement = SymbolStatement(
        node: running.node.id, item: item, bytes: bytes, paths: paths, signature: signature)
      #expect(
        statement.verify(cluster: running.node.cluster, publicKey: running.node.signer.publicKey))
      #expect(!statement.isRefuted(by: blob.metadata))
    }
    try await running.stop()
  }

  // A few computed symbols take another way than many, and neither may depend on what came before.
  @Test func `single repair symbols are computed without an expansion`() async throws {
    let bench = try await NodeBench(shardCount: 10)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 700)
    try await bench.store(blob, on: running)
    let pair = bench.pairs(of: blob.blobID)[0]
    let sliver = blob.sliver(.secondary, pair.sliver(.secondary, shardCount: 10))
    let expected = try symbols(blob, sliver)
    for position in 0..<10 {
      let item = ReadItem(
        blob: blob.blobID, pair: pair, axis: .secondary, symbols: position..<position + 1,
        wantsPaths: false)
      let answer = await bench.ask(running.node, .readBatch([item]))
      #expect(answer == .readBatch([.symbols(bytes: expected[position], paths: [])]))
    }
    #expect(running.node.expansionCache.withLock { $0.count } == 0)
    try await running.stop()
  }

  @Test func `each item of a read batch has its own outcome`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let (blob, absent) = (try bench.encode(), try bench.encode())
    try await bench.store(blob, on: running)
    let mine = bench.pairs(of: blob.blobID)
    let foreign = try #require(
      (0..<7).map { SliverPairIndex(UInt16($0)) }.first { !mine.contains($0) })
    func item(_ blob: EncodedBlob, _ pair: SliverPairIndex, _ symbols: Range<Int>) -> ReadItem {
      ReadItem(
        blob: blob.blobID, pair: pair, axis: .primary, symbols: symbols, wantsPaths: false)
    }
    let request = NodeRequest.readBatch([
      item(blob, mine[0], 0..<1), item(absent, bench.pairs(of: absent.blobID)[0], 0..<1),
      item(blob, foreign, 0..<1), item(blob, SliverPairIndex(7), 0..<1),
      item(blob, mine[0], 6..<8), item(blob, mine[0], 3..<3),
      item(absent, bench.pairs(of: absent.blobID)[0], 5..<7),
    ])
    guard case .readBatch(let outcomes, _) = await bench.ask(running.node, request) else {
      throw DeadlineExceeded()
    }
    #expect(
      outcomes.map(reason) == [
        nil, nil, .shardNotAssigned, .indexOutOfRange, .indexOutOfRange, .indexOutOfRange, nil,
      ])
    #expect(outcomes[1] == .missing && outcomes[6] == .missing)
    try await running.stop()
  }

  @Test func `slivers that are not there, or not ours, are told apart`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    let mine = bench.pairs(of: blob.blobID)
    let foreign = try #require(
      (0..<7).map { SliverPairIndex(UInt16($0)) }.first { !mine.contains($0) })
    func get(_ pair: SliverPairIndex) async -> NodeFailure.Reason? {
      reason(await bench.ask(running.node, .sliver(blob.blobID, pair, .primary)))
    }
    #expect(await get(mine[0]) == .sliverNotFound)
    #expect(await get(foreign) == .shardNotAssigned)
    #expect(await get(SliverPairIndex(7)) == .indexOutOfRange)
    let status = NodeRequest.sliverStatus(blob.blobID, foreign, .primary)
    #expect(reason(await bench.ask(running.node, status)) == .shardNotAssigned)
    let metadata = await bench.ask(running.node, .metadata(blob.blobID))
    #expect(reason(metadata) == .metadataNotFound)
    try await running.stop()
  }

  @Test(arguments: [4, 7, 10], SliverAxis.allCases)
  func `recovery symbols prove themselves`(shardCount: Int, axis: SliverAxis) async throws {
    let bench = try await NodeBench(shardCount: shardCount)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 500)
    try await bench.store(blob, on: running)
    for number in 0..<shardCount {
      let target = SliverIndex(UInt16(number))
      let request = NodeRequest.recoverySymbols(
        blob.blobID, .target(target, axis), proofAxis: axis.other)
      guard case .recoverySymbols(let symbols) = await bench.ask(running.node, request) else {
        throw DeadlineExceeded()
      }
      #expect(symbols.count == bench.pairs(of: blob.blobID).count)
      for symbol in symbols {
        _ = try symbol.verified(forSliver: target, of: axis, metadata: blob.metadata)
      }
    }
    try await running.stop()
  }

  @Test func `recovery symbols by name come from the asked axis`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    let mine = bench.pairs(of: blob.blobID)
    let row = mine[0].sliver(.primary, shardCount: 7)
    let column = mine[1].sliver(.secondary, shardCount: 7)
    let id = SymbolID(primary: row, secondary: column)
    func ask(_ ids: [SymbolID], _ axis: SliverAxis?) async -> NodeResponse {
      await bench.ask(
        running.node, .recoverySymbols(blob.blobID, .symbols(ids), proofAxis: axis))
    }
    for axis in SliverAxis.allCases {
      guard case .recoverySymbols(let symbols) = await ask([id], axis) else {
        throw DeadlineExceeded()
      }
      #expect(symbols.map(\.targetAxis) == [axis.other])
      let target = axis == .primary ? column : row
      _ = try symbols[0].verified(forSliver: target, of: axis.other, metadata: blob.metadata)
    }
    let foreignRow = try #require(
      (0..<7).map { SliverIndex(UInt16($0)) }
        .first { !mine.contains($0.pair(.primary, shardCount: 7)) })
    let half = SymbolID(primary: foreignRow, secondary: column)
    #expect(reason(await ask([half], .primary)) == .symbolNotPresentAtShards)
    guard case .recoverySymbols = await ask([half], nil) else { throw DeadlineExceeded() }
    #expect(reason(await ask([], nil)) == .noSymbolsSpecified)
    let beyond = SymbolID(primary: row, secondary: SliverIndex(7))
    #expect(reason(await ask([beyond], nil)) == .indexOutOfRange)
    let other = try bench.encode()
    let absent = NodeRequest.recoverySymbols(
      other.blobID, .target(SliverIndex(0), .primary), proofAxis: nil)
    #expect(reason(await bench.ask(running.node, absent)) == .sliverNotFound)
    try await running.stop()
  }

  @Test(arguments: SliverAxis.allCases)
  func `decoding symbols are what the target slivers hold`(axis: SliverAxis) async throws {
    let bench = try await NodeBench(shardCount: 10)
    let running = try await bench.start()
    let blob = try bench.encode(byteCount: 900)
    try await bench.store(blob, on: running)
    func ask(_ targets: [Int]) async -> NodeResponse {
      await bench.ask(
        running.node,
        .decodingSymbols(
          blob.blobID, targets: targets.map { SliverIndex(UInt16($0)) }, targetAxis: axis))
    }
    for targets in [[0], [9], [0, 1], [1, 8, 9], Array(0..<10), [3, 3]] {
      guard case .decodingSymbols(let symbols, let answeredAxis) = await ask(targets) else {
        throw DeadlineExceeded()
      }
      #expect(answeredAxis == axis)
      #expect(Set(symbols.keys.map { Int($0.value) }) == Set(targets))
      for (target, given) in symbols {
        let all = try self.symbols(blob, blob.sliver(axis, target))
        #expect(given.count == bench.pairs(of: blob.blobID).count)
        for symbol in given { #expect(symbol.bytes == all[Int(symbol.sourceIndex.value)]) }
      }
    }
    #expect(reason(await ask([])) == .noTargetSliversSpecified)
    #expect(reason(await ask([10])) == .recoverySymbolOutOfRange)
    let other = try bench.encode()
    let absent = NodeRequest.decodingSymbols(
      other.blobID, targets: [SliverIndex(0)], targetAxis: axis)
    #expect(reason(await bench.ask(running.node, absent)) == .sliverNotFound)
    try await running.stop()
  }

  @Test func `a badly encoded blob is attested, a good one is not`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let good = try bench.encode()
    // One wrong hash in the metadata, and the ID that goes with it: what a lying writer makes.
    var hashes = good.metadata.metadata.hashes
    hashes[0] = SliverPairHashes(primary: .digest(Digest.zero), secondary: hashes[0].secondary)
    let badMetadata = BlobMetadata(
      blobByteCount: good.metadata.blobByteCount, hashes: hashes)
    let bad = badMetadata.computedBlobID
    for (blob, metadata) in [(good.blobID, good.metadata.metadata), (bad, badMetadata)] {
      _ = try await bench.registry.register(
        blob: blob, byteCount: 300, persistence: .deletable, epochs: nil)
      let put = NodeRequest.storeMetadata(blob, metadata)
      #expect(await bench.ask(running.node, put) == .stored(isNew: true))
    }
    let target = SliverIndex(0)
    let helpers = (0..<bench.parameters.secondarySourceCount).map { number in
      good.sliver(.secondary, SliverIndex(UInt16(number)))
    }
    let proof = InconsistencyProof(
      targetAxis: .primary, targetIndex: target,
      symbols: try helpers.map {
        try $0.expanded(parameters: bench.parameters).recoverySymbol(for: target)
      })
    let answer = await bench.ask(running.node, .inconsistencyProof(bad, proof))
    guard case .inconsistencyAttested(let signed) = answer else {
      Issue.record("\(answer)")
      return
    }
    let message = try SignableMessage<InvalidBlobIDBody>(bcs: signed.message)
    #expect(message.body.blobID == bad)
    #expect(
      NodeSigner.isValid(
        signed.signature, of: signed.message, publicKey: bench.signer.publicKey))

    let refused = await bench.ask(running.node, .inconsistencyProof(good.blobID, proof))
    #expect(reason(refused) == .invalidProof)
    let short = InconsistencyProof(
      targetAxis: .primary, targetIndex: target, symbols: Array(proof.symbols.dropLast()))
    #expect(reason(await bench.ask(running.node, .inconsistencyProof(bad, short))) == .invalidProof)
    let unknown = try bench.encode().blobID
    let nowhere = await bench.ask(running.node, .inconsistencyProof(unknown, proof))
    #expect(reason(nowhere) == .metadataNotFound)
    try await running.stop()
  }
}
