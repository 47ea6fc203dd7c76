// FetchVerification.swift
//
// The part of a fetch that costs: decoding lines, hashing them to their roots, following paths.
// Runs on Compute, a few lines at a time, unless it is brief.

import RedStuff
import Routing
import World

extension FetchJob {
  /// Lines checked in one go share hash lanes; more would hold a compute thread for long.
  static let batchCount = 16

  /// Hashes of 128 bytes that take about as long as handing work to Compute and back does.
  private static let briefHashCountMax = 256

  /// Whether it is not worth the hand-over to Compute, nor waiting there behind somebody's large
  /// encoding.
  static func areBrief(_ jobs: [FetchJob], _ metadata: VerifiedBlobMetadata) -> Bool {
    let n = metadata.shardCount
    let leafHashCount = metadata.symbolByteCount / 128 + 1
    var hashCount = 0
    for job in jobs {
      switch job {
      case .symbols(let proven):
        hashCount += proven.paths.count * (leafHashCount + Int.bitWidth - n.leadingZeroBitCount)
      case .line(let line) where line.isOwn: hashCount += n * (leafHashCount + 1)
      case .line, .rows: return false
      }
    }
    return hashCount <= briefHashCountMax
  }

  static func run(_ jobs: [FetchJob], metadata: VerifiedBlobMetadata) -> [FetchResult] {
    var results: [FetchResult] = []
    var lines: [LineSymbols] = []
    for job in jobs {
      switch job {
      case .symbols(let proven):
        results.append(.symbols(proven, isValid: proven.validity(metadata)))
      case .line(let line): lines.append(line)
      case .rows(let rows): results.append(.rows(rows.decoded(metadata)))
      }
    }
    let slivers = slivers(of: lines, metadata)
    let failures = Sliver.failures(slivers, against: metadata)
    for (position, line) in lines.enumerated() {
      let matches = failures[position] == nil || PlantedBug.rootsUnchecked.isPlanted
      results.append(.line(line, bytes: slivers[position].bytes, matches: matches))
    }
    return results
  }

  /// The slivers that the symbols make up; the caller compares their roots. Lines that miss the same
  /// symbols are decoded together.
  private static func slivers(
    of lines: [LineSymbols], _ metadata: VerifiedBlobMetadata
  ) -> [Sliver] {
    var slivers = lines.map { line in
      let bytes: [UInt8] = if case .own(let bytes) = line.origin { bytes } else { [] }
      return Sliver(
        axis: line.line.axis, index: line.line.sliverIndex,
        symbolByteCount: metadata.symbolByteCount, bytes: bytes)
    }
    for axis in SliverAxis.allCases {
      var places: [Int] = []
      var lost: [LostSliver] = []
      for (place, line) in lines.enumerated() where line.line.axis == axis {
        guard case .crossing(let symbols, _) = line.origin else { continue }
        places.append(place)
        lost.append(
          LostSliver(
            index: line.line.sliverIndex,
            symbols: symbols.map {
              DecodingSymbol(
                sourceIndex: SliverIndex(UInt16($0.position)), bytes: Array($0.bytes))
            }))
      }
      for (place, result) in zip(places, Sliver.rebuilt(axis, lost, metadata: metadata)) {
        do {
          slivers[place] = try result.get()
        } catch {
          preconditionFailure("rebuilding \(lines[place].line) from checked symbols: \(error)")
        }
      }
    }
    return slivers
  }
}

extension ProvenRun {
  /// For each symbol whether its path leads to the root of the sliver.
  func validity(_ metadata: VerifiedBlobMetadata) -> [Bool] {
    if PlantedBug.pathsUnchecked.isPlanted { return paths.map { _ in true } }
    do throws(ProvenSymbolsError) {
      try ProvenSymbols(
        axis: run.line.axis, index: run.line.sliverIndex, positions: Array(run.symbols),
        bytes: bytes, paths: paths
      ).verify(against: metadata)
      return Array(repeating: true, count: paths.count)
    } catch {
      guard case .wrongSymbols(let wrong) = error else {
        return Array(repeating: false, count: paths.count)
      }
      let isWrong = Set(wrong)
      return paths.indices.map { !isWrong.contains($0) }
    }
  }
}
