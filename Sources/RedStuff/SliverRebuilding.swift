// SliverRebuilding.swift
//
// Lost slivers from single symbols of slivers of the other axis: a row from any k2 of its n symbols,
// a column from any k1. Many slivers whose symbols have the same places are decoded side by side.
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

/// A sliver to be rebuilt, and symbols of it; their source indices are places in the sliver.
package struct LostSliver: Sendable {
  package let index: SliverIndex
  package let symbols: [DecodingSymbol]

  package init(index: SliverIndex, symbols: [DecodingSymbol]) {
    self.index = index
    self.symbols = symbols
  }
}

extension Sliver {
  /// Decodes a sliver from the first k of `symbols`, whose source indices are places in this
  /// sliver. Nothing is compared with the metadata but lengths and counts.
  package static func rebuilt(
    _ axis: SliverAxis, _ index: SliverIndex, from symbols: [DecodingSymbol],
    metadata: VerifiedBlobMetadata
  ) throws(SliverRecoveryError) -> Sliver {
    try rebuilt(axis, [LostSliver(index: index, symbols: symbols)], metadata: metadata)[0].get()
  }

  /// The same, and then the whole check against the metadata, so that the result is the sliver
  /// or an error. This is how a row is read from any k2 of its n symbols.
  package static func recovered(
    _ axis: SliverAxis, _ index: SliverIndex, from symbols: [DecodingSymbol],
    metadata: VerifiedBlobMetadata
  ) throws(SliverRecoveryError) -> Sliver {
    try recovered(axis, [LostSliver(index: index, symbols: symbols)], metadata: metadata)[0].get()
  }

  /// Many slivers of one axis, each checked against the metadata in lanes; result i is for `lost[i]`.
  package static func recovered(
    _ axis: SliverAxis, _ lost: [LostSliver], metadata: VerifiedBlobMetadata
  ) -> [Result<Sliver, SliverRecoveryError>] {
    var results = rebuilt(axis, lost, metadata: metadata)
    var places: [Int] = []
    var slivers: [Sliver] = []
    for (place, result) in results.enumerated() {
      guard case .success(let sliver) = result else { continue }
      places.append(place)
      slivers.append(sliver)
    }
    for (place, failure) in zip(places, failures(slivers, against: metadata)) {
      if let failure { results[place] = .failure(.notTheSliver(failure)) }
    }
    return results
  }

  /// Many slivers of one axis, without the check; result i is for `lost[i]`. Those whose symbols have
  /// the same places share one pass of decoding.
  package static func rebuilt(
    _ axis: SliverAxis, _ lost: [LostSliver], metadata: VerifiedBlobMetadata
  ) -> [Result<Sliver, SliverRecoveryError>] {
    let s = metadata.symbolByteCount
    let inputs = lost.map { sliver in
      Result { () throws(SliverRecoveryError) in
        try RebuildInput(sliver, axis: axis, metadata: metadata)
      }
    }
    var groups: [(present: [Int], members: [(place: Int, input: RebuildInput)])] = []
    for (place, input) in inputs.enumerated() {
      guard case .success(let input) = input else { continue }
      if let group = groups.firstIndex(where: { $0.present == input.present }) {
        groups[group].members.append((place, input))
      } else {
        groups.append((input.present, [(place, input)]))
      }
    }
    var decoded = [[UInt8]](repeating: [], count: lost.count)
    let perBatch = JobSizes.rowsPerJob(symbolByteCount: s)
    for group in groups {
      let plan = PlanCache.sources(
        of: metadata.parameters.code(expanding: axis), from: group.present)
      for first in stride(from: 0, to: group.members.count, by: perBatch) {
        let batch = group.members[first..<min(first + perBatch, group.members.count)]
        for (member, bytes) in zip(batch, decode(batch.map(\.input), plan, s)) {
          decoded[member.place] = bytes
        }
      }
    }
    return zip(inputs, decoded).map { input, bytes in
      input.map {
        Sliver(axis: axis, index: $0.index, symbolByteCount: s, bytes: bytes)
      }
    }
  }

