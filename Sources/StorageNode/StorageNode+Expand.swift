// StorageNode+Expand.swift
//
// Symbols of a stored sliver that are not on the drive: those asked for in one pass, or all n with
// their tree, kept for a while. Before it gives paths away, a sliver is checked once more against
// the metadata: one that rotted unnoticed would only mislead whoever asked.

import Cluster
import CoreMetrics
import Logging
import RedStuff
import SliverStore
import Synchronization
import World

/// What serving symbols took beyond reading them: every field multiplication and every hash of a
/// request without a write comes from one of these.
package struct ServingWork: Equatable, Sendable {
  /// Symbols beyond the k that are stored, computed without a tree.
  package var computedSymbolCount = 0
  /// Slivers that were expanded to n symbols and hashed.
  package var expandedSliverCount = 0
}

/// A sliver, and some of its symbols that are not stored, in the order asked for.
struct ComputedSymbols: Sendable {
  let sliver: Sliver
  let symbols: [UInt8]

  /// Of the stored ones.
  func stored(_ range: Range<Int>) -> ArraySlice<UInt8> {
    let s = sliver.symbolByteCount
    return sliver.bytes[range.lowerBound * s..<range.upperBound * s]
  }

  func computed(_ range: Range<Int>) -> ArraySlice<UInt8> {
    let s = sliver.symbolByteCount
    return symbols[range.lowerBound * s..<range.upperBound * s]
  }
}

extension StorageNode {
  /// Symbols from k on of slivers of one axis, computed side by side in one pass over each, without
  /// their trees. Entry i is for `places[i]`.
  func repairSymbols(
    at positions: [Int], of places: [SliverPlace], within reservation: Admission.Reservation
  ) async throws -> [Found<ComputedSymbols>] {
    let found = try await fanOut(count: places.count, width: configuration.lookUpCountMax) {
      [self] in await storedSliver(places[$0])
    }
    var slivers: [Sliver] = []
    for case .value(let sliver) in found {
      try reservation.grow(
        by: 2 * sliver.bytes.count + positions.count * sliver.symbolByteCount)
      slivers.append(sliver)
    }
    computed.withLock { [count = slivers.count * positions.count] in
      $0.computedSymbolCount += count
    }
    let (whole, parameters) = (slivers, parameters)
    var symbols: ArraySlice<[UInt8]>
    do {
      symbols = try await compute.run { () throws(SliverShapeError) in
        try Sliver.symbols(
          of: whole,
          crossing: positions.map { SliverIndex(UInt16(truncatingIfNeeded: $0)) },
          parameters: parameters)[...]
      }
    } catch {
      // Which one it is shows when each is computed alone.
      guard places.count > 1 else {
        try await noteUnusable(places[0], "\(error)")
        return [.missing]
      }
      var alone: [Found<ComputedSymbols>] = []
      for place in places {
        alone += try await repairSymbols(at: positions, of: [place], within: reservation)
      }
      return alone
    }
    return found.map { found in
      found.map { ComputedSymbols(sliver: $0, symbols: symbols.removeFirst()) }
    }
  }

  /// From memory, or from the drive and by computing it.
  func expanded(
    _ place: SliverPlace, within reservation: Admission.Reservation
  ) async throws -> Found<ExpandedSliver> {
    if let cached = expansionCache.withLock({ $0.value(for: place.key) }) { return .value(cached) }
    switch await storedSliver(place) {
    case .missing: return .missing
    case .unknown(let reason): return .unknown(reason)
    case .value(let sliver):
      let byteCount = parameters.shardCount * (sliver.symbolByteCount + 2 * Digest.byteCount)
      try reservation.grow(by: sliver.bytes.count + byteCount)
      guard let expanded = try await expand(sliver, of: place) else { return .missing }
      expansionCache.withLock {
        $0.insert(expanded, byteCount: sliver.bytes.count + byteCount, for: place.key)
      }
      return .value(expanded)
    }
  }

  func storedSliver(_ place: SliverPlace) async -> Found<Sliver> {
    let index = place.index(shardCount: parameters.shardCount)
    return await drives.sliver(place.key, in: place.shard).map { stored in
      Sliver(
        axis: place.key.axis, index: index, symbolByteCount: stored.symbolByteCount,
        bytes: stored.bytes)
    }
  }

  /// Nil if the bytes on the drive are not the sliver that was stored; it is repaired then.
  private func expand(_ sliver: Sliver, of place: SliverPlace) async throws -> ExpandedSliver? {
    let parameters = parameters
    metrics.expansions.increment()
    computed.withLock { $0.expandedSliverCount += 1 }
    let problem: String
    do {
      let expanded = try await compute.run { () throws(SliverShapeError) in
        try sliver.expanded(parameters: parameters)
      }
      let metadata = try await metadata(of: place.key.blob)
      let expected = metadata?.metadata.hash(of: sliver.axis, at: sliver.index)
      // Without metadata there is nothing to compare; the reader has its own.
      if expected == nil || expected == expanded.root { return expanded }
      problem = "its root does not match"
    } catch let error as SliverShapeError {
      problem = "\(error)"
    }
    try await noteUnusable(place, problem)
    return nil
  }

  private func noteUnusable(_ place: SliverPlace, _ problem: String) async throws {
    logger.error(
      "a stored sliver is not what was stored",
      metadata: ["node": "\(id)", "sliver": "\(place.key)", "problem": "\(problem)"])
    guard let metadata = try await metadata(of: place.key.blob) else { return }
    await recheck([place], against: metadata)
  }

  /// Of slivers that do not seem to be what the metadata says, though their records are intact: those
  /// that are not leave the drive's index, and are missing from now on like those that fail a checksum.
  func recheck(_ places: [SliverPlace], against metadata: VerifiedBlobMetadata) async {
    var rotten: [SliverKey] = []
    for place in places {
      expansionCache.withLock { $0.remove(place.key) }
      let index = place.index(shardCount: parameters.shardCount)
      let found = await drives.sliver(place.key, in: place.shard) { symbolByteCount, bytes in
        let sliver = Sliver(
          axis: place.key.axis, index: index, symbolByteCount: symbolByteCount, bytes: bytes)
        return await compute.run { Sliver.failures([sliver], against: metadata) == [nil] }
      }
      if case .missing = found { rotten.append(place.key) }
    }
    await noteRotten(rotten, metadataOf: [])
  }
}
