// LyingNode+Lies.swift
//
// Each lie for each kind of answer. Nil: it has no such lie for this answer.

import Cluster
import RedStuff
import Simulator
import World

extension LyingNode {
  func told(
    _ lie: Lie, _ request: NodeRequest, _ response: NodeResponse, _ deadline: Instant
  ) async -> NodeResponse? {
    switch lie {
    case .wrongBytes: return withWrongBytes(response, to: request)
    case .bareSymbols:
      guard case .readBatch(let outcomes, _) = response else { return nil }
      let wrong = outcomes.map { outcome in
        guard case .symbols(let bytes, []) = outcome else { return outcome }
        // Every symbol of it, so that no line gets anywhere with it.
        return ReadOutcome.symbols(bytes: bytes.map { $0 ^ 1 }, paths: [])
      }
      return wrong == outcomes ? nil : .readBatch(wrong)
    case .otherBlob:
      return earlierAnswer { $0.blob != request.blob && $1.isSameKind(as: response) }
        .map { dressed($0, as: request) }
    case .otherSliver: return await otherSliver(request, deadline)
    case .oldAnswer: return earlierAnswer { asked, _ in asked != request }
    case .wrongIndices: return withWrongIndices(response)
    case .oversize: return oversize(response, to: request)
    case .foreignPaths: return withForeignPaths(response, to: request)
    case .wrongMetadata:
      guard case .metadata(let blob, let metadata) = response else { return nil }
      return .metadata(blob, falsified(metadata))
    case .falseStatus: return falseStatus(response)
    case .wrongCount: return withWrongCount(response)
    case .slowness, .refusals, .garbageTexts, .signsWithoutStoring: return nil
    }
  }

  /// An answer about another blob that says it is about this one.
  private func dressed(_ response: NodeResponse, as request: NodeRequest) -> NodeResponse {
    switch (response, request) {
    case (.metadata(_, let metadata), .metadata(let blob)): .metadata(blob, metadata)
    case (.sliver(let sliver), .sliver(_, let pair, let axis)):
      .sliver(
        Sliver(
          axis: axis, index: pair.sliver(axis, shardCount: parameters.shardCount),
          symbolByteCount: sliver.symbolByteCount, bytes: sliver.bytes))
    default: response
    }
  }

  private func withWrongBytes(
    _ response: NodeResponse, to request: NodeRequest
  ) -> NodeResponse? {
    switch response {
    case .sliver(let sliver):
      return .sliver(
        Sliver(
          axis: sliver.axis, index: sliver.index, symbolByteCount: sliver.symbolByteCount,
          bytes: damaged(sliver.bytes)))
    case .recoverySymbols(let symbols):
      return .recoverySymbols(
        symbols.map { symbol in
          GeneralRecoverySymbol(
            targetAxis: symbol.targetAxis, symbol: damaged(symbol.symbol),
            targetIndex: symbol.targetIndex, proof: symbol.proof)
        })
    case .decodingSymbols(let symbols, let axis):
      var wrong: [SliverIndex: [DecodingSymbol]] = [:]
      for (target, list) in symbols.sorted(by: { $0.key < $1.key }) {
        wrong[target] = list.map(damaged)
      }
      return .decodingSymbols(wrong, targetAxis: axis)
    case .confirmation(let answer): return .confirmation(damaged(answer))
    case .inconsistencyAttested(let answer): return .inconsistencyAttested(damaged(answer))
    case .storeBatch(let outcomes): return .storeBatch(outcomes.map(damaged))
    case .readBatch(let outcomes, _):
      return changed(outcomes, of: request) { (damaged($0), $1) }
    case .metadata, .storedStatus, .stored, .blobStatus, .health, .failure: return nil
    }
  }

  /// The honest node's answer about the next sliver, or the other one of the pair.
  private func otherSliver(_ request: NodeRequest, _ deadline: Instant) async -> NodeResponse? {
    switch request {
    case .sliver(let blob, let pair, let axis):
      let (other, otherAxis) = other(pair, axis)
      let answer = await truth(.sliver(blob, other, otherAxis), deadline)
      guard case .sliver = answer else { return nil }
      return dressed(answer, as: request)
    case .readBatch(let items, let purpose):
      let others = items.map { item in
        var other = item
        (other.pair, other.axis) = self.other(item.pair, item.axis)
        return other
      }
      let answer = await truth(.readBatch(others, for: purpose), deadline)
      guard case .readBatch = answer else { return nil }
      return answer
    case .recoverySymbols(let blob, .target(let index, let axis), let proofAxis):
      let next = SliverIndex(UInt16((Int(index.value) + 1) % parameters.shardCount))
      return await truth(
        .recoverySymbols(blob, .target(next, axis), proofAxis: proofAxis), deadline)
    default: return nil
    }
  }

