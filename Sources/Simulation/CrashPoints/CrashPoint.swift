// CrashPoint.swift
//
// One run of the crash points, and the text that repeats it:
//
//   crash@123,subset=7,index=some,again=full@14,seed=42
//   |         |        |          |             what all dice follow from
//   |         |        |          what strikes operation 14 of the opening after it
//   |         |        how much the index loses
//   |         which unsynced sectors survive: 0 none, 1 all, more: any
//   what strikes operation 123 of the script

package import Simulator

/// How much an index loses beside what the drive loses.
package enum IndexLoss: String, Sendable, CaseIterable {
  case nothing, some, unsynced, everything

  func strike(_ index: SimulatedIndex, seed: UInt64) {
    let losable = index.losableBatchCount
    switch self {
    case .nothing: index.crash(losing: 0)
    case .some: index.crash(losing: Int(seed % UInt64(max(losable, 1))))
    case .unsynced: index.crash(losing: losable)
    case .everything: index.wipe()
    }
  }
}

extension CrashPoints {
  /// What goes wrong, and at which operation.
  package struct Strike: Sendable, Hashable, CustomStringConvertible {
    package var fault: DiskFault
    package var operation: Int

    package init(_ fault: DiskFault, at operation: Int) {
      self.fault = fault
      self.operation = operation
    }

    package var description: String { "\(fault)@\(operation)" }

    package init?(_ text: some StringProtocol) {
      let parts = text.split(separator: "@", omittingEmptySubsequences: false)
      let faults: [DiskFault] = [.crash, .full, .failure]
      guard parts.count == 2, let fault = faults.first(where: { "\($0)" == parts[0] }),
        let operation = Int(parts[1]), operation >= 0
      else { return nil }
      self.init(fault, at: operation)
    }
  }

  package struct Point: Sendable, Hashable, CustomStringConvertible {
    package var strike: Strike
    package var subset: Int
    package var indexLoss: IndexLoss
    package var again: Strike?
    package var seed: UInt64

    package init(
      _ strike: Strike, subset: Int, indexLoss: IndexLoss, again: Strike? = nil, seed: UInt64
    ) {
      self.strike = strike
      self.subset = subset
      self.indexLoss = indexLoss
      self.again = again
      self.seed = seed
    }

    package var description: String {
      let second = again.map { ",again=\($0)" } ?? ""
      return "\(strike),subset=\(subset),index=\(indexLoss.rawValue)\(second),seed=\(seed)"
    }

    /// What `description` says; nil if this is no such text.
    package init?(_ text: String) {
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      guard let first = parts.first, let strike = Strike(first) else { return nil }
      self.init(strike, subset: 0, indexLoss: .nothing, seed: 0)
      for part in parts.dropFirst() {
        let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2 else { return nil }
        switch pair[0] {
        case "subset":
          guard let subset = Int(pair[1]), subset >= 0 else { return nil }
          self.subset = subset
        case "index":
          guard let loss = IndexLoss(rawValue: String(pair[1])) else { return nil }
          indexLoss = loss
        case "again":
          guard let again = Strike(pair[1]) else { return nil }
          self.again = again
        case "seed":
          guard let seed = UInt64(pair[1]) else { return nil }
          self.seed = seed
        default: return nil
        }
      }
    }

    var survival: CrashSurvival {
      switch subset {
      case 0: .nothing
      case 1: .everything
      default: .some
      }
    }

    /// Dice of this point alone, different for each use of them.
    func dice(_ use: UInt64) -> UInt64 {
      var word = seed
      for number in [UInt64(strike.operation), UInt64(subset), use] {
        word = SeededRandomness(seed: word ^ number &* 0x9E37_79B9_7F4A_7C15).next()
      }
      return word
    }
  }
}