  /// Decodes slivers with the same places side by side.
  private static func decode(
    _ inputs: [RebuildInput], _ plan: DecodePlan, _ symbolByteCount: Int
  ) -> [[UInt8]] {
    // One needs no packing: its symbols are read where they lie, and decoded into place.
    if inputs.count == 1 { return [decode(inputs[0], plan, symbolByteCount)] }
    let sliverByteCount = plan.present.count * symbolByteCount
    let received = Scratch(byteCount: inputs.count * sliverByteCount)
    var offset = 0
    for input in inputs {
      for symbol in input.symbols {
        unsafe (received.base + offset).copy(from: symbol.bytes, 0..<symbolByteCount)
        offset += symbolByteCount
      }
    }
    let decoded = Scratch(byteCount: offset)
    unsafe decode(
      .grid(
        SymbolGrid(
          UnsafeRawBufferPointer(start: received.base, count: offset),
          symbolStride: symbolByteCount, codewordStride: sliverByteCount)),
      plan, symbolByteCount, sliverCount: inputs.count,
      into: UnsafeMutableRawBufferPointer(start: decoded.base, count: offset))
    return (0..<inputs.count).map { sliver in
      unsafe Array(
        UnsafeBufferPointer(
          start: decoded.base + sliver * sliverByteCount, count: sliverByteCount))
    }
  }

  private static func decode(
    _ input: RebuildInput, _ plan: DecodePlan, _ symbolByteCount: Int
  ) -> [UInt8] {
    let sliverByteCount = plan.present.count * symbolByteCount
    return unsafe Array(unsafeUninitializedCapacity: sliverByteCount) { bytes, count in
      unsafe decode(
        .lent(codewordStride: 0) { position, body in
          unsafe input.symbols[position].bytes.withUnsafeBytes { unsafe body($0) }
        },
        plan, symbolByteCount, sliverCount: 1, into: UnsafeMutableRawBufferPointer(bytes))
      count = sliverByteCount
    }
  }

  private static func decode(
    _ received: ReceivedSymbols, _ plan: DecodePlan, _ symbolByteCount: Int, sliverCount: Int,
    into bytes: UnsafeMutableRawBufferPointer
  ) {
    ScratchPool.withScratch { scratch in
      do {
        try unsafe plan.decode(
          received,
          into: MutableSymbolGrid(
            bytes, symbolStride: symbolByteCount,
            codewordStride: plan.present.count * symbolByteCount),
          symbolByteCount: symbolByteCount, codewordCount: sliverCount, scratch: &scratch.codec)
      } catch {
        preconditionFailure("decoding \(sliverCount) checked slivers: \(error)")
      }
    }
  }
}

/// A lost sliver with exactly k symbols that have passed all checks but that of their bytes, in
/// ascending order of their places.
private struct RebuildInput {
  let index: SliverIndex
  let symbols: [DecodingSymbol]

  var present: [Int] { symbols.map { Int($0.sourceIndex.value) } }

  init(
    _ lost: LostSliver, axis: SliverAxis, metadata: VerifiedBlobMetadata
  ) throws(SliverRecoveryError) {
    let n = metadata.shardCount
    let s = metadata.symbolByteCount
    let required = metadata.parameters.symbolCount(inSliverOf: axis)
    guard Int(lost.index.value) < n else {
      throw .targetOutOfRange(index: lost.index, shardCount: n)
    }
    guard lost.symbols.count >= required else {
      throw .tooFewSymbols(received: lost.symbols.count, required: required)
    }
    let used = lost.symbols.prefix(required)
    var seen = [Bool](repeating: false, count: n)
    for symbol in used {
      let source = symbol.sourceIndex
      guard Int(source.value) < n else { throw .sourceOutOfRange(index: source, shardCount: n) }
      guard !seen[Int(source.value)] else { throw .symbolRepeated(source: source) }
      seen[Int(source.value)] = true
      guard symbol.bytes.count == s else {
        throw .symbolByteCountMismatch(
          source: source, byteCount: symbol.bytes.count, expected: s)
      }
    }
    index = lost.index
    symbols = used.sorted { $0.sourceIndex < $1.sourceIndex }
  }
}
