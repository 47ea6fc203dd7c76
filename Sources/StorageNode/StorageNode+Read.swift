// StorageNode+Read.swift
//
// Serving slivers and runs of symbols. Symbols below k are slices read straight from the drive; the
// others are computed, once per sliver and request; paths need the whole expanded sliver.

import Cluster
import CoreMetrics
import RedStuff
import SliverStore
import World

/// Slivers of one blob and axis that are asked for the same symbols beyond those that are stored:
/// these are computed side by side. A sliver of which none are wanted, or paths, is a group alone.
private struct ReadGroup: Sendable {
  struct Key: Hashable, Sendable {
    let blob: BlobID
    let axis: SliverAxis
    /// Positions from k on.
    let computed: [Int]
  }

  /// As many are held at once.
  static let placeCountMax = 16

  let key: Key
  var places: [SliverPlace]
  var items: [[ReadItem]]

  var wantsPaths: Bool { items.contains { $0.contains(where: \.wantsPaths) } }
}

extension StorageNode {
  func sliver(
    of blob: BlobID, at pair: SliverPairIndex, _ axis: SliverAxis,
    within reservation: Admission.Reservation
  ) async throws -> Sliver {
    let place = try place(blob, pair, axis)
    guard let sliver = try found(await storedSliver(place)) else {
      noteAbsent(place.key, for: .read)
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
    _ items: [ReadItem], for purpose: ReadPurpose, within reservation: Admission.Reservation
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
    let groups = groups(
      of: places.map { place in (place, positions[place]?.map { items[$0] } ?? []) })
    let answers = try await fanOut(
      count: groups.count, width: configuration.lookUpCountMax
    ) { [self] in
      try await read(groups[$0], for: purpose, within: reservation)
    }
    for (group, answer) in zip(groups, answers) {
      for (place, outcomesOfPlace) in zip(group.places, answer) {
        for (position, outcome) in zip(positions[place] ?? [], outcomesOfPlace) {
          outcomes[position] = outcome
        }
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

  private func groups(of slivers: [(place: SliverPlace, items: [ReadItem])]) -> [ReadGroup] {
    var groups: [ReadGroup] = []
    var open: [ReadGroup.Key: Int] = [:]
    for (place, items) in slivers {
      let sourceCount = parameters.symbolCount(inSliverOf: place.key.axis)
      let computed = items.flatMap { $0.symbols.clamped(to: sourceCount..<parameters.shardCount) }
      let key = ReadGroup.Key(
        blob: place.key.blob, axis: place.key.axis, computed: computed.uniqued())
      let isAlone = items.contains(where: \.wantsPaths) || computed.isEmpty
      if !isAlone, let group = open[key], groups[group].places.count < ReadGroup.placeCountMax {
        groups[group].places.append(place)
        groups[group].items.append(items)
        continue
      }
      if !isAlone { open[key] = groups.count }
      groups.append(ReadGroup(key: key, places: [place], items: [items]))
    }
    return groups
  }

  /// For each sliver of the group its outcomes.
  private func read(
    _ group: ReadGroup, for purpose: ReadPurpose, within reservation: Admission.Reservation
  ) async throws -> [[ReadOutcome]] {
    guard !group.key.computed.isEmpty, !group.wantsPaths else {
      return [
        try await read(group.items[0], of: group.places[0], for: purpose, within: reservation)
      ]
    }
    var outcomes: [[ReadOutcome]] = []
    do {
      let slivers = try await repairSymbols(
        at: group.key.computed, of: group.places, within: reservation)
      for ((place, items), sliver) in zip(zip(group.places, group.items), slivers) {
        do {
          guard let sliver = try found(sliver) else {
            noteAbsent(place.key, for: purpose)
            outcomes.append(items.map { _ in .missing })
            continue
          }
          outcomes.append(items.map { outcome(of: $0, from: sliver, group, within: reservation) })
        } catch {
          outcomes.append(items.map { _ in .refused(error) })
        }
      }
      return outcomes
    } catch let failure as NodeFailure {
      return group.items.map { $0.map { _ in .refused(failure) } }
    }
  }

  private func outcome(
    of item: ReadItem, from sliver: ComputedSymbols, _ group: ReadGroup,
    within reservation: Admission.Reservation
  ) -> ReadOutcome {
    let sourceCount = parameters.symbolCount(inSliverOf: group.key.axis)
    return outcome(within: reservation) {
      var bytes = Array(sliver.stored(item.symbols.clamped(to: 0..<sourceCount)))
      for position in item.symbols.clamped(to: sourceCount..<parameters.shardCount) {
        guard let number = group.key.computed.firstIndex(of: position) else { continue }
        bytes += sliver.computed(number..<number + 1)
      }
      return (bytes, [])
    }
  }

  /// Items of one sliver, with paths or without symbols to be computed.
  private func read(
    _ items: [ReadItem], of place: SliverPlace, for purpose: ReadPurpose,
    within reservation: Admission.Reservation
  ) async throws -> [ReadOutcome] {
    do {
      if items.contains(where: \.wantsPaths) {
        guard let sliver = try await found(expanded(place, within: reservation)) else {
          noteAbsent(place.key, for: purpose)
          return items.map { _ in .missing }
        }
        return items.map { item in
          let outcome = outcome(within: reservation) {
            (Array(sliver.symbols(item.symbols)), item.wantsPaths ? sliver.paths(item.symbols) : [])
          }
          return item.wantsSignature ? signed(outcome, item) : outcome
        }
      }
      var outcomes: [ReadOutcome] = []
      for item in items {
        try Task.checkCancellation()
        let read = await drives.symbols(item.symbols, of: place.key, in: place.shard)
        if let bytes = try found(read) {
          outcomes.append(outcome(within: reservation) { (bytes, []) })
        } else {
          noteAbsent(place.key, for: purpose)
          outcomes.append(.missing)
        }
      }
      return outcomes
    } catch let failure as NodeFailure {
      return items.map { _ in .refused(failure) }
    }
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

  private func signed(_ outcome: ReadOutcome, _ item: ReadItem) -> ReadOutcome {
    guard case .symbols(let bytes, let paths) = outcome else { return outcome }
    let statement = signer.statement(on: item, bytes: bytes, paths: paths, cluster: cluster)
    return .signedSymbols(bytes: bytes, paths: paths, signature: statement.signature)
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
