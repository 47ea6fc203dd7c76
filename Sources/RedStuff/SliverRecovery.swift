// SliverRecovery.swift
//
// Symbols for a lost sliver, checked by their paths, and the proof that a blob is badly encoded. Each
// symbol of a lost sliver also stands in the sliver that crosses it there, so helpers need not know
// the lost sliver.

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
    let failures = Self.failures(
      [self], targetAxis: targetAxis, targetIndex: targetIndex, metadata: metadata)
    if let failure = failures[0] { throw failure }
  }

  /// Checks many symbols for one target; entry i says what is wrong with symbol i, nil for nothing.
  /// Their paths are followed together in hash lanes, so this is cheaper than one by one.
  package static func failures(
    _ symbols: [RecoverySymbol], targetAxis: SliverAxis, targetIndex: SliverIndex,
    metadata: VerifiedBlobMetadata
  ) -> [RecoverySymbolError?] {
    var failures = [RecoverySymbolError?](repeating: nil, count: symbols.count)
    var places: [Int] = []
    for (place, symbol) in symbols.enumerated() {
      do throws(RecoverySymbolError) {
        try symbol.verifyShape(
          targetAxis: targetAxis, targetIndex: targetIndex, metadata: metadata)
        places.append(place)
      } catch {
        failures[place] = error
      }
    }
    let roots = MerklePaths.roots(
      symbols: places.flatMap { symbols[$0].symbol.bytes },
      symbolByteCount: metadata.symbolByteCount,
      positions: Array(repeating: Int(targetIndex.value), count: places.count),
      paths: places.map { symbols[$0].proof })
    for (place, root) in zip(places, roots) {
      let source = symbols[place].symbol.sourceIndex
      if metadata.metadata.hash(of: targetAxis.other, at: source) != .digest(root) {
        failures[place] = .proofInvalid(.rootMismatch(leafIndex: Int(targetIndex.value)))
      }
    }
    return failures
  }

  /// All checks but the path, which costs most.
  private func verifyShape(
    targetAxis: SliverAxis, targetIndex: SliverIndex, metadata: VerifiedBlobMetadata
  ) throws(RecoverySymbolError) {
    let n = metadata.shardCount
    let sourceAxis = targetAxis.other
    guard metadata.metadata.hash(of: sourceAxis, at: symbol.sourceIndex) != nil else {
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
      try proof.checkShape(leafIndex: Int(targetIndex.value), leafCount: n)
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
    let failures = RecoverySymbol.failures(
      symbols, targetAxis: targetAxis, targetIndex: targetIndex, metadata: metadata)
    for (entry, failure) in failures.enumerated() {
      if let failure { throw .symbolInvalid(entry: entry, failure) }
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
