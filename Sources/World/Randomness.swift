// Randomness.swift
//
// Dice for decisions (jitter, object IDs, choice among equals). Keys are never made from these: a
// simulated run must be able to repeat them.

package protocol Randomness: Sendable {
  /// The next 64 random bits. Safe to call from any task.
  func next() -> UInt64
}

extension Randomness {
  /// `count` random bytes.
  package func bytes(count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 7)
    while bytes.count < count {
      let word = next()
      for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(shift)))) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// A number below `bound`; `bound` is at least 1. The bias is below 2^-32 for bounds below 2^32.
  package func number(below bound: Int) -> Int {
    precondition(bound > 0, "a random number needs a positive bound, not \(bound)")
    return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }
}
