// FetchVerification.swift
//
// The part of a fetch that costs: decoding lines, hashing them to their roots, following paths.
// Runs on Compute, a few lines at a time.

import RedStuff
import Routing

extension FetchJob {
  /// Lines checked in one go share hash lanes; more would hold a compute thread for long.
  static let batchCount = 16

  static func run(_ jobs: [FetchJob], metadata: VerifiedBlobMetadata) -> [FetchResult] {
    var results: [FetchResult] = []
    var symbols: [LineSymbols] = []
    for job in jobs {
      switch job {
      case .symbols(let proven):
        results.append(.symbols(proven, isValid: proven.validity(metadata)))
      case .line(let line): symbols.append(line)
      }
    }
    let slivers = symbols.map { $0.sliver(metadata) }
    let failures = Sliver.failures(slivers, against: metadata)
    for (position, line) in symbols.enumerated() {
      results.append(
        .line(line, bytes: slivers[position].bytes, matches: failures[position] == nil))
    }
    return results
  }
}

extension ProvenRun {
  /// For each symbol whether its path leads to the root of the sliver.
  func validity(_ metadata: VerifiedBlobMetadata) -> [Bool] {
    let s = metadata.symbolByteCount
    guard let root = metadata.metadata.hash(of: run.line.axis, at: run.line.sliverIndex) else {
      return Array(repeating: false, count: paths.count)
    }
    return paths.enumerated().map { offset, path in
      let symbol = bytes.span.extracting(offset * s..<(offset + 1) * s)
      do {
        try path.verify(
          symbol, leafIndex: run.symbols.lowerBound + offset, leafCount: metadata.shardCount,
          root: root)
        return true
      } catch {
        return false
      }
    }
  }
}

extension LineSymbols {
  /// The sliver that the symbols make up; the caller compares its root.
  func sliver(_ metadata: VerifiedBlobMetadata) -> Sliver {
    switch origin {
    case .own(let bytes): return sliver(metadata, bytes)
    case .crossing(let symbols, _):
      let k = metadata.parameters.symbolCount(inSliverOf: line.axis)
      if symbols.enumerated().allSatisfy({ $0.offset == $0.element.position }), symbols.count == k {
        return sliver(metadata, symbols.flatMap(\.bytes))
      }
      do {
        return try Sliver.rebuilt(
          line.axis, line.sliverIndex,
          from: symbols.map {
            DecodingSymbol(
              sourceIndex: SliverIndex(UInt16($0.position)), bytes: Array($0.bytes))
          }, metadata: metadata)
      } catch {
        preconditionFailure("rebuilding \(line) from \(symbols.count) checked symbols: \(error)")
      }
    }
  }

  private func sliver(_ metadata: VerifiedBlobMetadata, _ bytes: [UInt8]) -> Sliver {
    Sliver(
      axis: line.axis, index: line.sliverIndex, symbolByteCount: metadata.symbolByteCount,
      bytes: bytes)
  }
}
