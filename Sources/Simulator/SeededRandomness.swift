// SeededRandomness.swift
//
// Dice that fall the same way for the same seed.

internal import Synchronization
internal import World

package final class SeededRandomness: Randomness {
  private let state: Mutex<UInt64>

  package init(seed: UInt64) { state = Mutex(seed) }

  /// From now on the dice fall as they would for this seed.
  package func reseed(_ seed: UInt64) { state.withLock { $0 = seed } }

  /// SplitMix64: every seed is as good as any other, and neighbours differ at once.
  package func next() -> UInt64 {
    state.withLock { state in
      state &+= 0x9E37_79B9_7F4A_7C15
      var word = state
      word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
      word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
      return word ^ word >> 31
    }
  }
}
