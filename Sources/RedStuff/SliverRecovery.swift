// SliverRecovery.swift
//
// A lost sliver is rebuilt from single symbols of slivers of the other axis: a row from any k2 of
// its n symbols, a column from any k1. Each symbol of a lost sliver also stands in the sliver that
// crosses it there, so helpers need not know the lost sliver.
//
// Invariant: exactly k symbols with distinct indices decide the result, so every node that decodes
// the same symbols gets the same bytes, also when some are corrupt. More would leave it to the
// algorithm, and the result could not serve as evidence.

internal import ReedSolomon

/// Why a sliver was not rebuilt.
package enum SliverRecoveryError: Error, Equatable {
  case targetOutOfRange(index: SliverIndex, shardCount: Int)
  /// Ask more helpers; the symbols received so far stay valid.
  case tooFewSymbols(received: Int, required: Int)
  /// No shard has such a sliver; drop the symbol.
  case sourceOutOfRange(index: SliverIndex, shardCount: Int)
  /// Two symbols of the same source sliver; drop one.
  case symbolRepeated(source: SliverIndex)
  case symbolByteCountMismatch(source: SliverIndex, byteCount: Int, expected: Int)
  /// The symbols do not decode to the sliver that the metadata describes: with unverified symbols a
  /// helper lied, with verified ones the blob is badly encoded (see `InconsistencyProof`).
  case notTheSliver(SliverVerificationError)
}

extension Sliver {
  /// Decodes a sliver from the first k of `symbols`, whose source indices are places in this
  /// sliver. Nothing is compared with the metadata but lengths and counts.
  package static func rebuilt(
    _ axis: SliverAxis, _ index: SliverIndex, from symbols: [DecodingSymbol],
    metadata: VerifiedBlobMetadata
  ) throws(SliverRecoveryError) -> Sliver {
    let n = metadata.shardCount
    let s = metadata.symbolByteCount
    let required = metadata.parameters.symbolCount(inSliverOf: axis)
    guard Int(index.value) < n else { throw .targetOutOfRange(index: index, shardCount: n) }
    guard symbols.count >= required else {
      throw .tooFewSymbols(received: symbols.count, required: required)
    }
    let used = symbols.prefix(required)
    var seen: Set<SliverIndex> = []
    var received: [UInt8] = []
    received.reserveCapacity(required * s)
    for symbol in used {
      let source = symbol.sourceIndex
      guard Int(source.value) < n else { throw .sourceOutOfRange(index: source, shardCount: n) }
      guard seen.insert(source).inserted else { throw .symbolRepeated(source: source) }
      guard symbol.bytes.count == s else {
        throw .symbolByteCountMismatch(
          source: source, byteCount: symbol.bytes.count, expected: s)
      }
      received += symbol.bytes
    }
    do {
      let plan = try DecodePlan(
        code: metadata.parameters.code(expanding: axis),
        present: used.map { Int($0.sourceIndex.value) })
      return Sliver(
        axis: axis, index: index, symbolByteCount: s,
        bytes: try plan.decode(received.span, symbolByteCount: s))
    } catch {
      preconditionFailure("decoding \(required) checked symbols: \(error)")
    }
  }

  /// The same, and then the whole check against the metadata, so that the result is the sliver
  /// or an error. This is how a row is read from any k2 of its n symbols.
  package static func recovered(
    _ axis: SliverAxis, _ index: SliverIndex, from symbols: [DecodingSymbol],
    metadata: VerifiedBlobMetadata
  ) throws(SliverRecoveryError) -> Sliver {
    let sliver = try rebuilt(axis, index, from: symbols, metadata: metadata)
    do {
      try sliver.verify(against: metadata)
    } catch {
      throw .notTheSliver(error)
    }
    return sliver
  }
}

/// Why a recovery symbol is refused. Ask another helper; report this one if it repeats.
package enum RecoverySymbolError: Error, Equatable {
  case sourceOutOfRange(index: SliverIndex, shardCount: Int)
  case targetOutOfRange(index: SliverIndex, shardCount: Int)
  case symbolByteCountMismatch(byteCount: Int, expected: Int)
  case proofInvalid(MerkleProofError)
  /// It stands neither in the wanted sliver nor where the wanted sliver crosses its target.
  case notUsable(wantedAxis: SliverAxis, wantedIndex: SliverIndex)
}