  private func other(_ pair: SliverPairIndex, _ axis: SliverAxis) -> (SliverPairIndex, SliverAxis) {
    guard randomness.chance(0.5) else { return (pair, axis.other) }
    return (SliverPairIndex(UInt16((Int(pair.value) + 1) % parameters.shardCount)), axis)
  }

  private func withWrongIndices(_ response: NodeResponse) -> NodeResponse? {
    switch response {
    case .sliver(let sliver):
      return .sliver(
        Sliver(
          axis: sliver.axis, index: wrongIndex, symbolByteCount: sliver.symbolByteCount,
          bytes: sliver.bytes))
    case .recoverySymbols(let symbols):
      return .recoverySymbols(
        symbols.map { symbol in
          let source = randomness.chance(0.5) ? wrongIndex : symbol.symbol.sourceIndex
          return GeneralRecoverySymbol(
            targetAxis: randomness.chance(0.2) ? symbol.targetAxis.other : symbol.targetAxis,
            symbol: DecodingSymbol(sourceIndex: source, bytes: symbol.symbol.bytes),
            targetIndex: randomness.chance(0.5) ? wrongIndex : symbol.targetIndex,
            proof: symbol.proof)
        })
    case .decodingSymbols(let symbols, let axis):
      var wrong: [SliverIndex: [DecodingSymbol]] = [:]
      for (target, list) in symbols.sorted(by: { $0.key < $1.key }) {
        wrong[randomness.chance(0.5) ? wrongIndex : target] = list.map {
          DecodingSymbol(sourceIndex: wrongIndex, bytes: $0.bytes)
        }
      }
      return .decodingSymbols(wrong, targetAxis: axis)
    case .storeBatch(let outcomes):
      return .storeBatch(
        outcomes.map { outcome in
          guard case .confirmed(var confirmation) = outcome else { return outcome }
          // Another's name under its own signature.
          confirmation.node = NodeID(confirmation.node.value ^ 1)
          return .confirmed(confirmation)
        })
    default: return nil
    }
  }

  /// Below n as often as above it.
  private var wrongIndex: SliverIndex {
    SliverIndex(
      UInt16(
        randomness.chance(0.5)
          ? randomness.number(below: parameters.shardCount) : randomness.number(below: 65536)))
  }

  private func oversize(_ response: NodeResponse, to request: NodeRequest) -> NodeResponse? {
    let surplus = [UInt8](repeating: 0xA5, count: oversizeByteCount)
    switch response {
    case .sliver(let sliver):
      return .sliver(
        Sliver(
          axis: sliver.axis, index: sliver.index, symbolByteCount: sliver.symbolByteCount,
          bytes: sliver.bytes + surplus))
    case .readBatch(let outcomes, _):
      return changed(outcomes, of: request) { bytes, paths in
        // A multiple of the length still divides into symbols.
        let count = max(oversizeByteCount / max(bytes.count, 1), 1) + 1
        return (Array(repeatElement(bytes, count: count).joined()), paths)
      }
    case .recoverySymbols(let symbols):
      guard let first = symbols.first else { return nil }
      return .recoverySymbols(
        symbols + [
          GeneralRecoverySymbol(
            targetAxis: first.targetAxis,
            symbol: DecodingSymbol(
              sourceIndex: first.symbol.sourceIndex, bytes: first.symbol.bytes + surplus),
            targetIndex: first.targetIndex, proof: first.proof)
        ])
    case .confirmation(let answer):
      return .confirmation(
        SignedMessageAnswer(message: answer.message + surplus, signature: answer.signature))
    default: return nil
    }
  }

  private func withForeignPaths(
    _ response: NodeResponse, to request: NodeRequest
  ) -> NodeResponse? {
    switch response {
    case .recoverySymbols(let symbols):
      return .recoverySymbols(
        symbols.map {
          GeneralRecoverySymbol(
            targetAxis: $0.targetAxis, symbol: $0.symbol, targetIndex: $0.targetIndex,
            proof: foreign($0.proof))
        })
    case .readBatch(let outcomes, _):
      return changed(outcomes, of: request) { bytes, paths in
        // Turned by one, each is the path of a neighbour.
        let isTurned = paths.count > 1 && randomness.chance(0.5)
        return (bytes, isTurned ? Array(paths[1...] + paths[..<1]) : paths.map(foreign))
      }
    default: return nil
    }
  }

  private func foreign(_ proof: MerkleProof) -> MerkleProof {
    var path = proof.path
    switch randomness.number(below: 4) {
    case 0: path = []
    case 1: path = path.reversed()
    case 2: path += path
    default: if !path.isEmpty { path[randomness.number(below: path.count)] = .empty }
    }
    return MerkleProof(path: path)
  }

