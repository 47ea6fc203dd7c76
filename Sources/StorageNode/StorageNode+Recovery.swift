// StorageNode+Recovery.swift
//
// The reference's calls for repair: symbols with proofs for one sliver, and symbols without proofs
// for many. Each sliver of ours crosses each sliver of the other axis in one symbol.

import Cluster
import RedStuff
import SliverStore
import World

/// A symbol to be taken from one of our slivers, for the sliver that crosses it.
private struct WantedSymbol: Hashable {
  var source: SliverPlace
  var target: SliverIndex
}

extension StorageNode {
  func recoverySymbols(
    of blob: BlobID, _ filter: RecoverySymbolFilter, proofAxis: SliverAxis?,
    within reservation: Admission.Reservation
  ) async throws -> [GeneralRecoverySymbol] {
    let wanted: [WantedSymbol]
    switch filter {
    case .symbols(let ids):
      guard !ids.isEmpty else {
        throw NodeFailure(.noSymbolsSpecified, "name at least one symbol")
      }
      guard ids.count <= NodeMessageLimits.batchItemCountMax else {
        throw NodeFailure(
          .requestTooLarge,
          "\(ids.count) symbols, at most \(NodeMessageLimits.batchItemCountMax) are given at once")
      }
      wanted = try ids.map { (id) throws(NodeFailure) in
        try source(of: id, blob, preferring: .primary, proofAxis: proofAxis)
      }
    case .target(let index, let axis):
      try checkTarget(index, .indexOutOfRange)
      wanted = try crossings(of: index, axis, blob).map { (id) throws(NodeFailure) in
        try source(of: id, blob, preferring: axis.other, proofAxis: proofAxis)
      }
    }
    var symbols: [WantedSymbol: GeneralRecoverySymbol] = [:]
    for place in wanted.map(\.source).uniqued() {
      guard let sliver = try await found(expanded(place, within: reservation)) else { continue }
      for want in wanted where want.source == place && symbols[want] == nil {
        let symbol = sliver.generalRecoverySymbol(for: want.target)
        try reservation.addAnswer(
          byteCount: symbol.symbol.bytes.count
            + symbol.proof.path.count * MemoryLayout<MerkleNode>.stride)
        symbols[want] = symbol
      }
    }
    // Some may be missing; the caller asks others for those.
    guard !symbols.isEmpty else { throw noSlivers(of: blob) }
    return wanted.uniqued().compactMap { symbols[$0] }
  }

  func decodingSymbols(
    of blob: BlobID, for targets: [SliverIndex], _ targetAxis: SliverAxis,
    within reservation: Admission.Reservation
  ) async throws -> [SliverIndex: [DecodingSymbol]] {
    let targets = targets.uniqued()
    guard !targets.isEmpty else {
      throw NodeFailure(.noTargetSliversSpecified, "name at least one target sliver")
    }
    for target in targets { try checkTarget(target, .recoverySymbolOutOfRange) }
    var symbols: [SliverIndex: [DecodingSymbol]] = [:]
    for pair in committee.pairs(of: blob, keptBy: id) {
      let place = try place(blob, pair, targetAxis.other)
      let given = try await decodingSymbols(from: place, for: targets, within: reservation)
      for (target, symbol) in zip(targets, given) {
        try reservation.addAnswer(byteCount: symbol.bytes.count)
        symbols[target, default: []].append(symbol)
      }
    }
    guard !symbols.isEmpty else { throw noSlivers(of: blob) }
    return symbols
  }

  /// One symbol per target, or none at all if the sliver is missing.
  private func decodingSymbols(
    from place: SliverPlace, for targets: [SliverIndex],
    within reservation: Admission.Reservation
  ) async throws -> [DecodingSymbol] {
    let sourceCount = parameters.symbolCount(inSliverOf: place.key.axis)
    let positions = targets.map { Int($0.value) }
    let repair = positions.filter { $0 >= sourceCount }
    var computed: ComputedSymbols?
    if !repair.isEmpty {
      let found = try await repairSymbols(at: repair, of: [place], within: reservation)[0]
      computed = try self.found(found)
      guard computed != nil else { return [] }
    }
    let index = place.index(shardCount: parameters.shardCount)
    var symbols: [DecodingSymbol] = []
    for position in positions {
      if let computed, let number = repair.firstIndex(of: position) {
        symbols.append(
          DecodingSymbol(
            sourceIndex: index, bytes: Array(computed.computed(number..<number + 1))))
        continue
      }
      let read = await drives.symbols(
        position..<position + 1, of: place.key, in: place.shard)
      guard let bytes = try found(read) else { return [] }
      symbols.append(DecodingSymbol(sourceIndex: index, bytes: bytes))
    }
    return symbols
  }

  /// The cells in which our slivers cross sliver `index` of `axis`.
  private func crossings(
    of index: SliverIndex, _ axis: SliverAxis, _ blob: BlobID
  ) -> [SymbolID] {
    committee.pairs(of: blob, keptBy: id).map { pair in
      let other = pair.sliver(axis.other, shardCount: parameters.shardCount)
      return axis == .primary
        ? SymbolID(primary: index, secondary: other) : SymbolID(primary: other, secondary: index)
    }
  }

  /// Which of our slivers gives a cell: row or column, the preferred one first, and only the one of
  /// `proofAxis` if that is given.
  private func source(
    of id: SymbolID, _ blob: BlobID, preferring preferred: SliverAxis, proofAxis: SliverAxis?
  ) throws(NodeFailure) -> WantedSymbol {
    let n = parameters.shardCount
    try checkTarget(id.primary, .indexOutOfRange)
    try checkTarget(id.secondary, .indexOutOfRange)
    for axis in [preferred, preferred.other] where proofAxis == nil || proofAxis == axis {
      let (index, target) =
        axis == .primary ? (id.primary, id.secondary) : (id.secondary, id.primary)
      if let place = try? place(blob, index.pair(axis, shardCount: n), axis) {
        return WantedSymbol(source: place, target: target)
      }
    }
    throw NodeFailure(
      .symbolNotPresentAtShards, "no sliver through symbol \(id) of blob \(blob) is on \(self.id)")
  }

  private func checkTarget(
    _ index: SliverIndex, _ reason: NodeFailure.Reason
  ) throws(NodeFailure) {
    guard Int(index.value) < parameters.shardCount else {
      throw NodeFailure(reason, "\(index) does not exist among \(parameters.shardCount)")
    }
  }

  private func noSlivers(of blob: BlobID) -> NodeFailure {
    NodeFailure(.sliverNotFound, "\(id) has none of its slivers of blob \(blob) for this")
  }
}
