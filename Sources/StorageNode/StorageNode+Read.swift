// StorageNode+Read.swift
//
// Serving slivers and runs of symbols. Symbols below k are slices read straight from the drive; the
// others are computed, once per sliver and request; paths need the whole expanded sliver.

import Cluster
import CoreMetrics
import RedStuff
import SliverStore
import World

extension StorageNode {
  func sliver(
    of blob: BlobID, at pair: SliverPairIndex, _ axis: SliverAxis,
    within reservation: Admission.Reservation
  ) async throws -> Sliver {
    let place = try place(blob, pair, axis)
    guard let sliver = try found(await storedSliver(place)) else {
      noteDemand(place.key)
      throw NodeFailure(.sliverNotFound, "\(id) has no \(axis) sliver of \(pair), blob \(blob)")
    }
    try reservation.addAnswer(byteCount: sliver.bytes.count)
    metrics.servedBytes.increment(by: sliver.bytes.count)
    return sliver
  }

  func isStored(
    _ blob: BlobID, _ pair: SliverPairIndex, _ axis: SliverAxis
  ) async throws -> Bool {
    await drives.contains([try place(blob, pair, axis).key]) == [true]
  }

  /// One outcome per item, in order.
  func read(
    _ items: [ReadItem], within reservation: Admission.Reservation
  ) async throws -> [ReadOutcome] {
    guard items.count <= NodeMessageLimits.batchItemCountMax else {
      throw NodeFailure(
        .requestTooLarge,
        "\(items.count) items, at most \(NodeMessageLimits.batchItemCountMax) are taken")
    }
    var outcomes = [ReadOutcome](repeating: .missing, count: items.count)
    var positions: [SliverPlace: [Int]] = [:]
    var places: [SliverPlace] = []
    for (position, item) in items.enumerated() {
      do {
        let place = try checkedPlace(of: item)
        if positions[place] == nil { places.append(place) }
        positions[place, default: []].append(position)
      } catch {
        outcomes[position] = .refused(error)
      }
    }
    let groups = places.map { place in (place, (positions[place] ?? []).map { items[$0] }) }
    let answers = try await fanOut(
      count: groups.count, width: configuration.lookUpCountMax
    ) { [self] in
      try await read(groups[$0].1, of: groups[$0].0, within: reservation)
    }
    for (place, outcomesOfPlace) in zip(places, answers) {
      for (position, outcome) in zip(positions[place] ?? [], outcomesOfPlace) {
        outcomes[position] = outcome
      }
    }
    return outcomes
  }

  private func checkedPlace(of item: ReadItem) throws(NodeFailure) -> SliverPlace {
    let n = parameters.shardCount
    guard !item.symbols.isEmpty, item.symbols.lowerBound >= 0, item.symbols.upperBound <= n else {
      throw NodeFailure(.indexOutOfRange, "symbols \(item.symbols) of a sliver of \(n)")
    }
    return try place(item.blob, item.pair, item.axis)
  }

  /// Items of one sliver.
  private func read(
    _ items: [ReadItem], of place: SliverPlace, within reservation: Admission.Reservation
  ) async throws -> [ReadOutcome] {
    do {
      if items.contains(where: \.wantsPaths) {
        guard let sliver = try await found(expanded(place, within: reservation)) else {
          noteDemand(place.key)
          return items.map { _ in .missing }
        }
        return items.map { item in
          outcome(within: reservation) {
            (Array(sliver.symbols(item.symbols)), item.wantsPaths ? sliver.paths(item.symbols) : [])
          }
        }
      }
      let outcomes = try await readWithoutPaths(items, of: place, within: reservation)
      if outcomes.contains(.missing) { noteDemand(place.key) }
      return outcomes
    } catch let failure as NodeFailure {
      return items.map { _ in .refused(failure) }
    }
  }

  private func readWithoutPaths(
    _ items: [ReadItem], of place: SliverPlace, within reservation: Admission.Reservation
  ) async throws -> [ReadOutcome] {
    let sourceCount = parameters.symbolCount(inSliverOf: place.key.axis)
    let repair = items.flatMap { $0.symbols.clamped(to: sourceCount..<parameters.shardCount) }
    let computed = try await found(repairSymbols(at: Set(repair), of: place, within: reservation))
    guard let computed else { return items.map { _ in .missing } }
    var outcomes: [ReadOutcome] = []
    for item in items {
      try Task.checkCancellation()
      let sources = item.symbols.clamped(to: 0..<sourceCount)
      var bytes: [UInt8] = []
      if !sources.isEmpty {
        let read = await drives.symbols(sources, of: place.key, in: place.shard)
        guard let read = try found(read) else {
          outcomes.append(.missing)
          continue
        }
        bytes = read
      }
      for position in item.symbols.clamped(to: sourceCount..<parameters.shardCount) {
        bytes += computed[position] ?? []
      }
      outcomes.append(outcome(within: reservation) { (bytes, []) })
    }
    return outcomes
  }

  private func outcome(
    within reservation: Admission.Reservation, _ make: () -> ([UInt8], [MerkleProof])
  ) -> ReadOutcome {
    let (bytes, paths) = make()
    let pathByteCount = paths.reduce(0) { $0 + $1.path.count * MemoryLayout<MerkleNode>.stride }
    do {
      try reservation.addAnswer(byteCount: bytes.count + pathByteCount)
    } catch {
      return .refused(error)
    }
    metrics.servedBytes.increment(by: bytes.count)
    return .symbols(bytes: bytes, paths: paths)
  }

  /// Nil if it is missing, which is counted.
  func found<Value>(_ found: Found<Value>) throws(NodeFailure) -> Value? {
    switch found {
    case .value(let value): return value
    case .missing:
      metrics.missingSlivers.increment()
      return nil
    case .unknown(let reason):
      throw NodeFailure(.unavailable, "a drive does not answer: \(reason)")
    }
  }
}

extension ExpandedSliver {
  func symbols(_ range: Range<Int>) -> ArraySlice<UInt8> {
    let s = sliver.symbolByteCount
    return symbols[range.lowerBound * s..<range.upperBound * s]
  }

  func paths(_ range: Range<Int>) -> [MerkleProof] { range.map(tree.proof(ofLeaf:)) }
}