  private func falsified(_ metadata: BlobMetadata) -> BlobMetadata {
    var hashes = metadata.hashes
    var byteCount = metadata.blobByteCount
    switch randomness.number(below: 5) {
    case 0: byteCount += 1
    case 1: byteCount = .max
    case 2: hashes.swapAt(0, hashes.count - 1)
    case 3: hashes.removeLast()
    default:
      hashes[0] = SliverPairHashes(primary: hashes[0].secondary, secondary: hashes[0].primary)
    }
    return BlobMetadata(blobByteCount: byteCount, hashes: hashes)
  }

  private func falseStatus(_ response: NodeResponse) -> NodeResponse? {
    switch response {
    case .storedStatus(let status): return .storedStatus(status == .stored ? .nonexistent : .stored)
    case .stored(let isNew): return .stored(isNew: !isNew)
    case .blobStatus(let status):
      if status == .nonexistent {
        return .blobStatus(
          .permanent(
            endEpoch: 1000, isCertified: true, initialCertifiedEpoch: 0,
            deletable: DeletableCounts(total: 3, certified: 3)))
      }
      return .blobStatus(randomness.chance(0.5) ? .nonexistent : .invalid)
    case .health(var health):
      health.epoch += 7
      health.cursor = Revision(health.cursor.value + 1_000_000)
      health.publicKey.reverse()
      health.nodeStatus = "Standby"
      return .health(health)
    case .readBatch(let outcomes, _): return .readBatch(outcomes.map { _ in .missing })
    case .storeBatch(let outcomes):
      // Claims the work of an entry that it refused.
      return .storeBatch(
        outcomes.map { outcome in
          if case .refused = outcome { .stored } else { outcome }
        })
    default: return nil
    }
  }

  private func withWrongCount(_ response: NodeResponse) -> NodeResponse? {
    let isMore = randomness.chance(0.5)
    switch response {
    case .readBatch(let outcomes, _): return .readBatch(changed(outcomes, isMore))
    case .storeBatch(let outcomes): return .storeBatch(changed(outcomes, isMore))
    case .recoverySymbols(let symbols): return .recoverySymbols(changed(symbols, isMore))
    case .decodingSymbols(let symbols, let axis):
      return .decodingSymbols(symbols.mapValues { changed($0, isMore) }, targetAxis: axis)
    default: return nil
    }
  }

  /// Other symbols and paths, signed where the true ones were.
  private func changed(
    _ outcomes: [ReadOutcome], of request: NodeRequest,
    _ change: ([UInt8], [MerkleProof]) -> ([UInt8], [MerkleProof])
  ) -> NodeResponse? {
    guard case .readBatch(let items, _) = request else { return nil }
    return .readBatch(
      zip(items, outcomes).map { item, outcome in
        switch outcome {
        case .symbols(let bytes, let paths):
          let (bytes, paths) = change(bytes, paths)
          return .symbols(bytes: bytes, paths: paths)
        case .signedSymbols(let bytes, let paths, _):
          let (bytes, paths) = change(bytes, paths)
          let statement = signer.statement(on: item, bytes: bytes, paths: paths, cluster: cluster)
          return .signedSymbols(bytes: bytes, paths: paths, signature: statement.signature)
        case .missing, .refused: return outcome
        }
      })
  }

  private func changed<Element>(_ list: [Element], _ isMore: Bool) -> [Element] {
    isMore ? list + list.prefix(1) : Array(list.dropLast())
  }

  // MARK: Damage

  private func damaged(_ bytes: [UInt8]) -> [UInt8] {
    guard !bytes.isEmpty else { return bytes }
    var wrong = bytes
    // One bit is the hardest to see.
    wrong[randomness.number(below: wrong.count)] ^= 1 << UInt8(randomness.number(below: 8))
    return wrong
  }

  private func damaged(_ symbol: DecodingSymbol) -> DecodingSymbol {
    DecodingSymbol(sourceIndex: symbol.sourceIndex, bytes: damaged(symbol.bytes))
  }

  private func damaged(_ answer: SignedMessageAnswer) -> SignedMessageAnswer {
    randomness.chance(0.5)
      ? SignedMessageAnswer(message: damaged(answer.message), signature: answer.signature)
      : SignedMessageAnswer(message: answer.message, signature: damaged(answer.signature))
  }

  private func damaged(_ outcome: StoreOutcome) -> StoreOutcome {
    guard case .confirmed(var confirmation) = outcome else { return outcome }
    confirmation.signature = damaged(confirmation.signature)
    return .confirmed(confirmation)
  }
}

extension NodeResponse {
  fileprivate func isSameKind(as other: NodeResponse) -> Bool {
    switch (self, other) {
    case (.metadata, .metadata), (.storedStatus, .storedStatus), (.stored, .stored),
      (.sliver, .sliver), (.confirmation, .confirmation), (.recoverySymbols, .recoverySymbols),
      (.decodingSymbols, .decodingSymbols), (.inconsistencyAttested, .inconsistencyAttested),
      (.blobStatus, .blobStatus), (.health, .health), (.storeBatch, .storeBatch),
      (.readBatch, .readBatch):
      true
    default: false
    }
  }
}