extension RecoverySymbol {
  /// Throws unless this symbol stands in its source sliver, at the place of the target sliver.
  package func verify(
    targetAxis: SliverAxis, targetIndex: SliverIndex, metadata: VerifiedBlobMetadata
  ) throws(RecoverySymbolError) {
    let n = metadata.shardCount
    let sourceAxis = targetAxis.other
    guard let root = metadata.metadata.hash(of: sourceAxis, at: symbol.sourceIndex) else {
      throw .sourceOutOfRange(index: symbol.sourceIndex, shardCount: n)
    }
    guard symbol.bytes.count == metadata.symbolByteCount else {
      throw .symbolByteCountMismatch(
        byteCount: symbol.bytes.count, expected: metadata.symbolByteCount)
    }
    guard Int(targetIndex.value) < n else {
      throw .targetOutOfRange(index: targetIndex, shardCount: n)
    }
    do {
      try proof.verify(
        symbol.bytes.span, leafIndex: Int(targetIndex.value), leafCount: n, root: root)
    } catch {
      throw .proofInvalid(error)
    }
  }
}

extension GeneralRecoverySymbol {
  package var recoverySymbol: RecoverySymbol { RecoverySymbol(symbol: symbol, proof: proof) }

  /// Checks the proof as it was sent, and turns the symbol into one for decoding sliver
  /// `wantedIndex` of `wantedAxis`.
  ///
  /// E[r][c] helps row r and column c alike, so a symbol is usable if the wanted sliver is its
  /// target, or if the wanted sliver is of the other axis and is its source. In the second case the
  /// path belongs to the wrong tree for an inconsistency proof.
  package func verified(
    forSliver wantedIndex: SliverIndex, of wantedAxis: SliverAxis,
    metadata: VerifiedBlobMetadata
  ) throws(RecoverySymbolError) -> DecodingSymbol {
    let wantsTarget = targetAxis == wantedAxis && targetIndex == wantedIndex
    let wantsSource = targetAxis != wantedAxis && symbol.sourceIndex == wantedIndex
    guard wantsTarget || wantsSource else {
      throw .notUsable(wantedAxis: wantedAxis, wantedIndex: wantedIndex)
    }
    try recoverySymbol.verify(
      targetAxis: targetAxis, targetIndex: targetIndex, metadata: metadata)
    return wantsTarget ? symbol : DecodingSymbol(sourceIndex: targetIndex, bytes: symbol.bytes)
  }
}

/// Why a claim that a blob is badly encoded is refused.
package enum InconsistencyProofError: Error, Equatable {
  case targetOutOfRange(index: SliverIndex, shardCount: Int)
  case symbolCountMismatch(received: Int, required: Int)
  /// The symbol at this place of the proof does not pass its own check.
  case symbolInvalid(entry: Int, RecoverySymbolError)
  case decodingFailed(SliverRecoveryError)
  /// The symbols decode to the sliver that the metadata describes: nothing is wrong.
  case sliverNotInconsistent
  /// The decoded sliver fails by more than its root.
  case sliverInvalid(SliverVerificationError)
}

extension InconsistencyProof {
  /// Throws unless the proof shows that no writer who followed the rules made this metadata.
  package func verify(
    against metadata: VerifiedBlobMetadata
  ) throws(InconsistencyProofError) {
    let required = metadata.parameters.symbolCount(inSliverOf: targetAxis)
    guard symbols.count == required else {
      throw .symbolCountMismatch(received: symbols.count, required: required)
    }
    guard Int(targetIndex.value) < metadata.shardCount else {
      throw .targetOutOfRange(index: targetIndex, shardCount: metadata.shardCount)
    }
    for (entry, symbol) in symbols.enumerated() {
      do {
        try symbol.verify(
          targetAxis: targetAxis, targetIndex: targetIndex, metadata: metadata)
      } catch {
        throw .symbolInvalid(entry: entry, error)
      }
    }
    let sliver: Sliver
    do {
      sliver = try Sliver.rebuilt(
        targetAxis, targetIndex, from: symbols.map(\.symbol), metadata: metadata)
    } catch {
      throw .decodingFailed(error)
    }
    do {
      try sliver.verify(against: metadata)
    } catch .rootMismatch {
      return
    } catch {
      throw .sliverInvalid(error)
    }
    throw .sliverNotInconsistent
  }

  /// The proof, if the first k symbols decode to a sliver that does not match the metadata.
  ///
  /// Throws what `verify` would throw of it: a symbol that does not pass its check proves only that
  /// its helper lied.
  package init(
    targetAxis: SliverAxis, targetIndex: SliverIndex, provenBy symbols: [RecoverySymbol],
    metadata: VerifiedBlobMetadata
  ) throws(InconsistencyProofError) {
    let required = metadata.parameters.symbolCount(inSliverOf: targetAxis)
    self.init(
      targetAxis: targetAxis, targetIndex: targetIndex, symbols: Array(symbols.prefix(required)))
    try verify(against: metadata)
  }
}
