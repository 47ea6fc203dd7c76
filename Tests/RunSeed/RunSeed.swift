// RunSeed.swift
//
// One number that all properties of a test run draw their dice from. Every run takes a new one, so
// that many runs try more than one run can; it is printed at once (a trap would not leave time for
// it later), stands in every failure, and WALRUS_TEST_SEED brings the same run back.

import Foundation

/// The seed of this run.
package struct RunSeed: Sendable, CustomStringConvertible {
  package static let variable = "WALRUS_TEST_SEED"

  package let number: UInt64

  /// The number in the environment, else a new one.
  package static let current: RunSeed = {
    let wish = ProcessInfo.processInfo.environment[variable]
    let number = wish.map(parsed) ?? UInt64.random(in: 0...UInt64.max)
    let seed = RunSeed(number: number)
    print("\(seed)")
    return seed
  }()

  private static func parsed(_ text: String) -> UInt64 {
    guard let number = UInt64(text) else {
      preconditionFailure("\(variable)=\(text) is no number from 0 to \(UInt64.max)")
    }
    return number
  }

  /// The seed of one property, or of one case of it: properties run in any order and in part, so
  /// that they cannot share a stream of numbers.
  package func seed(of property: String = #function, case number: Int = 0) -> UInt64 {
    // FNV-1a: `Hasher` differs from process to process.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in "\(self.number) \(property) \(number)".utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    return hash
  }

  /// What a failure says, ready to paste.
  package var description: String { "\(Self.variable)=\(number)" }
}
